package logfile

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"govs/ovsdb/storage"
	"govs/ovsdb/storage/disk"
)

// Compact writes a new file and puts it in the place of the old one. The new
// one keeps the old one's mode and, where that is allowed, owner.
func (e *Engine) Compact(schema []byte, whole storage.Record, upTo uint64) error {
	e.compacting.Lock()
	defer e.compacting.Unlock()
	e.mu.Lock()
	closed, first, last := e.closed, e.first, e.last()
	if schema == nil {
		schema = e.schema
	}
	e.mu.Unlock()
	if closed {
		return disk.Failure(e.path, "", storage.ErrClosed)
	}
	if upTo != 0 && (upTo < first || upTo > last) {
		return disk.Failure(e.path, "", fmt.Errorf("there is no record %d to compact up to", upTo))
	}
	tmp := e.file + ".compact"
	f, err := build(tmp, schema, whole)
	if err != nil {
		return disk.Failure(e.path, "", err)
	}
	if err := e.replace(f, tmp, upTo); err != nil {
		f.Close()
		os.Remove(tmp)
		return disk.Failure(e.path, "", err)
	}
	return nil
}

// replace copies the records behind upTo to the new file and takes it into use.
func (e *Engine) replace(f *os.File, tmp string, upTo uint64) error {
	if st, err := e.f.Stat(); err == nil {
		if err := f.Chmod(st.Mode().Perm()); err != nil {
			return err
		}
		if sys, ok := st.Sys().(*syscall.Stat_t); ok {
			// Only root may give files away: the file is the same but for that.
			_ = f.Chown(int(sys.Uid), int(sys.Gid))
		}
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	size := st.Size()
	schema, start, err := readSchema(e.path, f, size)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	starts, first := []int64{start}, e.last()+1
	if upTo != 0 {
		first = upTo
		if rest := e.starts[upTo+1-e.first:]; len(rest) > 0 {
			n := e.end - rest[0]
			if _, err := io.Copy(io.NewOffsetWriter(f, size), io.NewSectionReader(e.f, rest[0], n)); err != nil {
				return err
			}
			if err := unix.Fdatasync(int(f.Fd())); err != nil {
				return err
			}
			for _, at := range rest {
				starts = append(starts, at-rest[0]+size)
			}
			size += n
		}
	}
	if err := os.Rename(tmp, e.file); err != nil {
		return err
	}
	e.f.Close()
	e.f, e.schema, e.starts, e.first, e.end, e.dirty = f, schema, starts, first, size, false
	e.size.Store(size)
	// The new file is in use whether its name is flushed or not. Before it is, a
	// power cut brings the old one back: a durable Append tries again.
	e.nameless = disk.SyncDir(e.file) != nil
	return nil
}
