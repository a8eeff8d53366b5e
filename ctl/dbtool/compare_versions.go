package dbtool

import (
	"fmt"

	"govs/schema"
)

// compareVersions tells by its exit status whether a relation holds.
func (t *tool) compareVersions(args []string) error {
	for _, v := range []string{args[0], args[2]} {
		if !schema.ValidVersion(v) {
			return fmt.Errorf("%s: not an OVSDB version number in format x.y.z", v)
		}
	}
	var holds bool
	switch c := schema.CompareVersions(args[0], args[2]); args[1] {
	case "<":
		holds = c < 0
	case "<=":
		holds = c <= 0
	case "==":
		holds = c == 0
	case ">=":
		holds = c >= 0
	case ">":
		holds = c > 0
	case "!=":
		holds = c != 0
	default:
		return fmt.Errorf("%s: not a relational operator", args[1])
	}
	if !holds {
		return errNo
	}
	return nil
}
