package vsctl

import "strings"

// shown is how show prints the rows of a table.
type shown struct {
	table   string
	title   string // the column that names a row; "" its UUID
	columns []string
}

func showTables() []shown {
	return []shown{
		{"Open_vSwitch", "", []string{"manager_options", "bridges", "ovs_version"}},
		{"Bridge", "name", []string{"controller", "fail_mode", "datapath_type", "ports"}},
		{"Port", "name", []string{"tag", "trunks", "interfaces"}},
		{"Interface", "name", []string{"type", "options", "error"}},
		{"Controller", "target", []string{"is_connected"}},
		{"Manager", "target", []string{"is_connected"}},
	}
}

func needShow(f *fetch, _ *command) error {
	for _, s := range showTables() {
		f.need(s.table, s.columns...)
		if s.title != "" {
			f.need(s.table, s.title)
		}
	}
	return nil
}

// runShow prints an overview.
func runShow(r *run, c *command) error {
	for _, x := range r.list("Open_vSwitch") {
		r.showRow(c, x, 0)
	}
	return nil
}

func (r *run) showRow(c *command, x *row, level int) {
	const step = 4
	for _, s := range showTables() {
		if s.table != x.t.Name {
			continue
		}
		indent := strings.Repeat(" ", step*level)
		if s.title == "" {
			c.printf("%s%s\n", indent, x.id)
		} else if col := x.t.Column(s.title); col != nil {
			c.printf("%s%s %s\n", indent, x.t.Name, x.get(col).Text(&col.Type))
		}
		for _, name := range s.columns {
			col := x.t.Column(name)
			if col == nil {
				continue
			}
			if col.Type.Key.RefTable != nil {
				for _, y := range r.refs(x, name) {
					r.showRow(c, y, level+1)
				}
				continue
			}
			d := x.get(col)
			if d.Len() == 0 || col.Type.Scalar() && d.Key(0).IsDefault() {
				continue
			}
			c.printf("%s    %s: %s\n", indent, name, d.Text(&col.Type))
		}
	}
}
