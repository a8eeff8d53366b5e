package daemon_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"govs/datapath/pcap"
	"govs/vswitchd/daemon"
	"govs/vswitchd/desired"
	"govs/vswitchd/model/modeltest"
)

func here(f func()) { f() }

// TestTranscripts runs the commands of testdata with a switch whose devices
// are all dummies, as under ovs-vswitchd --enable-dummy=override.
func TestTranscripts(t *testing.T) {
	modeltest.Transcripts(t, func(t *testing.T) func(string) string {
		l := newLab(t, here)
		l.start(daemon.Options{Dummy: desired.DummyOverride})
		return l.command
	})
}

// TestRestart says that numbers and addresses are the same after the switch
// was started again, and that it finds its database again.
func TestRestart(t *testing.T) {
	l := newLab(t, here)
	o := daemon.Options{Dummy: desired.DummyOverride}
	l.start(o)
	l.vsctl("add-br", "br0", "--", "add-port", "br0", "p1", "--", "add-port", "br0", "p2", "--", "del-port", "p1",
		"--", "add-port", "br0", "p3")
	show := func() string {
		return l.vsctl("--columns=name,ofport", "list", "Interface", "br0", "p2", "p3") +
			l.vsctl("get", "Interface", "br0", "mac_in_use", "--", "get", "Bridge", "br0", "datapath_id")
	}
	before := show()
	l.quit()
	l.start(o)
	if after := show(); after != before {
		t.Errorf("before the restart:\n%safter it:\n%s", before, after)
	}
	l.stopDB(syscall.SIGKILL)
	l.startDB()
	if out := l.vsctl("add-port", "br0", "p4"); out != "" {
		t.Errorf("add-port after a restart of the database: %s", out)
	}
	if got := l.vsctl("get", "Interface", "p4", "ofport"); got == "[]\n" || got == "-1\n" {
		t.Errorf("ofport of p4 is %s", got)
	}
}

// TestStolen says that a switch whose lock is stolen takes everything down,
// and goes on when the thief is gone.
func TestStolen(t *testing.T) {
	l := newLab(t, here)
	l.start(daemon.Options{Dummy: desired.DummyOverride})
	l.vsctl("add-br", "br0")
	thief := l.holdLock("steal")
	list := func() string { return l.appctl("ofproto/list") }
	l.eventually("bridges while another one has the lock", "", list)
	thief()
	l.eventually("bridges when the other one has gone", "br0", list)
}

// errorLog tells what is logged as an error.
type errorLog chan string

func (errorLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }
func (l errorLog) WithAttrs([]slog.Attr) slog.Handler             { return l }
func (l errorLog) WithGroup(string) slog.Handler                  { return l }

func (l errorLog) Handle(_ context.Context, r slog.Record) error {
	l <- r.Message
	return nil
}

// TestTwo says that of two switches with one database the first one works,
// and the second one, which says that it waits, when that is gone.
func TestTwo(t *testing.T) {
	l := newLab(t, here)
	l.start(daemon.Options{Dummy: desired.DummyOverride})
	second := *l
	ready, errors := make(chan struct{}), make(errorLog, 100)
	go func() {
		// Ready comes when the first one has quit.
		second.start(daemon.Options{Dummy: desired.DummyOverride,
			Log: func(string) *slog.Logger { return slog.New(errors) }})
		close(ready)
	}()
	l.vsctl("add-br", "br0")
	select {
	case <-ready:
		t.Error("both switches hold the lock")
	case got := <-errors:
		want := fmt.Sprintf("another ovs-vswitchd process is running, disabling this process (pid %d) until it goes away", os.Getpid())
		if got != want {
			t.Errorf("the second switch says %q, want %q", got, want)
		}
	}
	l.quit()
	<-ready
	l.eventually("bridge of the second switch", "br0", func() string { return second.appctl("ofproto/list") })
	second.quit()
}

// Frames of a pcap file go through the switch into another one.
func TestPCAP(t *testing.T) {
	l := newLab(t, here)
	l.start(daemon.Options{Dummy: desired.DummyOverride})
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	frame := append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5}, make([]byte, 46)...)
	f, err := pcap.Append(in)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := f.Write(frame); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := l.vsctl("add-br", "br0", "--", "add-port", "br0", "p1", "--", "set", "Interface", "p1", "type=pcap", "options:tx_pcap="+out); got != "" {
		t.Fatal(got)
	}
	if got := l.vsctl("add-port", "br0", "p2", "--", "set", "Interface", "p2", "type=pcap", "options:rx_pcap="+in); got != "" {
		t.Fatal(got)
	}
	l.eventually("three frames", "3 180", func() string {
		written, err := os.ReadFile(out)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(bytes.Count(written, frame), " ", bytes.Count(written, frame)*len(frame))
	})
	l.vsctl("set", "Interface", "p2", "options:rx_pcap="+dir+"/nothing")
	l.eventually("a file that is not there", "\"could not open network device p2 (No such file or directory)\"", func() string {
		return l.vsctl("get", "Interface", "p2", "error")
	})
}
