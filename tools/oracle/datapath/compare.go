package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"govs/datapath/action"
	"govs/datapath/flow"
	"govs/datapath/packet"
)

func keyOf(b []byte, limit int) flow.Key {
	var pool packet.Pool
	p := pool.From(b)
	defer p.Free()
	var k flow.Key
	flow.ExtractTags(p, 0, limit, &k)
	return k
}

// A megaflow is a line of dpctl/dump-flows.
type megaflow struct {
	line  string
	match string
	key   flow.Key
	mask  flow.Mask
	sends []string // port and tags of each frame, sorted
	stats string
}

// parseFlows reads dpctl/dump-flows.
func parseFlows(text string) ([]*megaflow, error) {
	var list []*megaflow
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "flow-dump") {
			continue
		}
		match, rest, ok := strings.Cut(line, ", packets:")
		stats, actions, ok2 := strings.Cut(rest, ", actions:")
		if !ok || !ok2 {
			return nil, fmt.Errorf("no flow: %s", line)
		}
		stats, _, _ = strings.Cut(stats, ", dp:")
		stats = used.ReplaceAllString(stats, "") // C takes packets when it comes round to it
		if strings.HasPrefix(match, "ufid:") {
			_, match, _ = strings.Cut(match, ", ")
		}
		actions, _, _ = strings.Cut(actions, ", dp-extra-info")
		f := &megaflow{line: line, match: match, stats: "packets:" + stats}
		var err error
		if f.key, f.mask, err = flow.Parse(match, nil); err != nil {
			return nil, fmt.Errorf("%w: %s", err, line)
		}
		if f.sends, err = sends(actions, &f.key); err != nil {
			return nil, fmt.Errorf("%w: %s", err, line)
		}
		list = append(list, f)
	}
	return list, nil
}

// sends is what actions send when the packet has the key: for each frame the
// port and the tags on it, sorted.
func sends(text string, k *flow.Key) ([]string, error) {
	list, err := action.Parse(text, nil)
	if err != nil {
		return nil, err
	}
	show := func(v flow.VLAN) string { return fmt.Sprintf(" %04x/%d/%d", v.TPID, v.VID(), v.PCP()) }
	var tags, out []string
	for _, v := range k.VLAN {
		if v.Present() {
			tags = append(tags, show(v))
		}
	}
	for _, a := range list {
		switch a := a.(type) {
		case action.PopVLAN:
			if len(tags) == 0 {
				return nil, fmt.Errorf("a tag is popped that is not there")
			}
			tags = tags[1:]
		case action.PushVLAN:
			tags = slices.Concat([]string{show(a.Tag)}, tags)
		case action.Userspace:
			out = append(out, "the slow path")
		case action.Output:
			out = append(out, fmt.Sprint(a.Port, strings.Join(tags, "")))
		default:
			out = append(out, a.String())
		}
	}
	slices.Sort(out)
	return out, nil
}

// compareFlows says what differs, "" for nothing. Ours may be wider: then one
// of ours stands for several of theirs. now tells what C would do with the
// packets of one of its megaflows now: some it does not translate again. alone
// counts megaflows that only one side has: both remove those that would have to
// look at more when they are translated again, and C those with half a tag.
func compareFlows(ours, theirs string, now func(*megaflow) ([]string, error)) (difference string, alone int, err error) {
	a, err := parseFlows(ours)
	if err != nil {
		return "", 0, err
	}
	b, err := parseFlows(theirs)
	if err != nil {
		return "", 0, err
	}
	match := make(map[*megaflow][]*megaflow)
	for _, t := range b {
		var found *megaflow
		for _, o := range a {
			if o.mask.Equal(&o.key, &t.key) {
				found = o
			}
		}
		switch {
		case found == nil:
			alone++
			continue
		case !slices.Equal(found.sends, t.sends):
			if sends, err := now(t); err != nil || slices.Equal(found.sends, sends) {
				match[found] = append(match[found], t)
				if err != nil {
					return "", 0, err
				}
				continue
			}
			return fmt.Sprintf("megaflows do different things:\n  C    %s\n  ours %s", t.line, found.line), alone, nil
		case !wider(found, t):
			return fmt.Sprintf("our megaflow looks at more than C's:\n  C    %s\n  ours %s", t.line, found.line), alone, nil
		}
		match[found] = append(match[found], t)
	}
	for _, o := range a {
		switch match := match[o]; {
		case len(match) == 0:
			alone++
		case len(match) == 1 && match[0].mask == o.mask && match[0].match != o.match:
			return fmt.Sprintf("megaflows match alike and read different:\n  C    %s\n  ours %s", match[0].line, o.line), alone, nil
		case len(match) == 1 && match[0].stats != o.stats:
			return fmt.Sprintf("megaflows have different counters:\n  C    %s\n  ours %s", match[0].line, o.line), alone, nil
		}
	}
	return "", alone, nil
}

// wider says whether ours matches no bit that theirs does not, but for
// priorities and the VLAN of a second tag (../differences.txt).
func wider(ours, theirs *megaflow) bool {
	m := ours.mask
	for i := range m.VLAN {
		m.VLAN[i].TCI &^= flow.VLANPCPMask
	}
	m.VLAN[1].TCI &^= flow.VLANVIDMask
	return theirs.mask.Covers(&m)
}

var (
	used    = regexp.MustCompile(`, used:[^,]*`)
	age     = regexp.MustCompile(`(?m) +\d+$`)
	actions = regexp.MustCompile(`(?m)^Datapath actions: (.*)$`)
)

// table is a learning table without the ages, in the order of its lines.
func table(text string) string {
	lines := strings.Split(age.ReplaceAllString(strings.TrimSpace(text), ""), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// story is what ofproto/trace tells, in an order of its own, with what the
// actions send, and without the megaflow, which is compared elsewhere.
func story(text string, k *flow.Key) (string, error) {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if a := actions.FindStringSubmatch(line); a != nil {
			out, err := sends(a[1], k)
			if err != nil {
				return "", err
			}
			line = "sends " + strings.Join(out, ", ")
		}
		if line != "" && !strings.HasPrefix(line, "Megaflow:") {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n"), nil
}
