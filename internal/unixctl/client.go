package unixctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"

	"govs/internal/stream"
)

// CommandError is the error text that a server answered.
type CommandError struct{ Text string }

func (e *CommandError) Error() string { return e.Text }

// Call sends one verb to the socket at path and waits for its answer. A failure
// of the verb itself is a *CommandError; any other error is one of the
// connection.
func Call(ctx context.Context, path, cmd string, args []string) (string, error) {
	c, err := Dial(ctx, path)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return c.Call(ctx, cmd, args)
}

// Client is a connection to a server; one goroutine at a time may use it.
type Client struct {
	conn net.Conn
	dec  *json.Decoder
	id   int
}

// Dial connects to the socket at path.
func Dial(ctx context.Context, path string) (*Client, error) {
	c, err := stream.Dial(ctx, "unix:"+path, nil)
	if err != nil {
		return nil, err
	}
	return &Client{conn: c, dec: json.NewDecoder(c)}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Call sends a verb and returns its text.
func (c *Client) Call(ctx context.Context, cmd string, args []string) (string, error) {
	raw, err := c.CallRaw(ctx, cmd, args)
	if err != nil {
		return "", err
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", errors.New("reply is not a string")
	}
	return text, nil
}

// CallRaw sends a verb and returns the result member as it came.
func (c *Client) CallRaw(ctx context.Context, cmd string, args []string) (json.RawMessage, error) {
	if args == nil {
		args = []string{}
	}
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	defer stop()
	req := struct {
		Method string   `json:"method"`
		Params []string `json:"params"`
		ID     int      `json:"id"`
	}{cmd, args, c.id}
	c.id++
	b, err := encode(req)
	if err != nil {
		return nil, err
	}
	if _, err := c.conn.Write(b); err != nil {
		return nil, or(ctx.Err(), err)
	}
	var rep struct {
		ID     json.RawMessage `json:"id"`
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"error"`
	}
	if err := c.dec.Decode(&rep); err != nil {
		return nil, or(ctx.Err(), err)
	}
	if len(rep.Error) > 0 && string(rep.Error) != "null" {
		var text string
		if json.Unmarshal(rep.Error, &text) != nil {
			text = string(rep.Error)
		}
		return nil, &CommandError{text}
	}
	if string(rep.ID) != fmt.Sprint(req.ID) {
		return nil, fmt.Errorf("reply has id %s instead of %d", rep.ID, req.ID)
	}
	return rep.Result, nil
}

func or(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
