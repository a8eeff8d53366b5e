package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// patience is how long an answer may take before the run fails.
const patience = time.Minute

// session is a client's connection.
type session struct {
	conn net.Conn
	dec  *json.Decoder
}

func dial(sock string) (*session, error) {
	conn, err := net.Dial("unix", sock)
	if err != nil {
		return nil, err
	}
	return &session{conn, json.NewDecoder(conn)}, nil
}

func (s *session) close() { s.conn.Close() }

// transact sends a request and waits for its results.
func (s *session) transact(id string, params array) (json.RawMessage, error) {
	msg, err := json.Marshal(object{"id": id, "method": "transact", "params": params})
	if err != nil {
		return nil, err
	}
	if err := s.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := s.conn.Write(msg); err != nil {
		return nil, err
	}
	for {
		var m struct {
			ID     any
			Method string
			Result json.RawMessage
			Error  any
		}
		if err := s.dec.Decode(&m); err != nil {
			return nil, err
		}
		switch {
		case m.Method != "": // a probe: nobody is here that long
		case m.ID != id:
			return nil, wrong("an answer to %v, where one to %s is due", m.ID, id)
		case m.Error != nil:
			return nil, wrong("request %s: %v", id, m.Error)
		default:
			return m.Result, nil
		}
	}
}

// wrongAnswer is an answer that breaks a promise, where other errors are those
// of a connection.
type wrongAnswer struct{ text string }

func (w *wrongAnswer) Error() string { return w.text }

func wrong(format string, args ...any) error { return &wrongAnswer{fmt.Sprintf(format, args...)} }

func isWrong(err error) bool {
	var w *wrongAnswer
	return errors.As(err, &w)
}

// opError is the error that an operation of a transaction, or its commit, met.
type opError struct {
	Tag     string `json:"error"`
	Details string `json:"details"`
	IO      string `json:"io-error"`
}

// failure finds the error in a transaction's results.
func failure(results []byte) (*opError, error) {
	var all []*opError
	if err := json.Unmarshal(results, &all); err != nil {
		return nil, err
	}
	for _, e := range all {
		if e != nil && e.Tag != "" {
			return e, nil
		}
	}
	return nil, nil
}

// read selects all that the database holds.
func (s *session) read() (*contents, error) {
	result, err := s.transact("read", everything())
	if err != nil {
		return nil, err
	}
	return parse(result)
}
