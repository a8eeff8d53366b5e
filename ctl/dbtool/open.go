package dbtool

import (
	"errors"
	"fmt"
	"os"

	"govs/ovsdb/storage"
	"govs/ovsdb/storage/disk"
	"govs/ovsdb/storage/file"
)

// torn is an engine that tells whether its last record was written to its end.
type torn interface{ Torn() error }

// openWrite opens a database for changes. One whose last record is torn is the
// server's to mend.
func openWrite(name string) (storage.Engine, error) {
	e, err := file.Open(name)
	if err != nil {
		return nil, failure(name, err)
	}
	if t, ok := e.(torn); ok {
		if err := t.Torn(); err != nil {
			e.Close()
			return nil, err
		}
	}
	return e, nil
}

// openRead opens a database for reading, beside a server that may have it open.
func openRead(name string) (storage.Engine, error) {
	e, err := file.OpenReadOnly(name)
	if err != nil {
		return nil, failure(name, err)
	}
	return e, nil
}

// failure says in the C program's words why a file cannot be opened.
func failure(name string, err error) error {
	if errors.Is(err, file.ErrCluster) {
		return fmt.Errorf("ovsdb error: %s: cannot apply this operation to clustered database file", name)
	}
	return err
}

// explain logs who keeps a file from being opened for changes.
func (t *tool) explain(name string, err error) {
	if errors.Is(err, storage.ErrLocked) {
		t.lockLog.Warn(fmt.Sprintf("%s: cannot lock file because it is already locked by pid %d", disk.LockName(name), disk.Holder(name)))
	}
}

// createLike makes a new file of the format of another one, in the place of one
// of its name, and opens it.
func createLike(like, name string, schema []byte) (storage.Engine, error) {
	f, err := file.Detect(like)
	if err != nil {
		return nil, err
	}
	a, errA := os.Stat(like)
	b, errB := os.Stat(name)
	if errA == nil && errB == nil && !os.SameFile(a, b) {
		lock, err := disk.Lock(name)
		if err != nil {
			return nil, disk.Failure(name, "", err)
		}
		err = errors.Join(os.Remove(name), os.RemoveAll(name+".wal"))
		_ = lock.Close()
		if err != nil {
			return nil, err
		}
	}
	if err := file.CreateAs(name, f, schema); err != nil {
		return nil, err
	}
	return file.Open(name)
}
