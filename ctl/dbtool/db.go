package dbtool

import (
	"fmt"

	"govs/ovsdb/storage/file"
	"govs/schema"
)

// dbName prints the name of a database's schema.
func (t *tool) dbName(args []string) error {
	return withSchema(args, func(s *schema.Schema) { fmt.Fprintln(t.out, s.Name) })
}

// dbVersion prints the version of a database's schema.
func (t *tool) dbVersion(args []string) error {
	return withSchema(args, func(s *schema.Schema) { fmt.Fprintln(t.out, s.Version) })
}

// dbCksum prints the checksum of a database's schema.
func (t *tool) dbCksum(args []string) error {
	return withSchema(args, func(s *schema.Schema) { fmt.Fprintln(t.out, s.Cksum) })
}

// dbIsClustered tells by its exit status whether a file is a clustered database.
func (t *tool) dbIsClustered(args []string) error {
	f, err := file.Detect(args[0])
	if err == nil && f != file.Cluster {
		return errNo
	}
	return err
}

// dbIsStandalone tells by its exit status whether a file is a standalone database.
func (t *tool) dbIsStandalone(args []string) error {
	f, err := file.Detect(args[0])
	if err == nil && f == file.Cluster {
		return errNo
	}
	return err
}
