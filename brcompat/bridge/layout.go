package bridge

import (
	"context"
	"sync"

	"golang.org/x/sys/unix"
)

// A Layout is which names are bridges, and which are their ports. It is for
// reading only.
type Layout struct {
	Bridges map[string][]string // the names of a bridge's ports, as Ports lists them
	Ports   map[string]string   // the bridge of a port, by the port's device
}

// layout makes the Layout of a view once.
type layout struct {
	once sync.Once
	l    *Layout
}

// Layout tells which names are bridges and ports now, and not a moment ago: a
// shell needs no time to ask whether something is there that was just made.
func (s *Switch) Layout(ctx context.Context) (*Layout, error) {
	v, err := s.db.look(ctx)
	if err != nil {
		return nil, unix.ETIMEDOUT
	}
	v.layout.once.Do(func() {
		l := &Layout{Bridges: make(map[string][]string, len(v.bridges)), Ports: make(map[string]string, len(v.ports))}
		for name, b := range v.bridges {
			list := make([]string, 0, len(b.ports))
			for _, p := range b.ports {
				list = append(list, p.device())
				if v.bridges[p.device()] == nil {
					l.Ports[p.device()] = name
				}
			}
			l.Bridges[name] = list
			s.numbers.of(b)
		}
		v.layout.l = l
	})
	return v.layout.l, nil
}

// PortNo returns the number of the port of a bridge that has the device. The
// error is ENODEV where there is no such bridge, and EINVAL where it has no
// such port.
func (s *Switch) PortNo(ctx context.Context, name, device string) (uint32, error) {
	b, err := s.bridge(ctx, name)
	if err != nil {
		return 0, err
	}
	nos := s.numbers.of(b)
	for _, p := range b.ports {
		if p.device() == device && nos[p.name] != 0 {
			return uint32(nos[p.name]), nil
		}
	}
	return 0, unix.EINVAL
}

// Flush makes a bridge forget what it learned. The error is ENODEV where there
// is no such bridge, and ETIMEDOUT where the switch does not answer.
func (s *Switch) Flush(ctx context.Context, name string) error {
	b, err := s.bridge(ctx, name)
	if err != nil {
		return err
	}
	if err := s.flush(ctx, b.row.Name); err != nil {
		s.log.Warn("cannot flush the MAC table of " + name + ": " + err.Error())
		return unix.ETIMEDOUT
	}
	s.fdb.forget(b.row.Name)
	return nil
}
