package daemon

import (
	"govs/vswitchd/desired"
	"govs/vswitchd/ofproto"
	"govs/vswitchd/xlate"
)

// mirrored are a bridge's mirrors for the translator.
func (v *services) mirrored(b *ofproto.Bridge) (list []*xlate.Mirror) {
	for _, m := range b.Want.Mirrors {
		list = append(list, &xlate.Mirror{
			Src: m.Src, Dst: m.Dst, VLANs: m.VLANs, Out: m.Out, OutVLAN: m.OutVLAN, Snaplen: m.Snaplen, Counters: v.mirrorCounters(m),
		})
	}
	return list
}

// mirrorCounters are those of the mirror, which counts on when its
// configuration changes.
func (v *services) mirrorCounters(m *desired.Mirror) *xlate.MirrorCounters {
	c := v.counters[m.UUID]
	if c == nil {
		c = new(xlate.MirrorCounters)
		v.counters[m.UUID] = c
	}
	return c
}

// pruneMirrors forgets the counters of mirrors that are gone.
func (v *services) pruneMirrors() {
	there := make(map[string]bool)
	for _, b := range v.s.applier.Switch.Bridges {
		for _, m := range b.Want.Mirrors {
			there[m.UUID] = true
		}
	}
	for uuid := range v.counters {
		if !there[uuid] {
			delete(v.counters, uuid)
		}
	}
}
