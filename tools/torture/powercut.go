package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"govs/ovsdb/server"
	"govs/ovsdb/storage"
	"govs/ovsdb/storage/file"
)

// cuts is what simulated power cuts came to.
type cuts struct {
	moments, states int
	opened          int
	refused         int // opened when the file was cut where the error said
	traced          counts
	flushes         int
}

func (c cuts) String() string {
	return fmt.Sprintf("%d transactions (%d durable, %d flushes) traced; %d moments; %d states after a power cut: %d opened, %d named the place behind which records that were not durable are missing",
		c.traced.acked, c.traced.durable, c.flushes, c.moments, c.states, c.opened, c.refused)
}

// errNoTrace is why power cuts are left out.
var errNoTrace = errors.New("power cuts are not simulated")

// powerCuts has clients write to a server whose system calls strace records,
// and then opens what a power cut may have left on the disk, at random moments
// of the trace: about so many states, or as many as there is time for where
// limit is not 0.
func powerCuts(program string, format file.Format, r *rand.Rand, each, states int, limit time.Duration) (c cuts, err error) {
	p, err := newPlace(program, format)
	if err != nil {
		return c, err
	}
	defer p.remove()
	t, err := p.trace(newDrivers(clients), r, each)
	if err != nil {
		return c, err
	}
	c.traced = t.all.counts()
	// Once through without a cut, to count.
	err = t.replay(func(m moment, _ *volume, _ drivers) error {
		if m.end && (m.name == "fsync" || m.name == "fdatasync") {
			c.flushes++
		}
		c.moments++
		return nil
	})
	if err != nil {
		return c, err
	}
	scratch, err := scratchDir()
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(scratch)
	end := time.Now().Add(limit)
	for c.states == 0 || limit > 0 && time.Now().Before(end) {
		err := t.replay(func(m moment, v *volume, acks drivers) error {
			if r.IntN(c.moments*len(losses)) >= states*len(losses) || limit > 0 && time.Now().After(end) {
				return nil
			}
			how := losses[r.IntN(len(losses))]
			files := v.cut(how, r)
			c.states++
			refused, err := acks.survive(files, filepath.Join(scratch, strconv.Itoa(c.states)), how, r)
			switch {
			case err != nil:
				return fmt.Errorf("power cut at %s, %s: %w (left in %s)", m.name, how, err, keep(files))
			case refused:
				c.refused++
			default:
				c.opened++
			}
			return nil
		})
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

// keep keeps files for whoever looks into a failure, and says where.
func keep(files map[string][]byte) string {
	dir, err := os.MkdirTemp("", "tort-cut")
	for name, b := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	if err != nil {
		return err.Error()
	}
	return dir
}

// scratchDir makes a folder, in memory where that can be had.
func scratchDir() (string, error) {
	if dir, err := os.MkdirTemp("/dev/shm", "tort"); err == nil {
		return dir, nil
	}
	return os.MkdirTemp("", "tort")
}

// record is what clients and their server did.
type record struct {
	all     drivers // at the end
	dir     string
	before  map[string][]byte // the folder's files
	moments []moment
}

// trace runs the clients on a server under strace: each has so many
// transactions acknowledged, and compactions come in between.
func (p *place) trace(all drivers, r *rand.Rand, each int) (*record, error) {
	s, err := p.start()
	if err != nil {
		return nil, err
	}
	err = all.setup(p.sock())
	if err == nil {
		err = all.run(p.sock(), r, 5, func() {})
	}
	s.kill() // so that something is left in the write-ahead log
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		d.counts = counts{}
	}
	t := &record{all: all}
	if t.dir, err = filepath.EvalSymlinks(filepath.Dir(p.db)); err != nil {
		return nil, err
	}
	p.db = filepath.Join(t.dir, filepath.Base(p.db))
	if t.before, err = readAll(t.dir); err != nil {
		return nil, err
	}
	name := filepath.Join(p.dir, "trace")
	if p.wrap, err = tracer(name, traced...); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoTrace, err)
	}
	if s, err = p.start(); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoTrace, err)
	}
	defer s.kill()
	for range 3 {
		var failed error
		err := all.run(p.sock(), r, each/3+1, func() {
			for range 2 {
				failed = errors.Join(failed, p.compact())
			}
		})
		if err := errors.Join(err, failed); err != nil {
			return nil, err
		}
	}
	if err := p.exit(s); err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t.moments, err = readTrace(f)
	return t, err
}

// readAll reads the files of a folder.
func readAll(dir string) (map[string][]byte, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for _, f := range list {
		if all[f.Name()], err = os.ReadFile(filepath.Join(dir, f.Name())); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// replay goes through a trace, and calls f at each moment with which that what a
// power cut may leave, or what is acknowledged, changed.
func (t *record) replay(f func(moment, *volume, drivers) error) error {
	v := newVolume(t.dir, t.before)
	acks := newDrivers(len(t.all))
	for i, d := range t.all { // what was there before counts as durable
		acks[i].acked = d.acked - d.counts.acked
		acks[i].durable = acks[i].acked
	}
	v.sent = acks.sent
	for _, m := range t.moments {
		changed := v.step(m)
		if v.err != nil {
			return v.err
		}
		if changed {
			if err := f(m, v, acks); err != nil {
				return err
			}
		}
	}
	return nil
}

var ackRE = regexp.MustCompile(`"id":"(\d+):(\d+):(true|false)"`)

// sent notes which transactions are acknowledged by what was sent.
func (all drivers) sent(sock *bytes.Buffer) {
	end := 0
	for _, m := range ackRE.FindAllSubmatchIndex(sock.Bytes(), -1) {
		field := func(i int) string { return string(sock.Bytes()[m[2*i]:m[2*i+1]]) }
		client, _ := strconv.Atoi(field(1)) // digits
		n, _ := strconv.Atoi(field(2))
		all[client].acked = n
		if field(3) == "true" {
			all[client].durable = n
		}
		end = m[1]
	}
	sock.Next(end)
}

var (
	placeWAL = regexp.MustCompile(`the write-ahead log is damaged at offset (\d+):`)
	placeLog = regexp.MustCompile(`the record at offset (\d+) is damaged but an intact one follows`)
)

// survive opens files that a power cut left and compares them with what was
// acknowledged. refused says that the server named a place of damage, and
// opened the files when they were cut there, as the packages bolt and logfile
// document it.
func (all drivers) survive(files map[string][]byte, dir string, how loss, r *rand.Rand) (refused bool, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return false, err
		}
	}
	path := filepath.Join(dir, "conf.db")
	d, err := openFile(path)
	if err != nil {
		if how != losePages && how != loseSector || !errors.Is(err, storage.ErrCorrupt) {
			return false, wrong("%v", err)
		}
		if err := unchanged(dir, files); err != nil {
			return false, err
		}
		name, re := "conf.db.wal", placeWAL
		if placeLog.MatchString(err.Error()) {
			name, re = "conf.db", placeLog
		}
		m := re.FindStringSubmatch(err.Error())
		if m == nil {
			return false, wrong("%v: this names no place", err)
		}
		refused = true
		at, _ := strconv.ParseInt(m[1], 10, 64) // digits
		if err := os.Truncate(filepath.Join(dir, name), at); err != nil {
			return refused, err
		}
		if d, err = openFile(path); err != nil {
			return refused, wrong("after the cut at %d: %v", at, err)
		}
	}
	defer func() { d.close() }()
	c, err := d.read()
	if err != nil {
		return refused, err
	}
	if err := all.survived(c); err != nil || r.IntN(8) != 0 {
		return refused, err
	}
	// It goes on, and what comes now is kept as well.
	client := r.IntN(len(all))
	n := c.seq[client] + 1
	if err := d.transact(transaction(client, n, true)); err != nil {
		return refused, err
	}
	d.close()
	if d, err = openFile(path); err != nil {
		return refused, wrong("opened again: %v", err)
	}
	if c, err = d.read(); err != nil {
		return refused, err
	}
	if c.seq[client] != n {
		return refused, wrong("opened again, client %d is at %d, not at %d", client, c.seq[client], n)
	}
	return refused, c.whole()
}

// survived compares what is there with what was acknowledged as durable.
func (all drivers) survived(c *contents) error {
	for _, d := range all {
		if n := c.seq[d.client]; n < d.durable || n > d.acked+1 {
			return wrong("LOST: client %d is at transaction %d, %d was acknowledged as durable, and %d as not", d.client, n, d.durable, d.acked)
		}
	}
	return c.whole()
}

// unchanged compares the files of a folder with those that were put there. What
// is there beside them is empty.
func unchanged(dir string, files map[string][]byte) error {
	now, err := readAll(dir)
	if err != nil {
		return err
	}
	for name, b := range now {
		if !bytes.Equal(b, files[name]) {
			return wrong("%s was changed when it could not be opened", name)
		}
	}
	for name := range files {
		if _, ok := now[name]; !ok {
			return wrong("%s was removed when it could not be opened", name)
		}
	}
	return nil
}

// opened is a database in a server of this process.
type opened struct {
	srv *server.Server
	db  *server.Database
	log journal
}

// openFile opens a database as ovsdb-server does.
func openFile(path string) (*opened, error) {
	o := &opened{}
	log := slog.New(slog.NewTextHandler(&o.log, nil))
	o.srv = server.New(server.Config{Log: func(string) *slog.Logger { return log }})
	if err := o.srv.OpenDatabase(path); err != nil {
		o.srv.Close()
		return nil, err
	}
	o.db = o.srv.Database(dbName)
	return o, nil
}

func (o *opened) close() { o.srv.Close() }

func (o *opened) transact(params array) error {
	b, err := json.Marshal(params)
	if err != nil {
		return err
	}
	_, err = o.db.Transact(b)
	return err
}

func (o *opened) read() (*contents, error) {
	b, err := json.Marshal(everything())
	if err != nil {
		return nil, err
	}
	if b, err = o.db.Transact(b); err != nil {
		return nil, err
	}
	return parse(b)
}
