package vsctl

func needFind(f *fetch, c *command) error {
	tab, err := f.names.table(c.args[0])
	if err != nil {
		return err
	}
	cols, err := f.names.columnsOption(c, tab)
	if err != nil {
		return err
	}
	f.need(tab, cols...)
	return f.needExprs(tab, c.args[1:], opsFind)
}

// runFind prints the records that meet all conditions.
func runFind(r *run, c *command) error {
	tab, err := r.names.table(c.args[0])
	if err != nil {
		return err
	}
	cols, err := r.newTable(c, tab)
	if err != nil {
		return err
	}
	for _, x := range r.list(tab) {
		ok, err := r.holdAll(x, c.args[1:])
		if err != nil {
			return err
		}
		if ok {
			addRow(c, x, cols)
		}
	}
	return nil
}

func (r *run) holdAll(x *row, conditions []string) (bool, error) {
	for _, arg := range conditions {
		if ok, err := r.holds(x, arg); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}
