// Command bench measures govs and its peers side by side in one run, and
// prints the ratios: our ovsdb-server against Debian's, our switch against
// Debian's userspace datapath and the Linux bridge.
//
// Usage:
//
//	bench [-rounds N] [-seconds N] [-only db|ovsdb|ctl|packets|datapath|services|tunnels|mirrors|sampling|convergence|qos] [-rows REGEXP]
//
// The rounds are interleaved (A, B, C, A, B, C, ...) and the median of each
// measure counts, for machines are noisy. Packets need root: the bench runs
// itself again in network, mount and process namespaces of its own, which the
// kernel clears away when it ends.
//
// # Databases
//
// "-only ovsdb" prints the long table of the databases, with the ratio that
// each row is to reach beside the one that was measured; "-only db" some of its
// rows. Ratios read "times better" where more is better and where the unit is
// ms, and "govs by C" for memory. Rows marked "<= N ms" judge the time itself.
//
// Each run begins with a fresh process on a copy of a database that the same
// server made before (through its socket, then compacted), with the
// Open_vSwitch schema. A bridge is three rows: Bridge, Port, Interface. All
// clients of a load are one goroutine on plain system calls, so that the second
// core is the server's; requests are appended to buffers, answers are framed
// and looked through for errors: one is enough and the bench fails.
// The server's CPU is utime and stime of /proc/PID/stat.
//
//   - add-br: what ovs-vsctl add-br sends without its wait operations, on a
//     database without bridges. "8x8" is 8 clients with 8 requests under way
//     each. Flatness is 4,000 of them, on no bridges and on 10,000.
//   - durable: the same with a commit operation; the disk is that of the
//     temporary folder (TMPDIR). Flushes are counted by strace in a run apart.
//   - update: external_ids of one interface of 50, or statistics (13 counters) of
//     all of them in one transaction.
//   - select: three columns of one interface of 3,333, at random.
//   - monitors: one client, 8 deep, changes one row; 50 others monitor all columns
//     of its table, with a condition that holds for every row where it says
//     "own". They read every 16 transactions. A delivery is one update to one
//     client; the time ends when the last one has come.
//   - initial: all columns of the four tables by monitor_cond; a transaction
//     before each time sees to it that nothing is kept from the time before. The
//     clock stops when the last client has the last byte.
//   - longest: while 20 clients (10 at 100,000 rows) download everything, one
//     client sends transactions and another one echoes, a millisecond after each
//     answer; the longest wait of a run, the median of the runs. Their threads
//     have priority where the bench may give it.
//   - 100,000 rows: from before exec to the answer of the first select; VmRSS a
//     second later, and a second after 10 clients have downloaded everything and
//     stay.
//   - C against C shows the noise: it should say 1.
//
// # The datapath
//
// "-only datapath" prints the table of packets, and before it: the time of a
// packet through an engine with 10 and with 1,000 ports, each in bursts of 256
// from one dummy port to the next (what the dummies cost is in it); ovs-vsctl
// add-port of the 10th and the 1,000th port, with the process, ours and with
// the C programs; the heap while addresses and megaflows come and go for three minutes.
//
// Frames of 60 bytes come from a sender in the first host, which shares the
// machine with the switch, and "live" from the kernel itself, which receives
// them on the switch's port (BPF_PROG_RUN). Each flow has a source address of its
// own. What arrives at the second host counts. "CPU a frame" is the time that
// the machine's processors were busy meanwhile, by the frames that arrived: the
// sender's and the hosts' part is in it, and where a switch drops most of what
// comes, that is in it, too.
//
// # Services
//
// "-only services" is all of the following.
//
// "-only tunnels" has two switches of the same kind, each with a host behind it,
// and tunnels between them over a cable. The hosts' MTU is 1400. Tunnels of IP
// packets without Ethernet headers have no 60-byte frames.
//
// "-only mirrors" measures without and with a mirror of all packets to the port
// of another host; "-only sampling" without and with an exporter, whose collector
// is the bench.
//
// "-only convergence" has two switches with several cables, of which one is
// pulled (its device is set down at one end; for BFD it is cut where neither
// end sees it) while a packet a millisecond goes from host to host and back. What
// is lost, times the interval, is the row.
//
// # QoS
//
// "-only qos" has ports of several rates (linux-htb) between hosts: as the switch
// chooses by itself, with its own scheduler, and with the C switch, whose hosts
// have their offloads off. "Of what the rate allows" is the data received by
// the part of frames of 1514 bytes that is data. UDP is sent at one and a half times
// the rate. Beside it, in one process, frames of a high class wait while the queue
// of a low one is full.
//
// # Commands
//
// "-only ctl" runs commands of ours and of Debian's in turns, on a database with
// 1,000 ports that our ovsdb-server serves, 15 times a round. What a process cost
// is its user and system time (getrusage), and the time from before exec to its
// end. Both are in ms; ratios read "times better".
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// inner marks the run inside the namespaces; it names the folder for its files.
const inner = "GOVS_BENCH_INNER"

type options struct {
	rounds  int
	seconds float64
	only    string
	rows    string
	bin     string // our programs
	theirs  string // Debian's
	dir     string
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 3, "interleaved rounds")
	flag.Float64Var(&o.seconds, "seconds", 0, "length of one measurement; 0: 1 for databases, 3 for packets")
	flag.StringVar(&o.only, "only", "", "db, ovsdb (the long table of db), ctl, packets, datapath (packets, and how the engine grows), services, or one of those: tunnels, mirrors, sampling, convergence, qos; db, ctl and packets where nothing is said")
	flag.StringVar(&o.rows, "rows", "", "only the measures of databases with a row whose name matches this regular expression")
	flag.StringVar(&o.bin, "bin", "bin", "folder of our programs")
	flag.StringVar(&o.theirs, "theirs", "", "folder of Debian's programs")
	generate := flag.String("generate", "", "send 60-byte frames on this interface (the bench calls itself so)")
	to := flag.Int("to", 2, "with -generate: the host they go to")
	flows := flag.Int("flows", 1, "with -generate: from so many senders")
	listen := flag.Bool("echo", false, "answer packets (the bench calls itself so)")
	ask := flag.String("probe", "", "send packets to the host that answers (the bench calls itself so)")
	flag.Parse()
	switch {
	case *listen:
		exit(echo())
	case *ask != "":
		exit(inquire(*ask, time.Duration(o.seconds*float64(time.Second))))
	}
	if *generate != "" {
		exit(flood(*generate, byte(*to), *flows, time.Duration(o.seconds*float64(time.Second))))
	}
	exit(run(o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(o options) error {
	if os.Getenv(inner) == "" {
		return outer(o)
	}
	var err error
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return err
	}
	o.dir = os.Getenv(inner)
	fmt.Printf("%s, %d cores, %s, Linux %s; %d interleaved rounds, medians\n",
		time.Now().UTC().Format("2006-01-02"), runtime.NumCPU(), runtime.Version(), release(), o.rounds)
	if o.only == "" || o.only == "db" || o.only == "ovsdb" {
		if err := databases(o, o.only == "ovsdb"); err != nil {
			return err
		}
	}
	if o.only == "" || o.only == "ctl" {
		if err := commands(o); err != nil {
			return err
		}
	}
	if done, err := servicesOnly(o); done || err != nil {
		return err
	}
	if o.only == "datapath" {
		if err := datapath(o); err != nil {
			return err
		}
	}
	if o.only == "" || o.only == "packets" || o.only == "datapath" {
		if os.Geteuid() != 0 {
			fmt.Println("packets: left out, they need root")
			return nil
		}
		return packets(o)
	}
	return nil
}

// outer runs the bench again in fresh namespaces, where it may, and clears away
// what that leaves behind, also when it is interrupted.
func outer(o options) error {
	debs, err := exec.Command("tools/debs/debs").Output()
	if err != nil {
		return fmt.Errorf("tools/debs/debs: %w (run this from the repository's root)", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := append([]string{self}, os.Args[1:]...)
	if o.theirs == "" {
		args = append(args, "-theirs", filepath.Join(strings.TrimSpace(string(debs)), "bin"))
	}
	if os.Geteuid() == 0 {
		args = append([]string{"unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--propagation", "private"}, args...)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop() // after all is cleared away: a signal may come twice
	dir, err := os.MkdirTemp("", "govs-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), inner+"="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd.Run()
}

func release() string {
	b, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(b))
}

func median[T cmp.Ordered](v []T) T {
	var zero T
	if len(v) == 0 {
		return zero
	}
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
