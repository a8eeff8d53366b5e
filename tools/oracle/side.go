package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"govs/tools/peer"
)

// patience is how long a server may take for an answer.
const patience = 20 * time.Second

// A session is one connection to one server.
type session struct {
	conn net.Conn
	dec  *json.Decoder
	n    int
}

func (s *session) send(b []byte) error {
	if err := s.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := s.conn.Write(b)
	return err
}

// sync sends an echo, and returns the messages that come before its answer.
func (s *session) sync() ([]json.RawMessage, error) {
	s.n++
	if err := s.send(fmt.Appendf(nil, `{"id":"sync %d","method":"echo","params":[]}`, s.n)); err != nil {
		return nil, err
	}
	want := fmt.Sprintf("sync %d", s.n)
	var all []json.RawMessage
	for {
		var raw json.RawMessage
		if err := s.dec.Decode(&raw); err != nil {
			return all, err
		}
		var m struct{ ID any }
		if err := json.Unmarshal(raw, &m); err != nil {
			return all, err
		}
		if m.ID == want {
			return all, nil
		}
		all = append(all, raw)
	}
}

// A side is one of the two servers, with two sessions of clients and one to look
// at the tables. Rows whose UUIDs the server chose have names that both
// sides share: UUIDs that the generator chose, and speaks of.
type side struct {
	*peer.Server
	clients [2]*session
	judge   *session
	name    map[string]string // of the UUIDs that the server chose
	real    map[string]string // the other way round
	known   map[string]bool   // the UUIDs that the generator speaks of
}

func startSide(program, dir string, schema []byte, known map[string]bool) (*side, error) {
	server, err := peer.Start(program, dir, schema)
	if err != nil {
		return nil, err
	}
	sd := &side{Server: server, name: map[string]string{}, real: map[string]string{}, known: known}
	for _, s := range []**session{&sd.clients[0], &sd.clients[1], &sd.judge} {
		if *s, err = sd.dial(); err != nil {
			sd.Stop()
			return nil, err
		}
	}
	return sd, nil
}

func (sd *side) dial() (*session, error) {
	conn, err := net.Dial("unix", sd.Sock)
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, dec: json.NewDecoder(conn)}
	s.dec.UseNumber()
	return s, nil
}

func (sd *side) stop() {
	for _, s := range []*session{sd.clients[0], sd.clients[1], sd.judge} {
		s.conn.Close()
	}
	sd.Stop()
}

var uuidText = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// unknown stands for a UUID that only one server knows.
const unknown = "?"

// hear translates what the server said, and decodes it.
func (sd *side) hear(raw json.RawMessage) object {
	said := uuidText.ReplaceAllStringFunc(string(raw), func(id string) string {
		if name, ok := sd.name[id]; ok {
			return name
		}
		if sd.known[id] {
			return id
		}
		return unknown
	})
	v, ok := decode(said).(object)
	if !ok {
		return object{"not an object": said}
	}
	return v
}

// say translates what the server is told.
func (sd *side) say(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // the generator's values are plain JSON
	}
	return uuidText.ReplaceAllFunc(b, func(id []byte) []byte {
		if real, ok := sd.real[string(id)]; ok {
			return []byte(real)
		}
		return id
	})
}

// told is what the sessions of one side were sent in a step.
type told [2][]json.RawMessage

// do sends a message on a client's session, and collects what comes of it. Where
// transactions wait, a second look finds what the end of their wait brought.
func (sd *side) do(client int, msg any, pending bool) (told, error) {
	var t told
	if err := sd.clients[client].send(sd.say(msg)); err != nil {
		return t, sd.failed(err)
	}
	order := []int{client, 1 - client}
	if pending {
		order = append(order, client, 1-client)
	}
	for _, k := range order {
		more, err := sd.clients[k].sync()
		t[k] = append(t[k], more...)
		if err != nil {
			return t, sd.failed(err)
		}
	}
	return t, nil
}

// call has the judge's session make a transaction, and returns its results.
func (sd *side) call(ops ...any) (array, error) {
	sd.judge.n++
	if err := sd.judge.send(sd.say(object{"id": sd.judge.n, "method": "transact", "params": append(array{"Oracle"}, ops...)})); err != nil {
		return nil, sd.failed(err)
	}
	var raw json.RawMessage
	if err := sd.judge.dec.Decode(&raw); err != nil {
		return nil, sd.failed(err)
	}
	m := sd.hear(raw)
	res, ok := m["result"].(array)
	if !ok {
		return nil, fmt.Errorf("transact: %s", raw)
	}
	return res, nil
}

func (sd *side) failed(err error) error {
	dir := filepath.Dir(sd.Sock)
	log, _ := os.ReadFile(filepath.Join(dir, "log")) // without it the error has to do
	return fmt.Errorf("%s: %w; its log: %s", filepath.Base(dir), err, log)
}
