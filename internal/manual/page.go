package manual

import (
	"fmt"
	"strings"
)

// Page is the manual page, in the man macros of roff. date is the day of the
// text, version the release that it belongs to.
func (p *Program) Page(date, version string) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s %d %q %q %q\n", strings.ToUpper(p.Name), p.Section, date, "govs "+version, "Open vSwitch Manual")
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n", roff(p.Name), roff(p.Summary))
	for i, u := range p.Usage {
		if i > 0 {
			b.WriteString(".br\n")
		}
		fmt.Fprintf(&b, "\\fB%s\\fR %s\n", roff(p.Name), roff(u))
	}
	if len(p.Text) > 0 {
		section(&b, "DESCRIPTION", p.Text)
	}
	if len(p.Groups) > 0 {
		b.WriteString(".SH COMMANDS\n")
	}
	for _, g := range p.Groups {
		fmt.Fprintf(&b, ".SS %s\n", roff(g.Title))
		for _, v := range g.Verbs {
			fmt.Fprintf(&b, ".TP\n%s\n%s\n", synopsis(v), text(v.Text))
		}
	}
	if p.Flags != nil {
		b.WriteString(".SH OPTIONS\n")
		for _, o := range p.options() {
			fmt.Fprintf(&b, ".TP\n\\fB%s\\fR\n%s\n", roff(o.left), text(o.text))
		}
	}
	for _, part := range p.Parts {
		section(&b, strings.ToUpper(part.Title), part.Text)
	}
	return b.String()
}

func section(b *strings.Builder, title string, paragraphs []string) {
	fmt.Fprintf(b, ".SH %s\n", roff(title))
	for i, t := range paragraphs {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		b.WriteString(text(t) + "\n")
	}
}

// synopsis sets the verb's name in bold.
func synopsis(v Verb) string {
	s := ""
	for _, o := range v.Options {
		s += "[" + roff(o) + "] "
	}
	s += "\\fB" + roff(v.Name) + "\\fR"
	for _, a := range v.Args {
		s += " " + roff(a)
	}
	return s
}

// roff makes what is special to roff ordinary, within a line.
func roff(s string) string { return strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(s) }

// text is roff for a line of its own, which must not look like a request. An
// empty one keeps the shape of a tagged paragraph.
func text(s string) string {
	s = roff(s)
	if s == "" || strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		return `\&` + s
	}
	return s
}
