package dbclient

import (
	"crypto/sha1"
	"fmt"
	"strconv"
	"time"

	"govs/internal/json"
	"govs/schema"
)

// backup prints the database as a file of the C server's standalone format: a
// record with the schema and one with all rows, each behind a line with its length
// and checksum.
func (c *client) backup([]string) error {
	s, err := c.schema()
	if err != nil {
		return err
	}
	if err := c.record(s.AppendJSON(nil)); err != nil {
		return err
	}
	var ops [][]byte
	for _, t := range s.Tables {
		b := json.AppendString([]byte(`{"op":"select","where":[],"table":`), t.Name)
		b = append(b, `,"columns":["_uuid"`...)
		for _, col := range t.Columns[schema.FirstColumn:] {
			if !col.Ephemeral {
				b = json.AppendString(append(b, ','), col.Name)
			}
		}
		ops = append(ops, append(b, "]}"...))
	}
	reply, err := c.call("transact", array(c.db, ops...))
	if err != nil {
		return err
	}
	b := strconv.AppendInt([]byte(`{"_date":`), time.Now().UnixMilli(), 10)
	b = append(b, `,"_comment":"produced by \"ovsdb-client backup\"","_is_diff":true`...)
	i := 0
	for r := range reply.Elems() {
		if i == len(s.Tables) {
			break
		}
		name := s.Tables[i].Name
		i++
		rows := r.Get("rows")
		switch {
		case rows.Kind() != json.Array:
			return fmt.Errorf("%s table reply is not an object with a \"rows\" member array: %s", name, appendHashed(nil, r))
		case rows.Len() == 0:
			continue
		}
		b = append(json.AppendString(append(b, ','), name), ":{"...)
		first := true
		for row := range rows.Elems() {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(json.AppendString(b, row.Get("_uuid").At(1).Str()), ":{"...)
			comma := false
			for col, v := range row.Members() {
				if col.Is("_uuid") {
					continue
				}
				if comma {
					b = append(b, ',')
				}
				comma = true
				b = append(append(append(b, col.Raw()...), ':'), v.Raw()...)
			}
			b = append(b, '}')
		}
		b = append(b, '}')
	}
	return c.record(append(b, '}'))
}

// record prints one record of the file.
func (c *client) record(text []byte) error {
	v, err := json.Parse(text)
	if err != nil {
		return err
	}
	body := append(appendHashed(nil, v), '\n')
	_, err = fmt.Fprintf(c.out, "OVSDB JSON %d %x\n%s", len(body), sha1.Sum(body), body)
	return err
}
