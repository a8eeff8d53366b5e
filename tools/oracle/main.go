// Command oracle runs the same random input through govs and through Open
// vSwitch's C programs, as Debian packages them, and reports what differs.
//
// Usage:
//
//	oracle [-for DURATION] [-cases N] [-seed N] [-history N] [-ours PATH] [-theirs PATH]
//
// What it runs is ovsdb-server: random schemas; random transactions, monitors and
// changes of their conditions, locks, waits (valid, invalid and malformed), from
// two sessions. Replies, updates, their order, and the resulting tables are
// compared after each; a naive model checks that the updates of a monitor add up
// to its tables.
// Differences that are meant stand in differences.txt, each with its reason.
// A difference that is not ends the run with status 1 and prints the input
// that led to it, to be kept as a transcript.
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
	flag.IntVar(&o.cases, "cases", 0, "how many messages at the most; 0 is no limit")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "start of the random sequence")
	flag.StringVar(&o.ours, "ours", "bin/ovsdb-server", "our ovsdb-server")
	flag.StringVar(&o.theirs, "theirs", "", "the C ovsdb-server; Debian's where nothing is said")
	flag.IntVar(&o.history, "history", 4, "how many of the last messages to print with a difference")
	flag.Parse()
	o.say = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	if o.theirs == "" {
		path, err := peer.Debian("ovsdb-server")
		if err != nil {
			fmt.Fprintln(os.Stderr, "oracle:", err)
			os.Exit(1)
		}
		o.theirs = path
	}
	report, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
	fmt.Print(report)
	if report.bad() {
		os.Exit(1)
	}
}
