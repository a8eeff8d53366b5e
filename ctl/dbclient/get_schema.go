package dbclient

import (
	"fmt"

	"govs/internal/json"
	"govs/schema"
)

// schemaText asks for the schema of a database.
func (c *client) schemaText(db string) (json.Value, error) {
	return c.call("get_schema", array(db))
}

// schema asks for the database's schema.
func (c *client) schema() (*schema.Schema, error) {
	v, err := c.schemaText(c.db)
	if err != nil {
		return nil, err
	}
	return schema.FromJSON(v)
}

// getSchema prints the schema.
func (c *client) getSchema([]string) error {
	s, err := c.schema()
	if err != nil {
		return err
	}
	v, err := json.Parse(s.AppendJSON(nil))
	if err != nil {
		return err
	}
	return c.print(v)
}

// getSchemaVersion prints the schema's version.
func (c *client) getSchemaVersion([]string) error {
	s, err := c.schema()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, s.Version)
	return err
}

// getSchemaCksum prints the schema's checksum.
func (c *client) getSchemaCksum([]string) error {
	s, err := c.schema()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, s.Cksum)
	return err
}
