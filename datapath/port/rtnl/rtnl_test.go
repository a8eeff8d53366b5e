package rtnl_test

import (
	"errors"
	"log/slog"
	"testing"

	"govs/datapath/port"
	"govs/datapath/port/porttest"
	"govs/datapath/port/rtnl"
)

func monitor(t *testing.T, ns *porttest.NS) *rtnl.Monitor {
	t.Helper()
	var m *rtnl.Monitor
	ns.Must(func() (err error) {
		m, err = rtnl.New(slog.New(slog.DiscardHandler))
		return err
	})
	t.Cleanup(func() { m.Close() })
	return m
}

// TestWatch follows every device of a namespace, and one of them.
func TestWatch(t *testing.T) {
	ns, peer := porttest.NewNS(t), porttest.NewNS(t)
	m := monitor(t, ns)
	all := make(chan rtnl.Link, 100)
	defer m.Watch(0, func(l rtnl.Link) { all <- l })()
	ns.Veth("v0", peer, "v0")
	var v0 rtnl.Link
	for l := range all {
		if l.Name == "v0" && l.Up && l.Carrier {
			v0 = l
			break
		}
	}
	if v0.Kind != "veth" || v0.MTU != 1500 || len(v0.MAC) != 6 {
		t.Errorf("%+v", v0)
	}
	found, err := m.ByName("v0")
	if err != nil || found.Index != v0.Index {
		t.Errorf("%+v, %v", found, err)
	}
	one := make(chan rtnl.Link, 100)
	cancel := m.Watch(v0.Index, func(l rtnl.Link) { one <- l })
	ns.Veth("v1", peer, "v1")
	if err := m.SetMTU(v0.Index, 1400); err != nil {
		t.Fatal(err)
	}
	for l := range one {
		if l.Name != "v0" {
			t.Errorf("told of %+v", l)
		}
		if l.MTU == 1400 {
			break
		}
	}
	if err := ns.Delete("v0"); err != nil {
		t.Fatal(err)
	}
	for l := range one {
		if l.Gone {
			break
		}
	}
	cancel()
	cancel()
	if _, err := m.ByName("v0"); !errors.Is(err, rtnl.ErrNotFound) {
		t.Error(err)
	}
	if _, err := m.Counters(v0.Index); !errors.Is(err, rtnl.ErrNotFound) {
		t.Error(err)
	}
	if err := m.SetUp(v0.Index, true); !errors.Is(err, rtnl.ErrNotFound) {
		t.Error(err)
	}
}

func TestClose(t *testing.T) {
	m := monitor(t, porttest.NewNS(t))
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	m.Watch(1, func(rtnl.Link) {})()
	if _, err := m.ByName("lo"); !errors.Is(err, rtnl.ErrClosed) {
		t.Error(err)
	}
	m.Hardware("lo")
}

// TestOldMessage gives a device the news of a moment ago, as a monitor does
// that has fallen behind: what Follow and Refresh found holds.
func TestOldMessage(t *testing.T) {
	ns, peer := porttest.NewNS(t), porttest.NewNS(t)
	ns.Veth("v0", peer, "v0")
	m := monitor(t, ns)
	woken := false
	d, err := rtnl.Follow("v0", m, slog.New(slog.DiscardHandler), port.Offloads{}, func() { woken = true })
	if err != nil {
		t.Fatal(err)
	}
	defer d.Release()
	want := d.State()
	for _, l := range []rtnl.Link{
		{Index: d.Index(), Name: "v0", MAC: want.MAC, MTU: 1500},
		{Index: d.Index(), Name: "before", MAC: want.MAC, MTU: 1500, Up: true, Carrier: true},
	} {
		d.Changed(l)
		if st := d.State(); !st.Admin || !st.Link || st.Resets != want.Resets || d.Gone() || woken {
			t.Errorf("after %+v: %+v", l, st)
		}
	}
}
