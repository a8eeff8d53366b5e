package manual

import (
	"regexp"
	"slices"
	"strings"

	"govs/internal/getopt"
)

// A Candidate is one way to go on with a command line.
type Candidate struct{ Word, Text string }

// Complete returns what the last of the words may become; they are those behind
// the program's name, and the last one may be empty.
func (p *Program) Complete(words []string) []Candidate {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	at := p.place(words[:len(words)-1])
	var all []Candidate
	switch {
	case at.value:
		return nil // of an option: only the user knows
	case strings.HasPrefix(last, "-"):
		all = p.completeOption(at)
	case at.verb == nil:
		for _, v := range p.verbs() {
			all = append(all, Candidate{v.Name, v.Text})
		}
		if p.Running != nil {
			for _, v := range p.Running(words[:len(words)-1]) {
				all = append(all, Candidate{v.Name, v.Text})
			}
		}
	default:
		all = p.completeArgument(at)
	}
	all = slices.DeleteFunc(all, func(c Candidate) bool { return !strings.HasPrefix(c.Word, last) })
	slices.SortFunc(all, func(a, b Candidate) int { return strings.Compare(a.Word, b.Word) })
	return slices.CompactFunc(all, func(a, b Candidate) bool { return a.Word == b.Word })
}

// place is where in a command line a word stands.
type place struct {
	verb  *Verb // the command, nil before it
	args  []string
	value bool // the word is the argument of the option before it
	chain bool // "--" has been there
}

func (p *Program) verbs() (all []Verb) {
	for _, g := range p.Groups {
		all = append(all, g.Verbs...)
	}
	return all
}

func (p *Program) place(words []string) (at place) {
	for _, w := range words {
		if at.value {
			at.value = false
			continue
		}
		switch {
		case w == "--" && p.Chain:
			at = place{chain: true}
		case at.verb != nil && (p.Chain || !strings.HasPrefix(w, "-")):
			at.args = append(at.args, w)
		case strings.HasPrefix(w, "-"):
			at.value = p.takesNext(w)
		default:
			for _, v := range p.verbs() {
				if v.Name == w {
					at.verb = &v
				}
			}
			if at.verb == nil {
				at.verb = &Verb{Name: w}
			}
		}
	}
	return at
}

// takesNext reports whether the word behind an option belongs to it.
func (p *Program) takesNext(w string) bool {
	if p.Flags == nil || strings.Contains(w, "=") {
		return false
	}
	if name, long := strings.CutPrefix(w, "--"); long {
		f := p.Flags.Lookup(name)
		return f != nil && getopt.Kind(f) == getopt.Required
	}
	if len(w) != 2 {
		return false
	}
	f := p.Flags.ShorthandLookup(w[1:])
	return f != nil && getopt.Kind(f) == getopt.Required
}

func (p *Program) completeOption(at place) (all []Candidate) {
	if at.verb != nil && p.Chain {
		return nil
	}
	if p.Flags != nil && !at.chain {
		for _, o := range p.options() {
			word := "--" + o.flag.Name
			if getopt.Kind(o.flag) == getopt.Required {
				word += "="
			}
			all = append(all, Candidate{word, o.text})
		}
	}
	for _, v := range p.verbs() {
		if at.verb != nil && at.verb.Name != v.Name {
			continue
		}
		for _, o := range v.Options {
			if name, _, takes := strings.Cut(o, "="); takes {
				o = name + "="
			}
			all = append(all, Candidate{o, "of commands"})
		}
	}
	return all
}

var argumentNames = regexp.MustCompile(`[A-Z][A-Z-]*`)

func (p *Program) completeArgument(at place) (all []Candidate) {
	if p.Values == nil || len(at.verb.Args) == 0 {
		return nil
	}
	i := len(at.args)
	if n := len(at.verb.Args); i >= n {
		if !strings.Contains(at.verb.Args[n-1], "...") {
			return nil
		}
		i = n - 1
	}
	for _, name := range argumentNames.FindAllString(at.verb.Args[i], -1) {
		for _, v := range p.Values(name, append([]string{at.verb.Name}, at.args...)) {
			all = append(all, Candidate{v, strings.ToLower(name)})
		}
	}
	return all
}
