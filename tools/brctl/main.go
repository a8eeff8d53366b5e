// Command brctl runs Debian's unmodified brctl on a bridge of the kernel's and
// on govs, and compares the two.
//
// Usage, as root:
//
//	brctl -oracle [-random N] [-seed N] [-modes none,hide,fuse]
//	brctl -bench [-rounds N]
//
// The oracle plays corpus.txt, and then random command lines, on both sides:
// output and exit status are to be the same. Differences that are meant stand in
// tools/oracle/differences.txt, each with its reason; one that is not makes the exit status 1.
//
// The benchmark measures what answers of brctl cost on both sides, and what the
// launcher costs programs that do not ask for bridges: beside that stands what any
// seccomp filter costs them (the command starts itself with -allow for that).
//
// Each side is a network namespace of its own, with a sysfs that shows it, and
// with the same devices. Nothing of the machine is touched.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

type options struct {
	oracle, bench bool
	random        int
	seed          uint64
	rounds        int
	modes         []string
	bin           string // folder of our programs
}

func main() {
	if os.Getenv(sideRole) != "" {
		serveSide()
		return
	}
	var o options
	flag.BoolVar(&o.oracle, "oracle", false, "compare what brctl prints")
	flag.BoolVar(&o.bench, "bench", false, "compare how long brctl takes")
	flag.IntVar(&o.random, "random", 150, "oracle: random command lines for each mode, after the corpus")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "oracle: start of the random sequence")
	flag.IntVar(&o.rounds, "rounds", 20, "bench: interleaved rounds")
	modes := flag.String("modes", "none,hide,fuse", "what brctl sees of /sys/class/net")
	flag.StringVar(&o.bin, "bin", "bin", "folder of our programs")
	allow := flag.Bool("allow", false, "run a command under a filter that allows everything")
	flag.Parse()
	if *allow {
		fmt.Fprintln(os.Stderr, "brctl:", allowAll(flag.Args()))
		os.Exit(1)
	}
	o.modes = strings.Split(*modes, ",")
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "brctl:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	if os.Geteuid() != 0 {
		return errors.New("this needs root: it makes network namespaces")
	}
	switch {
	case o.oracle == o.bench:
		return errors.New("say either -oracle or -bench")
	case o.oracle:
		return oracle(o, os.Stdout)
	}
	return bench(o, os.Stdout)
}
