package jsonrpc

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Kind tells the messages of JSON-RPC 1.0 apart.
type Kind uint8

// The kinds of messages.
const (
	KindRequest Kind = iota
	KindNotify
	KindReply
	KindError
)

// Message is one message, its values raw JSON that must not be changed.
type Message struct {
	Kind   Kind
	ID     []byte // nil in a notification
	Method string
	Params []byte // an array; of requests and notifications
	Result []byte // of a reply
	Error  []byte // of an error
}

// A MessageError says what is wrong with a message that is JSON.
type MessageError struct{ Msg string }

func (e *MessageError) Error() string { return "received bad JSON-RPC message: " + e.Msg }

func bad(msg string) error { return &MessageError{msg} }

var null = []byte("null")

// parse makes a Message of the scanned bytes. Of members with the same name
// the last one counts. The message keeps slices of msg.
func parse(msg []byte, members []member) (Message, error) {
	var m Message
	var method []byte
	for _, f := range members {
		key, val := msg[f.key:f.keyEnd], msg[f.val:f.valEnd]
		if bytes.IndexByte(key, '\\') >= 0 {
			var s string
			if err := json.Unmarshal(msg[f.key-1:f.keyEnd+1], &s); err != nil {
				return m, bad("member name is not a string")
			}
			key = []byte(s)
		}
		switch string(key) {
		case "id":
			m.ID = val
		case "method":
			method = val
		case "params":
			m.Params = val
		case "result":
			m.Result = val
		case "error":
			m.Error = val
		default:
			return m, bad("unexpected member \"" + string(key) + "\"")
		}
	}
	isNull := func(b []byte) bool { return b == nil || bytes.Equal(b, null) }
	switch {
	case m.Result != nil && !isNull(m.Result), m.Result != nil && isNull(m.Error):
		m.Kind = KindReply
	case !isNull(m.Error):
		m.Kind = KindError
	case isNull(m.ID):
		m.Kind = KindNotify
	default:
		m.Kind = KindRequest
	}
	switch m.Kind {
	case KindRequest, KindNotify:
		what := "request"
		if m.Kind == KindNotify {
			what = "notification"
			m.ID = nil
		}
		if method == nil {
			return m, bad(what + ` must have "method"`)
		}
		if method[0] != '"' {
			return m, bad("method is not a JSON string")
		}
		if m.Params == nil {
			return m, bad(what + ` must have "params"`)
		}
		if m.Params[0] != '[' {
			return m, bad(`"params" must be JSON array`)
		}
		if s := method[1 : len(method)-1]; bytes.IndexByte(s, '\\') < 0 {
			m.Method = string(s)
		} else if err := json.Unmarshal(method, &m.Method); err != nil {
			return m, bad("method is not a JSON string")
		}
	case KindReply, KindError:
		what := "reply"
		if m.Kind == KindError {
			what = "error"
		}
		switch {
		case !isNull(method):
			return m, bad(what + ` must not have "method"`)
		case !isNull(m.Params):
			return m, bad(what + ` must not have "params"`)
		case m.ID == nil:
			return m, bad(what + ` must have "id"`)
		case m.Kind == KindReply && !isNull(m.Error):
			return m, bad(`reply must not have "error"`)
		}
	}
	return m, nil
}

// AppendRequest appends a request; id and params are JSON.
func AppendRequest(b []byte, id []byte, method string, params []byte) []byte {
	b = append(b, `{"id":`...)
	b = append(b, id...)
	b = append(b, `,"method":`...)
	b = appendString(b, method)
	b = append(b, `,"params":`...)
	b = append(b, params...)
	return append(b, '}')
}

// AppendNotify appends a notification; params is a JSON array.
func AppendNotify(b []byte, method string, params []byte) []byte {
	return AppendRequest(b, null, method, params)
}

// AppendReply appends the answer to a request that succeeded.
func AppendReply(b []byte, id, result []byte) []byte {
	b = append(b, `{"id":`...)
	b = append(b, id...)
	b = append(b, `,"result":`...)
	b = append(b, result...)
	return append(b, `,"error":null}`...)
}

// AppendError appends the answer to a request that failed: it has no result
// member, as clients have come to expect.
func AppendError(b []byte, id, err []byte) []byte {
	b = append(b, `{"id":`...)
	b = append(b, id...)
	b = append(b, `,"error":`...)
	b = append(b, err...)
	return append(b, '}')
}

// appendString appends a method's name as a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x7f {
			q, err := json.Marshal(s)
			if err != nil {
				return append(b, strconv.Quote(s)...)
			}
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
