package dbtool

import (
	"bytes"
	"fmt"

	"govs/schema"
)

// needsConversion prints whether a database's schema differs from another one.
func (t *tool) needsConversion(args []string) error {
	want, err := schemaArg(args, 1)
	if err != nil {
		return err
	}
	return withSchema(args, func(s *schema.Schema) {
		if bytes.Equal(s.AppendJSON(nil), want.AppendJSON(nil)) {
			fmt.Fprintln(t.out, "no")
		} else {
			fmt.Fprintln(t.out, "yes")
		}
	})
}
