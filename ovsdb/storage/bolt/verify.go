package bolt

import (
	"bytes"
	"encoding/binary"

	"go.etcd.io/bbolt"
)

// headOf is what the value of keyHead holds beside its checksum.
func headOf(id []byte, first uint64) []byte {
	return binary.BigEndian.AppendUint64(bytes.Clone(id), first)
}

// verify checks what a file keeps, before anything is written to it: a damaged
// one is left as it is. Of records their checksums are looked at, and that their
// numbers follow one another: by a wrong one, or by a wrong id, the write-ahead
// log would count as an old one, and be lost.
func verify(tx *bbolt.Tx) error {
	m := tx.Bucket(bucketMeta)
	if _, ok := bySum(m.Get(keySchema)); !ok {
		return damaged("the schema's checksum is wrong")
	}
	c := tx.Bucket(bucketLog).Cursor()
	k, v := c.First()
	b, ok := bySum(m.Get(keyHead))
	if !ok || len(b) != len(m.Get(keyID))+8 {
		return damaged("the checksum of the database's id is wrong")
	}
	if !bytes.HasPrefix(b, m.Get(keyID)) {
		return damaged("the database's id is wrong: its checksum tells")
	}
	if first := b[len(b)-8:]; k != nil && !bytes.Equal(k, first) {
		return damaged("record %x is the first one, where record %x should be", k, first)
	}
	for next := uint64(0); k != nil; k, v = c.Next() {
		if len(k) != 8 {
			return damaged("a record's number has %d bytes", len(k))
		}
		seq := binary.BigEndian.Uint64(k)
		if next != 0 && seq != next {
			return damaged("record %d is followed by record %d", next-1, seq)
		}
		if _, ok := bySum(v); !ok {
			return damaged("the checksum of record %d is wrong", seq)
		}
		next = seq + 1
	}
	return nil
}
