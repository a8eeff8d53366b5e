package dbclient

import (
	"bytes"
	"fmt"
	"govs/schema"
)

// needsConversion prints whether the database that a schema names has another one.
func (c *client) needsConversion(args []string) error {
	want, err := schema.ReadFile(args[len(args)-1])
	if err != nil {
		return err
	}
	c.db = want.Name
	have, err := c.schema()
	if err != nil {
		return err
	}
	answer := "yes"
	if bytes.Equal(have.AppendJSON(nil), want.AppendJSON(nil)) {
		answer = "no"
	}
	_, err = fmt.Fprintln(c.out, answer)
	return err
}
