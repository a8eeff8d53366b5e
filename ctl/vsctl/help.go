package vsctl

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"govs/internal/chash"
	"govs/internal/getopt"
	"govs/internal/manual"
)

// schemaVersion is that of the schema whose names this package knows.
const schemaVersion = "8.3.1"

// listCommands prints the commands for the completion of shells, in the order in
// which C's hash table has them.
func listCommands(w io.Writer) error {
	names, byName := chash.Names(), map[string]*verb{}
	all := verbs()
	// C puts them in so: those for any table, then by what they are about.
	place := func(v *verb) int {
		switch {
		case slices.Contains([]string{"comment", "get", "list", "find", "set", "add", "remove", "clear", "create", "destroy", "wait-until"}, v.name):
			return 0
		case v.name == "emer-reset":
			return 2
		case strings.HasSuffix(v.name, "-aa-mapping"):
			return 3
		case strings.HasSuffix(v.name, "-zone-tp"), v.name == "list-dp-cap":
			return 4
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b *verb) int { return place(a) - place(b) })
	for _, v := range all {
		names.Add(v.name)
		byName[v.name] = v
	}
	for name := range names.All() {
		v := byName[name]
		opts := ""
		for _, o := range strings.Fields(v.options) {
			opts += "[" + o + "] "
		}
		if _, err := fmt.Fprintf(w, "%s,%s,%s\n", opts, v.name, v.args); err != nil {
			return err
		}
	}
	return nil
}

// listOptions prints the options for the completion of shells.
func listOptions(fs *pflag.FlagSet, w io.Writer) error {
	var b strings.Builder
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Usage == local {
			return
		}
		long, short := "", ""
		if getopt.Kind(f) != getopt.None {
			long, short = "=ARG", " ARG"
		}
		fmt.Fprintf(&b, "--%s%s\n", f.Name, long)
		if f.Shorthand != "" {
			fmt.Fprintf(&b, "-%s%s\n", f.Shorthand, short)
		}
	})
	_, err := io.WriteString(w, b.String())
	return err
}

// groups are where the commands stand in the help text, by the first of each.
var groups = []struct{ first, title string }{
	{"init", "Database"}, {"add-br", "Bridges"}, {"list-ports", "Ports"}, {"list-ifaces", "Interfaces"},
	{"add-zone-tp", "Conntrack time-out policies and datapaths"}, {"get-controller", "Controllers"},
	{"get-manager", "Managers"}, {"get-ssl", "TLS"}, {"add-aa-mapping", "Auto attach"}, {"comment", "Records of any table"},
}

// Manual describes the program.
func Manual() *manual.Program {
	fs := pflag.NewFlagSet(program, pflag.ContinueOnError)
	new(options).flags(fs)
	p := &manual.Program{
		Name: program, Section: 8, Summary: "ovs-vswitchd management utility",
		Usage: []string{"[OPTIONS] COMMAND [ARG...] [-- [OPTIONS] COMMAND [ARG...]]..."},
		Text: []string{
			"It queries and changes the configuration of ovs-vswitchd in the database, several commands in one transaction. It returns when ovs-vswitchd has taken the change in, unless --no-wait is given.",
			"With --dry-run nothing is changed; with --plan beside it, the running ovs-vswitchd tells the steps that it would take.",
		},
		Flags: fs, Chain: true, Values: values,
	}
	for _, v := range verbs() {
		if g := len(p.Groups); g < len(groups) && groups[g].first == v.name {
			p.Groups = append(p.Groups, manual.Group{Title: groups[g].title})
		}
		g := &p.Groups[len(p.Groups)-1]
		g.Verbs = append(g.Verbs, manual.Verb{Name: v.name, Args: arguments(v), Options: optionNames(v), Text: v.text})
	}
	p.Parts = []manual.Part{
		{Title: "Records are named by their UUIDs, or the first digits, and", Text: specialNames(), Help: true},
		{Title: "Exit status", Text: []string{"0: success. 1: a wrong command line, a failed transaction, no connection. 2: br-exists found no bridge. A time-out ends it by SIGALRM."}},
		{Title: "Environment", Text: []string{"OVS_RUNDIR: where db.sock is. OVS_CTL_TIMEOUT: seconds that --timeout gives otherwise."}},
		{Title: "See also", Text: []string{"ovsdb-client(1), ovs-vswitchd(8), ovsdb-server(1)"}},
	}
	return p
}

func specialNames() (lines []string) {
	for _, t := range knownNames().tables {
		switch s := specials(t); {
		case s.name != "":
			lines = append(lines, fmt.Sprintf("%-26s by its %q", t, s.name))
		case s.from != "":
			lines = append(lines, fmt.Sprintf("%-26s by the name of the %s whose %q it is", t, s.from, s.via))
		case s.only:
			lines = append(lines, fmt.Sprintf("%-26s as \".\"", t))
		}
	}
	return lines
}

// arguments are those of a command: ! marks one that must be there, ? one that
// may, + one or more, * any number.
func arguments(v *verb) (names []string) {
	for _, a := range strings.Fields(v.args) {
		mark, a := a[0], strings.NewReplacer("?:KEY=VALUE", "[:KEY]=VALUE", "?:KEY", "[:KEY]", "?KEY=", "[KEY=]").Replace(a[1:])
		switch mark {
		case '?':
			a = "[" + a + "]"
		case '*':
			a = "[" + a + "]..."
		case '+':
			a += "..."
		}
		names = append(names, a)
	}
	return names
}

func optionNames(v *verb) (names []string) {
	for _, o := range strings.Fields(v.options) {
		if strings.HasSuffix(o, "=") {
			o += "VALUE"
		}
		names = append(names, o)
	}
	return names
}

// values are what the database has for an argument.
func values(name string, before []string) []string {
	ask := func(args ...string) []string {
		var out bytes.Buffer
		if Main(append([]string{program, "--timeout=2", "--no-wait", "-vconsole:off"}, args...), &out, io.Discard) != ExitOK {
			return nil
		}
		return strings.Fields(out.String())
	}
	switch name {
	case "TABLE":
		return knownNames().tables
	case "BRIDGE", "PARENT":
		return ask("list-br")
	case "PORT", "BOND", "IFACE":
		table := "Port"
		if name == "IFACE" {
			table = "Interface"
		}
		return ask("--bare", "--columns=name", "list", table)
	case "RECORD":
		if len(before) > 1 {
			if s := specials(before[1]); s.name != "" {
				return ask("--bare", "--columns="+s.name, "list", before[1])
			} else if s.only {
				return []string{"."}
			}
		}
	case "MODE":
		return []string{"standalone", "secure"}
	}
	return nil
}
