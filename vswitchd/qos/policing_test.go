package qos

import (
	"testing"

	"govs/datapath/meter"
)

func TestPolicing(t *testing.T) {
	for _, test := range []struct {
		p    Policing
		off  bool
		text string
		want meter.Config
	}{
		{Policing{}, true, "off", meter.Config{}},
		{Policing{Kbits: 100, KpktsBurst: 5}, true, "off", meter.Config{BurstKb: 100, BurstKpkts: 5}},
		{Policing{Kbps: 1000, Kbits: 100}, false, "1000 kbps burst 100 kb", meter.Config{RateKbps: 1000, BurstKb: 100}},
		{Policing{Kbps: 1000, Kpps: 2}, false, "1000 kbps burst 0 kb, 2 kpps burst 0 kpkts", meter.Config{RateKbps: 1000, RateKpkts: 2}},
	} {
		if test.p.Off() != test.off || test.p.String() != test.text || test.p.Meter() != test.want {
			t.Errorf("%+v: off %v, %q, %+v", test.p, test.p.Off(), test.p, test.p.Meter())
		}
	}
}
