// Package daemon is the running switch: it keeps the connection with the
// database, makes what runs equal to what the database asks for, and tells
// the database what became of it.
//
// New makes a Switch and Run runs it until its context ends. A process may
// run several: nothing is global.
//
// One goroutine, that of Run, changes things. It waits for a new snapshot of
// the database (session.go), for devices that come, go or change (devices.go),
// and for the clock. Whatever it was, the way is the same: desired state,
// plan, apply, translator, status (reconfigure.go, report.go). The control
// verbs (verb_*.go) read under the same lock.
//
// # Caveats
//
// The network namespace is that of the thread that calls New. A Switch that
// is to work in another one belongs into a process that was started there.
package daemon

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/datapath/port/rtnl"
	"govs/internal/clock"
	"govs/internal/coverage"
	"govs/internal/stream"
	"govs/vswitchd/apply"
	"govs/vswitchd/desired"
	"govs/vswitchd/model"
	"govs/vswitchd/plan"
	"govs/vswitchd/status"
	"govs/vswitchd/underlay"
	"govs/vswitchd/xlate"
)

// Options say how a Switch works.
type Options struct {
	// Remote is the database: unix:FILE, tcp:HOST:PORT, ssl:HOST:PORT, or
	// several of them separated by commas; "" is unix:RunDir/db.sock.
	Remote string
	// RunDir is where sockets stand; "" is that of package stream.
	RunDir  string
	TLS     *stream.TLSOptions
	Version string // for Open_vSwitch.ovs_version

	// Pins is a folder in a BPF file system, as PinDir gives it: what forwards
	// in the kernel stays there when the switch ends, for the next one. "" is
	// none: then it ends, too.
	Pins string

	Dummy         desired.Dummy
	DisableSystem bool // no bridges of datapath_type "system", unless those are dummies

	// Log gives the logger of a module; nil discards.
	Log func(module string) *slog.Logger
	// Clock is the time by which addresses and flows age; nil is the real one.
	Clock clock.Clock
	// Ready is called once, when the first configuration was applied.
	Ready func()
}

// A Switch is a running ovs-vswitchd without a process of its own.
type Switch struct {
	o          Options
	log        *slog.Logger
	engine     *engine.Engine
	translator *xlate.Translator
	links      *rtnl.Monitor // nil where there are no real devices
	system     status.System
	pool       *packet.Pool
	services   *services // under mu, but for its channels
	net        *underlay.Net
	tunnels    atomic.Bool // there are some, to which routes matter

	wake  chan struct{} // something about devices has changed
	due   chan struct{} // services have something to do
	yield chan struct{} // somebody else configures the switch now

	news     sync.Mutex
	failed   map[flow.PortNo]error // ports of which the engine said that they failed
	touched  map[int]bool          // devices that changed, by ifindex
	rerouted bool                  // routes or addresses may have changed

	mu      sync.Mutex // everything below
	applier *apply.Applier
	want    *desired.State
	steps   []plan.Step // of the last plan that was carried out
	flows   exporters
	cover   coverage.History
	offload offload
	cleared engine.Status // when dpif-netdev/pmd-stats-clear came last
	noUFID  atomic.Bool   // after upcall/disable-ufid

	// Of Run's goroutine alone:
	db     *model.DB
	writer status.Writer
	done   *model.Snapshot // what was carried out and reported last
	ready  bool
}

// New makes a switch. The end of Run releases what it holds.
func New(o Options) (*Switch, error) {
	if o.Log == nil {
		o.Log = func(string) *slog.Logger { return slog.New(slog.DiscardHandler) }
	}
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	if o.RunDir == "" {
		o.RunDir = stream.RunDir()
	}
	if o.Remote == "" {
		o.Remote = "unix:" + o.RunDir + "/db.sock"
	}
	if err := model.CheckRemote(o.Remote); err != nil {
		return nil, err
	}
	s := &Switch{
		o:          o,
		log:        o.Log("bridge"),
		translator: xlate.New(),
		wake:       make(chan struct{}, 1),
		yield:      make(chan struct{}),
		failed:     make(map[flow.PortNo]error),
		touched:    make(map[int]bool),
		want:       new(desired.State),
		system:     system(o),
		pool:       new(packet.Pool),
		due:        make(chan struct{}, 1),
	}
	s.services = newServices(s)
	var err error
	if s.links, err = rtnl.New(o.Log("netdev_linux")); err != nil {
		if o.Dummy != desired.DummyOverride {
			return nil, err
		}
		s.links = nil // a sandbox without rtnetlink still can have dummies
	}
	s.engine = engine.New(engine.Options{
		Translator: s.translator,
		Log:        o.Log("dpif_netdev"),
		Clock:      o.Clock,
		Pool:       s.pool,
		Events:     engine.Events{PortFailed: s.portFailed},
	})
	s.net = underlay.New(s.engine.Changed)
	s.applier = apply.New(apply.Options{
		Datapath: apply.NewEngine(s.engine),
		Opener:   &apply.Devices{Pool: s.pool, Links: s.links, Log: o.Log("netdev"), Changed: s.poke, RunDir: o.RunDir, Guard: s.guard},
		Learned:  s.engine.Changed,
		Log:      s.log,
	})
	s.flows = newExporters(s)
	if s.links != nil {
		s.links.Watch(0, s.linkChanged)
		s.links.WatchRoutes(s.routesChanged)
	}
	return s, nil
}

// poke wakes Run to look after its devices and to tell the database, and has the
// services looked after: what a link's end means for packets does not wait. It
// never waits.
func (s *Switch) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
	s.nudge()
}

// nudge has the services looked after. It never waits.
func (s *Switch) nudge() {
	select {
	case s.due <- struct{}{}:
	default:
	}
}

// Engine is the switch's packet engine.
func (s *Switch) Engine() *engine.Engine { return s.engine }

// settle is how long device events are gathered before they are looked at.
const settle = 10 * time.Millisecond

// Run works until the context ends, and then takes everything down. It is
// called once.
func (s *Switch) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	sessions := s.sessions(ctx)
	attended := make(chan struct{})
	go func() {
		defer close(attended)
		s.attend(ctx)
	}()
	defer func() {
		cancel()
		<-attended
		s.close() // before the lock is free, and another switch wants the devices
		if s.db != nil {
			s.db.Close()
		}
		for db := range sessions { // which closes when the last attempt ended
			db.Close()
		}
	}()
	second := s.o.Clock.NewTicker(time.Second)
	defer second.Stop()
	stats := time.NewTimer(s.interval())
	defer stats.Stop()
	gather := time.NewTimer(time.Hour)
	gather.Stop()
	gathering := false

	for {
		var changed, done <-chan struct{}
		if s.db != nil {
			changed, done = s.db.Changed(), s.db.Done()
		}
		select {
		case <-ctx.Done():
			return nil
		case db, ok := <-sessions:
			if !ok {
				return nil // the context has ended
			}
			s.db = db
			s.writer.Forget()
		case <-changed:
			s.reconfigure(ctx)
		case <-done:
			if err := s.db.Err(); err != nil {
				s.o.Log("reconnect").Info(s.db.Remote() + ": " + err.Error())
			}
			s.db = nil
		case <-s.yield:
			s.stop()
		case <-s.wake:
			if !gathering {
				gathering = true
				gather.Reset(settle)
			}
		case <-gather.C:
			gathering = false
			s.devices(ctx)
		case <-second.C():
			s.tick()
		case <-stats.C:
			s.refresh(ctx, true)
			stats.Reset(s.interval())
		}
	}
}

func (s *Switch) interval() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.want.StatsInterval, 5*time.Second)
}

// tick ages what ages by the second.
func (s *Switch) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Clock.Now()
	for _, b := range s.applier.Switch.Bridges {
		b.MACs.Expire(now)
		if b.Groups != nil {
			b.Groups.Expire(now)
		}
	}
	s.net.Expire(now)
	s.cover.Sample(now, s.counters())
}

// stop takes everything down but stays ready for another configuration.
func (s *Switch) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.want = new(desired.State)
	s.apply()
}

func (s *Switch) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.offload.cache; c != nil && !s.offload.cleanup {
		c.Keep() // and packets go on to be shaped by devices
	} else {
		s.applier.Unshape()
	}
	_ = s.engine.Close() // all ports at once
	s.applier.Close()
	s.closeOffload()
	s.flows.close()
	if s.links != nil {
		_ = s.links.Close()
	}
}
