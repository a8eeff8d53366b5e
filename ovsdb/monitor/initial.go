package monitor

import (
	"runtime"
	"sync"
	"time"

	"govs/internal/json"
	"govs/ovsdb/store"
)

// Blocks holds encoded parts of tables for those who ask for the same at about
// the same time, whatever their conditions, and while other parts change. It also
// sees to it that a core is left for others while replies are encoded. It is safe
// for concurrent use.
type Blocks struct {
	turns chan struct{} // as many as may encode at once

	mu    sync.Mutex
	made  map[blockKey]*block
	timer *time.Timer
}

type blockKey struct {
	part store.Slice
	form string
}

// block is the rows of a slice in one form, each with a comma before it.
type block struct {
	used  bool // since the last sweep; guarded by Blocks.mu
	once  sync.Once
	bytes []byte
	ends  []uint32 // of each row, in the slice's order
}

// keepBlocks is how long a block that nobody asks for is kept, at the least.
const keepBlocks = 150 * time.Millisecond

// NewBlocks makes an empty Blocks.
func NewBlocks() *Blocks {
	n := max(1, runtime.GOMAXPROCS(0)-1)
	return &Blocks{turns: make(chan struct{}, n), made: make(map[blockKey]*block)}
}

// get finds a block; make says whether it is to be there afterwards.
func (bs *Blocks) get(key blockKey, make bool) *block {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	b := bs.made[key]
	if b == nil && make {
		b = new(block)
		bs.made[key] = b
		if bs.timer == nil {
			bs.timer = time.AfterFunc(keepBlocks, bs.sweep)
		}
	}
	if b != nil {
		b.used = true
	}
	return b
}

// sweep drops what nobody asked for since the last time.
func (bs *Blocks) sweep() {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	for k, b := range bs.made {
		if !b.used {
			delete(bs.made, k)
		}
		b.used = false
	}
	if len(bs.made) > 0 {
		bs.timer.Reset(keepBlocks)
		return
	}
	bs.timer, bs.made = nil, make(map[blockKey]*block)
}

// Initial returns the contents that the first reply to m holds, {} where there
// are none, in pieces that others may share.
func (bs *Blocks) Initial(m *Monitor, snap *store.Snapshot) [][]byte {
	var out [][]byte
	for _, t := range m.tables {
		if t.sel&initial == 0 {
			continue
		}
		head := len(out)
		for _, part := range snap.Slices(t.Table) {
			bs.turns <- struct{}{}
			piece := bs.piece(t, m.Version, part)
			<-bs.turns
			if len(piece) == 0 {
				continue
			}
			if len(out) == head {
				b := []byte{'{'}
				if head > 0 {
					b = []byte{'}', ','}
				}
				b = json.AppendString(b, t.Name)
				out = append(out, append(b, ':', '{'))
				piece = piece[1:]
			}
			out = append(out, piece)
		}
	}
	if len(out) == 0 {
		return [][]byte{[]byte("{}")}
	}
	return append(out, []byte("}}"))
}

// piece makes the wanted rows of a slice, each with a comma before it.
func (bs *Blocks) piece(t *table, v Version, part store.Slice) []byte {
	key := blockKey{part, t.form}
	var wanted []bool
	n := 0
	if t.where != nil {
		wanted = make([]bool, 0, 512)
		for r := range part.Rows() {
			yes := t.where.match(r)
			wanted = append(wanted, yes)
			if yes {
				n++
			}
		}
		if n == 0 {
			return nil
		}
	}
	b := bs.get(key, wanted == nil || n > len(wanted)/2)
	if b == nil {
		var out []byte
		i := 0
		for r := range part.Rows() {
			if wanted[i] {
				out = t.appendInitial(out, v, r)
			}
			i++
		}
		return out
	}
	b.once.Do(func() { b.encode(t, v, part) })
	if wanted == nil || n == len(wanted) {
		return b.bytes
	}
	out := make([]byte, 0, len(b.bytes)*n/len(wanted)+256)
	from := uint32(0)
	for i, end := range b.ends {
		if wanted[i] {
			out = append(out, b.bytes[from:end]...)
		}
		from = end
	}
	return out
}

// encode makes the block.
func (b *block) encode(t *table, v Version, part store.Slice) {
	buf, _ := buffers.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	out := (*buf)[:0]
	for r := range part.Rows() {
		out = t.appendInitial(out, v, r)
		b.ends = append(b.ends, uint32(len(out)))
	}
	b.bytes = append(make([]byte, 0, len(out)), out...)
	*buf = out
	buffers.Put(buf)
}

// buffers are for rows whose length is not known beforehand.
var buffers sync.Pool

// appendInitial appends a row of a first reply, and a comma before it.
func (t *table) appendInitial(b []byte, v Version, r *store.Row) []byte {
	b = append(b, ',', '"')
	b = r.UUID.Append(b)
	b = append(b, '"', ':')
	return t.appendRow(b, v, initial, r)
}
