// Package manual describes a program once: its help text, its manual page and
// the completion of shells are made from one [Program].
//
// # Caveats
//
// Arguments are single words in capitals; a name that [Program.Values] knows is
// completed by its values, whatever brackets, dots and commas stand around it.
package manual

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"govs/internal/getopt"
)

// A Program is a command or a daemon.
type Program struct {
	Name    string
	Section int      // of the manual: 1, or 8 for what administrators run
	Summary string   // what it is, a phrase
	Usage   []string // what may follow the name, a line each
	Text    []string // paragraphs about it
	Groups  []Group  // its commands
	Flags   *pflag.FlagSet
	Parts   []Part // further sections

	// Chain says that a command line may hold several commands, with "--" between
	// them and the options of each before it.
	Chain bool
	// Values gives what an argument of a name may be, nil where that is not known;
	// before are the arguments before it, the command first.
	Values func(name string, before []string) []string
	// Running gives commands that only a running daemon knows; words are those
	// that the command line has so far.
	Running func(words []string) []Verb
}

// A Group is commands under a title.
type Group struct {
	Title string
	Verbs []Verb
}

// A Verb is one command of a program.
type Verb struct {
	Name    string
	Args    []string // their names, as they are to be shown: "BRIDGE", "[PARENT]", "PORT..."
	Options []string // "--may-exist", "--id=@NAME"
	Text    string   // what it does, a phrase
}

// A Part is a section of the manual page that the program has beside the usual
// ones, such as EXIT STATUS. In the help text only those with Help come.
type Part struct {
	Title string
	Text  []string // paragraphs
	Help  bool
}

// Synopsis is the verb with its options and arguments.
func (v Verb) Synopsis() string {
	words := make([]string, 0, 1+len(v.Options)+len(v.Args))
	for _, o := range v.Options {
		words = append(words, "["+o+"]")
	}
	return strings.Join(append(append(words, v.Name), v.Args...), " ")
}

// Help is the text of --help.
func (p *Program) Help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", p.Name, p.Summary)
	for i, u := range p.Usage {
		lead := "usage:"
		if i > 0 {
			lead = "      "
		}
		fmt.Fprintf(&b, "%s %s %s\n", lead, p.Name, u)
	}
	for _, g := range p.Groups {
		fmt.Fprintf(&b, "\n%s:\n", g.Title)
		width := 0
		for _, v := range g.Verbs {
			if n := utf8.RuneCountInString(v.Synopsis()); n <= maxLeft {
				width = max(width, n)
			}
		}
		for _, v := range g.Verbs {
			entry(&b, v.Synopsis(), v.Text, width)
		}
	}
	for _, part := range p.Parts {
		if part.Help {
			fmt.Fprintf(&b, "\n%s:\n", part.Title)
			for _, t := range part.Text {
				b.WriteString("  " + t + "\n")
			}
		}
	}
	if p.Flags != nil {
		b.WriteString("\nOptions:\n")
		for _, f := range p.options() {
			entry(&b, f.left, f.text, 27)
		}
	}
	return b.String()
}

// maxLeft is how wide what stands before an explanation may be; a wider one has
// the explanation in the next line.
const maxLeft = 40

func entry(b *strings.Builder, left, text string, width int) {
	switch {
	case text == "":
		fmt.Fprintf(b, "  %s\n", left)
	case utf8.RuneCountInString(left) <= width:
		fmt.Fprintf(b, "  %-*s  %s\n", width, left, text)
	default:
		fmt.Fprintf(b, "  %s\n  %*s  %s\n", left, width, "", text)
	}
}

// option is a flag as it is to be shown.
type option struct {
	flag       *pflag.Flag
	left, text string
}

// options are the flags that are not hidden, in the order of their definition.
func (p *Program) options() (list []option) {
	sorted := p.Flags.SortFlags
	p.Flags.SortFlags = false
	defer func() { p.Flags.SortFlags = sorted }()
	p.Flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		left := ""
		if f.Shorthand != "" {
			left = "-" + f.Shorthand + ", "
		}
		left += "--" + f.Name
		value, text := pflag.UnquoteUsage(f)
		if value = strings.ToUpper(value); value == "" || strings.HasPrefix(value, "STRING") {
			value = "VALUE"
		}
		switch getopt.Kind(f) {
		case getopt.Required:
			left += "=" + value
		case getopt.Optional:
			left += "[=" + value + "]"
		}
		list = append(list, option{f, left, text})
	})
	return list
}
