// Package file opens a database file with the engine that its first bytes ask
// for, and makes new ones.
//
// # Caveats
//
// The clustered databases of the C ovsdb-server are recognised but not supported.
package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"govs/ovsdb/storage"
	"govs/ovsdb/storage/bolt"
	"govs/ovsdb/storage/disk"
	"govs/ovsdb/storage/logfile"
)

// Format is how a file keeps a database.
type Format string

// The formats.
const (
	Bolt    Format = "bolt"
	Log     Format = "log"     // the C ovsdb-server's standalone databases
	Cluster Format = "cluster" // the C ovsdb-server's clustered databases
)

// Env is the environment variable that names the format of new files.
const Env = "OVSDB_FORMAT"

// ErrCluster is what opening a clustered database gives.
var ErrCluster = errors.New("clustered databases are not supported")

// Parse reads the name of a format that a file can be made in.
func Parse(name string) (Format, error) {
	switch f := Format(name); f {
	case Bolt, Log:
		return f, nil
	}
	return "", fmt.Errorf("%s: unknown database file format (use bolt or log)", name)
}

// Default is the format of a new file where nobody asks for one: what the
// environment variable OVSDB_FORMAT says, and Bolt where it says nothing.
func Default() (Format, error) {
	name := os.Getenv(Env)
	if name == "" {
		return Bolt, nil
	}
	f, err := Parse(name)
	if err != nil {
		return "", fmt.Errorf("%s=%w", Env, err)
	}
	return f, nil
}

// Detect tells a file's format by what it starts with: storage.ErrFormat for
// a file that is no database.
func Detect(path string) (Format, error) {
	ok, err := bolt.IsBolt(path)
	if err != nil {
		return "", err
	}
	if ok {
		return Bolt, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", disk.Failure(path, "open failed", err)
	}
	defer f.Close()
	head := make([]byte, 16)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", disk.Failure(path, "", err)
	}
	switch head = head[:n]; {
	case n == 0:
		return "", emptyError(path)
	case logfile.Is(head):
		return Log, nil
	case bytes.HasPrefix(head, []byte("OVSDB CLUSTER ")):
		return Cluster, nil
	}
	return "", disk.Failure(path, "", storage.ErrFormat)
}

// emptyError is a storage.ErrFormat about an empty file, for which the C
// programs have words of their own.
type emptyError string

func (e emptyError) Error() string {
	return "ovsdb error: " + string(e) + ": cannot identify file type"
}
func (emptyError) Is(target error) bool { return target == storage.ErrFormat }

func unsupported(path string) error {
	return fmt.Errorf("ovsdb error: %s: %w", path, ErrCluster)
}

// Open opens a database for writing, and takes its lock.
func Open(path string) (storage.Engine, error) {
	f, err := Detect(path)
	if err != nil {
		return nil, err
	}
	// A typed nil would not be nil.
	switch f {
	case Bolt:
		if e, err := bolt.Open(path); err != nil {
			return nil, err
		} else {
			return e, nil
		}
	case Log:
		if e, err := logfile.Open(path); err != nil {
			return nil, err
		} else {
			return e, nil
		}
	}
	return nil, unsupported(path)
}

// OpenReadOnly opens a database for reading, beside a writer if there is one.
func OpenReadOnly(path string) (storage.Engine, error) {
	f, err := Detect(path)
	if err != nil {
		return nil, err
	}
	switch f {
	case Bolt:
		return bolt.OpenReadOnly(path)
	case Log:
		return logfile.OpenReadOnly(path)
	}
	return nil, unsupported(path)
}

// Create makes a new database file of the default format.
func Create(path string, schema []byte) error {
	f, err := Default()
	if err != nil {
		return err
	}
	return CreateAs(path, f, schema)
}

// CreateAs makes a new database file of a format.
func CreateAs(path string, f Format, schema []byte) error {
	switch f {
	case Bolt:
		return bolt.Create(path, schema)
	case Log:
		return logfile.Create(path, schema)
	}
	return unsupported(path)
}
