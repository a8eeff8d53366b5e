package engine

import (
	"maps"
	"sync"
	"time"

	"govs/datapath/packet"
)

// A sharedMeter is a Policer that many goroutines ask.
type sharedMeter struct {
	sync.Mutex
	Policer
}

// SetMeter makes the policer the engine's meter of that number, which Meter
// actions ask; nil takes it away.
func (e *Engine) SetMeter(id uint32, p Policer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all map[uint32]*sharedMeter
	if old := e.meters.Load(); old != nil {
		all = maps.Clone(*old)
	} else {
		all = make(map[uint32]*sharedMeter)
	}
	if p == nil {
		delete(all, id)
	} else {
		all[id] = &sharedMeter{Policer: p}
	}
	e.meters.Store(&all)
}

// metered says whether the meter lets the packet pass. A large segment is
// charged as the frames that it becomes, and passes whole or not at all.
func (e *Engine) metered(id uint32, p *packet.Packet, now time.Time) bool {
	all := e.meters.Load()
	if all == nil {
		return true
	}
	m := (*all)[id]
	if m == nil {
		return true
	}
	_, bytes := wire(p)
	m.Lock()
	defer m.Unlock()
	return m.Admit(int(bytes), now)
}
