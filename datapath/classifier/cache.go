package classifier

import "govs/datapath/flow"

// A Cache remembers which entry of a table the keys found last. It belongs to
// one goroutine. The zero value is an empty cache, which grows with use.
//
// A slot holds the hash of a whole key and an entry. A key with that hash is
// still compared with the entry under the entry's mask: a collision of hashes
// gives another entry that covers the key, or none, but never a wrong one.
type Cache[T any] struct {
	slots  []cached[T]
	misses int
}

type cached[T any] struct {
	hash  uint64
	entry *Entry[T]
}

const (
	minCache = 64
	maxCache = 8192
)

// Lookup finds the entry that was put for a key with this hash, nil where it
// was forgotten, removed from its table, or never put. hash is k.Hash().
func (c *Cache[T]) Lookup(k *flow.Key, hash uint64) *Entry[T] {
	slots := c.slots
	if len(slots) == 0 {
		return nil
	}
	last := uint64(len(slots) - 1)
	at := &slots[hash&last]
	if at.hash != hash {
		at = &slots[(hash>>32)&last]
	}
	if at.hash == hash && at.entry != nil && !at.entry.Dead() && at.entry.Covers(k) {
		return at.entry
	}
	return nil
}

// Put remembers the entry for keys with this hash. Each key has two slots;
// where both are in use, one is forgotten.
func (c *Cache[T]) Put(hash uint64, e *Entry[T]) {
	if c.misses++; c.misses > len(c.slots)/2 && len(c.slots) < maxCache {
		c.grow()
	}
	last := uint64(len(c.slots) - 1)
	at, other := &c.slots[hash&last], &c.slots[(hash>>32)&last]
	if at.hash != hash && at.used() {
		// The older of the two is not known: the hash's next bit decides.
		if other.hash == hash || !other.used() || hash>>16&1 != 0 {
			at = other
		}
	}
	*at = cached[T]{hash, e}
}

func (s *cached[T]) used() bool { return s.entry != nil && !s.entry.Dead() }

func (c *Cache[T]) grow() {
	old := c.slots
	c.slots = make([]cached[T], max(minCache, 2*len(old)))
	c.misses = 0
	last := uint64(len(c.slots) - 1)
	for _, s := range old {
		if s.used() {
			c.slots[s.hash&last] = s
		}
	}
}

// Sweep forgets the entries that were removed from their table, so that they
// can be collected.
func (c *Cache[T]) Sweep() {
	for i := range c.slots {
		if e := c.slots[i].entry; e != nil && e.Dead() {
			c.slots[i] = cached[T]{}
		}
	}
}
