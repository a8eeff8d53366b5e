// Command datapath runs the same random configurations and packets through our
// ovs-vswitchd and through Debian's, both with dummy ports, and reports what
// differs.
//
// Usage:
//
//	datapath [-for DURATION] [-cases N] [-seed N] [-ours PATH] [-theirs PATH]
//
// A case is a configuration (ports of every VLAN mode on two bridges that are
// patched together, with flood-vlans, forward-bpdu, protected ports,
// priority-tags, cvlans, qinq-ethtype, vlan-limit, multicast snooping) and some
// dozens of steps: packets of many kinds, whole and cut off, and verbs. After
// the packets the frames that each port sent are compared byte by byte, the
// learning tables, the megaflows (what they match, what they do with such
// packets, their counters), what ofproto/trace says, and counters.
//
// Differences that are meant stand in ../differences.txt, each with its reason,
// and are not made. A difference that is not ends the run with status 1 and
// prints what led to it.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"govs/tools/peer"
)

func main() {
	var o options
	flag.DurationVar(&o.limit, "for", time.Minute, "how long to go on")
	flag.IntVar(&o.cases, "cases", 0, "how many configurations at the most; 0 is no limit")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "start of the random sequence")
	flag.StringVar(&o.ours, "ours", "bin/ovs-vswitchd", "our ovs-vswitchd")
	flag.StringVar(&o.theirs, "theirs", "", "the C ovs-vswitchd; Debian's where nothing is said")
	flag.Parse()
	o.say = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	if o.theirs == "" {
		path, err := peer.Debian("ovs-vswitchd")
		if err != nil {
			fmt.Fprintln(os.Stderr, "datapath:", err)
			os.Exit(1)
		}
		o.theirs = path
	}
	rep, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "datapath:", err)
		os.Exit(1)
	}
	fmt.Println(rep)
	if rep.found != "" {
		os.Exit(1)
	}
}
