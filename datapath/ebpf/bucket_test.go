package ebpf

import (
	"testing"
	"time"

	"govs/datapath/flow"
	"govs/datapath/meter"
)

// fill gives the program frames for a time, and until the bucket had no tokens
// for one, and tells how many passed.
func fill(t *testing.T, c *Cache, frame []byte, d time.Duration) (passed int, took time.Duration) {
	start := time.Now()
	for sent := 0; took < d || passed == sent && took < 10*time.Second; sent += 100 {
		for range 100 {
			if ret, _ := run(t, c, frame); ret == tcxRedirect {
				passed++
			}
		}
		time.Sleep(10 * time.Millisecond) // tokens come with time alone
		took = time.Since(start)
	}
	return passed, took
}

// TestBucket counts what passes a policer: the burst, and what the rate gives
// in the time that it took.
func TestBucket(t *testing.T) {
	c := bench(t, 0)
	frame := make([]byte, 1000)
	frame[12], frame[13] = 0x88, 0xb5
	k := flow.Key{InPort: 1, EthType: 0x88b5}
	var m flow.Mask
	m.Add(flow.InPort | flow.RecircID | flow.EthType | flow.VLANTPID | flow.VLANHas | flow.CVLANTPID | flow.CVLANHas)
	if c.Install(&k, &m, out(2)) == nil {
		t.Fatal("not taken")
	}
	for _, x := range []struct {
		conf        meter.Config
		rate, burst float64 // frames
	}{
		{meter.Config{RateKbps: 8000, BurstKb: 80}, 1000, 10},
		{meter.Config{RateKpkts: 1, BurstKpkts: 1}, 1000, 1000},
		{meter.Config{RateKpkts: 1, BurstKpkts: 1, RateKbps: 800, BurstKb: 800}, 100, 100},
	} {
		if !c.members[1].Police(x.conf) {
			t.Fatal("not taken")
		}
		before := c.members[1].Stats().Policed
		passed, took := fill(t, c, frame, 300*time.Millisecond)
		most := x.burst + took.Seconds()*x.rate + 2
		t.Logf("%+v: %d passed in %v, at most %.0f", x.conf, passed, took, most)
		if float64(passed) > most {
			t.Errorf("%+v: %d passed in %v, want at most %.0f", x.conf, passed, took, most)
		}
		if float64(passed) < x.burst {
			t.Errorf("%+v: %d passed, less than the burst", x.conf, passed)
		}
		if c.members[1].Stats().Policed == before {
			t.Error("what was dropped does not count")
		}
	}
	if !c.members[1].Police(meter.Config{}) {
		t.Fatal("not taken")
	}
	for range 2000 {
		if ret, _ := run(t, c, frame); ret != tcxRedirect {
			t.Fatal("a frame is dropped without a policer")
		}
	}
}
