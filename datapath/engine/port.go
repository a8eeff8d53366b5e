package engine

import (
	"errors"
	"fmt"
	"govs/datapath/drop"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/datapath/port"
)

// A Policer says whether a frame may enter the switch. The engine asks from
// one goroutine at a time.
type Policer interface {
	// Admit charges a frame of wireBytes, from its Ethernet header to its
	// last byte without FCS, and says whether it conforms.
	Admit(wireBytes int, now time.Time) bool
}

// A member is a port in the engine.
type member struct {
	no     flow.PortNo
	port   port.Port
	worker *worker
	done   chan struct{} // closed when its goroutine ended
	policy atomic.Pointer[policy]
	stage  atomic.Pointer[stage] // in front of its output, nil where nothing waits
	failed atomic.Bool

	wanted   atomic.Pointer[policy]     // what SetPolicer asked for; policy is the engine's part in it
	cached   atomic.Pointer[CachedPort] // in the flow cache
	uncached atomic.Pointer[error]      // why its packets are not looked at there
	counted  struct {
		sync.Mutex
		before PortHits // of caches that are no more
	}
	policed uint64 // of those that caches dropped, how many were counted; under rev.mu

	rxDropped, txDropped atomic.Uint64 // by the engine
	drops                drop.Log      // of what entered here

	sending sync.Mutex // one Send at a time
}

type policy struct{ Policer }

// AddPort makes the port a member of the engine, with a number from 1 to
// MaxPort that is free, and starts to receive from it. The port belongs to
// the engine from then on, which closes it in RemovePort or Close; on an error
// it stays the caller's.
func (e *Engine) AddPort(no flow.PortNo, p port.Port) error {
	if no == 0 || no > MaxPort {
		return fmt.Errorf("port number %d is not in the range 1 to %d", no, MaxPort)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errors.New("datapath is closed")
	}
	if m := e.member(no); m != nil {
		return fmt.Errorf("port number %d is in use by %s", no, m.port.Name())
	}
	m := &member{no: no, port: p, done: make(chan struct{})}
	all := slices.Clone(*e.ports.Load())
	if grow := int(no) + 1 - len(all); grow > 0 {
		all = append(all, make([]*member, grow)...)
	}
	m.worker = newWorker(e, m)
	all[no] = m
	e.ports.Store(&all)
	e.attach(no, m, e.front.cache)
	go e.receive(m)
	return nil
}

// RemovePort takes the port out of the engine, closes it, and waits until its
// goroutine ended. Its megaflows go, and the others are looked at again.
func (e *Engine) RemovePort(no flow.PortNo) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.member(no)
	if m == nil {
		return noPort(no)
	}
	err := e.remove(no, m)
	e.forget(no)
	e.Changed()
	return err
}

func (e *Engine) remove(no flow.PortNo, m *member) error {
	all := slices.Clone(*e.ports.Load())
	all[no] = nil
	for len(all) > 0 && all[len(all)-1] == nil {
		all = all[:len(all)-1]
	}
	e.ports.Store(&all)
	return e.end(m)
}

// end closes a port that is not among the engine's any more.
func (e *Engine) end(m *member) error {
	m.failed.Store(true) // what comes now was asked for
	err := m.port.Close()
	<-m.done
	if s := m.stage.Swap(nil); s != nil && s.device == nil {
		s.end(true)
	}
	e.detach(m)
	return err
}

// SetPolicer puts a policer in front of the port; nil takes it away.
func (e *Engine) SetPolicer(no flow.PortNo, p Policer) error {
	m := e.member(no)
	if m == nil {
		return noPort(no)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if p == nil {
		m.wanted.Store(nil)
	} else {
		m.wanted.Store(&policy{p})
	}
	e.policeFront(m)
	return nil
}

// PortStats are the port's own counters, with what the engine dropped for it
// added to RxDropped (policing) and TxDropped.
func (e *Engine) PortStats(no flow.PortNo) (port.Stats, error) {
	m := e.member(no)
	if m == nil {
		return port.Stats{}, noPort(no)
	}
	s := m.port.Stats()
	h := m.hits()
	s.RxPackets += h.RxPackets
	s.RxBytes += h.RxBytes
	s.TxPackets += h.TxPackets
	s.TxBytes += h.TxBytes
	s.RxDropped += m.rxDropped.Load() + h.Policed
	s.TxDropped += m.txDropped.Load()
	return s, nil
}

// receive is the goroutine of one port.
func (e *Engine) receive(m *member) {
	w := m.worker
	var batch packet.Batch
	for {
		err := m.port.Recv(&batch)
		if batch.Len() > 0 {
			w.run(batch.Packets)
			batch.FreeAll()
		}
		if err == nil {
			continue
		}
		if errors.Is(err, port.ErrClosed) || errors.Is(err, port.ErrGone) {
			close(m.done)
			e.fail(m, err)
			return
		}
		e.log.Debug(fmt.Sprintf("%s: error receiving: %v", m.port.Name(), err))
	}
}

// fail tells once that the port is of no use any more.
func (e *Engine) fail(m *member, err error) {
	if m.failed.Swap(true) {
		return
	}
	e.log.Info(fmt.Sprintf("%s: %v", m.port.Name(), err))
	if e.events.PortFailed != nil {
		// The handler may wait for this goroutine to end.
		go e.events.PortFailed(m.no, err)
	}
}
