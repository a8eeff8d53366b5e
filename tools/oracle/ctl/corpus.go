package main

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:embed corpus/*.txt
var scripts embed.FS

// A script is command lines that are run one after the other on a database of
// their own. A line of its text begins with
//
//	$  a command line, for the shell
//	&  one that runs at the same time as those around it that begin so, too
//	   (a "$" between them parts them, a comment does not)
//	%  one whose outcome depends on the server's program: compared is only what
//	   our program and C's say to the same one
//	#  a comment
//	@  a word on the script: "schema FILE" (in the module) for another database
//	   than Open_vSwitch; "switch" for a running ovs-vswitchd of the server's
//	   kind, with dummy devices, where else the oracle plays the switch
//	   (world.go); "slow" for a script that go test leaves out
//
// PATH holds the programs of one side only. SERVER is the folder of those of the
// server's side, OTHER of those of the side that PATH does not have; where both
// sides are ours, that is ours as well.
type script struct {
	name   string
	lines  []line
	schema string
	swtch  bool
	slow   bool
}

type line struct {
	text     string
	together bool // with the lines around it
	server   bool // the outcome depends on the server's program
}

func parseScript(name, text string) (script, error) {
	s := script{name: name, schema: "schema/vswitch/vswitch.ovsschema"}
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		if l == "" {
			continue
		}
		rest := strings.TrimSpace(l[1:])
		switch l[0] {
		case '#':
		case '$', '&', '%':
			s.lines = append(s.lines, line{rest, l[0] == '&', l[0] == '%'})
		case '@':
			word, arg, _ := strings.Cut(rest, " ")
			switch word {
			case "schema":
				s.schema = arg
			case "switch":
				s.swtch = true
			case "slow":
				s.slow = true
			default:
				return s, fmt.Errorf("%s: %s", name, l)
			}
		default:
			return s, fmt.Errorf("%s: %s", name, l)
		}
	}
	return s, nil
}

// corpus reads the scripts, and takes the command lines of ovs-vsctl's own
// transcripts in.
func corpus(root string) ([]script, error) {
	entries, err := scripts.ReadDir("corpus")
	if err != nil {
		return nil, err
	}
	var all []script
	for _, e := range entries {
		text, err := scripts.ReadFile("corpus/" + e.Name())
		if err != nil {
			return nil, err
		}
		s, err := parseScript(strings.TrimSuffix(e.Name(), ".txt"), string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	files, err := filepath.Glob(filepath.Join(root, "ctl/vsctl/testdata/*.txt"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		s, err := parseScript("vsctl-"+strings.TrimSuffix(filepath.Base(f), ".txt"), transcript(string(text)))
		if err != nil {
			return nil, err
		}
		s.slow = true // ovs-vsctl's own test plays them
		all = append(all, s)
	}
	return all, nil
}

// transcript makes a script of a transcript of ovs-vsctl, in which "$ ARGS" are
// the arguments and other lines the outcome.
func transcript(text string) string {
	var b strings.Builder
	for l := range strings.Lines(text) {
		if args, ok := strings.CutPrefix(l, "$ "); ok {
			b.WriteString("$ ovs-vsctl --no-wait " + args)
		}
	}
	return b.String()
}
