package dbtool

import (
	"fmt"

	"github.com/spf13/pflag"

	"govs/internal/manual"
)

// Manual describes the program.
func Manual() *manual.Program { return page(New().Flags()) }

func page(fs *pflag.FlagSet) *manual.Program {
	args := func(a ...string) []string { return a }
	return &manual.Program{
		Name: program, Section: 1, Summary: "Open vSwitch database management utility",
		Usage: []string{"[OPTIONS] COMMAND [ARG...]"},
		Text:  []string{"It makes, inspects and changes database files that no server has open: bbolt files, and the C server's log files."},
		Groups: []manual.Group{
			{Title: "Databases", Verbs: []manual.Verb{
				{Name: "create", Args: args("[DB", "[SCHEMA]]"), Text: "make a new database file with no rows"},
				{Name: "convert", Args: args("[DB", "[SCHEMA", "[DST]]]"), Text: "bring DB to another schema"},
				{Name: "needs-conversion", Args: args("[DB", "[SCHEMA]]"), Text: "print whether the two differ"},
				{Name: "compact", Args: args("[DB", "[DST]]"), Text: "write DB without what is no longer needed"},
				{Name: "query", Args: args("[DB]", "TRNS"), Text: "execute a transaction, without keeping its changes"},
				{Name: "transact", Args: args("[DB]", "TRNS"), Text: "execute a transaction"},
				{Name: "show-log", Args: args("[DB]"), Text: "print the records of DB"},
				{Name: "import", Args: args("SRC", "DB"), Text: "make a bbolt database of SRC, the C server's say"},
				{Name: "export", Args: args("DB", "DST"), Text: "make a file for the C server of DB"},
			}},
			{Title: "Names and versions", Verbs: []manual.Verb{
				{Name: "db-name", Args: args("[DB]"), Text: "print the name of a database's schema"},
				{Name: "db-version", Args: args("[DB]"), Text: "print its version"},
				{Name: "db-cksum", Args: args("[DB]"), Text: "print its checksum"},
				{Name: "schema-name", Args: args("[SCHEMA]"), Text: "print the name of a schema file's schema"},
				{Name: "schema-version", Args: args("[SCHEMA]"), Text: "print its version"},
				{Name: "schema-cksum", Args: args("[SCHEMA]"), Text: "print its checksum"},
				{Name: "compare-versions", Args: args("A", "OP", "B"), Text: "exit with 0 where the relation holds, otherwise 2"},
				{Name: "db-is-standalone", Args: args("DB"), Text: "exit with 0 where it is, otherwise 2"},
				{Name: "db-is-clustered", Args: args("DB"), Text: "exit with 0 where it is, otherwise 2"},
			}},
		},
		Parts: []manual.Part{
			{Title: "Files", Help: true, Text: []string{
				"The default DB is " + defaultDB() + ".",
				"The default SCHEMA is " + defaultSchema() + ", or the one that is built in.",
			}},
			{Title: "Environment", Text: []string{"OVSDB_FORMAT: bolt or log, what create makes without --format. OVS_DBDIR, OVS_PKGDATADIR: where the default files are."}},
			{Title: "See also", Text: []string{"ovsdb-server(1), ovsdb-client(1)"}},
		},
		Flags: fs,
	}
}

// help prints what --help does.
func (t *tool) help([]string) error {
	_, err := fmt.Fprint(t.out, Manual().Help())
	return err
}

// listCommands prints the verbs with their arguments.
func (t *tool) listCommands([]string) error {
	fmt.Fprintln(t.out, "The available commands are:")
	for _, v := range verbs() {
		fmt.Fprintf(t.out, "  %-23s %s\n", v.name, v.usage)
	}
	return nil
}
