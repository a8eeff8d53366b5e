package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"govs/vswitchd/ofproto"
)

// A Registrar takes control verbs; unixctl.Server is one.
type Registrar interface {
	Register(name, usage string, minArgs, maxArgs int, fn func(ctx context.Context, args []string) (string, error))
}

// Register adds the switch's control verbs, one file of this package each or
// each group.
func (s *Switch) Register(r Registrar) {
	for _, add := range []func(Registrar){
		s.verbsFDB, s.verbsDpif, s.verbsDpctl, s.verbsOfproto, s.verbsUpcall,
		s.verbsDummy, s.verbsDrop, s.verbsMemory, s.verbsCoverage, s.verbsPlan,
		s.verbsBond, s.verbsLACP, s.verbsBFD, s.verbsCFM, s.verbsLLDP, s.verbsSTP,
		s.verbsEBPF, s.verbsQoS, s.verbsTunnel,
		s.verbsMDB, s.verbsTrace, s.verbsPMD, s.verbsFlows,
	} {
		add(r)
	}
}

// hide keeps verbs out of list-commands, where the registrar can.
func hide(r Registrar, names ...string) {
	if h, ok := r.(interface{ Hide(names ...string) }); ok {
		h.Hide(names...)
	}
}

// An answer is an error in the very words of the C daemon.
type answer string

func (a answer) Error() string { return string(a) }

// errNoBridge is the C daemon's answer.
var errNoBridge = errors.New("no such bridge")

// bridge finds a bridge by name. The caller holds s.mu.
func (s *Switch) bridge(name string) (*ofproto.Bridge, error) {
	b, ok := s.applier.Switch.Bridges[name]
	if !ok {
		return nil, errNoBridge
	}
	return b, nil
}

// reading makes a verb run under the switch's lock.
func (s *Switch) reading(fn func(args []string) (string, error)) func(context.Context, []string) (string, error) {
	return func(_ context.Context, args []string) (string, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return fn(args)
	}
}

// takeFlags takes the options off the arguments.
func takeFlags(args []string, known ...string) (set map[string]bool, rest []string, err error) {
	set = make(map[string]bool)
next:
	for _, a := range args {
		if !strings.HasPrefix(a, "-") {
			rest = append(rest, a)
			continue
		}
		for _, k := range known {
			if a == k {
				set[k] = true
				continue next
			}
		}
		return nil, nil, fmt.Errorf("unknown option %s", a)
	}
	return set, rest, nil
}
