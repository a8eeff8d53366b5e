package dbclient

import "govs/schema"

// convert has the server convert the database that a schema names to that schema.
func (c *client) convert(args []string) error {
	s, err := schema.ReadFile(args[len(args)-1])
	if err != nil {
		return err
	}
	_, err = c.call("convert", array(s.Name, s.AppendJSON(nil)))
	return err
}
