package ipfix

import (
	"errors"
	"net"
	"strings"
	"testing"

	"govs/datapath/action"
	"govs/internal/clock"
)

// Samples of single flows: each domain has a cache, the domains beyond the
// limit are counted as lost, and what is counted goes out when the exporter
// ends.
func TestFlowExporter(t *testing.T) {
	c := listen(t)
	e := NewFlows(clock.NewStopped(start), nil)
	s := settings()
	s.Active, s.MaxFlows = 3600e9, 100
	targets := []string{c.LocalAddr().String()}
	if err := e.Configure(Options{Targets: append(targets, "junk"), Settings: s}); err == nil || strings.Count(err.Error(), "couldn't open connection to collector") != 1 {
		t.Errorf("Configure: %v", err)
	}
	flow := func(domain, point uint32) action.FlowSample {
		return action.FlowSample{Probability: 65535, Set: 5, Domain: domain, Point: point, Output: action.NoOutput}
	}
	sample := func(f action.FlowSample) {
		x := taken(t, udp4, 0, action.IPFIX{}, start)
		x.Cookie = f
		e.Sampled(x)
	}
	for n := range uint32(MaxDomains + 3) {
		sample(flow(n, 1))
		sample(flow(n, 1))
	}
	sample(flow(7, 2))
	sample(action.FlowSample{Domain: 7, Point: 1, Output: 2})
	sample(action.FlowSample{Domain: 7, Point: 1, Output: 2, Direction: "ingress"})
	if n := e.lost.Load(); n != 6 {
		t.Errorf("%d samples were lost", n)
	}
	for _, d := range []struct {
		domain uint32
		flows  int
	}{{0, 1}, {7, 3}, {MaxDomains - 1, 1}} {
		if n := e.domain(d.domain).Len(); n != d.flows {
			t.Errorf("domain %d: %d flows, want %d", d.domain, n, d.flows)
		}
	}
	to := newReader(t)
	text := to.read(e.domain(7).Flush(start), 138, 2)
	for _, want := range []string{" 284: 138=00000001 2=0000000000000003\n", " 284: 138=00000002 2=0000000000000001\n", " 285: 138=00000001 2=0000000000000001\n"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, text)
		}
	}
	if strings.Contains(text, "options") {
		t.Errorf("each domain speaks for the exporter:\n%s", text)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	drain(t, c, newReader(t), "domain=0\n 284: 7=03e8\n")
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := e.Configure(Options{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Configure after Close: %v", err)
	}
}
