// Command ctl runs the same command lines through our ovs-vsctl, ovsdb-client,
// ovsdb-tool and ovs-appctl and through Debian's, on our ovsdb-server and on
// Debian's, in all four pairings, and reports what differs in standard output,
// standard error, exit status and what became of the database.
//
// Usage:
//
//	ctl [-ours DIR] [-theirs DIR] [-seed N] [-lines N] [-only NAME]
//
// The command lines are those of corpus/*.txt (corpus.go says how they are
// written), of the transcripts beside the commands' packages, and as many random
// ones as -lines says. Differences that are meant stand in the oracle's
// differences.txt, each with its reason; one that is not ends the run with
// status 1.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"govs/tools/peer"
)

func main() {
	var o options
	flag.StringVar(&o.ours, "ours", "bin", "folder of our programs")
	flag.StringVar(&o.theirs, "theirs", "", "folder of the C programs; Debian's where nothing is said")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "start of the random sequence")
	flag.IntVar(&o.lines, "lines", 300, "how many random command lines")
	flag.StringVar(&o.only, "only", "", "one script, by its name")
	flag.Parse()
	o.say = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	rep, err := start(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
	if rep.differences > 0 {
		os.Exit(1)
	}
}

// start finds what the run needs in the module, and runs.
func start(o options) (*report, error) {
	root, err := peer.Root()
	if err != nil {
		return nil, err
	}
	meant, err := os.ReadFile(filepath.Join(root, "tools/oracle/differences.txt"))
	if err != nil {
		return nil, err
	}
	if o.meant, err = parseMeant(string(meant)); err != nil {
		return nil, err
	}
	if o.scripts, err = corpus(root); err != nil {
		return nil, err
	}
	if o.ours, err = filepath.Abs(o.ours); err != nil {
		return nil, err
	}
	if o.theirs == "" {
		path, err := peer.Debian("ovs-vsctl")
		if err != nil {
			return nil, err
		}
		o.theirs = filepath.Dir(path)
	}
	o.root = root
	return run(o)
}
