package vsctl

import (
	"fmt"
	"strings"
)

// settings splits off the arguments COLUMN[:KEY]=VALUE at the end.
func settings(args []string) (words, sets []string) {
	for i, a := range args {
		if strings.Contains(a, "=") {
			return args[:i], args[i:]
		}
	}
	return args, nil
}

// runAddBond adds a port with several interfaces.
func runAddBond(r *run, c *command) error {
	ifaces, sets := settings(c.args[2:])
	if len(ifaces) < 2 {
		return fmt.Errorf("add-bond requires at least 2 interfaces, but only %d were specified", len(ifaces))
	}
	return r.addPort(c, ifaces, sets)
}
