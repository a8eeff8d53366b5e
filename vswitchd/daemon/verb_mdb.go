package daemon

import (
	"govs/vswitchd/ofproto"
)

// errNoSnooping is the C daemon's answer.
var errNoSnooping = answer("multicast snooping is disabled")

// verbsMDB adds mdb/show and mdb/flush.
func (s *Switch) verbsMDB(r Registrar) {
	r.Register("mdb/show", "bridge", 1, 1, s.reading(func(args []string) (string, error) {
		b, err := s.bridge(args[0])
		if err != nil {
			return "", err
		}
		if b.Groups == nil {
			return "", errNoSnooping
		}
		return b.Groups.Show(func(port string) (uint16, bool) { return portNumber(b, port) }, s.o.Clock.Now()), nil
	}))
	r.Register("mdb/flush", "[bridge]", 0, 1, s.reading(func(args []string) (string, error) {
		if len(args) == 1 {
			if b, err := s.bridge(args[0]); err != nil {
				return "", err
			} else if b.Groups == nil {
				return "", errNoSnooping
			}
		}
		err := s.eachBridge(args, func(b *ofproto.Bridge) {
			if b.Groups != nil {
				b.Groups.Flush()
			}
		})
		return "table successfully flushed", err
	}))
}
