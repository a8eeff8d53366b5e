package dbclient

import (
	"fmt"
	"sort"
)

// listDBs prints the names of the databases.
func (c *client) listDBs([]string) error {
	names, err := c.databases()
	if err != nil {
		return err
	}
	sort.Strings(names)
	for _, n := range names {
		fmt.Fprintln(c.out, n)
	}
	return nil
}
