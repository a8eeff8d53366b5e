package action

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"govs/datapath/flow"
)

// Clone carries actions out on a copy: the packet itself stays as it is.
type Clone struct{ Actions []Action }

func (a Clone) String() string { return Join([]Action{a}) }

// Sample does as Clone with some of the packets: Probability of 2^32-1.
type Sample struct {
	Probability uint32
	Actions     []Action
}

func (a Sample) String() string { return Join([]Action{a}) }

// percent is the probability with one decimal place, or as many as it takes to
// read it back.
func (a Sample) percent() string {
	p := 100 * float64(a.Probability) / math.MaxUint32
	if text := strconv.FormatFloat(p, 'f', 1, 64); probability(text) == a.Probability {
		return text
	}
	return strconv.FormatFloat(p, 'f', 9, 64)
}

// probability reads a percentage.
func probability(text string) uint32 {
	p, _ := strconv.ParseFloat(text, 64)
	return uint32(math.Round(p / 100 * math.MaxUint32))
}

// nested are the actions within an action, nil where there are none.
func nested(a Action) (list []Action, is bool) {
	switch a := a.(type) {
	case Clone:
		return a.Actions, true
	case Sample:
		return a.Actions, true
	}
	return nil, false
}

// Equal says whether two lists do the same.
func Equal(a, b []Action) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		in, is := nested(a[i])
		other, too := nested(b[i])
		switch {
		case is != too:
			return false
		case !is:
			if a[i] != b[i] {
				return false
			}
			continue
		}
		s, sampled := a[i].(Sample)
		t, tsampled := b[i].(Sample)
		if sampled != tsampled || s.Probability != t.Probability || !Equal(in, other) {
			return false
		}
	}
	return true
}

// maxNesting is how deep lists may stand within one another.
const maxNesting = 16

func parseNested(args string, resolve func(string) (flow.PortNo, bool), depth int) ([]Action, error) {
	if depth >= maxNesting {
		return nil, fmt.Errorf("actions within actions, more than %d deep", maxNesting)
	}
	return parse(args, resolve, depth+1)
}

func parseSample(args string, resolve func(string) (flow.PortNo, bool), depth int) (Action, error) {
	percent, rest, ok := strings.Cut(strings.TrimPrefix(args, "sample="), "%,actions(")
	inner, closed := strings.CutSuffix(rest, ")")
	p, err := strconv.ParseFloat(percent, 64)
	if !ok || !closed || err != nil || !(p >= 0 && p <= 100) {
		return nil, fmt.Errorf("sample: %s: not sample=P%%,actions(...)", args)
	}
	list, err := parseNested(inner, resolve, depth)
	return Sample{probability(percent), list}, err
}

// arguments reads key=number,key=number...; every key must be given.
func arguments(name, args string, limits map[string]uint64) (map[string]uint64, error) {
	values := make(map[string]uint64, len(limits))
	for _, arg := range strings.Split(args, ",") {
		key, text, _ := strings.Cut(arg, "=")
		limit, known := limits[key]
		if _, twice := values[key]; !known || twice {
			return nil, fmt.Errorf("%s: %s: unknown or repeated argument", name, key)
		}
		n, err := strconv.ParseUint(text, 0, 32)
		if err != nil || n > limit {
			return nil, fmt.Errorf("%s: %s: bad value %q", name, key, text)
		}
		values[key] = n
	}
	if len(values) != len(limits) {
		return nil, fmt.Errorf("%s: %s: an argument is missing", name, args)
	}
	return values, nil
}

func parsePushMPLS(args string) (Action, error) {
	v, err := arguments("push_mpls", args, map[string]uint64{"label": 0xfffff, "tc": 7, "ttl": 255, "bos": 1, "eth_type": 0xffff})
	if err != nil {
		return nil, err
	}
	if t := v["eth_type"]; t != 0x8847 && t != 0x8848 {
		return nil, fmt.Errorf("push_mpls: eth_type %#x is none of MPLS", t)
	}
	return PushMPLS{uint32(v["label"]<<12 | v["tc"]<<9 | v["bos"]<<8 | v["ttl"]), uint16(v["eth_type"])}, nil
}

func parsePopMPLS(args string) (Action, error) {
	v, err := arguments("pop_mpls", args, map[string]uint64{"eth_type": 0xffff})
	return PopMPLS{uint16(v["eth_type"])}, err
}
