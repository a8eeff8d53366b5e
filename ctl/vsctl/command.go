package vsctl

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"govs/internal/table"
)

// verb is a command that ovs-vsctl has.
type verb struct {
	name        string
	least, most int    // arguments; most < 0: no limit
	args        string // for --commands
	options     string // "--x" flags, "--x=" with an argument, blank-separated
	text        string // what it does
	need        func(*fetch, *command) error
	run         func(*run, *command) error
}

func (v *verb) option(name string) (takes, ok bool) {
	for _, o := range strings.Fields(v.options) {
		if strings.TrimSuffix(o, "=") == name {
			return strings.HasSuffix(o, "="), true
		}
	}
	return false, false
}

// command is a verb with what the command line gives it, and its output.
type command struct {
	verb  *verb
	words []string          // options, name and arguments, as written
	args  []string          // the arguments
	opts  map[string]string // options with their values

	out   bytes.Buffer
	table *table.Table // printed in place of out
	made  *row         // the row whose final UUID is the output
}

func (c *command) has(option string) bool {
	_, ok := c.opts[option]
	return ok
}

func (c *command) printf(format string, args ...any) { fmt.Fprintf(&c.out, format, args...) }

// parseCommands takes the words behind the global options apart. first are the
// options of the first command that stand among those.
func parseCommands(words, first []string) ([]*command, error) {
	var commands []*command
	known := verbs()
	// Of the same option twice among them the last counts, as with getopt(3).
	for i := len(first) - 1; i >= 0; i-- {
		name, _, _ := strings.Cut(first[i], "=")
		same := func(o string) bool { n, _, _ := strings.Cut(o, "="); return n == name }
		if slices.ContainsFunc(first[i+1:], same) {
			first = slices.Delete(first, i, i+1)
		}
	}
	start := 0
	for i := 0; i <= len(words); i++ {
		if i < len(words) && words[i] != "--" {
			continue
		}
		if i > start {
			c, err := parseCommand(known, words[start:i], first)
			if err != nil {
				return nil, err
			}
			commands, first = append(commands, c), nil
		}
		start = i + 1
	}
	if commands == nil {
		return nil, errors.New("missing command name (use --help for help)")
	}
	return commands, nil
}

func parseCommand(known []*verb, words, first []string) (*command, error) {
	c := &command{opts: make(map[string]string)}
	words = append(append([]string(nil), first...), words...)
	c.words = words
	type option struct {
		name, value string
		attached    bool
	}
	var opts []option
	i := 0
	for ; i < len(words) && strings.HasPrefix(words[i], "-"); i++ {
		name, value, attached := strings.Cut(words[i], "=")
		if c.has(name) {
			return nil, fmt.Errorf("'%s' option specified multiple times", name)
		}
		c.opts[name] = value
		opts = append(opts, option{name, value, attached})
	}
	if i == len(words) {
		return nil, errors.New("missing command name (use --help for help)")
	}
	for _, v := range known {
		if v.name == words[i] {
			c.verb = v
		}
	}
	if c.verb == nil {
		return nil, fmt.Errorf("unknown command '%s'; use --help for help", words[i])
	}
	for _, o := range opts {
		takes, ok := c.verb.option(o.name)
		switch {
		case !ok:
			return nil, fmt.Errorf("'%s' command has no '%s' option", c.verb.name, o.name)
		case takes && !o.attached:
			return nil, fmt.Errorf("missing argument to '%s' option on '%s' command", o.name, c.verb.name)
		case !takes && o.attached:
			return nil, fmt.Errorf("'%s' option on '%s' does not accept an argument", o.name, c.verb.name)
		}
	}
	c.args = words[i+1:]
	return c, c.checkCount()
}

func (c *command) checkCount() error {
	n := len(c.args)
	if n < c.verb.least {
		return fmt.Errorf("'%s' command requires at least %d arguments", c.verb.name, c.verb.least)
	}
	if c.verb.most < 0 || n <= c.verb.most {
		return nil
	}
	hint := ""
	for _, a := range c.args {
		if strings.HasPrefix(a, "-") {
			hint = " (note that options must precede command names and follow a \"--\" argument)"
		}
	}
	return fmt.Errorf("'%s' command takes at most %d arguments%s", c.verb.name, c.verb.most, hint)
}

// readers are the commands that change nothing.
var readers = map[string]bool{
	"show": true, "list-br": true, "br-exists": true, "br-to-vlan": true, "br-to-parent": true, "br-get-external-id": true, "list-ports": true,
	"port-to-br": true, "list-ifaces": true, "iface-to-br": true, "list-zone-tp": true, "list-dp-cap": true, "get-controller": true, "get-fail-mode": true,
	"get-manager": true, "get-ssl": true, "get-aa-mapping": true, "comment": true, "get": true, "list": true, "find": true, "wait-until": true,
}

// verbs are all commands, in the order of ovs-vsctl(8).
func verbs() []*verb {
	return []*verb{
		{"init", 0, 0, "", "", "make the row of Open_vSwitch, where there is none", nil, runInit},
		{"show", 0, 0, "", "", "print an overview of the database", needShow, runShow},
		{"emer-reset", 0, 0, "", "", "take back what controllers and managers configured", needEmerReset, runEmerReset},

		{"add-br", 1, 3, "!NEW-BRIDGE ?PARENT ?NEW-VLAN", "--may-exist", "add a bridge, or a fake one on a VLAN of PARENT", needNames, runAddBr},
		{"del-br", 1, 1, "!BRIDGE", "--if-exists", "delete a bridge with all its ports", needTree, runDelBr},
		{"list-br", 0, 0, "", "--real --fake", "print the names of the bridges", needBridges, runListBr},
		{"br-exists", 1, 1, "!BRIDGE", "", "exit with status 2 where there is no such bridge", needFakes, runBrExists},
		{"br-to-vlan", 1, 1, "!BRIDGE", "", "print a fake bridge's VLAN, 0 for a real one", needFakes, runBrToVlan},
		{"br-to-parent", 1, 1, "!BRIDGE", "", "print the bridge that a fake bridge belongs to", needFakes, runBrToParent},
		{"br-set-external-id", 2, 3, "!BRIDGE !KEY ?VALUE", "", "set a pair of external-ids, or without VALUE remove it", needBrExternalID, runBrSetExternalID},
		{"br-get-external-id", 1, 2, "!BRIDGE ?KEY", "", "print the external-ids, or that of KEY", needBrExternalID, runBrGetExternalID},

		{"list-ports", 1, 1, "!BRIDGE", "", "print the names of a bridge's ports", needBridges, runListPorts},
		{"add-port", 2, -1, "!BRIDGE !NEW-PORT *COLUMN?:KEY=VALUE", "--may-exist", "add a port with an interface of the same name", needAddPort, runAddPort},
		{"add-bond", 4, -1, "!BRIDGE !BOND +IFACE *COLUMN?:KEY=VALUE", "--may-exist --fake-iface", "add a port that bundles interfaces", needAddPort, runAddBond},
		{"add-bond-iface", 2, 2, "!BOND !IFACE", "--may-exist", "add an interface to a bond", needAddPort, runAddBondIface},
		{"del-bond-iface", 1, 2, "?BOND !IFACE", "--if-exists", "take an interface out of a bond", needNames, runDelBondIface},
		{"del-port", 1, 2, "?BRIDGE !PORT|IFACE", "--if-exists --with-iface", "delete a port", needNames, runDelPort},
		{"port-to-br", 1, 1, "!PORT", "", "print the bridge that has a port", needNames, runPortToBr},

		{"list-ifaces", 1, 1, "!BRIDGE", "", "print the names of a bridge's interfaces", needTree, runListIfaces},
		{"iface-to-br", 1, 1, "!IFACE", "", "print the bridge that has an interface", needNames, runIfaceToBr},

		{"add-zone-tp", 3, -1, "", "--may-exist", "add a policy: DATAPATH zone=ZONE POLICY...", needZones, runAddZoneTP},
		{"del-zone-tp", 2, 2, "", "--if-exists", "delete one: DATAPATH zone=ZONE", needZones, runDelZoneTP},
		{"list-zone-tp", 1, 1, "", "", "print the policies of a DATAPATH", needZones, runListZoneTP},
		{"list-dp-cap", 1, 1, "", "", "print the capabilities of a DATAPATH", needDatapaths, runListDPCap},

		{"get-controller", 1, 1, "!BRIDGE", "", "print a bridge's controllers", needController, runGetController},
		{"del-controller", 1, 1, "!BRIDGE", "", "delete a bridge's controllers", needController, runDelController},
		{"set-controller", 1, -1, "!BRIDGE +TARGET", "--inactivity-probe=", "set a bridge's controllers", needController, runSetController},
		{"get-fail-mode", 1, 1, "!BRIDGE", "", "print what a bridge does without its controller", needFailMode, runGetFailMode},
		{"del-fail-mode", 1, 1, "!BRIDGE", "", "make that the default", needFailMode, runDelFailMode},
		{"set-fail-mode", 2, 2, "!BRIDGE !MODE", "", "set it, to standalone or secure", needFailMode, runSetFailMode},

		{"get-manager", 0, 0, "", "", "print the managers", needManager, runGetManager},
		{"del-manager", 0, 0, "", "", "delete the managers", needManager, runDelManager},
		{"set-manager", 1, -1, "+TARGET", "--inactivity-probe=", "set the managers", needManager, runSetManager},

		{"get-ssl", 0, 0, "", "", "print the TLS configuration", needSSL, runGetSSL},
		{"del-ssl", 0, 0, "", "", "delete it", needSSL, runDelSSL},
		{"set-ssl", 3, 3, "!PRIVATE-KEY !CERTIFICATE !CA-CERT", "--bootstrap", "set it", needSSL, runSetSSL},

		{"add-aa-mapping", 3, 3, "!BRIDGE !ARG !ARG", "", "map an I-SID to a VLAN", needAAMapping, runAddAAMapping},
		{"del-aa-mapping", 3, 3, "!BRIDGE !ARG !ARG", "", "delete a mapping", needAAMapping, runDelAAMapping},
		{"get-aa-mapping", 1, 1, "!BRIDGE", "", "print the mappings", needAAMapping, runGetAAMapping},

		{"comment", 0, -1, "*ARG", "", "log a remark with the transaction", nil, func(*run, *command) error { return nil }},
		{"get", 2, -1, "!TABLE !RECORD *COLUMN?:KEY", "--if-exists --id=", "print values of columns of a record", needGet, runGet},
		{"list", 1, -1, "!TABLE *RECORD", "--if-exists --columns=", "print records, all of the table or those that are named", needList, runList},
		{"find", 1, -1, "!TABLE *COLUMN?:KEY=VALUE", "--columns=", "print the records that meet all conditions", needFind, runFind},
		{"set", 3, -1, "!TABLE !RECORD +COLUMN?:KEY=VALUE", "--if-exists", "set columns of a record", needSet, runSet},
		{"add", 4, -1, "!TABLE !RECORD !COLUMN +?KEY=VALUE", "--if-exists", "add values or pairs to a column", needColumn, runAdd},
		{"remove", 4, -1, "!TABLE !RECORD !COLUMN +KEY|VALUE|KEY=VALUE", "--if-exists", "remove values or pairs from a column", needColumn, runRemove},
		{"clear", 3, -1, "!TABLE !RECORD +COLUMN", "--if-exists", "make columns empty", needClear, runClear},
		{"create", 2, -1, "!TABLE +COLUMN?:KEY=VALUE", "--id=", "make a record, and print its UUID", needCreate, runCreate},
		{"destroy", 1, -1, "!TABLE *RECORD", "--if-exists --all", "delete records", needDestroy, runDestroy},
		{"wait-until", 2, -1, "!TABLE !RECORD *COLUMN?:KEY=VALUE", "", "wait until a record meets all conditions", needWaitUntil, runWaitUntil},
	}
}
