package bond

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"govs/vswitchd/model/modeltest"
)

// TestTranscripts reads testdata:
//
//	bond [MODE] [up=MS] [down=MS] [rebalance=MS] [primary=M] [before=N] MEMBER...
//	lacp off|configured|negotiated
//	link MEMBER up|down
//	load HASH BYTES            what the hash has sent since the last time
//	run TIME                   lets time pass
//	set-active, enable, disable, migrate   as the control verbs do
//	show                       is bond/show
//	hashes                     how many hashes each member has
//
// and prints behind each what was logged.
func TestTranscripts(t *testing.T) {
	modeltest.Transcripts(t, func(*testing.T) func(string) string {
		w := &world{now: time.Unix(1e9, 0)}
		return w.do
	})
}

type world struct {
	bond *Bond
	now  time.Time
	log  string
}

func (w *world) do(command string) string {
	f := strings.Fields(command)
	text := ""
	answer := func(s string, err error) {
		text = s + "\n"
		if err != nil {
			text = err.Error() + "\n"
		}
	}
	switch f[0] {
	case "bond":
		w.configure(f[1:])
	case "lacp":
		w.bond.SetLACP(map[string]LACP{"off": NoLACP, "configured": Configured, "negotiated": Negotiated}[f[1]])
	case "link":
		w.bond.SetLink(f[1], f[2] == "up")
	case "load":
		h, _ := strconv.Atoi(f[1])
		n, _ := strconv.ParseUint(f[2], 10, 64)
		w.bond.load[h].Add(n)
	case "run":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			return err.Error()
		}
		for end := w.now.Add(d); w.now.Before(end); {
			w.now = w.now.Add(10 * time.Millisecond)
			w.run()
		}
	case "set-active":
		answer(w.bond.SetActive(f[1]))
	case "enable", "disable":
		answer(w.bond.Force(f[1], f[0] == "enable"))
	case "migrate":
		answer("migrated", w.bond.Migrate(f[1], f[2]))
	case "show":
		text = w.bond.Show(w.now)
	case "hashes":
		count := map[string]int{}
		for _, name := range w.bond.View().Buckets {
			count[name]++
		}
		text = fmt.Sprintln(count)
	default:
		return "what?\n"
	}
	if f[0] != "show" && f[0] != "hashes" {
		w.run()
	}
	text += w.log
	w.log = ""
	return text
}

func (w *world) run() {
	if _, moved := w.bond.Run(w.now); moved {
		w.log += "(others are to learn of it)\n"
	}
}

func (w *world) configure(args []string) {
	c := Config{Rebalance: 10 * time.Second}
	var before net.HardwareAddr
	for _, arg := range args {
		key, value, valued := strings.Cut(arg, "=")
		n, _ := strconv.Atoi(value)
		ms := time.Duration(n) * time.Millisecond
		switch key {
		case "active-backup":
		case "balance-slb":
			c.Mode = BalanceSLB
		case "balance-tcp":
			c.Mode = BalanceTCP
		case "up":
			c.UpDelay = ms
		case "down":
			c.DownDelay = ms
		case "rebalance":
			c.Rebalance = ms
		case "primary":
			c.Primary = value
		case "before":
			before = net.HardwareAddr{2, 0, 0, 0, 0, byte(n)}
		default:
			if valued {
				panic(arg)
			}
			c.Members = append(c.Members, Member{arg, net.HardwareAddr{2, 0, 0, 0, 0, byte(len(c.Members) + 1)}})
		}
	}
	if w.bond == nil {
		w.bond = New("bond0", before, func(text string) { w.log += "log: " + text + "\n" })
	}
	w.bond.Configure(c, w.now)
}

// The hashes are those that the C switch prints for bond/hash.
func TestHash(t *testing.T) {
	for args, want := range map[[3]string]string{
		{"00:00:00:00:00:01", "", ""}: "68", {"00:00:00:00:00:01", "10", ""}: "224",
		{"00:00:00:00:00:01", "10", "5"}: "229", {"00:00:00:00:00:02", "", ""}: "244",
	} {
		if got, err := HashText(args[0], args[1], args[2]); got != want || err != nil {
			t.Errorf("%v: %s, %v, want %s", args, got, err, want)
		}
	}
	for _, args := range [][3]string{{"x", "", ""}, {"00:00:00:00:00:01", "x", ""}, {"00:00:00:00:00:01", "1", "x"}} {
		if got, err := HashText(args[0], args[1], args[2]); err == nil {
			t.Errorf("%v: %s", args, got)
		}
	}
}
