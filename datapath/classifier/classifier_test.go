package classifier

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"govs/datapath/flow"
)

// A linear classifier is the judge: rules in a list.
type linear []*Entry[int]

func (l linear) covers(k *flow.Key) map[int]bool {
	ids := map[int]bool{}
	for _, e := range l {
		if e.Mask().Equal(e.Key(), k) {
			ids[e.Value] = true
		}
	}
	return ids
}

// random makes keys from few values, so that they meet.
type random struct{ *rand.Rand }

func (r random) key() *flow.Key {
	k := &flow.Key{InPort: flow.PortNo(1 + r.IntN(3)), EthType: uint16(0x800 + r.IntN(2)), Proto: uint8(r.IntN(3))}
	k.EthDst[5] = byte(r.IntN(4))
	k.EthSrc[0] = byte(r.IntN(4))
	k.IPDst[3], k.IPDst[15] = byte(r.IntN(256)), byte(r.IntN(2))
	k.TPDst = uint16(r.IntN(3))
	k.Regs[15] = uint32(r.IntN(2))
	return k
}

func (r random) mask() *flow.Mask {
	m := new(flow.Mask)
	m.Add(flow.Fields(r.Uint64()) & (flow.InPort | flow.EthType | flow.Proto | flow.EthDst | flow.EthSrc | flow.IPv6Dst | flow.TPDst))
	if r.IntN(3) == 0 {
		m.IPDst[3] = byte(r.IntN(256))
	}
	if r.IntN(4) == 0 {
		m.Regs[15] = 1
	}
	return m
}

func TestAgainstALinearClassifier(t *testing.T) {
	for seed := range uint64(20) {
		r := random{rand.New(rand.NewPCG(seed, 7))}
		var (
			table Table[int]
			cache Cache[int]
			list  linear
		)
		masks := make([]*flow.Mask, 1+r.IntN(20))
		for i := range masks {
			masks[i] = r.mask()
		}
		for step := range 2000 {
			switch r.IntN(10) {
			case 0, 1, 2:
				e := New[int](r.key(), masks[r.IntN(len(masks))])
				e.Value = step
				got, fresh := table.Insert(e)
				same := -1
				for i, old := range list {
					if *old.Mask() == *e.Mask() && e.Mask().Equal(old.Key(), e.Key()) {
						same = i
					}
				}
				if fresh != (same < 0) || !fresh && got != list[same] {
					t.Fatalf("seed %d, step %d: inserted %v, the judge has %d", seed, step, fresh, same)
				}
				if fresh {
					list = append(list, e)
				}
			case 3:
				if len(list) > 0 {
					i := r.IntN(len(list))
					e := list[i]
					list = append(list[:i], list[i+1:]...)
					if !table.Remove(e) || !e.Dead() || table.Remove(e) {
						t.Fatalf("seed %d, step %d: not removed, or twice", seed, step)
					}
				}
			case 4:
				table.Sort()
			default:
				k := r.key()
				want := list.covers(k)
				check := func(from string, e *Entry[int]) {
					if e != nil && !want[e.Value] {
						t.Fatalf("seed %d, step %d: %s found %d, not one of %v", seed, step, from, e.Value, want)
					}
				}
				e := table.Lookup(k)
				check("table", e)
				if e == nil && len(want) > 0 {
					t.Fatalf("seed %d, step %d: found nothing, not one of %v", seed, step, want)
				}
				check("cache", cache.Lookup(k, k.Hash()))
				if e != nil {
					cache.Put(k.Hash(), e)
					if got := cache.Lookup(k, k.Hash()); got != e {
						t.Fatalf("seed %d, step %d: the cache forgot at once", seed, step)
					}
				}
			}
			if table.Len() != len(list) {
				t.Fatalf("seed %d, step %d: %d entries, want %d", seed, step, table.Len(), len(list))
			}
		}
		seen := map[*Entry[int]]bool{}
		for e := range table.All() {
			seen[e] = true
		}
		distinct := map[flow.Mask]bool{}
		for _, e := range list {
			distinct[*e.Mask()] = true
			if !seen[e] {
				t.Errorf("seed %d: All left an entry out", seed)
			}
		}
		if len(seen) != len(list) || table.Masks() != len(distinct) {
			t.Errorf("seed %d: %d entries and %d masks, want %d and %d", seed, len(seen), table.Masks(), len(list), len(distinct))
		}
	}
}

// Entries that stay are found all the time, whatever writers do beside.
func TestReadersBesideWriters(t *testing.T) {
	var table Table[int]
	var mask flow.Mask
	mask.Add(flow.EthDst)
	key := func(i int) *flow.Key { return &flow.Key{EthDst: [6]byte{byte(i), byte(i >> 8), 1}} }
	const stay = 50
	for i := range stay {
		table.Insert(New[int](key(i), &mask))
	}
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for !stop.Load() {
				for i := range stay {
					if table.Lookup(key(i)) == nil {
						t.Errorf("entry %d was not found", i)
						return
					}
				}
			}
		})
	}
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			other := mask
			other.Proto = uint8(1 + w)
			for round := range 20 {
				var mine []*Entry[int]
				for i := range 200 {
					m := &mask
					if i%20 == 0 {
						m = &other
					}
					if e, ok := table.Insert(New[int](key(1000+1000*w+round*200+i), m)); ok {
						mine = append(mine, e)
					}
				}
				table.Sort()
				for _, e := range mine {
					table.Remove(e)
				}
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
	if table.Len() != stay {
		t.Errorf("%d entries are left, want %d", table.Len(), stay)
	}
}

func TestSortPutsTheMostUsedMaskFirst(t *testing.T) {
	var table Table[int]
	k := &flow.Key{EthDst: [6]byte{1}, EthSrc: [6]byte{2}, Proto: 3}
	var last *Entry[int]
	for _, f := range []flow.Fields{flow.EthDst, flow.EthSrc, flow.Proto} {
		var m flow.Mask
		m.Add(f)
		last, _ = table.Insert(New[int](k, &m))
	}
	for range 5 {
		table.Lookup(&flow.Key{Proto: 3})
	}
	table.Sort()
	if got := table.Lookup(k); got != last {
		t.Errorf("mask %v was tried first", got.Mask())
	}
}

func TestTheCacheForgetsWhatIsRemoved(t *testing.T) {
	var table Table[int]
	var cache Cache[int]
	var m flow.Mask
	m.Add(flow.EthDst)
	k := &flow.Key{EthDst: [6]byte{1}}
	e, _ := table.Insert(New[int](k, &m))
	cache.Put(k.Hash(), e)
	table.Remove(e)
	if cache.Lookup(k, k.Hash()) != nil {
		t.Error("the cache found a dead entry")
	}
	cache.Sweep()
	for _, s := range cache.slots {
		if s.entry != nil {
			t.Error("the cache keeps a dead entry")
		}
	}
	// Another key with the same hash is not the entry's.
	e, _ = table.Insert(New[int](k, &m))
	cache.Put(k.Hash(), e)
	if cache.Lookup(&flow.Key{EthDst: [6]byte{2}}, k.Hash()) != nil {
		t.Error("a collision of hashes gave an entry that does not cover the key")
	}
}

// filled is a table with n entries under each of so many masks, and keys that
// are found in it.
func filled(masks, n int) (*Table[int], []flow.Key) {
	var table Table[int]
	var keys []flow.Key
	for i := range masks {
		var m flow.Mask
		m.Add(flow.InPort | flow.EthType | flow.EthSrc | flow.EthDst | flow.VLANVID | flow.VLANHas)
		m.IPDst[i/8] = 1 << (i % 8)
		for j := range n / masks {
			k := flow.Key{InPort: 1, EthType: 0x800, EthSrc: [6]byte{2, byte(i), byte(j), byte(j >> 8)}, EthDst: [6]byte{4, byte(j)}}
			table.Insert(New[int](&k, &m))
			keys = append(keys, k)
		}
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return &table, keys
}

func BenchmarkTable(b *testing.B) {
	for _, masks := range []int{1, 4, 16, 64} {
		b.Run(fmt.Sprintf("flows=1000/masks=%d", masks), func(b *testing.B) {
			table, keys := filled(masks, 1000)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if table.Lookup(&keys[i]) == nil {
					b.Fatal("not found")
				}
				if i++; i == len(keys) {
					i = 0
				}
			}
		})
	}
}

func BenchmarkCache(b *testing.B) {
	for _, n := range []int{1, 1000, 8000, 60000} {
		b.Run(fmt.Sprintf("flows=%d", n), func(b *testing.B) {
			table, keys := filled(1, n)
			var cache Cache[int]
			for range 3 {
				for i := range keys {
					if h := keys[i].Hash(); cache.Lookup(&keys[i], h) == nil {
						cache.Put(h, table.Lookup(&keys[i]))
					}
				}
			}
			hits := 0
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if cache.Lookup(&keys[i], keys[i].Hash()) != nil {
					hits++
				}
				if i++; i == len(keys) {
					i = 0
				}
			}
			b.ReportMetric(100*float64(hits)/float64(b.N), "%hits")
		})
	}
}
