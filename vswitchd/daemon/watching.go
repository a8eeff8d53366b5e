package daemon

import (
	"math/rand/v2"
	"time"

	"govs/vswitchd/bfd"
	"govs/vswitchd/desired"
	"govs/vswitchd/ofproto"
)

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

// forwards says whether the interface's session, where it has one, finds that
// it forwards.
func (v *services) forwards(name string, now time.Time) bool {
	s := v.bfd[name]
	return s == nil || s.Forwards(now)
}
