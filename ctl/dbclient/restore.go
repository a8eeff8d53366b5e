package dbclient

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"strings"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/ovsdb/history"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
)

// restore replaces all rows of the database by those of a snapshot on standard
// input, in one transaction.
func (c *client) restore([]string) error {
	snap, err := readSnapshot(c.in)
	if err != nil {
		return err
	}
	have, err := c.schema()
	if err != nil {
		return err
	}
	want := snap.Schema()
	if !bytes.Equal(have.AppendJSON(nil), want.AppendJSON(nil)) {
		text := fmt.Sprintf("backup schema has version \"%s\" but database schema has version \"%s\"", want.Version, have.Version)
		if want.Version == have.Version {
			text = fmt.Sprintf("backup schema and database schema are both version %s but still differ", want.Version)
		}
		if !c.force {
			return errors.New(text + " (use --force to override differences, or \"ovsdb-client convert\" to change the schema)")
		}
		c.log.Info(text)
	}
	reply, err := c.call("transact", array(c.db, restoring(snap)...))
	if err != nil {
		return err
	}
	for r := range reply.Elems() {
		if r.Get("error").Kind() == json.String {
			return fmt.Errorf("server returned error reply: %s", r.AppendSorted(nil))
		}
	}
	return nil
}

// restoring makes the operations that delete everything and insert a snapshot.
// References between its rows become named UUIDs.
func restoring(snap *store.Snapshot) [][]byte {
	s := snap.Schema()
	var ops [][]byte
	for _, t := range s.Tables {
		ops = append(ops, append(json.AppendString([]byte(`{"op":"delete","where":[],"table":`), t.Name), '}'))
	}
	for _, t := range s.Tables {
		for row := range snap.Rows(t) {
			b := json.AppendString([]byte(`{"op":"insert","table":`), t.Name)
			b = json.AppendString(append(b, `,"uuid-name":`...), rowName(row.UUID))
			b = append(b, `,"row":{`...)
			comma := false
			for _, col := range t.Columns[schema.FirstColumn:] {
				if col.Ephemeral {
					continue
				}
				if comma {
					b = append(b, ',')
				}
				comma = true
				b = append(json.AppendString(b, col.Name), ':')
				b = appendNamed(b, snap, row.Get(col), &col.Type)
			}
			ops = append(ops, append(b, "}}"...))
		}
	}
	return ops
}

// rowName is the name of a row within the transaction.
func rowName(id atom.UUID) string { return "row" + strings.ReplaceAll(id.String(), "-", "_") }

// appendNamed appends a value's wire form, references as names.
func appendNamed(b []byte, snap *store.Snapshot, d data.Datum, t *schema.Type) []byte {
	if t.Key.RefTable == nil && t.Value.RefTable == nil {
		return d.AppendJSON(b, t)
	}
	one := func(b []byte, a atom.Atom, base *schema.BaseType) []byte {
		if base.RefTable != nil && snap.Row(base.RefTable, a.UUID()) != nil {
			return append(json.AppendString(append(b, `["named-uuid",`...), rowName(a.UUID())), ']')
		}
		return a.AppendJSON(b)
	}
	if t.Map() {
		b = append(b, `["map",[`...)
	} else {
		b = append(b, `["set",[`...)
	}
	for i := range d.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		if t.Map() {
			b = one(append(b, '['), d.Key(i), &t.Key)
			b = append(one(append(b, ','), d.Value(i), &t.Value), ']')
			continue
		}
		b = one(b, d.Key(i), &t.Key)
	}
	return append(b, "]]"...)
}

const stdin = "/dev/stdin"

// readSnapshot reads a file of the standalone format.
func readSnapshot(in io.Reader) (*store.Snapshot, error) {
	r := bufio.NewReader(in)
	var snap *store.Snapshot
	offset := 0
	for {
		body, n, err := readRecord(r, offset)
		switch {
		case err == io.EOF && snap == nil:
			return nil, dberr.New(dberr.OVSDBError, "%s: cannot identify file type", stdin)
		case err == io.EOF:
			return snap, nil
		case err != nil:
			return nil, err
		}
		offset += n
		if snap == nil {
			s, err := schema.Parse(body)
			if err != nil {
				return nil, err
			}
			snap = store.NewSnapshot(s)
			continue
		}
		d, err := history.Decode(snap, body)
		if err != nil {
			return nil, err
		}
		snap = snap.Apply(d)
	}
}

// readRecord reads a header line and the text that it announces, and returns how
// many bytes both take; io.EOF at the end of the file.
func readRecord(r *bufio.Reader, offset int) (body []byte, n int, err error) {
	header, err := r.ReadString('\n')
	if err == io.EOF && header == "" {
		return nil, 0, io.EOF
	}
	var size int
	var sum []byte
	if _, bad := fmt.Sscanf(header, "OVSDB JSON %d %x\n", &size, &sum); bad != nil || err != nil || size < 0 {
		if offset == 0 {
			return nil, 0, dberr.New(dberr.OVSDBError, "%s: unexpected file format", stdin)
		}
		return nil, 0, dberr.New(dberr.SyntaxError, "%s: parse error at offset %d in header line \"%s\"", stdin, offset, strings.TrimSuffix(header, "\n"))
	}
	start := offset + len(header)
	body, err = io.ReadAll(io.LimitReader(r, int64(size)))
	if err == nil && len(body) < size {
		err = errors.New("End of file") //nolint: as C has it
	}
	if err != nil {
		return nil, 0, dberr.New(dberr.IOError, "%s: error reading %d bytes starting at offset %d (%v)", stdin, size, start, err)
	}
	if have := sha1.Sum(body); !bytes.Equal(have[:], sum) {
		return nil, 0, dberr.New(dberr.SyntaxError, "%s: %d bytes starting at offset %d have SHA-1 hash %x but should have hash %x", stdin, size, start, have, sum)
	}
	return body, len(header) + size, nil
}
