package dbtool

import (
	"time"

	"govs/internal/daemon"
	"govs/ovsdb/history"
	"govs/ovsdb/storage"
	"govs/ovsdb/store"
)

// compact writes a database without what is no longer needed, in place or as
// a new file.
func (t *tool) compact(args []string) error {
	name := arg(args, 0, defaultDB())
	open := openWrite
	if len(args) > 1 {
		open = openRead
	}
	e, err := open(name)
	if err != nil {
		t.explain(name, err)
		return err
	}
	defer e.Close()
	text, err := e.Schema()
	if err != nil {
		return err
	}
	snap, last, err := load(e)
	if err != nil {
		return err
	}
	if len(args) > 1 {
		if e, err = createLike(name, args[1], text); err != nil {
			return err
		}
		defer e.Close()
	}
	return e.Compact(nil, storage.Record{
		ID: last, Time: time.Now().UnixMilli(), Note: "compacted by ovsdb-tool " + daemon.Version, Body: history.EncodeWhole(snap),
	}, 0)
}

// load reads a database into memory, and the id of its last transaction.
func load(e storage.Engine) (*store.Snapshot, [16]byte, error) {
	var last [16]byte
	s, err := schemaOf(e)
	if err != nil {
		return nil, last, err
	}
	snap := store.NewSnapshot(s)
	for rec, err := range e.Load() {
		if err != nil {
			return nil, last, err
		}
		d, err := history.Decode(snap, rec.Body)
		if err != nil {
			return nil, last, err
		}
		snap, last = snap.Apply(d), rec.ID
	}
	return snap, last, nil
}
