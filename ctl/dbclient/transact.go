package dbclient

import (
	"errors"
	"fmt"

	"govs/internal/json"
	"govs/internal/json/fault"
)

// parse reads JSON of the command line.
func parse(text string) (json.Value, error) {
	v, err := json.Parse([]byte(text))
	if what := fault.Of(text, err); what != "" {
		return v, fmt.Errorf("\"%s\": %s", text, what)
	}
	return v, nil
}

// operations reads the parameters of a transaction.
func operations(text string) (json.Value, error) {
	v, err := parse(text)
	if err == nil && (v.Kind() != json.Array || v.At(0).Kind() != json.String) {
		err = errors.New("not a valid OVSDB query")
	}
	return v, err
}

// transact sends a transaction and prints the reply.
func (c *client) transact(args []string) error {
	v, err := operations(args[len(args)-1])
	if err != nil {
		return err
	}
	if v, err = c.call("transact", v.Raw()); err != nil {
		return err
	}
	return c.print(v)
}
