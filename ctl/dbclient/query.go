package dbclient

import (
	"bytes"

	"govs/internal/json"
)

// query sends a transaction that ends with an abort and prints the reply without
// what came of that.
func (c *client) query(args []string) error {
	v, err := operations(args[len(args)-1])
	if err != nil {
		return err
	}
	params := bytes.TrimRight(v.Raw(), " \t\r\n")
	params = append(bytes.Clone(params[:len(params)-1]), `,{"op":"abort"}]`...)
	if v, err = c.call("transact", params); err != nil {
		return err
	}
	n := v.Len()
	if v.Kind() != json.Array || n == 0 || !v.At(n-1).Get("error").Is("aborted") {
		return c.print(v)
	}
	b := []byte{'['}
	i := 0
	for e := range v.Elems() {
		if i++; i == n {
			break
		}
		if i > 1 {
			b = append(b, ',')
		}
		b = append(b, e.Raw()...)
	}
	if v, err = json.Parse(append(b, ']')); err != nil {
		return err
	}
	return c.print(v)
}
