package manual_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"govs/internal/manual"
)

func program() *manual.Program {
	fs := pflag.NewFlagSet("tool", pflag.ContinueOnError)
	fs.StringP("db", "d", "", "connect to `SERVER`")
	fs.Bool("dry-run", false, "change nothing")
	fs.String("log", "", "log to `FILE`")
	fs.Lookup("log").NoOptDefVal = " "
	fs.Bool("secret", false, "not for everybody")
	fs.Lookup("secret").Hidden = true
	return &manual.Program{
		Name: "tool", Section: 8, Summary: "a tool", Usage: []string{"[OPTIONS] COMMAND [ARG...]", "--version"},
		Text: []string{"It works.", ".It does - \\really."},
		Groups: []manual.Group{{Title: "Things", Verbs: []manual.Verb{
			{Name: "add", Args: []string{"THING", "[COLOUR]..."}, Options: []string{"--may-exist", "--id=NAME"}, Text: "add a thing"},
			{Name: "add-to-a-thing-with-a-very-long-name", Args: []string{"THING"}, Text: "do more"},
			{Name: "list", Text: ""},
		}}},
		Parts: []manual.Part{{Title: "Exit status", Text: []string{"0 or 1"}}, {Title: "Names", Text: []string{"any"}, Help: true}},
		Flags: fs, Chain: true,
		Values: func(name string, before []string) []string {
			switch name {
			case "THING":
				return []string{"stone", "stick"}
			case "COLOUR":
				return []string{"red", strings.Join(before, "+")}
			}
			return nil
		},
	}
}

func TestHelp(t *testing.T) {
	const want = `tool: a tool
usage: tool [OPTIONS] COMMAND [ARG...]
       tool --version

Things:
  [--may-exist] [--id=NAME] add THING [COLOUR]...
        add a thing
  add-to-a-thing-with-a-very-long-name THING
        do more
  list

Names:
  any

Options:
  -d, --db=SERVER              connect to SERVER
  --dry-run                    change nothing
  --log[=FILE]                 log to FILE
`
	if got := program().Help(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestPage has man(1) read the page.
func TestPage(t *testing.T) {
	cmd := exec.Command("man", "--warnings", "-E", "ascii", "-l", "-")
	cmd.Env = append(cmd.Environ(), "MANWIDTH=80", "MAN_KEEP_FORMATTING=", "LC_ALL=C")
	cmd.Stdin = strings.NewReader(program().Page("May 2026", "1.0"))
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || errs.String() != "" {
		t.Fatalf("%v: %s", err, &errs)
	}
	for _, want := range []string{"TOOL(8)", "tool - a tool", ".It does - \\really.", "[--may-exist] [--id=NAME] add THING [COLOUR]...", "-d, --db=SERVER", "EXIT STATUS"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestComplete(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"", "add add-to-a-thing-with-a-very-long-name list"},
		{"l", "list"},
		{"--d", "--db= --dry-run"},
		{"--db=x --", "--db= --dry-run --id= --log --may-exist"},
		{"-d ", ""}, // its argument
		{"-d x li", "list"},
		{"--db x li", "list"},
		{"--log li", "list"},
		{"--may-exist add ", "stick stone"},
		{"add sto", "stone"},
		{"add stone ", "add+stone red"},
		{"add stone red r", "red"},
		{"add -", ""},
		{"list ", ""},
		{"list x ", ""},
		{"unknown ", ""},
		{"list -- ", "add add-to-a-thing-with-a-very-long-name list"},
		{"list -- --", "--id= --may-exist"},
		{"list -- add s", "stick stone"},
	} {
		var words []string
		for _, c := range program().Complete(strings.Split(test.line, " ")) {
			words = append(words, c.Word)
		}
		if got := fmt.Sprint(words); got != "["+test.want+"]" {
			t.Errorf("%q: %s, want %s", test.line, got, test.want)
		}
	}
	if got := program().Complete(nil); len(got) != 3 || got[0] != (manual.Candidate{Word: "add", Text: "add a thing"}) {
		t.Errorf("nothing: %v", got)
	}
}
