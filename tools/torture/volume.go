package main

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
)

// volume is a folder of files as a trace changes it: what is on the disk for
// sure, because it was flushed, and what may be there beside it.
//
// It promises as little as a disk may: what was written and not flushed may be
// there or not, each sector (512 bytes) by itself and of whichever age; a file
// may be as long as it was at any time since the flush, with zeros where nothing
// was written. Names (creations, renames, removals) get to the disk in their
// order, as a file system's journal keeps them, but a flushed file may lack its
// name.
type volume struct {
	dir   string
	names map[string]*inode // as programs see them
	kept  map[string]*inode // on the disk
	due   []*naming         // not flushed
	files map[int64]*handle
	socks map[int64]*bytes.Buffer // what was sent on connections
	syncs map[*call]func()        // flushes on their way, and what they end with
	// sent is told each part of an answer.
	sent func(sock *bytes.Buffer)
	// err is the first call that the model does not know.
	err error
}

type inode struct {
	sure []byte
	now  []byte
	due  []*change // since the last flush, oldest first
}

// change is a write, or a truncation to a length where data is nil.
type change struct {
	at   int64
	data []byte
	by   *call
	done bool // it returned
}

// naming gives a file a name, removes one, or both at once.
type naming struct {
	name string
	*inode
	gone string
}

type handle struct {
	*inode  // nil: the folder
	at      int64
	appends bool
}

// newVolume is a folder with files that are on the disk.
func newVolume(dir string, files map[string][]byte) *volume {
	v := &volume{
		dir: dir, names: map[string]*inode{}, files: map[int64]*handle{},
		socks: map[int64]*bytes.Buffer{}, syncs: map[*call]func(){}, sent: func(*bytes.Buffer) {},
	}
	for name, b := range files {
		v.names[name] = &inode{sure: bytes.Clone(b), now: bytes.Clone(b)}
	}
	v.kept = maps.Clone(v.names)
	return v
}

func (v *volume) unknown(c *call) {
	if v.err == nil {
		v.err = fmt.Errorf("a power cut is not known for %s(%.200s)", c.name, strings.Join(c.args, ", "))
	}
}

// name is the name within the folder of a path argument; ok is false for
// what is elsewhere.
func (v *volume) name(c *call, i int) (string, bool) {
	path := string(c.data(i))
	if path == v.dir {
		return ".", true
	}
	if filepath.Dir(path) != v.dir {
		return "", false
	}
	return filepath.Base(path), true
}

func (v *volume) setName(n naming) {
	n.apply(v.names)
	v.due = append(v.due, &n)
}

func (f *inode) apply(c *change) { f.now = c.apply(f.now); f.due = append(f.due, c) }

func (c *change) apply(b []byte) []byte {
	end := c.at + int64(len(c.data))
	if c.data == nil {
		if c.at <= int64(len(b)) {
			return b[:c.at]
		}
		return append(b, make([]byte, c.at-int64(len(b)))...)
	}
	if end > int64(len(b)) {
		b = append(b, make([]byte, end-int64(len(b)))...)
	}
	copy(b[c.at:], c.data)
	return b
}

// step takes a moment of the trace, and says whether what a power cut may leave
// changed with it.
func (v *volume) step(m moment) bool {
	c := m.call
	if !m.end {
		return v.begin(c)
	}
	if c.ret < 0 {
		for _, h := range v.files {
			if h.inode != nil && slices.ContainsFunc(h.due, func(d *change) bool { return d.by == c }) {
				v.unknown(c) // a write that failed
			}
		}
		return false
	}
	return v.finish(c)
}

// begin takes what may have happened as soon as a call has begun.
func (v *volume) begin(c *call) bool {
	fd := c.number(0)
	h := v.files[fd]
	switch c.name {
	case "close":
		delete(v.files, fd)
		delete(v.socks, fd)
	case "write", "writev", "sendto", "sendmsg":
		if s := v.socks[fd]; s != nil {
			s.Write(c.data(1))
			v.sent(s)
			return true
		}
		if h == nil {
			return false
		}
		b := c.data(1)
		if h.appends {
			h.at = int64(len(h.now))
		}
		h.apply(&change{at: h.at, data: b, by: c})
		h.at += int64(len(b))
		return true
	case "pwrite64", "pwritev", "pwritev2":
		if h != nil {
			at := c.number(3)
			h.apply(&change{at: at, data: c.data(1), by: c})
			return true
		}
	case "ftruncate":
		if h != nil {
			h.apply(&change{at: c.number(1), by: c})
			return true
		}
	case "fallocate":
		if h == nil {
			return false
		}
		end := c.number(2) + c.number(3)
		switch {
		case c.args[1] == "0":
			if end > int64(len(h.now)) {
				h.apply(&change{at: end, by: c})
			}
		case c.args[1] == "FALLOC_FL_KEEP_SIZE":
		case c.has(1, "FALLOC_FL_ZERO_RANGE"):
			h.apply(&change{at: c.number(2), data: make([]byte, c.number(3)), by: c})
		default:
			v.unknown(c)
		}
		return true
	case "fsync", "fdatasync":
		if h == nil {
			return false
		}
		v.syncs[c] = v.flush(h)
	case "mmap":
		if v.files[c.number(4)] != nil && c.has(3, "MAP_SHARED") && c.has(2, "PROT_WRITE") {
			v.unknown(c)
		}
	case "copy_file_range", "sendfile", "splice", "lseek", "dup2", "dup3":
		if h != nil || v.files[c.number(2)] != nil {
			v.unknown(c)
		}
	case "io_uring_setup", "truncate", "sync", "syncfs":
		v.unknown(c)
	}
	return false
}

// flush returns what is on the disk for sure when a flush that begins now has
// returned.
func (v *volume) flush(h *handle) func() {
	if h.inode == nil {
		names := slices.Clone(v.due)
		return func() {
			for _, n := range names {
				if i := slices.Index(v.due, n); i >= 0 {
					v.due = slices.Delete(v.due, i, i+1)
					n.apply(v.kept)
				}
			}
		}
	}
	var done []*change
	for _, d := range h.due {
		if d.done {
			done = append(done, d)
		}
	}
	f := h.inode
	return func() {
		for _, d := range done {
			if i := slices.Index(f.due, d); i >= 0 {
				f.due = slices.Delete(f.due, i, i+1)
				f.sure = d.apply(f.sure)
			}
		}
	}
}

func (n *naming) apply(names map[string]*inode) {
	if n.inode != nil {
		names[n.name] = n.inode
	}
	delete(names, n.gone)
}

// finish takes what has happened when a call returned.
func (v *volume) finish(c *call) bool {
	fd := c.number(0)
	switch c.name {
	case "openat":
		name, ok := v.name(c, 1)
		if !ok {
			return false
		}
		if name == "." {
			v.files[c.ret] = &handle{}
			return false
		}
		f := v.names[name]
		changed := false
		if f == nil {
			f, changed = &inode{}, true
			v.setName(naming{name: name, inode: f})
		} else if c.has(2, "O_TRUNC") && len(f.now) > 0 {
			f.apply(&change{by: c, done: true})
			changed = true
		}
		v.files[c.ret] = &handle{inode: f, appends: c.has(2, "O_APPEND")}
		return changed
	case "open", "creat":
		if _, ok := v.name(c, 0); ok {
			v.unknown(c)
		}
	case "dup":
		if h := v.files[fd]; h != nil {
			v.files[c.ret] = h
		}
	case "fcntl":
		if h := v.files[fd]; h != nil && strings.HasPrefix(c.args[1], "F_DUPFD") {
			v.files[c.ret] = h
		}
	case "accept", "accept4":
		v.socks[c.ret] = &bytes.Buffer{}
	case "write", "writev", "pwrite64", "pwritev", "pwritev2", "ftruncate", "fallocate":
		if h := v.files[fd]; h != nil {
			for _, d := range h.due {
				if d.by == c {
					d.done = true
					if d.data != nil && c.name != "fallocate" && int(c.ret) != len(d.data) {
						v.unknown(c) // half a write
					}
				}
			}
		}
	case "fsync", "fdatasync":
		if end := v.syncs[c]; end != nil {
			end()
			delete(v.syncs, c)
			return true
		}
	case "rename", "renameat", "renameat2", "link", "linkat":
		from, to := 0, 1
		if strings.Contains(c.name, "at") {
			from, to = 1, 3
		}
		a, ok1 := v.name(c, from)
		b, ok2 := v.name(c, to)
		if !ok1 && !ok2 {
			return false
		}
		if !ok1 || !ok2 {
			v.unknown(c)
			return false
		}
		n := naming{name: b, inode: v.names[a]}
		if strings.HasPrefix(c.name, "rename") {
			n.gone = a
		}
		v.setName(n)
		return true
	case "unlink", "unlinkat":
		i := 0
		if c.name == "unlinkat" {
			i = 1
		}
		if name, ok := v.name(c, i); ok {
			v.setName(naming{gone: name})
			return true
		}
	}
	return false
}

// A loss says what of the unflushed writes a power cut leaves.
type loss string

// The losses.
const (
	loseAll    loss = "all lost"
	loseNone   loss = "none lost"
	loseTail   loss = "torn"              // the first ones are there, and a part of the next
	losePages  loss = "pages reordered"   // each page is as old as it likes
	loseSector loss = "sectors reordered" // each sector
)

var losses = []loss{loseAll, loseNone, loseTail, losePages, loseSector}

// cut returns the files that a power cut leaves.
func (v *volume) cut(how loss, r *rand.Rand) map[string][]byte {
	names := maps.Clone(v.kept)
	n := r.IntN(len(v.due) + 1)
	switch how {
	case loseAll:
		n = 0
	case loseNone:
		n = len(v.due)
	}
	for _, d := range v.due[:n] {
		d.apply(names)
	}
	out := map[string][]byte{}
	for name, f := range names {
		out[name] = f.cut(how, r)
	}
	return out
}

func (f *inode) cut(how loss, r *rand.Rand) []byte {
	b := bytes.Clone(f.sure)
	switch how {
	case loseAll:
		return b
	case loseNone:
		return bytes.Clone(f.now)
	case loseTail:
		n := r.IntN(len(f.due) + 1)
		b = f.age(n, 0, 1<<62)
		if n < len(f.due) && f.due[n].data != nil {
			d := *f.due[n]
			const sector = 512
			stop := (d.at/sector + r.Int64N(int64(len(d.data))/sector+2)) * sector
			if length := stop - d.at; length > 0 {
				d.data = d.data[:min(length, int64(len(d.data)))]
				b = d.apply(b)
			}
		}
		return b
	}
	block := 4096
	if how == loseSector {
		block = 512
	}
	out := f.age(r.IntN(len(f.due)+1), 0, 1<<62)
	for at := 0; at < len(out); at += block {
		b := out[at:min(at+block, len(out))]
		clear(b)
		copy(b, f.age(r.IntN(len(f.due)+1), int64(at), int64(block)))
	}
	return out
}

// age is a part of the file, from an offset on, as it was after n of the changes
// that are not flushed.
func (f *inode) age(n int, from, length int64) []byte {
	size := int64(len(f.sure))
	for _, d := range f.due[:n] {
		if end := d.at + int64(len(d.data)); d.data == nil || end > size {
			size = end
		}
	}
	length = min(length, size-from)
	if length <= 0 {
		return nil
	}
	out := make([]byte, length)
	if from < int64(len(f.sure)) {
		copy(out, f.sure[from:])
	}
	for _, d := range f.due[:n] {
		switch at := d.at - from; {
		case d.data == nil:
			if at < length {
				clear(out[max(at, 0):])
			}
		case at >= length || at+int64(len(d.data)) <= 0:
		case at < 0:
			copy(out, d.data[-at:])
		default:
			copy(out[at:], d.data)
		}
	}
	return out
}
