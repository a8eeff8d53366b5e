package apply

import (
	"errors"
	"fmt"
	"sync"

	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/meter"
	"govs/datapath/port"
	"govs/datapath/shape"
	"govs/vswitchd/qos"
)

var errNoPort = errors.New("no such port in the datapath")

// Engine makes a packet engine a Datapath. It gives ports numbers in turn: one
// that became free is given again as late as possible, so that a megaflow that
// is about to go does not send to somebody else.
type Engine struct {
	*engine.Engine

	mu   sync.Mutex
	used map[flow.PortNo]bool
	last flow.PortNo
}

// NewEngine returns the engine as a Datapath.
func NewEngine(e *engine.Engine) *Engine {
	return &Engine{Engine: e, used: make(map[flow.PortNo]bool)}
}

// Add implements Datapath.
func (e *Engine) Add(p port.Port, want flow.PortNo) (flow.PortNo, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if want != 0 {
		for e.used[want] {
			want = e.lowest()
		}
		if err := e.AddPort(want, p); err != nil {
			return 0, err
		}
		e.used[want] = true
		return want, nil
	}
	for range engine.MaxPort {
		e.last = e.last%engine.MaxPort + 1
		no := e.last
		if e.used[no] {
			continue
		}
		if err := e.AddPort(no, p); err != nil {
			return 0, err
		}
		e.used[no] = true
		return no, nil
	}
	return 0, fmt.Errorf("all %d ports are in use", engine.MaxPort)
}

// lowest is the lowest number that is free, one behind the last where all are
// taken.
func (e *Engine) lowest() flow.PortNo {
	no := flow.PortNo(1)
	for e.used[no] {
		no++
	}
	return no
}

// Remove implements Datapath.
func (e *Engine) Remove(no flow.PortNo) {
	_ = e.RemovePort(no) // which fails for a port that is not there
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.used, no)
}

// Police implements Datapath.
func (e *Engine) Police(no flow.PortNo, p qos.Policing) error {
	if p.Off() {
		return e.SetPolicer(no, nil)
	}
	return e.SetPolicer(no, meter.New(p.Meter()))
}

// Shape implements Datapath. Rates and MTU that the row does not name are those
// that the port has now.
func (e *Engine) Shape(no flow.PortNo, want *qos.Egress) (by string, err error) {
	if want == nil {
		return "", e.SetShaper(no, nil)
	}
	for n, p := range e.Ports() {
		if n == no {
			st := p.State()
			c := want.Shape(st.Speed, st.MTU)
			err := e.SetShaper(no, &c)
			return By(e.Shaping(no)), err
		}
	}
	return "", errNoPort
}

// By says what does what a port's QoS asks for, and why not the kernel.
func By(x *engine.Shaping) string {
	switch {
	case x == nil:
		return "nobody"
	case x.Kind == shape.External:
		return "the device's own queueing discipline"
	case x.Device:
		return "the kernel"
	}
	return fmt.Sprintf("the switch (%v)", x.Why)
}
