package classifier

import (
	"cmp"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"govs/datapath/flow"
)

// A Table holds entries by mask. The zero value is an empty table; it must
// not be copied.
type Table[T any] struct {
	tuples atomic.Pointer[[]*tuple[T]] // most used first; never changed in place

	mu  sync.Mutex // taken by writers
	len atomic.Int64
}

// A tuple is the entries of one mask.
type tuple[T any] struct {
	shape *shape
	hits  atomic.Uint64
	slots atomic.Pointer[[]slot[T]] // a power of two
	len   int                       // under Table.mu
}

// A slot is the head of a list of the entries whose hashes end alike.
type slot[T any] struct{ head atomic.Pointer[node[T]] }

type node[T any] struct {
	entry *Entry[T]
	hash  uint64
	next  atomic.Pointer[node[T]]
}

const firstSlots = 8

// Lookup finds an entry that covers the key, nil where there is none.
func (t *Table[T]) Lookup(k *flow.Key) *Entry[T] {
	e, _ := t.Probe(k)
	return e
}

// Probe is Lookup that tells how many masks it tried.
func (t *Table[T]) Probe(k *flow.Key) (*Entry[T], int) {
	tuples := t.tuples.Load()
	if tuples == nil {
		return nil, 0
	}
	for i, tp := range *tuples {
		if e := tp.find(k); e != nil {
			tp.hits.Add(1)
			return e, i + 1
		}
	}
	return nil, len(*tuples)
}

func (tp *tuple[T]) find(k *flow.Key) *Entry[T] {
	h := tp.shape.hash(k)
	slots := *tp.slots.Load()
	for n := slots[h&uint64(len(slots)-1)].head.Load(); n != nil; n = n.next.Load() {
		if n.hash == h && n.entry.Covers(k) {
			return n.entry
		}
	}
	return nil
}

// Insert adds an entry. Where there is one with the same mask and masked key
// already, it changes nothing, and returns that one and false.
func (t *Table[T]) Insert(e *Entry[T]) (*Entry[T], bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tp := t.tuple(&e.shape.mask)
	if tp == nil {
		tp = &tuple[T]{shape: e.shape}
		slots := make([]slot[T], firstSlots)
		tp.slots.Store(&slots)
		tp.push(slots, e)
		all := append(slices.Clone(t.all()), tp)
		t.tuples.Store(&all)
	} else {
		if old := tp.find(&e.key); old != nil {
			return old, false
		}
		e.shape = tp.shape
		if slots := *tp.slots.Load(); tp.len < len(slots) {
			tp.push(slots, e)
		} else {
			tp.grow(e)
		}
	}
	tp.len++
	t.len.Add(1)
	return e, true
}

func (t *Table[T]) all() []*tuple[T] {
	if all := t.tuples.Load(); all != nil {
		return *all
	}
	return nil
}

func (t *Table[T]) tuple(m *flow.Mask) *tuple[T] {
	for _, tp := range t.all() {
		if tp.shape.mask == *m {
			return tp
		}
	}
	return nil
}

func (tp *tuple[T]) push(slots []slot[T], e *Entry[T]) {
	n := &node[T]{entry: e, hash: e.hash}
	head := &slots[e.hash&uint64(len(slots)-1)].head
	n.next.Store(head.Load())
	head.Store(n)
}

// grow publishes a copy of the slots, twice as large, with e in it: readers
// see the old ones or the new ones, whole.
func (tp *tuple[T]) grow(e *Entry[T]) {
	old := *tp.slots.Load()
	slots := make([]slot[T], 2*len(old))
	for i := range old {
		for n := old[i].head.Load(); n != nil; n = n.next.Load() {
			tp.push(slots, n.entry)
		}
	}
	tp.push(slots, e)
	tp.slots.Store(&slots)
}

// Remove takes an entry out, and says whether it was in. Readers that found
// it before may still hold it; Dead tells them.
func (t *Table[T]) Remove(e *Entry[T]) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	tp := t.tuple(&e.shape.mask)
	if tp == nil {
		return false
	}
	slots := *tp.slots.Load()
	at := &slots[e.hash&uint64(len(slots)-1)].head
	for n := at.Load(); n != nil; n = at.Load() {
		if n.entry == e {
			e.dead.Store(true)
			at.Store(n.next.Load())
			t.len.Add(-1)
			if tp.len--; tp.len == 0 {
				all := slices.DeleteFunc(slices.Clone(t.all()), func(x *tuple[T]) bool { return x == tp })
				t.tuples.Store(&all)
			}
			return true
		}
		at = &n.next
	}
	return false
}

// Len is the number of entries.
func (t *Table[T]) Len() int { return int(t.len.Load()) }

// Masks is the number of different masks.
func (t *Table[T]) Masks() int { return len(t.all()) }

// Sort puts the masks into the order of their hits since the last Sort,
// of which half are remembered.
func (t *Table[T]) Sort() {
	t.mu.Lock()
	defer t.mu.Unlock()
	type ranked struct {
		tp   *tuple[T]
		hits uint64
	}
	var rank []ranked
	for _, tp := range t.all() {
		h := tp.hits.Load()
		tp.hits.Add(-(h - h/2))
		rank = append(rank, ranked{tp, h})
	}
	byHits := func(a, b ranked) int { return cmp.Compare(b.hits, a.hits) }
	if slices.IsSortedFunc(rank, byHits) {
		return
	}
	slices.SortStableFunc(rank, byHits)
	all := make([]*tuple[T], len(rank))
	for i, r := range rank {
		all[i] = r.tp
	}
	t.tuples.Store(&all)
}

// All goes through the entries, without order. It is safe beside writers:
// entries that are there all the time come once.
func (t *Table[T]) All() iter.Seq[*Entry[T]] {
	return func(yield func(*Entry[T]) bool) {
		for _, tp := range t.all() {
			slots := *tp.slots.Load()
			for i := range slots {
				for n := slots[i].head.Load(); n != nil; n = n.next.Load() {
					if !n.entry.Dead() && !yield(n.entry) {
						return
					}
				}
			}
		}
	}
}
