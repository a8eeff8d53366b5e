package dbtool

import (
	"fmt"
)

// schemaName prints a schema's name.
func (t *tool) schemaName(args []string) error {
	s, err := schemaArg(args, 0)
	if err == nil {
		fmt.Fprintln(t.out, s.Name)
	}
	return err
}

// schemaVersion prints a schema's version.
func (t *tool) schemaVersion(args []string) error {
	s, err := schemaArg(args, 0)
	if err == nil {
		fmt.Fprintln(t.out, s.Version)
	}
	return err
}

// schemaCksum prints a schema's checksum.
func (t *tool) schemaCksum(args []string) error {
	s, err := schemaArg(args, 0)
	if err == nil {
		fmt.Fprintln(t.out, s.Cksum)
	}
	return err
}
