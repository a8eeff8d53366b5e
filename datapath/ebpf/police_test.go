package ebpf

import (
	"testing"

	"govs/datapath/drop"
	"govs/datapath/meter"
	"govs/datapath/port/porttest"
)

// TestPolice bounds TCP at default offloads. The bucket of 100 kbit is smaller
// than two large segments.
func TestPolice(t *testing.T) {
	w := newWorld(t, 2, true, cross)
	if err := w.e.SetPolicer(1, meter.New(meter.Config{RateKbps: 1000, BurstKb: 100})); err != nil {
		t.Fatal(err)
	}
	bps := porttest.IPerf(t, w.hosts[0], w.hosts[1], "192.0.2.2", "-t", "3")
	t.Logf("%.0f bit/s", bps)
	if bps < 0.5e6 || bps > 1.3e6 {
		t.Errorf("TCP gets %.0f bit/s of 1 Mbit/s", bps)
	}
	w.e.Revalidate()
	st, _ := w.e.PortStats(1)
	if n := w.e.Drops().Total(drop.Policed); n == 0 || n != st.RxDropped {
		t.Errorf("%d packets count as policed; %+v", n, st)
	}
	// The limit goes as it came.
	if err := w.e.SetPolicer(1, nil); err != nil {
		t.Fatal(err)
	}
	if bps := porttest.IPerf(t, w.hosts[0], w.hosts[1], "192.0.2.2", "-t", "1"); bps < 50e6 {
		t.Errorf("TCP gets %.0f bit/s without a limit", bps)
	}
}
