package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"govs/brcompat/ioctl"
	"govs/brcompat/link"
)

// Links is what a Switch asks about network devices; link.Table has it.
type Links interface {
	Index(name string) int
	MAC(name string) net.HardwareAddr
	ByName(name string) (*link.Link, error)
	ByIndex(index int) (*link.Link, error)
	Bridges() (map[string]int, error)
	BridgeInfo(name string) (*ioctl.BridgeInfo, error)
}

// News tells what happened to devices since it was called last;
// link.Monitor.Drain has this form.
type News func() (link.News, error)

// A Table answers fdb/show or stp/timers for a bridge: the text that the switch
// prints.
type Table func(ctx context.Context, bridge string) (string, error)

// Config is what a Switch works with.
type Config struct {
	Remote  string                   // the database: unix:FILE, tcp:HOST:PORT or ssl:HOST:PORT
	Dial    func() (net.Conn, error) // connects to it, for ssl
	Links   Links
	News    News
	FDB     Table
	Timers  Table
	Flush   func(ctx context.Context, bridge string) error // carries out fdb/flush
	Changed func()                                         // is told that the database changed, where not nil; it does not wait
	Timeout time.Duration                                  // of a change; 5 seconds where it is 0
	Log     *slog.Logger
}

// A Switch is the database's bridges. Its methods may run at the same time as
// each other; changes wait for one another.
type Switch struct {
	db      *db
	links   Links
	news    News
	fdb     answers
	timers  answers
	flush   func(ctx context.Context, bridge string) error
	timeout time.Duration
	log     *slog.Logger
	numbers *numbers

	write   sync.Mutex        // held by a change, and by Prune
	gone    map[string]bool   // vanished devices that were not looked at yet
	heard   []link.Address    // addresses of bridges that were not looked at yet
	missed  bool              // there may be more of them
	removed int               // ports that Prune deleted
	born    map[string]*birth // bridges that AddBridge made
}

// New makes a Switch. It can be used once Connect has returned; before that,
// questions and changes end with ETIMEDOUT.
func New(c Config) (*Switch, error) {
	d, err := newDB(c.Remote, c.Dial, c.Log)
	if err != nil {
		return nil, err
	}
	d.told = c.Changed
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	return &Switch{db: d, links: c.Links, news: c.News, fdb: answers{ask: c.FDB}, timers: answers{ask: c.Timers}, flush: c.Flush, timeout: c.Timeout, log: c.Log,
		numbers: newNumbers(), gone: map[string]bool{}, born: map[string]*birth{}}, nil
}

// Connect connects to the database, and tries until it succeeds or ctx ends.
// Connections that are lost later are made again.
func (s *Switch) Connect(ctx context.Context) error { return s.db.connect(ctx) }

// Connected tells whether the database answers.
func (s *Switch) Connected(ctx context.Context) bool {
	return s.db.client.Connected() && s.db.client.Echo(ctx) == nil
}

// Close ends the connection.
func (s *Switch) Close() { s.db.close() }

// look reads the database as it is now, or was a moment ago.
func (s *Switch) look(ctx context.Context) (*view, error) {
	if v := s.db.recent(); v != nil {
		return v, nil
	}
	v, err := s.db.look(ctx)
	if err != nil {
		return nil, unix.ETIMEDOUT
	}
	return v, nil
}

// Has tells whether there is a bridge with the name.
func (s *Switch) Has(ctx context.Context, name string) (bool, error) {
	v, err := s.look(ctx)
	if err != nil {
		return false, err
	}
	return v.bridges[name] != nil, nil
}

// Bridges returns the interface indexes of all bridges, sorted by their names,
// and of the kernel's own where native is true.
func (s *Switch) Bridges(ctx context.Context, native bool) ([]int32, error) {
	v, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	index := map[string]int{}
	if native {
		if index, err = s.links.Bridges(); err != nil {
			s.log.Warn(err.Error())
			index = map[string]int{}
		}
	}
	s.numbers.tidy(v)
	for _, name := range v.names() {
		index[name] = s.index(name)
	}
	list := make([]int32, 0, len(index))
	for _, name := range sorted(index) {
		list = append(list, int32(index[name]))
	}
	return list, nil
}

// index is the interface index of a device, or a virtual one.
func (s *Switch) index(name string) int {
	if i := s.links.Index(name); i != 0 {
		return i
	}
	return s.numbers.index(name)
}

// Ports returns the interface indexes of a bridge's ports, as an array by port
// number. The error is ENODEV where there is no such bridge.
func (s *Switch) Ports(ctx context.Context, name string) ([]int32, error) {
	b, err := s.bridge(ctx, name)
	if err != nil {
		return nil, err
	}
	list := make([]int32, maxPortNo+1)
	nos := s.numbers.of(b)
	for _, p := range b.ports {
		if no := nos[p.name]; no != 0 {
			list[no] = int32(s.index(p.device()))
		}
	}
	return list, nil
}

// bridge finds a bridge, or gives ENODEV.
func (s *Switch) bridge(ctx context.Context, name string) (*bridge, error) {
	v, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	b := v.bridges[name]
	if b == nil {
		return nil, unix.ENODEV
	}
	return b, nil
}

// Index returns the virtual interface index of a bridge or port that has no
// device, and 0 for all other names.
func (s *Switch) Index(ctx context.Context, name string) (int32, error) {
	if s.links.Index(name) != 0 {
		return 0, nil
	}
	v, err := s.look(ctx)
	if err != nil {
		return 0, err
	}
	if v.bridges[name] == nil && v.ports[name] == nil {
		return 0, nil
	}
	return int32(s.numbers.index(name)), nil
}

// Virtual tells whether some bridge or port has no device of its name.
func (s *Switch) Virtual(ctx context.Context) (bool, error) {
	v, err := s.look(ctx)
	if err != nil {
		return true, err
	}
	for name, b := range v.bridges {
		if s.links.Index(name) == 0 {
			return true, nil
		}
		for _, p := range b.ports {
			if s.links.Index(p.device()) == 0 {
				return true, nil
			}
		}
	}
	return false, nil
}

// Name returns the name of a virtual interface index, and "" for all others.
func (s *Switch) Name(index int32) string {
	if index < FirstVirtual {
		return ""
	}
	return s.numbers.name(int(index))
}

// Member tells why the device with the given index cannot become a port of a
// bridge of the kernel's: ELOOP where it is a bridge of ours, EBUSY where it is
// a port of one, and 0 where nothing of ours is in the way.
func (s *Switch) Member(ctx context.Context, kernelBridge string, index int32) (unix.Errno, error) {
	if b, err := s.links.ByName(kernelBridge); err != nil || b.Kind != "bridge" {
		return 0, nil
	}
	v, err := s.look(ctx)
	if err != nil {
		return 0, err
	}
	l, err := s.links.ByIndex(int(index))
	switch {
	case err != nil:
		return 0, nil
	case v.bridges[l.Name] != nil:
		return unix.ELOOP, nil
	case v.ifaces[l.Name] != nil:
		return unix.EBUSY, nil
	}
	return 0, nil
}

// Native describes a bridge of the kernel's. The error is ENODEV where there is
// none of the name.
func (s *Switch) Native(name string) (*ioctl.BridgeInfo, error) {
	i, err := s.links.BridgeInfo(name)
	if err != nil {
		return nil, unix.ENODEV
	}
	return i, nil
}

// Prune deletes the ports that AddPort made and whose devices have vanished.
func (s *Switch) Prune(ctx context.Context) error {
	s.write.Lock()
	defer s.write.Unlock()
	return s.prune(ctx)
}

// Pruned returns how many ports Prune has deleted.
func (s *Switch) Pruned() int {
	s.write.Lock()
	defer s.write.Unlock()
	return s.removed
}

// prune is Prune, with the lock held. A device that vanished and came again
// belongs to no bridge, as with the kernel's: its old port goes. What could not
// be removed is left for the next time.
func (s *Switch) prune(ctx context.Context) error {
	err := s.hear()
	if err != nil || len(s.gone) == 0 && len(s.heard) == 0 && !s.missed {
		return err
	}
	v, err := s.db.look(ctx)
	if err != nil {
		return err
	}
	for _, a := range s.heard {
		if err := s.keepAddress(ctx, v, a); err != nil {
			return err
		}
	}
	s.heard = nil
	for _, p := range v.ports {
		if p.row.ExternalIDs[mark] != "true" || p.bridge == nil {
			continue
		}
		if !s.gone[p.device()] && (!s.missed || s.links.Index(p.device()) != 0) {
			continue
		}
		s.log.Info(fmt.Sprintf("removing port %s of bridge %s: its network device vanished", p.name, p.bridge.name))
		if _, err := s.db.transact(ctx, "del-port "+p.name, removePort(p)); err != nil {
			return err
		}
		s.removed++
	}
	clear(s.gone)
	s.missed = false
	return nil
}

// hear takes note of what happened to devices, with the lock held.
func (s *Switch) hear() error {
	news, err := s.news()
	for _, n := range news.Gone {
		s.gone[n] = true
	}
	for _, a := range news.Addresses {
		if b := s.born[a.Name]; b != nil && !b.had(a.MAC) {
			s.heard = append(s.heard, a)
		}
	}
	s.missed = s.missed || news.Lost
	return err
}
