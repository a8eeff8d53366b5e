package vlog

import (
	"errors"
	"fmt"
	"strings"
)

// SetLevels carries out the argument of -v, --verbose or vlog/set: a list of
// words separated by spaces, commas or colons (module, destination, level; ANY
// means nothing), or PATTERN:DEST:PATTERN, or FACILITY:NAME. The empty string
// means dbg everywhere. An error changes nothing.
func (s *System) SetLevels(spec string) error {
	const separators = " ,:"
	word, rest := cutWord(spec, separators)
	switch {
	case strings.EqualFold(word, "PATTERN"):
		return s.setPatternSpec(rest)
	case strings.EqualFold(word, "FACILITY"):
		name, _ := cutWord(rest, separators)
		return s.SetFacility(name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var mod *module
	dest, lvl := Destination(-1), level(-1)
	for ; word != ""; word, rest = cutWord(rest, separators) {
		if d, ok := parseDest(word); ok {
			if dest >= 0 {
				return errors.New("cannot specify multiple destinations")
			}
			dest = d
		} else if l, ok := parseLevel(word); ok {
			if lvl >= 0 {
				return errors.New("cannot specify multiple levels")
			}
			lvl = l
		} else if m := s.lookupLocked(word); m != nil {
			if mod != nil {
				return errors.New("cannot specify multiple modules")
			}
			mod = m
		} else if !strings.EqualFold(word, "ANY") {
			return fmt.Errorf("no destination, level, or module %q", word)
		}
	}
	if lvl < 0 {
		lvl = levelDbg
	}
	s.setLevelLocked(mod, dest, lvl)
	return nil
}

// lookupLocked finds a module by its name; case does not count.
func (s *System) lookupLocked(name string) *module {
	if m := s.modules[name]; m != nil {
		return m
	}
	for n, m := range s.modules {
		if strings.EqualFold(n, name) {
			return m
		}
	}
	return nil
}

func (s *System) setPatternSpec(rest string) error {
	name, text := cutWord(rest, ":")
	if name == "" {
		return errors.New("missing destination")
	}
	if strings.EqualFold(name, "ANY") {
		for d := Destination(0); d < nDest; d++ {
			s.SetPattern(d, text)
		}
		return nil
	}
	d, ok := parseDest(name)
	if !ok {
		return fmt.Errorf("unknown destination %q", name)
	}
	s.SetPattern(d, text)
	return nil
}

// SetPattern sets the pattern of a destination.
func (s *System) SetPattern(d Destination, text string) {
	p := parsePattern(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.patterns[d] = p
}

// SetFacility sets the RFC 5424 facility of syslog messages by its name.
func (s *System) SetFacility(name string) error {
	n, ok := facilities[strings.ToLower(name)]
	if !ok {
		return errors.New("invalid facility")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.facility = n
	return nil
}

// cutWord skips separators and splits off the word up to the next one.
func cutWord(s, separators string) (word, rest string) {
	s = strings.TrimLeft(s, separators)
	i := strings.IndexAny(s, separators)
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i+1:]
}
