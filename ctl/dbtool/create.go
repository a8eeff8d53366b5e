package dbtool

import "govs/ovsdb/storage/file"

// create makes a database file with a schema and no rows, of the format that
// --format or the environment asks for.
func (t *tool) create(args []string) error {
	f, err := file.Default()
	if t.format != "" {
		f, err = file.Parse(t.format)
	}
	if err != nil {
		return err
	}
	s, err := schemaArg(args, 1)
	if err != nil {
		return err
	}
	return file.CreateAs(arg(args, 0, defaultDB()), f, s.AppendJSON(nil))
}
