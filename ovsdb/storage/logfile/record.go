package logfile

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the format's checksum, no secret
	"errors"
	"strconv"

	"govs/internal/json"
	"govs/ovsdb/storage"
	"govs/schema/atom"
)

// A record's members that are of the format, not of a table.
const (
	memberDate    = "_date"
	memberComment = "_comment"
	memberDiff    = "_is_diff"
)

const (
	ownHead  = `{"` + memberDate + `":"`    // what our records begin with, then the id
	ownDate  = `","` + memberDate + `":`    // then the time
	ownNote  = `,"` + memberComment + `":`  // then the comment
	diffTrue = `{"` + memberDiff + `":true` // a body whose columns are differences
	uuidLen  = 36
	secondsB = 1 << 32 // dates below are seconds: ovsdb(5)
)

var errBody = errors.New("a record's body is not a JSON object")

// appendData appends a record's data: one line.
func appendData(b []byte, r storage.Record) ([]byte, error) {
	body := bytes.TrimSpace(r.Body)
	if len(body) < 2 || body[0] != '{' || body[len(body)-1] != '}' {
		return nil, errBody
	}
	b = append(b, '{')
	if r.ID != (atom.UUID{}) {
		b = append(b, ownHead[1:]...)
		b = atom.UUID(r.ID).Append(b)
		b = append(b, '"', ',')
	}
	b = append(b, `"`+memberDate+`":`...)
	b = strconv.AppendInt(b, r.Time, 10)
	if r.Note != "" {
		b = append(b, ownNote...)
		b = json.AppendString(b, r.Note)
	}
	if inner := bytes.TrimSpace(body[1 : len(body)-1]); len(inner) > 0 {
		b = append(b, ',')
		b = append(b, inner...)
	}
	return append(b, '}', '\n'), nil
}

// parseData reads a record's data. Those that have no id get one that depends
// on the record before and on the checksum: a file that is read again gives the
// same ids, and one that the C server rewrote does not.
func parseData(data []byte, sum [sha1.Size]byte, before atom.UUID) (storage.Record, error) {
	r, ok, err := parseOwn(data)
	if !ok && err == nil {
		r, err = parseAny(data)
	}
	if err != nil {
		return storage.Record{}, err
	}
	if r.ID == (atom.UUID{}) {
		h := sha1.Sum(append(before[:], sum[:]...))
		id := atom.UUID(h[:16])
		id[6], id[8] = id[6]&0x0f|0x50, id[8]&0x3f|0x80
		r.ID = id
	}
	return r, nil
}

// parseOwn reads a record that this package wrote, without a look at the tables.
// The body is part of data, which it changes.
func parseOwn(data []byte) (r storage.Record, ok bool, err error) {
	rest, ok := bytes.CutPrefix(data, []byte(ownHead))
	if !ok || len(rest) < uuidLen {
		return r, false, nil
	}
	id, ok := atom.Parse(string(rest[:uuidLen]))
	if !ok {
		return r, false, nil
	}
	rest, ok = bytes.CutPrefix(rest[uuidLen:], []byte(ownDate))
	if !ok {
		return r, false, nil
	}
	n := bytes.IndexAny(rest, ",}")
	if n < 0 {
		return r, false, nil
	}
	date, err := strconv.ParseInt(string(rest[:n]), 10, 64)
	if err != nil {
		return r, false, nil //nolint:nilerr // it is read as any record then
	}
	r.ID, r.Time = id, date
	rest = rest[n:]
	if note, ok := bytes.CutPrefix(rest, []byte(ownNote)); ok {
		var doc json.Doc
		v, end, err := doc.ParseNext(note, 0)
		if err != nil || v.Kind() != json.String {
			return r, false, nil //nolint:nilerr // the same
		}
		r.Note = v.Str()
		rest = note[end:]
	}
	rest = bytes.TrimRight(rest, "\n")
	switch {
	case string(rest) == "}":
		r.Body = []byte("{}")
	case len(rest) > 1 && rest[0] == ',' && rest[len(rest)-1] == '}':
		rest[0] = '{'
		r.Body = rest
	default:
		return r, false, nil
	}
	return r, true, nil
}

// parseAny reads a record's data: the members of the format out of the object,
// and the rest as the body, with _is_diff, where it stands, first.
func parseAny(data []byte) (storage.Record, error) {
	var r storage.Record
	var date, note []byte
	diff, ours := false, false
	body := []byte{'{'}
	err := members(data, func(name string, text, value []byte) error {
		switch name {
		case memberDate:
			ours = ours || len(value) > 0 && value[0] == '"'
			date = value
		case memberComment:
			note = value
		case memberDiff:
			diff = string(value) == "true"
		default:
			if len(body) > 1 {
				body = append(body, ',')
			}
			body = append(body, text...)
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	if date != nil {
		v, err := json.Parse(date)
		if err != nil {
			return r, err
		}
		n, ok := v.Int()
		if !ok {
			return r, errors.New("parsing database file transaction: _date is not an integer")
		}
		if n < secondsB && !ours {
			n *= 1000
		}
		r.Time = n
	}
	if note != nil {
		v, err := json.Parse(note)
		if err != nil {
			return r, err
		}
		if v.Kind() != json.String {
			return r, errors.New("parsing database file transaction: _comment is not a string")
		}
		r.Note = v.Str()
	}
	if diff {
		head := []byte(diffTrue)
		if len(body) > 1 {
			head = append(head, ',')
		}
		body = append(head, body[1:]...)
	}
	r.Body = append(body, '}')
	return r, nil
}

// members calls f with the members of an object: the name, the text of name and
// value, and the value's. Values are not parsed, brackets and strings are
// followed only.
func members(data []byte, f func(name string, text, value []byte) error) error {
	at := blanks(data, 0)
	if at >= len(data) || data[at] != '{' {
		return errors.New("object expected")
	}
	at = blanks(data, at+1)
	for first := true; ; first = false {
		if at < len(data) && data[at] == '}' {
			break
		}
		if !first {
			if at >= len(data) || data[at] != ',' {
				return errors.New("syntax error expecting '}' or ','")
			}
			at = blanks(data, at+1)
		}
		start := at
		var doc json.Doc
		v, end, err := doc.ParseNext(data, at)
		if err != nil {
			return err
		}
		if v.Kind() != json.String {
			return errors.New("syntax error parsing object expecting string")
		}
		name := v.Str()
		if at = blanks(data, end); at >= len(data) || data[at] != ':' {
			return errors.New("syntax error parsing object expecting ':'")
		}
		at = blanks(data, at+1)
		var fr json.Framer
		n, done := fr.Scan(data[at:])
		if !done || n == 0 {
			return errors.New("unexpected end of input")
		}
		if err := f(name, data[start:at+n], data[at:at+n]); err != nil {
			return err
		}
		at = blanks(data, at+n)
	}
	if blanks(data, at+1) < len(data) {
		return errors.New("trailing garbage at end of input")
	}
	return nil
}

func blanks(b []byte, at int) int {
	for at < len(b) && (b[at] == ' ' || b[at] == '\t' || b[at] == '\n' || b[at] == '\r') {
		at++
	}
	return at
}
