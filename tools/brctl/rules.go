package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"govs/tools/peer"
)

// A rule is a difference that is meant.
type rule struct {
	modes              string // or "" for all
	line, kernel, govs *regexp.Regexp
	sorted             bool // the lines are the same, in another order
	why                string
	used               int
}

// loadRules reads the rules among the differences that are meant.
func loadRules() ([]*rule, error) {
	root, err := peer.Root()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(root, "tools/oracle/differences.txt"))
	if err != nil {
		return nil, err
	}
	var ours strings.Builder
	for l := range strings.Lines(string(text)) {
		if r, ok := strings.CutPrefix(l, "% "); ok {
			ours.WriteString(r)
		}
	}
	return readRules(ours.String())
}

// readRules reads rules: one a line, in fields separated by " | ".
func readRules(text string) ([]*rule, error) {
	var rules []*rule
	for _, l := range lines(text) {
		f := strings.Split(l, " | ")
		if len(f) != 5 {
			return nil, fmt.Errorf("differences.txt: expected 5 fields: %s", l)
		}
		r := &rule{modes: strings.TrimSpace(f[0]), why: strings.TrimSpace(f[4])}
		for i, re := range []**regexp.Regexp{&r.line, &r.kernel, &r.govs} {
			var err error
			text := strings.ReplaceAll(f[i+1], `\|`, `|`)
			if text == "(sorted)" {
				r.sorted = true
				continue
			}
			if *re, err = regexp.Compile(`^(?:` + text + `)$`); err != nil {
				return nil, fmt.Errorf("differences.txt: %w", err)
			}
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func (r *rule) matches(mode, line, kernel, govs string) bool {
	return !r.sorted && r.concerns(mode, line) && r.kernel.MatchString(kernel) && r.govs.MatchString(govs)
}

// concerns tells whether the rule is about a command line in a mode.
func (r *rule) concerns(mode, line string) bool {
	return (r.modes == "all" || strings.Contains(r.modes, mode)) && r.line.MatchString(line)
}

// inOrder sorts the ports of each bridge in what show and showstp print.
func inOrder(text string) string {
	if !strings.HasPrefix(text, "bridge name\t") {
		blocks := strings.Split(text, "\n\n")
		if len(blocks) > 1 {
			for i, b := range blocks {
				blocks[i] = strings.Trim(b, "\n")
			}
			slices.Sort(blocks[1:])
		}
		return strings.Join(blocks, "\n\n")
	}
	var out, ports []string
	first := ""
	flush := func() {
		slices.Sort(ports)
		for i, p := range ports {
			if i > 0 {
				first = "\t\t\t\t\t\t\t"
			}
			out = append(out, first+p)
		}
		ports = nil
	}
	for _, l := range strings.Split(text, "\n") {
		i := strings.LastIndexByte(l, '\t') + 1
		if strings.Trim(l[:i], "\t") != "" || i == 0 { // another bridge
			flush()
			first = l[:i]
		}
		ports = append(ports, l[i:])
	}
	flush()
	return strings.Join(out, "\n")
}
