package vsctl

import "errors"

func needDestroy(f *fetch, c *command) error {
	tab, err := f.names.table(c.args[0])
	if err != nil {
		return err
	}
	f.needRecord(tab)
	return nil
}

// runDestroy deletes records.
func runDestroy(r *run, c *command) error {
	tab, err := r.names.table(c.args[0])
	if err != nil {
		return err
	}
	switch {
	case c.has("--all") && c.has("--if-exists"):
		return errors.New("--all and --if-exists should not be specified together")
	case c.has("--all") && len(c.args) > 1:
		return errors.New("--all and records argument should not be specified together")
	case !c.has("--all") && len(c.args) == 1:
		r.warn("db_ctl_base", "either --all or records argument should be specified")
	}
	if c.has("--all") {
		for _, x := range r.list(tab) {
			r.remove(x)
		}
		return nil
	}
	for _, word := range c.args[1:] {
		x, err := r.record(tab, word, !c.has("--if-exists"))
		if err != nil {
			return err
		}
		if x != nil {
			r.remove(x)
		}
	}
	return nil
}
