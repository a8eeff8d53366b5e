// Package qos turns the quality-of-service columns of the database into what
// the packet engine takes.
package qos

import (
	"fmt"
	"strings"

	"govs/datapath/meter"
)

// Policing is an interface's ingress policing as ovs-vswitchd.conf.db(5) has
// it. The zero value polices nothing. A burst of 0 is the default burst.
type Policing struct {
	Kbps       uint64 // ingress_policing_rate, in units of 1000 bits a second
	Kbits      uint64 // ingress_policing_burst, in units of 1000 bits
	Kpps       uint64 // ingress_policing_kpkts_rate, in units of 1000 packets a second
	KpktsBurst uint64 // ingress_policing_kpkts_burst, in units of 1000 packets
}

// Off says whether nothing is policed: a burst alone does nothing.
func (p Policing) Off() bool { return p.Kbps == 0 && p.Kpps == 0 }

// Meter is what a policer in the engine enforces.
func (p Policing) Meter() meter.Config {
	return meter.Config{
		RateKbps:   p.Kbps,
		BurstKb:    p.Kbits,
		RateKpkts:  p.Kpps,
		BurstKpkts: p.KpktsBurst,
	}
}

// String is the configuration in a few words.
func (p Policing) String() string {
	if p.Off() {
		return "off"
	}
	var s []string
	if p.Kbps != 0 {
		s = append(s, fmt.Sprintf("%d kbps burst %d kb", p.Kbps, p.Kbits))
	}
	if p.Kpps != 0 {
		s = append(s, fmt.Sprintf("%d kpps burst %d kpkts", p.Kpps, p.KpktsBurst))
	}
	return strings.Join(s, ", ")
}
