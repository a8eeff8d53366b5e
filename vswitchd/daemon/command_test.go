package daemon

import (
	"context"
	"testing"

	"github.com/spf13/pflag"

	"govs/vswitchd/desired"
)

func TestFlags(t *testing.T) {
	for _, test := range []struct {
		args  []string
		dummy desired.Dummy
		off   bool
	}{
		{nil, desired.DummyOff, false},
		{[]string{"--enable-dummy"}, desired.DummyOn, false},
		{[]string{"--enable-dummy=yes", "--mlockall"}, desired.DummyOn, false},
		{[]string{"--enable-dummy=system"}, desired.DummySystem, false},
		{[]string{"--enable-dummy=OVERRIDE"}, desired.DummyOn, false},
		{[]string{"--enable-dummy=override", "--disable-system", "--disable-system-route"}, desired.DummyOverride, true},
	} {
		var f flags
		fs := pflag.NewFlagSet("ovs-vswitchd", pflag.ContinueOnError)
		f.bind(fs)
		if err := fs.Parse(test.args); err != nil {
			t.Errorf("%q: %v", test.args, err)
		}
		if f.dummies() != test.dummy || f.disableSystem != test.off {
			t.Errorf("%q: %+v", test.args, f)
		}
	}
}

// TestStop says that to be told to end is no error, whatever Run hears first.
func TestStop(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 50 {
		s, err := New(Options{Remote: "unix:" + t.TempDir() + "/none", Dummy: desired.DummyOverride})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, remote := range []string{"nonsense", "ptcp:6640", "unix:"} {
		if _, err := New(Options{Remote: remote, Dummy: desired.DummyOverride}); err == nil {
			t.Errorf("%s: no error", remote)
		}
	}
}
