package dbclient

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"govs/internal/daemon"
	"govs/internal/manual"
)

// Manual describes the program.
func Manual() *manual.Program { return page(New().Flags()) }

func page(fs *pflag.FlagSet) *manual.Program {
	server, both := []string{"[SERVER]"}, []string{"[SERVER]", "[DATABASE]"}
	with := func(list []string, more ...string) []string { return append(append([]string(nil), list...), more...) }
	return &manual.Program{
		Name: program, Section: 1, Summary: "Open vSwitch database JSON-RPC client",
		Usage: []string{"[OPTIONS] COMMAND [ARG...]"},
		Text: []string{
			"It talks OVSDB (RFC 7047) to a database server: queries and transactions, schemas, changes as they happen, backups and locks.",
		},
		Groups: []manual.Group{
			{Title: "Server", Verbs: []manual.Verb{
				{Name: "list-dbs", Args: server, Text: "print the names of the databases"},
				{Name: "wait", Args: with(server, "DATABASE", "STATE"), Text: "wait until DATABASE is added, connected or removed"},
			}},
			{Title: "Schema", Verbs: []manual.Verb{
				{Name: "get-schema", Args: both, Text: "print the schema, as JSON"},
				{Name: "get-schema-version", Args: both, Text: "print its version"},
				{Name: "get-schema-cksum", Args: both, Text: "print its checksum"},
				{Name: "list-tables", Args: both, Text: "print the names of the tables"},
				{Name: "list-columns", Args: with(both, "[TABLE]"), Text: "print names and types of the columns"},
				{Name: "convert", Args: with(server, "SCHEMA"), Text: "convert the database that the file SCHEMA names to it"},
				{Name: "needs-conversion", Args: with(server, "SCHEMA"), Text: "print whether that would change something"},
			}},
			{Title: "Data", Verbs: []manual.Verb{
				{Name: "transact", Args: with(server, "TRANSACTION"), Text: "execute a transaction and print the reply"},
				{Name: "query", Args: with(server, "TRANSACTION"), Text: "do the same, without keeping its changes"},
				{Name: "dump", Args: with(both, "[TABLE", "[COLUMN]...]"), Text: "print rows"},
				{Name: "backup", Args: with(both, ">", "SNAPSHOT"), Text: "print the database as a file"},
				{Name: "restore", Options: []string{"--force"}, Args: with(both, "<", "SNAPSHOT"), Text: "replace the rows by those of a file"},
			}},
			{Title: "Changes (among the COLUMNs, !initial, !insert, !delete and !modify leave some out)", Verbs: []manual.Verb{
				{Name: "monitor", Args: with(both, "TABLE", "[COLUMN,...]..."), Text: "print rows and what becomes of them; TABLE may be ALL"},
				{Name: "monitor-cond", Args: with(both, "CONDITION", "TABLE", "[COLUMN,...]"), Text: "the same for rows that meet CONDITION"},
				{Name: "monitor-cond-since", Args: with(both, "[LASTID]", "CONDITION", "TABLE", "[COLUMN,...]"), Text: "the same from transaction LASTID on"},
			}},
			{Title: "Locks", Verbs: []manual.Verb{
				{Name: "lock", Args: with(server, "LOCK"), Text: "ask for a lock"},
				{Name: "steal", Args: with(server, "LOCK"), Text: "take it"},
				{Name: "unlock", Args: with(server, "LOCK"), Text: "give it back"},
			}},
		},
		Parts: []manual.Part{
			{Title: "Servers and databases", Help: true, Text: []string{
				"The default SERVER is unix:" + daemon.RunDir() + "/db.sock, the default DATABASE is " + defaultDB + ".",
				"SERVER is unix:FILE, tcp:HOST:PORT or ssl:HOST:PORT, several of them separated by commas,",
				"or punix:FILE, ptcp:PORT[:IP] or pssl:PORT[:IP] to be connected to.",
				"--detach and the other options of daemons go with monitor.., lock and steal only.",
			}},
			{Title: "See also", Text: []string{"ovsdb-server(1), ovs-vsctl(8), ovsdb-tool(1)"}},
		},
		Flags: fs, Values: values,
	}
}

// values asks the default server for databases and tables.
func values(name string, before []string) []string {
	ask := func(args ...string) []string {
		cmd := New()
		var out bytes.Buffer
		if daemon.Execute(cmd, append([]string{program, "--timeout=2", "-vconsole:off", "-f", "csv", "--no-headings"}, args...), &out, io.Discard) != 0 {
			return nil
		}
		return strings.Fields(out.String())
	}
	switch name {
	case "DATABASE":
		return ask("list-dbs")
	case "TABLE":
		for _, db := range before[1:] {
			if !strings.Contains(db, ":") {
				return ask("list-tables", db)
			}
		}
		return ask("list-tables")
	case "STATE":
		return []string{"added", "connected", "removed"}
	}
	return nil
}

// help prints what --help does.
func (c *client) help([]string) error {
	_, err := fmt.Fprint(c.out, Manual().Help())
	return err
}
