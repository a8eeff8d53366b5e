package vlog

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultConsolePattern = "%D{%Y-%m-%dT%H:%M:%SZ}|%05N|%c%T|%p|%m"
	defaultFilePattern    = "%D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c%T|%p|%m"
	defaultSyslogPattern  = "ovs|%05N|%c%T|%p|%m"
	syslogPrefix          = "<%B> %D{%h %e %T} %E %A: "
)

// System is the logging of one program: its destinations, their levels and
// patterns, and the modules. All methods may be called from many goroutines.
type System struct {
	program string
	host    string
	pid     int
	start   time.Time
	seq     atomic.Uint32
	now     func() time.Time // replaced by tests

	mu       sync.Mutex // levels, patterns, modules, facility
	defaults [nDest]level
	patterns [nDest]pattern
	modules  map[string]*module
	facility int // -1: the default of the way
	sub      string

	out     sync.Mutex // writing; taken after mu, never the other way round
	console io.Writer
	path    string // log file; empty: none was asked for
	file    *os.File
	sysName string
	sysPath syslogWriter
	target  syslogWriter
}

// module is a named part of a program with its own levels.
type module struct {
	name   string
	levels [nDest]atomic.Int32
	min    atomic.Int32 // most verbose of levels
	noRate atomic.Bool
	used   atomic.Bool // has a logger, or its levels were set by name
}

// New returns the logging of program (the name that %A prints) with the
// defaults of a daemon: console, syslog and file at INFO, console on stderr,
// no file, syslog off until SetSyslogMethod.
func New(program string) *System {
	s := &System{
		program: filepath.Base(program), pid: os.Getpid(), start: time.Now(), now: time.Now,
		modules: map[string]*module{}, facility: -1, console: os.Stderr,
	}
	s.host, _ = os.Hostname()
	if s.host == "" {
		s.host = "-"
	}
	for d := range s.defaults {
		s.defaults[d] = levelInfo
	}
	s.patterns[Console] = mustPattern(defaultConsolePattern)
	s.patterns[Syslog] = mustPattern(defaultSyslogPattern)
	s.patterns[File] = mustPattern(defaultFilePattern)
	for _, n := range wellKnownModules {
		s.moduleLocked(n)
	}
	return s
}

// Discard returns a logger that drops everything, for tests.
func Discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Program returns the program's name.
func (s *System) Program() string { return s.program }

// Logger returns the logger of a module, making the module where it is new.
// Names are made of letters, digits and underscores.
func (s *System) Logger(name string) *slog.Logger {
	s.mu.Lock()
	m := s.moduleLocked(name)
	s.mu.Unlock()
	m.used.Store(true)
	return slog.New(&handler{sys: s, mod: m})
}

// Declare makes modules known to SetLevels and vlog/list before they log.
func (s *System) Declare(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range names {
		s.moduleLocked(n).used.Store(true)
	}
}

func (s *System) moduleLocked(name string) *module {
	m := s.modules[name]
	if m == nil {
		m = &module{name: name}
		for d := range m.levels {
			m.levels[d].Store(int32(s.defaults[d]))
		}
		m.refresh()
		s.modules[name] = m
	}
	return m
}

func (m *module) refresh() {
	top := int32(levelOff)
	for d := range m.levels {
		top = max(top, m.levels[d].Load())
	}
	m.min.Store(top)
}

// Modules returns the names of the modules in use, sorted.
func (s *System) Modules() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for n, m := range s.modules {
		if m.used.Load() {
			out = append(out, n)
		}
	}
	sort.Strings(out)
	return out
}

// SetConsole sends console messages to w instead of stderr; nil drops them.
func (s *System) SetConsole(w io.Writer) {
	s.out.Lock()
	defer s.out.Unlock()
	s.console = w
}

// SetSubprogram sets what %t and %T print; empty for the main process.
func (s *System) SetSubprogram(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sub = name
}

// setLevel sets a threshold. A nil module means all, and the default of
// modules to come; a negative dest means every destination.
func (s *System) setLevelLocked(m *module, d Destination, l level) {
	for dest := Destination(0); dest < nDest; dest++ {
		if d >= 0 && d != dest {
			continue
		}
		if m != nil {
			m.levels[dest].Store(int32(l))
			continue
		}
		s.defaults[dest] = l
		for _, other := range s.modules {
			other.levels[dest].Store(int32(l))
		}
	}
	if m != nil {
		m.used.Store(true)
		m.refresh()
		return
	}
	for _, other := range s.modules {
		other.refresh()
	}
}

// write sends one finished message to the destinations whose threshold it passes.
func (s *System) write(m *module, l level, when time.Time, text string) {
	rec := record{sys: s, module: m.name, level: l, text: text, seq: s.seq.Add(1), when: when}
	s.mu.Lock()
	patterns, facility := s.patterns, s.facility
	rec.sub = s.sub
	s.mu.Unlock()
	s.out.Lock()
	defer s.out.Unlock()
	var buf []byte
	if s.console != nil && level(m.levels[Console].Load()) >= l {
		buf = append(patterns[Console].append(buf[:0], &rec), '\n')
		_, _ = s.console.Write(buf) // nowhere left to report to
	}
	if s.file != nil && level(m.levels[File].Load()) >= l {
		buf = append(patterns[File].append(buf[:0], &rec), '\n')
		_, _ = s.file.Write(buf)
	}
	if level(m.levels[Syslog].Load()) >= l && (s.sysPath != nil || s.target != nil) {
		s.writeSyslog(&rec, patterns[Syslog], facility)
	}
}
