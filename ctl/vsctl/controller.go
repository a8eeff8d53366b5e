package vsctl

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"govs/ovsdb/data"
	"govs/schema/atom"
)

func needController(f *fetch, c *command) error {
	f.need("Bridge", "controller")
	f.need("Controller", "target", "inactivity_probe")
	return needBridges(f, c)
}

func (c *command) printTargets(rows []*row) {
	var names []string
	for _, x := range rows {
		names = append(names, x.str("target"))
	}
	slices.Sort(names)
	for _, n := range names {
		c.printf("%s\n", n)
	}
}

// replace gives a column of references new rows, and deletes the old ones.
func (r *run) replace(x *row, column string, rows []*row) {
	for _, old := range r.refs(x, column) {
		r.remove(old)
	}
	ids := make([]atom.Atom, len(rows))
	for i, y := range rows {
		ids[i] = atom.ID(y.id)
	}
	r.set(x, column, data.Set(ids...))
}

// targets makes rows of a table with targets.
func (r *run) targets(c *command, table string, words []string) (rows []*row, err error) {
	probe, hasProbe := c.opts["--inactivity-probe"]
	var ms int64
	if hasProbe {
		if ms, err = strconv.ParseInt(probe, 10, 64); err != nil {
			return nil, fmt.Errorf("--inactivity-probe=%s: not a number of milliseconds", probe)
		}
	}
	words = slices.Clone(words)
	for _, w := range words {
		kind, _, ok := strings.Cut(w, ":")
		if !ok || !slices.Contains([]string{"tcp", "ssl", "unix", "ptcp", "pssl", "punix"}, kind) {
			r.warn("vsctl", fmt.Sprintf("target type \"%s\" is possibly erroneous", w))
		}
	}
	slices.Sort(words)
	for _, w := range words {
		x := r.insert(table, atom.New())
		r.setString(x, "target", w)
		if hasProbe {
			r.set(x, "inactivity_probe", data.One(atom.Int(ms)))
		}
		rows = append(rows, x)
	}
	return rows, nil
}

func needFailMode(f *fetch, c *command) error {
	f.need("Bridge", "fail_mode")
	return needBridges(f, c)
}
