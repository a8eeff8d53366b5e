package dbtool

import (
	"fmt"
	"os"
	"syscall"

	"govs/ovsdb/history"
	"govs/ovsdb/storage"
	"govs/ovsdb/storage/disk"
	"govs/ovsdb/storage/file"
	"govs/ovsdb/store"
)

// copyBatch is how many bytes of records are handed to an engine at once.
const copyBatch = 4 << 20

// importLog makes a bbolt database of another one, usually a file of the C server.
func (t *tool) importLog(args []string) error { return copyAs(args[0], args[1], file.Bolt) }

// exportLog makes a file for the C server of another database.
func (t *tool) exportLog(args []string) error { return copyAs(args[0], args[1], file.Log) }

// copyAs copies a database with all its records, their ids, times and comments,
// to a new file of a format. The file appears under its name when it is whole.
func copyAs(src, dst string, f file.Format) error {
	from, err := openRead(src)
	if err != nil {
		return err
	}
	defer from.Close()
	text, err := from.Schema()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(dst); err == nil {
		return disk.Failure(dst, "create failed", syscall.EEXIST)
	}
	lock, err := disk.Lock(dst)
	if err != nil {
		return disk.Failure(dst, "", err)
	}
	defer lock.Close()
	tmp := dst + ".import"
	if err := os.RemoveAll(tmp); err != nil {
		return disk.Failure(dst, "create failed", err)
	}
	defer func() {
		for _, name := range []string{tmp, tmp + ".wal", disk.LockName(tmp)} {
			os.Remove(name)
		}
	}()
	if err := file.CreateAs(tmp, f, text); err != nil {
		return err
	}
	to, err := file.Open(tmp)
	if err != nil {
		return err
	}
	err = copyRecords(from, to)
	if cerr := to.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Link(tmp, dst); err != nil {
		return disk.Failure(dst, "create failed", err)
	}
	return disk.Failure(dst, "", disk.SyncDir(dst))
}

// copyRecords copies all records. They are executed, too: what could not be
// opened afterwards is not copied.
func copyRecords(from, to storage.Engine) error {
	s, err := schemaOf(from)
	if err != nil {
		return err
	}
	snap := store.NewSnapshot(s)
	var batch []storage.Record
	size := 0
	for rec, err := range from.Load() {
		if err != nil {
			return err
		}
		d, err := history.Decode(snap, rec.Body)
		if err != nil {
			return fmt.Errorf("ovsdb error: record %d: %w", rec.Seq, err)
		}
		snap = snap.Apply(d)
		batch = append(batch, rec)
		if size += len(rec.Body); size >= copyBatch {
			if _, err := to.Append(batch, false); err != nil {
				return err
			}
			batch, size = batch[:0], 0
		}
	}
	_, err = to.Append(batch, true)
	return err
}
