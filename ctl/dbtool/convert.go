package dbtool

import (
	"time"

	"govs/internal/daemon"
	"govs/ovsdb/history"
	"govs/ovsdb/storage"
	"govs/ovsdb/txn"
	"govs/schema/atom"
)

// convert brings a database to another schema, in place or as a new file.
func (t *tool) convert(args []string) error {
	name := arg(args, 0, defaultDB())
	open := openWrite
	if len(args) > 2 {
		open = openRead
	}
	e, err := open(name)
	if err != nil {
		t.explain(name, err)
		return err
	}
	defer e.Close()
	to, err := schemaArg(args, 1)
	if err != nil {
		return err
	}
	snap, _, err := load(e)
	if err != nil {
		return err
	}
	next, derr := txn.Convert(snap, to)
	if derr != nil {
		return derr
	}
	text := to.AppendJSON(nil)
	if len(args) > 2 {
		if e, err = createLike(name, args[2], text); err != nil {
			return err
		}
		defer e.Close()
	}
	return e.Compact(text, storage.Record{
		ID: atom.New(), Time: time.Now().UnixMilli(), Note: "converted by ovsdb-tool " + daemon.Version, Body: history.EncodeWhole(next),
	}, 0)
}
