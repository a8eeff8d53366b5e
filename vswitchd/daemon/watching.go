package daemon

import (
	"math/rand/v2"
	"time"

	"govs/internal/vlog"
	"govs/vswitchd/bfd"
	"govs/vswitchd/cfm"
	"govs/vswitchd/desired"
	"govs/vswitchd/ofproto"
)

// opened says whether an interface with a row has become one: only then it gets
// a session of BFD or CFM, which stays when its device goes.
func opened(b *ofproto.Bridge, i *desired.Interface) bool {
	is := b.Ifaces[i.Name]
	return !i.Fake && is != nil && is.Open()
}

// configureBFD makes the interface's session what is wanted.
func (v *services) configureBFD(b *ofproto.Bridge, i *desired.Interface, now time.Time) {
	s := v.bfd[i.Name]
	if s == nil {
		log := v.s.o.Log("bfd")
		s = bfd.New(i.Name, rand.Uint32()|1, v.lastBFD, rand.Float64, func(text string) { log.Info(text) })
		v.lastBFD++
		v.bfd[i.Name] = s
	}
	c := *i.BFD
	if c.Src == [6]byte{} {
		copy(c.Src[:], address(b, i.Name))
	}
	s.Configure(c, now)
}

// runBFD does what the interface's session has to do, and says whether what it
// has found is different from before.
func (v *services) runBFD(b *ofproto.Bridge, i *desired.Interface, now time.Time) (changed bool) {
	s := v.bfd[i.Name]
	if s == nil {
		return false
	}
	is := b.Ifaces[i.Name]
	open := is != nil && is.Open()
	if open && (i.BFD.ForwardingIfRx || i.BFD.DecayMinRx > 0) {
		s.Traffic(v.s.applier.Stats(is).RxPackets, now)
	}
	if f := s.Run(now); f != nil && open {
		v.out = append(v.out, saying{iface: i.Name, frame: f})
	}
	return s.Changed()
}

// configureCFM makes the interface's maintenance point what is wanted.
func (v *services) configureCFM(b *ofproto.Bridge, i *desired.Interface, now time.Time) {
	s := v.cfm[i.Name]
	if s == nil {
		log := vlog.Limit(v.s.o.Log("cfm"), 20, 10) // a loop or a foreign point could fill the disk
		s = cfm.New(i.Name, rand.IntN, func(text string) { log.Info(text) }, func(text string) { log.Warn(text) })
		v.cfm[i.Name] = s
	}
	c := *i.CFM
	copy(c.Src[:], address(b, i.Name))
	s.Configure(c, now)
}

// runCFM does what the interface's maintenance point has to do, and says
// whether what it has found is different from before.
func (v *services) runCFM(b *ofproto.Bridge, i *desired.Interface, now time.Time) (changed bool) {
	s := v.cfm[i.Name]
	if s == nil {
		return false
	}
	is := b.Ifaces[i.Name]
	open := is != nil && is.Open()
	if open && i.CFM.Demand {
		s.Traffic(v.s.applier.Stats(is).RxPackets)
	}
	if f := s.Run(now); f != nil && open {
		v.out = append(v.out, saying{iface: i.Name, frame: f})
	}
	return s.Changed()
}

// forwards says whether the interface's BFD and CFM, where it has them, find
// that it forwards.
func (v *services) forwards(name string, now time.Time) bool {
	if s := v.bfd[name]; s != nil && !s.Forwards(now) {
		return false
	}
	s := v.cfm[name]
	return s == nil || s.Forwards()
}
