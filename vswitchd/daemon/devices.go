package daemon

import (
	"context"
	"maps"

	"govs/datapath/flow"
	"govs/datapath/port/rtnl"
)

// portFailed is told by the engine that a port's device is gone.
func (s *Switch) portFailed(no flow.PortNo, err error) {
	s.news.Lock()
	s.failed[no] = err
	s.news.Unlock()
	s.poke()
}

// linkChanged is told by rtnetlink that a device came, changed or vanished.
// Ports look after their own devices; what matters here is that one may have
// come that a port waits for.
func (s *Switch) linkChanged(l rtnl.Link) {
	s.news.Lock()
	s.touched[l.Index] = true
	s.news.Unlock()
	s.poke()
}

// devices closes the ports whose device is gone, tries again to open those
// that could not be opened, and tells the database.
func (s *Switch) devices(ctx context.Context) {
	s.news.Lock()
	failed := maps.Clone(s.failed)
	clear(s.failed)
	s.news.Unlock()

	s.mu.Lock()
	for _, b := range s.applier.Switch.Sorted() {
		for _, i := range b.Sorted() {
			if _, is := failed[i.No]; is && i.Port != nil {
				s.applier.Lost(b, i)
			}
		}
	}
	s.apply()
	s.reroute()
	s.refreshOffload()
	s.mu.Unlock()
	s.refresh(ctx, false)
}
