package bolt

import (
	"encoding/binary"
	"hash/crc32"

	"govs/ovsdb/storage"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// withSum puts a checksum before b.
func withSum(b []byte) []byte {
	out := make([]byte, 4, 4+len(b))
	binary.BigEndian.PutUint32(out, crc32.Checksum(b, castagnoli))
	return append(out, b...)
}

func bySum(b []byte) ([]byte, bool) {
	if len(b) < 4 || binary.BigEndian.Uint32(b) != crc32.Checksum(b[4:], castagnoli) {
		return nil, false
	}
	return b[4:], true
}

// encode makes a value of a record.
func encode(r *storage.Record) []byte {
	return appendRecord(make([]byte, 0, encodedLen(r)), r)
}

func encodedLen(r *storage.Record) int { return 4 + 16 + 8 + 4 + len(r.Note) + len(r.Body) }

// appendRecord appends a record's value: checksum, id, time, length of the note,
// note, body.
func appendRecord(b []byte, r *storage.Record) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = append(b, r.ID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Time))
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Note)))
	b = append(b, r.Note...)
	b = append(b, r.Body...)
	binary.BigEndian.PutUint32(b[at:], crc32.Checksum(b[at+4:], castagnoli))
	return b
}

// entries makes the values of records.
func entries(recs []storage.Record) []entry {
	out := make([]entry, len(recs))
	for i := range recs {
		out[i] = entry{recs[i].Seq, encode(&recs[i])}
	}
	return out
}

// decode copies a record out of its value.
func decode(v []byte) (storage.Record, bool) {
	var r storage.Record
	b, ok := bySum(v)
	if !ok || len(b) < 28 {
		return r, false
	}
	copy(r.ID[:], b)
	r.Time = int64(binary.BigEndian.Uint64(b[16:]))
	n := binary.BigEndian.Uint32(b[24:])
	if b = b[28:]; uint64(n) > uint64(len(b)) {
		return r, false
	}
	r.Note = string(b[:n])
	r.Body = append([]byte(nil), b[n:]...)
	return r, true
}
