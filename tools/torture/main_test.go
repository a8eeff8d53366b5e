package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"govs/ovsdb/storage/file"
	"govs/tools/peer"
)

var built struct {
	once sync.Once
	dir  string
	out  []byte
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(built.dir)
	os.Exit(code)
}

// programs builds our server and its tool as users run them, once, and returns
// their folder.
func programs(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "tort"); built.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-buildvcs=false", "-o", built.dir, "./ovsdb/ovsdb-server", "./ctl/ovsdb-tool")
		cmd.Dir = "../.."
		built.out, built.err = cmd.CombinedOutput()
	})
	if built.err != nil {
		t.Fatalf("go build: %v\n%s", built.err, built.out)
	}
	return built.dir
}

func program(t *testing.T) string {
	t.Helper()
	return filepath.Join(programs(t), "ovsdb-server")
}

var seed = flag.Uint64("seed", 1, "start of the random sequences")

func random(t *testing.T) *rand.Rand {
	t.Helper()
	return rand.New(rand.NewPCG(*seed, 0))
}

var formats = []file.Format{file.Bolt, file.Log}

// TestKills kills the server some hundreds of times.
func TestKills(t *testing.T) {
	rounds := 120
	if testing.Short() {
		rounds = 15
	}
	for _, f := range formats {
		t.Run(string(f), func(t *testing.T) {
			k, err := kills(program(t), f, random(t), rounds, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(k)
			if k.acked == 0 || k.there+k.not == 0 {
				t.Error("nothing was written, or nothing was on its way: the test is broken")
			}
		})
	}
}

// TestPowerCuts opens what a power cut may leave.
func TestPowerCuts(t *testing.T) {
	each, states := 60, 150
	if testing.Short() {
		each, states = 20, 100
	}
	for _, f := range formats {
		t.Run(string(f), func(t *testing.T) {
			c, err := powerCuts(program(t), f, random(t), each, states, 0)
			if errors.Is(err, errNoTrace) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Log(c)
			if c.opened == 0 || c.traced.durable == 0 {
				t.Error("nothing was opened or nothing was durable: the test is broken")
			}
		})
	}
}

// TestDamage opens torn and damaged files.
func TestDamage(t *testing.T) {
	step, flips := 13, 200
	if testing.Short() {
		step, flips = 41, 60
	}
	theirs, err := peer.Debian("ovsdb-server")
	if err != nil {
		t.Log("not compared with the C server: ", err)
	}
	for _, f := range formats {
		t.Run(string(f), func(t *testing.T) {
			d, err := damage(program(t), theirs, f, random(t), step, flips, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(d)
			for _, place := range slices.Sorted(maps.Keys(d.places)) {
				t.Logf("%5d times %s", d.places[place], place)
			}
		})
	}
}

// TestFull takes the room from the server's disk, and gives it back. The C
// server is the judge of the errors: the same checks hold for it.
func TestFull(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	check := func(name, program string, f file.Format, l lack) {
		t.Run(fmt.Sprintf("%s, %s", name, f), func(t *testing.T) {
			d, err := full(program, f, l, random(t), rounds, 0)
			if errors.Is(err, errNoRoom) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Log(d)
		})
	}
	for _, f := range formats {
		check("disk", program(t), f, noSpace)
		check("limit", program(t), f, fileLimit)
	}
	if theirs, err := peer.Debian("ovsdb-server"); err == nil {
		check("disk of the C server", theirs, file.Log, noSpace)
	}
}

// TestFlushes: those who wait share a flush. The C server, for comparison, has
// one for each transaction.
func TestFlushes(t *testing.T) {
	check := func(name, program string, f file.Format) (transactions, flushed int) {
		transactions, flushed, err := flushes(program, f, random(t), 30, 20)
		if errors.Is(err, errNoTrace) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s, %s: %d durable transactions, %d flushes", name, f, transactions, flushed)
		return transactions, flushed
	}
	for _, f := range formats {
		if transactions, flushed := check("ours", program(t), f); transactions != 600 || 2*flushed > transactions {
			t.Errorf("%d flushes for %d transactions", flushed, transactions)
		}
	}
	if theirs, err := peer.Debian("ovsdb-server"); err == nil {
		check("C", theirs, file.Log)
	}
}
