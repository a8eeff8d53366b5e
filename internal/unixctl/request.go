package unixctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxRequest is the largest request in bytes that a server reads.
const MaxRequest = 16 << 20

// maxDepth bounds the nesting of a request; its shape needs three levels.
const maxDepth = 1000

type request struct {
	id     json.RawMessage
	method string
	args   []string
	nargs  int
	argErr string // the arguments are not all strings
}

type success struct {
	ID     json.RawMessage `json:"id"`
	Result any             `json:"result"`
	Error  *string         `json:"error"`
}

type failure struct {
	ID    json.RawMessage `json:"id"`
	Error string          `json:"error"`
}

// encode writes a message as C does: on one line, with <, > and & as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// reader splits a stream into requests.
type reader struct {
	in  *limitReader
	dec *json.Decoder
}

// limitReader fails when a message grows past MaxRequest.
type limitReader struct {
	r     io.Reader
	total int64 // bytes read from r
	limit int64 // total may not pass it
}

var errTooLong = fmt.Errorf("request exceeds %d bytes", MaxRequest)

func (l *limitReader) Read(b []byte) (int, error) {
	room := l.limit - l.total
	if room <= 0 {
		return 0, errTooLong
	}
	n, err := l.r.Read(b[:min(int64(len(b)), room)])
	l.total += int64(n)
	return n, err
}

func newReader(r io.Reader) *reader {
	in := &limitReader{r: r, limit: MaxRequest}
	return &reader{in: in, dec: json.NewDecoder(in)}
}

// next returns the next request; io.EOF at the end of the stream.
func (r *reader) next() (*request, error) {
	r.in.limit = r.dec.InputOffset() + MaxRequest
	var raw json.RawMessage
	if err := r.dec.Decode(&raw); err != nil {
		return nil, err
	}
	return parseRequest(raw)
}

// parseRequest checks one JSON text against the shape of a request.
func parseRequest(raw []byte) (*request, error) {
	if err := checkDepth(raw); err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return nil, errors.New("message is not a JSON object")
	}
	null := func(k string) bool {
		v, ok := members[k]
		return !ok || bytes.Equal(v, []byte("null"))
	}
	req := &request{id: members["id"]}
	for k := range members {
		switch k {
		case "method", "params", "id", "result", "error":
		default:
			return nil, fmt.Errorf("unexpected member %q", k)
		}
	}
	if !null("result") || !null("error") {
		return nil, errors.New("message is not a request")
	}
	if null("id") {
		return nil, errors.New("request must have an id")
	}
	if null("method") || json.Unmarshal(members["method"], &req.method) != nil {
		return nil, errors.New("method must be a string")
	}
	var params []json.RawMessage
	if null("params") || json.Unmarshal(members["params"], &params) != nil {
		return nil, errors.New("params must be an array")
	}
	req.nargs = len(params)
	for _, p := range params {
		var a *string
		if json.Unmarshal(p, &a) != nil || a == nil {
			req.argErr = fmt.Sprintf("%q command has non-string argument", req.method)
			req.args = nil
			break
		}
		req.args = append(req.args, *a)
	}
	return req, nil
}

func checkDepth(raw []byte) error {
	depth, inString := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return errors.New("message is nested too deeply")
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

type formatKey struct{}

type format struct{ json bool }

// JSON reports whether the client of the handler's context asked for JSON
// (ovs-appctl -f json). The handler's text is then a JSON text, made by Reply.
func JSON(ctx context.Context) bool {
	f, _ := ctx.Value(formatKey{}).(*format)
	return f != nil && f.json
}

// setOptions is the verb with which ovs-appctl chooses the output format.
func setOptions(ctx context.Context, args []string) (string, error) {
	f, _ := ctx.Value(formatKey{}).(*format)
	if f == nil {
		return "", errors.New("set-options: no connection")
	}
	switch {
	case len(args) == 0:
	case len(args) == 2 && args[0] == "--format" && args[1] == "json":
		f.json = true
	case len(args) == 2 && args[0] == "--format" && args[1] == "text":
		f.json = false
	default:
		return "", fmt.Errorf("unrecognized option or argument: %q", args)
	}
	return "", nil
}

// formatted is the result member: the text itself, or, for a client that asked
// for JSON, the handler's JSON, or the text wrapped into an object.
func formatted(ctx context.Context, text string) any {
	if !JSON(ctx) {
		return endLine(text)
	}
	if t := bytes.TrimSpace([]byte(text)); len(t) > 0 && (t[0] == '{' || t[0] == '[') && json.Valid(t) {
		return json.RawMessage(t)
	}
	return map[string]string{"reply-format": "plain", "reply": endLine(text)}
}
