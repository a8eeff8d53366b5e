package action

import (
	"fmt"
	"strconv"
	"strings"

	"govs/datapath/drop"
	"govs/datapath/flow"
)

// Format is the list of actions as dpctl/dump-flows prints it: "drop" where it
// is empty, and for a Drop whatever its reason, for which that text has no
// room (Join has it). Output ports are printed as name says, or as numbers
// where name is nil or gives "".
func Format(list []Action, name func(flow.PortNo) string) string {
	if n := len(list) - 1; n > 0 {
		if _, dropped := list[n].(Drop); dropped {
			list = list[:n] // what is dropped after it was shown goes without a word
		}
	}
	return text(list, func(a Action) string {
		if s, ok := a.(Show); ok {
			return s.short(name)
		}
		switch a := a.(type) {
		case TunnelPush:
			return a.text(name)
		case TunnelPop:
			return a.text(name)
		}
		if out, ok := a.(Output); ok && name != nil {
			return name(out.Port)
		}
		if _, ok := a.(Drop); ok {
			return Drop{}.String()
		}
		return ""
	})
}

// Join is the list of actions in full: Parse gives the same list back, but for
// the Handlers of Shows.
func Join(list []Action) string { return text(list, func(Action) string { return "" }) }

// text is a list as say prints its actions, or as they print themselves where
// that says nothing.
func text(list []Action, say func(Action) string) string {
	if len(list) == 0 {
		return "drop"
	}
	words := make([]string, len(list))
	for i, a := range list {
		inner, is := nested(a)
		sample, sampled := a.(Sample)
		switch {
		case sampled:
			words[i] = "sample(sample=" + sample.percent() + "%,actions(" + text(inner, say) + "))"
		case is:
			words[i] = "clone(" + text(inner, say) + ")"
		default:
			if words[i] = say(a); words[i] == "" {
				words[i] = a.String()
			}
		}
	}
	return strings.Join(words, ",")
}

// Parse reads a list of actions in the syntax that Format and Join print, with ports
// as numbers or as names that resolve knows; resolve may be nil. "drop" alone
// is the empty list.
func Parse(text string, resolve func(name string) (flow.PortNo, bool)) ([]Action, error) {
	return parse(text, resolve, 0)
}

func parse(text string, resolve func(name string) (flow.PortNo, bool), depth int) ([]Action, error) {
	text = strings.TrimSpace(text)
	if text == "drop" {
		return nil, nil
	}
	var list []Action
	for _, word := range split(text) {
		a, err := parseOne(strings.TrimSpace(word), resolve, depth)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// split cuts at the commas that stand outside of parentheses.
func split(text string) []string {
	var words []string
	depth, start := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				words = append(words, text[start:i])
				start = i + 1
			}
		}
	}
	return append(words, text[start:])
}

func parseOne(word string, resolve func(string) (flow.PortNo, bool), depth int) (Action, error) {
	name, args, call := strings.Cut(word, "(")
	if call {
		var ok bool
		if args, ok = strings.CutSuffix(args, ")"); !ok {
			return nil, fmt.Errorf("%s: missing )", word)
		}
	}
	switch {
	case word == "pop_vlan":
		return PopVLAN{}, nil
	case word == PopEth{}.String():
		return PopEth{}, nil
	case name == "push_eth" && call:
		return parsePushEth(args)
	case word == Userspace{}.String():
		return Userspace{}, nil
	case name == "userspace" && call:
		a, err := parseUserspace(args)
		if err != nil {
			return nil, err
		}
		return a, nil
	case name == "sample" && call && showing(args):
		return parseShow(args)
	case word == "drop":
		return Drop{}, nil
	case name == "drop":
		reason, err := drop.Parse(args)
		return Drop{reason}, err
	case name == "trunc" && call:
		n, err := strconv.ParseUint(args, 0, 32)
		if err != nil || n < 14 {
			return nil, fmt.Errorf("trunc: bad length %q", args)
		}
		return Truncate{uint32(n)}, nil
	case name == "lb_output" && call:
		n, err := strconv.ParseUint(args, 0, 32)
		if err != nil {
			return nil, fmt.Errorf("lb_output: bad bond %q", args)
		}
		return LBOutput{uint32(n)}, nil
	case name == "push_vlan" && call:
		return parsePush(args)
	case name == "set" && call:
		return parseSet(args)
	case name == "push_mpls" && call:
		return parsePushMPLS(args)
	case name == "pop_mpls" && call:
		return parsePopMPLS(args)
	case name == "meter" && call:
		n, err := strconv.ParseUint(args, 0, 32)
		if err != nil {
			return nil, fmt.Errorf("meter: bad number %q", args)
		}
		return Meter{uint32(n)}, nil
	case name == "recirc" && call:
		n, err := strconv.ParseUint(args, 0, 32)
		if err != nil {
			return nil, fmt.Errorf("recirc: bad number %q", args)
		}
		return Recirc{uint32(n)}, nil
	case name == "tnl_push" && call:
		return parseTunnelPush(args, resolve)
	case name == "tnl_pop" && call:
		return parseTunnelPop(args, resolve)
	case name == "clone" && call:
		list, err := parseNested(args, resolve, depth)
		return Clone{list}, err
	case name == "sample" && call:
		return parseSample(args, resolve, depth)
	case call:
		return nil, fmt.Errorf("%s: unknown action", name)
	}
	if n, err := strconv.ParseUint(word, 10, 32); err == nil {
		return Output{flow.PortNo(n)}, nil
	}
	if resolve != nil {
		if no, ok := resolve(word); ok {
			return Output{no}, nil
		}
	}
	return nil, fmt.Errorf("%s: unknown action or port", word)
}

func parsePush(args string) (Action, error) {
	tag := flow.VLAN{TPID: flow.TPID8021Q, TCI: flow.VLANPresent}
	limits := map[string]uint64{"tpid": 0xffff, "vid": flow.VLANVIDMask, "pcp": 7}
	for _, arg := range strings.Split(args, ",") {
		key, value, _ := strings.Cut(arg, "=")
		limit, known := limits[key]
		if !known {
			return nil, fmt.Errorf("push_vlan: %s: unknown or repeated argument", key)
		}
		delete(limits, key)
		n, err := strconv.ParseUint(value, 0, 16)
		if err != nil || n > limit {
			return nil, fmt.Errorf("push_vlan: %s: bad value %q", key, value)
		}
		switch key {
		case "tpid":
			if n != 0 { // which stands for the default
				tag.TPID = uint16(n)
			}
		case "vid":
			tag.TCI |= uint16(n)
		case "pcp":
			tag.TCI |= uint16(n) << 13
		}
	}
	if _, missing := limits["vid"]; missing {
		return nil, fmt.Errorf("push_vlan: no vid")
	}
	return PushVLAN{tag}, nil
}
