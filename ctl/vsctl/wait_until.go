package vsctl

func needWaitUntil(f *fetch, c *command) error {
	tab, err := f.names.table(c.args[0])
	if err != nil {
		return err
	}
	f.needRecord(tab)
	return f.needExprs(tab, c.args[2:], opsFind)
}

// runWaitUntil lets the command line begin anew, after a change of the database,
// until a record exists and meets conditions.
func runWaitUntil(r *run, c *command) error {
	tab, err := r.names.table(c.args[0])
	if err != nil {
		return err
	}
	x, err := r.record(tab, c.args[1], false)
	if err != nil {
		return err
	}
	if x == nil {
		return errLater
	}
	ok, err := r.holdAll(x, c.args[2:])
	if err == nil && !ok {
		err = errLater
	}
	return err
}
