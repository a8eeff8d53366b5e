package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"govs/ovsdb/storage"
	"govs/ovsdb/storage/disk"
)

// The write-ahead log stands in NAME.wal beside the database. An Append is one
// frame in it, written with one system call: that survives the end of the
// process, and with fdatasync a power cut. A checkpoint in the background commits
// what the log holds to bbolt, while Append goes on behind it; when nothing was
// appended meanwhile, the log starts over from its beginning. What is overwritten
// there has its blocks already, so that a flush need not write the file system's
// journal; for the same end the log grows by zeros ahead of durable records.
//
// A frame is: length of the rest behind the checksum (4 bytes), checksum over
// the database's id and the rest (4), number of the first record (8), and for
// each record its length (4) and its bytes. Frames count from offset 0 as long
// as their checksums are right and their numbers follow one another; so what
// an earlier round left behind the last one does not count.
const (
	frameHead = 8

	checkpointBytes = 4 << 20                // of records after which a checkpoint is due
	checkpointAfter = 500 * time.Millisecond // since the first record that is not in bbolt
	logBytes        = 64 << 20               // of the log after which Append waits for one
	growBy          = 1 << 20
)

// entry is a record that is not yet in bbolt, as its value there.
type entry struct {
	seq   uint64
	value []byte
}

// sum is a frame's checksum.
func sum(id, rest []byte) uint32 {
	return crc32.Update(crc32.Checksum(id, castagnoli), castagnoli, rest)
}

// frame makes the frame of a batch whose first record has number seq, and the
// entries of its records, which share its memory.
func frame(id []byte, seq uint64, recs []storage.Record) ([]byte, []entry) {
	n := frameHead + 8
	for i := range recs {
		n += 4 + encodedLen(&recs[i])
	}
	b := make([]byte, frameHead, n)
	b = binary.BigEndian.AppendUint64(b, seq)
	entries := make([]entry, len(recs))
	for i := range recs {
		b = binary.BigEndian.AppendUint32(b, uint32(encodedLen(&recs[i])))
		at := len(b)
		b = appendRecord(b, &recs[i])
		entries[i] = entry{seq + uint64(i), b[at:len(b):len(b)]}
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-frameHead))
	binary.BigEndian.PutUint32(b[4:], sum(id, b[frameHead:]))
	return b, entries
}

// parseFrame looks at what may be a frame at the beginning of b: its length, the
// number of its first record and its records' bytes; ok is false where it is
// no frame, or not a whole one.
func parseFrame(b, id []byte) (n int, seq uint64, body []byte, ok bool) {
	if len(b) < frameHead+8 {
		return 0, 0, nil, false
	}
	size := uint64(binary.BigEndian.Uint32(b))
	if size < 8 || size > uint64(len(b)-frameHead) {
		return 0, 0, nil, false
	}
	rest := b[frameHead : frameHead+size]
	if binary.BigEndian.Uint32(b[4:]) != sum(id, rest) {
		return 0, 0, nil, false
	}
	return frameHead + len(rest), binary.BigEndian.Uint64(rest), rest[8:], true
}

// replay returns the records of a log behind number last, and where its last
// frame ends. torn tells that another one was begun there. Where a later frame
// stands behind one that is damaged, it is an error: acknowledged records would
// be lost in silence.
func replay(f io.Reader, id []byte, last uint64) (recs []storage.Record, end int, torn bool, err error) {
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, 0, false, err
	}
	next := last + 1
	for first := true; ; first = false {
		n, seq, body, ok := parseFrame(b[end:], id)
		if !ok || seq != next && !(first && seq < next) {
			break
		}
		at := end
		for end += n; len(body) >= 4; seq++ {
			n := uint64(binary.BigEndian.Uint32(body))
			if n > uint64(len(body)-4) {
				return nil, at, false, damaged("the write-ahead log has a bad frame at offset %d", at)
			}
			r, ok := decode(body[4 : 4+n])
			if !ok {
				return nil, at, false, damaged("the write-ahead log has a bad record in the frame at offset %d", at)
			}
			if r.Seq = seq; seq > last {
				recs = append(recs, r)
			}
			body = body[4+n:]
		}
		next = seq
	}
	// What the round before left has lower numbers, so a frame with a higher one
	// tells that this round goes on behind the damage.
	least := max(next, last+1)
	for at := end; at+frameHead+8 <= len(b); at++ {
		if seq := binary.BigEndian.Uint64(b[at+frameHead:]); seq < least || seq-least > 1<<32 {
			continue
		}
		if _, seq, _, ok := parseFrame(b[at:], id); ok {
			return nil, end, false, damaged("the write-ahead log is damaged at offset %d: record %d is expected there, and record %d follows at offset %d", end, least, seq, at)
		}
	}
	if tail := b[end:]; bytes.Count(tail[:min(4, len(tail))], []byte{0}) < min(4, len(tail)) {
		torn = len(tail) < frameHead+8 || binary.BigEndian.Uint64(tail[frameHead:]) == next
	}
	return recs, end, torn, nil
}

// openLog opens the log, and commits what it holds from before.
func (e *Engine) openLog() error {
	_, err := os.Stat(e.file + ".wal")
	created := errors.Is(err, fs.ErrNotExist)
	if e.wal, err = os.OpenFile(e.file+".wal", os.O_RDWR|os.O_CREATE, fileMode); err != nil {
		return err
	}
	if created {
		if err := disk.SyncDir(e.file); err != nil {
			return err
		}
	}
	recs, end, torn, err := replay(e.wal, e.id, e.last)
	if torn {
		e.warnings = append(e.warnings, fmt.Sprintf("%s.wal: the last record, at offset %d, was not written to its end and is dropped", e.path, end))
	}
	if st, serr := e.wal.Stat(); serr == nil {
		e.room = st.Size()
	}
	if err == nil && len(recs) > 0 {
		e.last = recs[len(recs)-1].Seq
		rest := entries(recs)
		if err = e.commit(e.db, rest); err != nil && !errors.Is(err, storage.ErrCorrupt) {
			// There is no room, say: the log has it all until there is.
			e.pending, e.end, err = rest, int64(end), nil
			e.timer = time.AfterFunc(checkpointAfter, e.later)
		}
	}
	if err != nil {
		e.wal.Close()
	}
	return err
}

// write puts a batch at the end of the log. Its first record has number seq.
func (e *Engine) write(seq uint64, recs []storage.Record, durable bool) error {
	if durable && e.nameless {
		if err := disk.SyncDir(e.file); err != nil {
			return err
		}
		e.nameless = false
	}
	b, entries := frame(e.id, seq, recs)
	end := e.end + int64(len(b))
	if durable && end > e.room {
		e.grow(end)
	}
	_, err := e.wal.WriteAt(b, e.end)
	if err == nil && durable {
		err = unix.Fdatasync(int(e.wal.Fd()))
	}
	if err != nil {
		// What may be there of it must not count.
		_, werr := e.wal.WriteAt(make([]byte, frameHead), e.end)
		return errors.Join(err, werr)
	}
	e.end, e.room = end, max(e.room, end)
	e.pending = append(e.pending, entries...)
	e.waiting += len(b)
	if e.timer == nil {
		e.timer = time.AfterFunc(checkpointAfter, e.later)
	}
	return nil
}

// grow makes the log longer than a frame that ends at end needs. Where that
// fails, the write itself will tell.
func (e *Engine) grow(end int64) {
	zeros := make([]byte, end-e.room+growBy)
	if n, err := e.wal.WriteAt(zeros, e.room); err == nil {
		e.room += int64(n)
	}
}

// later is the checkpoint in the background. One that fails is tried again:
// the log has it all meanwhile.
func (e *Engine) later() {
	e.mu.Lock()
	if e.busy || e.closed {
		e.mu.Unlock()
		return
	}
	e.busy = true
	e.stopTimer()
	db, recs := e.db, e.pending[:len(e.pending):len(e.pending)]
	e.waiting = 0
	e.mu.Unlock()

	var err error
	if len(recs) > 0 {
		err = e.commit(db, recs)
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	e.busy = false
	if e.closed {
		return
	}
	if err == nil && len(recs) > 0 {
		e.committed(recs[len(recs)-1].seq)
	}
	if len(e.pending) > 0 && e.timer == nil {
		e.timer = time.AfterFunc(checkpointAfter, e.later)
	}
}

// committed notes that bbolt has the records up to the one numbered last. The
// caller holds mu.
func (e *Engine) committed(last uint64) {
	n := 0
	for n < len(e.pending) && e.pending[n].seq <= last {
		n++
	}
	if n == len(e.pending) {
		e.pending, e.end = nil, 0
		return
	}
	e.pending = append([]entry(nil), e.pending[n:]...)
}

// checkpoint commits what the log holds to bbolt, now. The caller holds mu.
func (e *Engine) checkpoint() error {
	if len(e.pending) == 0 {
		return nil
	}
	if err := e.commit(e.db, e.pending); err != nil {
		return err
	}
	e.committed(e.pending[len(e.pending)-1].seq)
	e.waiting = 0
	e.stopTimer()
	return nil
}

func (e *Engine) stopTimer() {
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
}

// closeLog ends the log's use; it is removed when there is nothing left in it.
func (e *Engine) closeLog() error {
	err := e.checkpoint()
	e.stopTimer()
	if err == nil {
		err = os.Remove(e.file + ".wal")
	}
	return errors.Join(err, e.wal.Close())
}
