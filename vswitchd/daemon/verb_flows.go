package daemon

import (
	"os"
	"strings"

	"govs/datapath/action"
	"govs/datapath/engine"
	"govs/datapath/flow"
)

// verbsFlows adds the dpctl verbs that change megaflows or look at single ones:
// add-flow, mod-flow, del-flow, add-flows, mod-flows, del-flows, get-flow, and
// parse-actions.
func (s *Switch) verbsFlows(r Registrar) {
	r.Register("dpctl/add-flow", "[dp] flow actions", 2, 3, s.reading(func(args []string) (string, error) {
		rest, err := s.afterDatapath(args, 2)
		if err != nil {
			return "", err
		}
		return "", s.addFlow(rest[0], rest[1], false)
	}))
	r.Register("dpctl/mod-flow", "[dp] flow actions", 2, 6, s.reading(s.modFlow))
	r.Register("dpctl/del-flow", "[dp] flow", 1, 3, s.reading(func(args []string) (string, error) {
		_, rest, err := dpctlFlags(args, "-s", "--statistics")
		if err == nil {
			rest, err = s.afterDatapath(rest, 1)
		}
		if err != nil {
			return "", err
		}
		return "", s.delFlow(rest[0])
	}))
	r.Register("dpctl/add-flows", "[dp] file", 1, 2, s.reading(func(args []string) (string, error) { return s.flowFile(args, "add") }))
	r.Register("dpctl/mod-flows", "[dp] file", 1, 2, s.reading(func(args []string) (string, error) { return s.flowFile(args, "modify") }))
	r.Register("dpctl/del-flows", "[dp] [file]", 0, 2, s.reading(func(args []string) (string, error) {
		if len(args) > 0 {
			if _, err := s.datapathArgs(args[:1]); err != nil || len(args) > 1 {
				return s.flowFile(args, "delete")
			}
		}
		s.engine.Flush()
		return "", nil
	}))
	r.Register("dpctl/get-flow", "[dp] ufid", 1, 4, s.reading(s.getFlow))
	r.Register("dpctl/parse-actions", "actions", 1, -1, s.reading(func(args []string) (string, error) {
		var b strings.Builder
		for _, text := range args {
			list, err := action.Parse(text, s.resolve)
			if err != nil {
				return "", complain("odp_actions_from_string: %v", err)
			}
			b.WriteString(action.Format(list, nil) + "\n")
		}
		return b.String(), nil
	}))
}

// afterDatapath are the last n arguments; one in front of them names a
// datapath.
func (s *Switch) afterDatapath(args []string, n int) ([]string, error) {
	if len(args) < n || len(args) > n+1 {
		return nil, complain("datapath not found (Invalid argument)")
	}
	at := len(args) - n
	if at > 0 {
		if _, err := s.datapathArgs(args[:at]); err != nil {
			return nil, complain("datapath not found (Invalid argument)")
		}
	}
	return args[at:], nil
}

// flowKey reads a flow, of which nothing matters where nothing is said.
func (s *Switch) flowKey(text string) (flow.Key, flow.Mask, error) {
	if _, rest, ok := strings.Cut(text, "ufid:"); ok {
		if _, after, ok := strings.Cut(rest, " "); ok {
			text = after
		}
	}
	k, m, err := flow.Parse(strings.TrimLeft(text, ", "), s.resolve)
	if err != nil {
		return k, m, complain("parsing flow key (%v)", err)
	}
	return k, m, nil
}

func (s *Switch) addFlow(text, actions string, replace bool) error {
	k, m, err := s.flowKey(text)
	if err != nil {
		return err
	}
	list, err := action.Parse(actions, s.resolve)
	if err != nil {
		return complain("parsing actions (%v)", err)
	}
	s.flows.bind(list)
	if replace {
		s.engine.Delete(func(f engine.Flow) bool { return sameFlow(&f, &k, &m) })
	}
	if !s.engine.Insert(&k, &m, list) {
		return complain("updating flow table (File exists)")
	}
	return nil
}

// sameFlow says whether the megaflow has that key and mask, as far as both say
// something: what every megaflow matches is not counted.
func sameFlow(f *engine.Flow, k *flow.Key, m *flow.Mask) bool {
	return f.Mask.Covers(m) && overlaps(&f.Key, &f.Mask, k, m)
}

func (s *Switch) modFlow(args []string) (string, error) {
	opts, rest, err := dpctlFlags(args, "--clear", "--may-create", "-s", "--statistics")
	if err == nil {
		rest, err = s.afterDatapath(rest, 2)
	}
	if err != nil {
		return "", err
	}
	k, m, err := s.flowKey(rest[0])
	if err != nil {
		return "", err
	}
	found := false
	for f := range s.engine.Flows() {
		found = found || sameFlow(&f, &k, &m)
	}
	if !found && !opts["--may-create"] {
		return "", complain("updating flow table (No such file or directory)")
	}
	return "", s.addFlow(rest[0], rest[1], true)
}

func (s *Switch) delFlow(text string) error {
	wanted := func(f engine.Flow) bool { return f.UFID() == strings.TrimPrefix(text, "ufid:") }
	if !strings.HasPrefix(text, "ufid:") {
		k, m, err := s.flowKey(text)
		if err != nil {
			return err
		}
		wanted = func(f engine.Flow) bool { return sameFlow(&f, &k, &m) }
	}
	if s.engine.Delete(wanted) == 0 {
		return complain("deleting flow (No such file or directory)\nPerhaps you need to specify a UFID?")
	}
	return nil
}

func (s *Switch) getFlow(args []string) (string, error) {
	opts, rest, err := dpctlFlags(args, "-m", "--more", "--names", "--no-names")
	if err == nil {
		rest, err = s.afterDatapath(rest, 1)
	}
	if err != nil {
		return "", err
	}
	names := s.portNames()
	more := opts["-m"] || opts["--more"]
	var named func(flow.PortNo) string
	if opts["--names"] {
		named = func(no flow.PortNo) string { return portName(names, no) }
	}
	for f := range s.engine.Flows() {
		if f.UFID() == strings.TrimPrefix(rest[0], "ufid:") {
			return flowLine(&f, s.o.Clock.Now(), named, more), nil
		}
	}
	return "", complain("getting flow (No such file or directory)")
}

// flowFile does what the lines of a file say: each is a flow and, unless it is
// to be deleted, its actions; a word in front says what is done with it, else
// verb does.
func (s *Switch) flowFile(args []string, verb string) (string, error) {
	rest, err := s.afterDatapath(args, 1)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(rest[0])
	if err != nil {
		return "", complain("%s: open failed (%s)", rest[0], "No such file or directory")
	}
	for _, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		does := verb
		for _, word := range []string{"add", "modify", "delete"} {
			if after, ok := strings.CutPrefix(line, word+" "); ok {
				does, line = word, strings.TrimSpace(after)
			}
		}
		flowText, actions, _ := strings.Cut(line, " ")
		switch does {
		case "delete":
			err = s.delFlow(flowText)
		default:
			err = s.addFlow(flowText, strings.TrimSpace(actions), does == "modify")
		}
		if err != nil {
			return "", err
		}
	}
	return "", nil
}
