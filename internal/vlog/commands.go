package vlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Registrar is the part of a unixctl server that Register needs.
type Registrar interface {
	Register(name, usage string, minArgs, maxArgs int, fn func(ctx context.Context, args []string) (string, error))
}

// Register adds the vlog/ verbs to a unixctl server.
func (s *System) Register(r Registrar) {
	r.Register("vlog/set", "{spec | PATTERN:destination:pattern}", 0, -1, s.cmdSet)
	r.Register("vlog/list", "", 0, 0, s.cmdList)
	r.Register("vlog/list-pattern", "", 0, 0, s.cmdListPattern)
	r.Register("vlog/reopen", "", 0, 0, func(context.Context, []string) (string, error) { return "", s.Reopen() })
	r.Register("vlog/close", "", 0, 0, func(context.Context, []string) (string, error) {
		s.CloseFile()
		return "", nil
	})
	r.Register("vlog/enable-rate-limit", "[module]...", 0, -1, s.cmdRate(false))
	r.Register("vlog/disable-rate-limit", "[module]...", 0, -1, s.cmdRate(true))
}

func (s *System) cmdSet(_ context.Context, args []string) (string, error) {
	if len(args) == 0 {
		args = []string{"ANY:ANY:DBG"}
	}
	for _, a := range args {
		if err := s.SetLevels(a); err != nil {
			return "", err
		}
	}
	return "", nil
}

func (s *System) cmdList(context.Context, []string) (string, error) {
	var b strings.Builder
	b.WriteString("                 console    syslog    file\n")
	b.WriteString("                 -------    ------    ------\n")
	for _, name := range s.Modules() {
		s.mu.Lock()
		m := s.modules[name]
		s.mu.Unlock()
		fmt.Fprintf(&b, "%-16s", name)
		for d := range m.levels {
			sep := "       "
			if d == 0 {
				sep = "  "
			}
			fmt.Fprintf(&b, "%s%4s", sep, level(m.levels[d].Load()))
			if m.noRate.Load() && d == len(m.levels)-1 {
				b.WriteString("    (rate limiting disabled)")
			}
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

func (s *System) cmdListPattern(context.Context, []string) (string, error) {
	s.out.Lock()
	way := s.sysName
	s.out.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	b.WriteString("         prefix                            format\n")
	b.WriteString("         ------                            ------\n")
	for _, d := range []Destination{Syslog, Console, File} {
		prefix := "none"
		if d == Syslog {
			prefix = ""
			if way != "null" {
				prefix = strings.TrimSpace(syslogPrefix)
			}
		}
		fmt.Fprintf(&b, "%-7s  %-32s  %s\n", strings.ToUpper(d.String()), prefix, s.patterns[d].source)
	}
	return b.String(), nil
}

func (s *System) cmdRate(disable bool) func(context.Context, []string) (string, error) {
	return func(_ context.Context, args []string) (string, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		var mods []*module
		for _, a := range args {
			if strings.EqualFold(a, "ANY") {
				mods = nil
				break
			}
			m := s.lookupLocked(a)
			if m == nil {
				return "", errors.New("unknown module")
			}
			mods = append(mods, m)
		}
		if mods == nil {
			for _, m := range s.modules {
				mods = append(mods, m)
			}
		}
		for _, m := range mods {
			m.noRate.Store(disable)
		}
		return "", nil
	}
}
