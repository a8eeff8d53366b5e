// Package query holds conditions and mutations (RFC 7047, section 5.1): parsed
// once against a schema, evaluated on rows.
package query

import (
	"govs/ovsdb/data"
	"govs/schema"
)

// Row is what a condition is evaluated on.
type Row interface {
	Get(c *schema.Column) data.Datum
}
