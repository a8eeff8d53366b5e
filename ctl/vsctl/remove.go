package vsctl

import (
	"fmt"

	"govs/schema"
)

// runRemove takes values, pairs or keys out of a column.
func runRemove(r *run, c *command) error {
	x, col, err := r.target(c)
	if x == nil || err != nil {
		return err
	}
	typ := col.Type
	typ.Min, typ.Max = 1, schema.Unlimited
	keys := typ
	keys.Value = schema.BaseType{}
	for _, arg := range c.args[3:] {
		d, err := r.parseDatum(arg, &typ)
		byKey := false
		if err != nil && typ.Map() {
			byKey = true
			d, err = r.parseDatum(arg, &keys)
		}
		if err != nil {
			return err
		}
		r.drop(x, col.Name, d, byKey)
	}
	if n := x.get(col).Len(); uint32(n) < col.Type.Min {
		return fmt.Errorf("\"remove\" operation would put %d %s in column %s of table %s but the minimum number is %d", n, counted(&col.Type), col.Name, x.t.Name, col.Type.Min)
	}
	return nil
}
