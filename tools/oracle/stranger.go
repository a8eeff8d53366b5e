package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

var farewell = regexp.MustCompile(`\{"id":null,"error":\{"details":"(error parsing stream|received bad JSON-RPC message): .*","error":"syntax error"\}\}$`)

// stranger has a client of its own say something that need not be JSON-RPC, or
// JSON, and compares all that the servers answer before they end the
// connection.
func (r *runner) stranger() (string, error) {
	r.rep.cases++
	r.rep.kinds["malformed JSON-RPC"]++
	said := r.gen.strange()
	r.history = append(r.history, fmt.Sprintf("a client of its own: %q", said))
	a, b, err := both(r, func(sd *side) (string, error) { return sd.listen(said) })
	if err != nil {
		return "", err
	}
	// Our server says what was wrong before it ends the connection: see differences.txt.
	a = farewell.ReplaceAllString(a, "")
	if documents(a) != documents(b) {
		return fmt.Sprintf("answers\nours:   %s\ntheirs: %s", a, b), nil
	}
	return "", nil
}

// documents are JSON texts that follow one another, without the order of
// members, which is that of C's hash.
func documents(s string) string {
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var b strings.Builder
	for {
		var v any
		if err := dec.Decode(&v); err != nil {
			if !errors.Is(err, io.EOF) {
				return s
			}
			return b.String()
		}
		b.WriteString(text(plain(v)) + "\n")
	}
}

// plain makes numbers that are the same the same text: our server sends back an
// echo as it came.
func plain(v any) any {
	switch v := v.(type) {
	case object:
		for k := range v {
			v[k] = plain(v[k])
		}
	case array:
		for i := range v {
			v[i] = plain(v[i])
		}
	case json.Number:
		if _, err := strconv.ParseInt(v.String(), 10, 64); err == nil && v != "-0" {
			return v
		}
		f, _ := v.Float64() // out of range is infinite, and stays text
		return json.Number(strconv.FormatFloat(f+0, 'g', 15, 64))
	}
	return v
}

// listen says something on a new connection, ends it on this side, and returns
// what comes.
func (sd *side) listen(said string) (string, error) {
	s, err := sd.dial()
	if err != nil {
		return "", sd.failed(err)
	}
	defer s.conn.Close()
	if err := s.send([]byte(said + "\n")); err != nil {
		return "", sd.failed(err)
	}
	if err := s.conn.(*net.UnixConn).CloseWrite(); err != nil && !errors.Is(err, syscall.ENOTCONN) {
		return "", sd.failed(err)
	}
	b, err := io.ReadAll(s.conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) { // it left what was unread
		return "", sd.failed(err)
	}
	return string(b), nil
}

// strange makes messages of which at least one is likely to be no request.
func (g *generator) strange() string {
	id := pick(g.r, `1`, `"a"`, `null`, `[1,{"b":2}]`, `{}`, `1.5`, `-0`, `12345678901234567890`)
	method := pick(g.r, `"echo"`, `"echo"`, `"list_dbs"`, `"get_schema"`, `"transact"`, `"nope"`, `""`, `3`, `null`, `"ec\u0068o"`)
	params := pick(g.r, `[]`, `["Oracle"]`, `["Oracle",{"op":"abort"}]`, `["Oracle",{"op":"select","table":"T0","where":[false]},7]`, `{}`, `null`, `3`,
		`["é","\ud83d\ude00","\ud83d","\u0000","a\/b",1e3,1.0,-0,0.1,1e300,123456789012345678901,1E-2]`, `[[[[[[]]]]]]`, `[{"b":1,"a":2,"b":3}]`)
	members := []string{`"id":` + id, `"method":` + method, `"params":` + params}
	switch g.r.IntN(6) {
	case 0:
		more := pick(g.r, `"extra":1`, `"result":{}`, `"error":null`, `"error":"x"`, `"id":7`)
		if method != "null" || more == `"extra":1` { // else it may be a reply: see differences.txt
			members = append(members, more)
		}
	case 1:
		i := g.r.IntN(len(members))
		members = append(members[:i], members[i+1:]...)
	}
	msg := "{" + strings.Join(members, ",") + "}"
	switch g.r.IntN(8) {
	case 0, 1, 2: // broken in one byte
		b := []byte(msg)
		i := g.r.IntN(len(b))
		switch g.r.IntN(3) {
		case 0:
			b[i] = pick(g.r, []byte("{}[]\",:\\0x \n\x01")...)
		case 1:
			b = append(b[:i], b[i+1:]...)
		default:
			b = append(b[:i], append([]byte{pick(g.r, []byte("{}[]\",:\\0- \n\x01")...)}, b[i:]...)...)
		}
		msg = string(b)
	case 3:
		msg = pick(g.r, `[]`, `3`, `"x"`, `null`, `true`, `nonsense`, `{`, `}`, `[1,]`, `{"a":1,}`, `{"a" 1}`, `{1:2}`, `"\x"`, `"\u12"`, `01`, `1.`, `.5`, `-`, `+1`,
			`[1 2]`, "\"\t\"", `tru`, `nul`, `{"id":1`, strings.Repeat("[", 2000), `'a'`, `//`, "\xef\xbb\xbf{}", "\x00", `""`, `[]]`)
	}
	more := ""
	if g.chance(60) {
		more = pick(g.r, "", " ", "\n") + `{"id":"after","method":"echo","params":[1]}`
	}
	return msg + more
}
