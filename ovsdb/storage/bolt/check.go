package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"govs/ovsdb/storage"
)

// Constants of bbolt's file format, version 2.
const (
	magic    = 0xED0CDAED
	version  = 2
	metaSize = 64 // bytes of a meta page behind its header, with the checksum
	header   = 16 // bytes before a page's elements
	element  = 16 // bytes of an element of a branch or leaf page

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagMeta     = 0x04
	flagFreelist = 0x10

	maxDepth = 48 // pages from a root to a leaf; real files have fewer than 10
)

// none is where the root or the list of free pages is not written.
const none = ^uint64(0)

// meta is one of the two pages with which a file starts.
type meta struct {
	pageSize uint32
	root     uint64
	freelist uint64
	pages    uint64 // high-water mark
	txid     uint64
}

var native = binary.NativeEndian

func parseMeta(b []byte) (meta, bool) {
	if len(b) < header+metaSize || native.Uint32(b[header:]) != magic || native.Uint32(b[header+4:]) != version {
		return meta{}, false
	}
	sum := fnv.New64a()
	sum.Write(b[header : header+56])
	if native.Uint64(b[header+56:]) != sum.Sum64() {
		return meta{}, false
	}
	m := b[header:]
	return meta{
		pageSize: native.Uint32(m[8:]),
		root:     native.Uint64(m[16:]),
		freelist: native.Uint64(m[32:]),
		pages:    native.Uint64(m[40:]),
		txid:     native.Uint64(m[48:]),
	}, true
}

// checker walks all pages of a file that bbolt would follow, so that bbolt is
// given sound files only: it trusts what it maps.
type checker struct {
	f    io.ReaderAt
	m    meta
	seen []uint64 // a bit for each page in use
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", storage.ErrCorrupt, fmt.Sprintf(format, args...))
}

// checkFile looks at a whole file. It says storage.ErrFormat for a file that
// is no bbolt database, and storage.ErrCorrupt where it is a damaged one.
func checkFile(f *os.File) (meta, error) {
	st, err := f.Stat()
	if err != nil {
		return meta{}, err
	}
	if !st.Mode().IsRegular() {
		return meta{}, storage.ErrFormat
	}
	head := make([]byte, header+metaSize)
	if n, err := f.ReadAt(head, 0); err != nil && (err != io.EOF || n == 0) {
		if err == io.EOF {
			return meta{}, storage.ErrFormat
		}
		return meta{}, err
	} else if n < header+8 || native.Uint32(head[header:]) != magic {
		// The first meta page may be torn; a file whose second one is good is ours.
		if _, ok := secondMeta(f); !ok {
			return meta{}, storage.ErrFormat
		}
	}
	m, ok := parseMeta(head)
	if m2, ok2 := secondMeta(f); ok2 && (!ok || m2.txid > m.txid) {
		m, ok = m2, true
	}
	if !ok {
		return meta{}, damaged("neither of the two meta pages is valid")
	}
	if m.pageSize < 1024 || m.pageSize > 64<<10 || m.pageSize&(m.pageSize-1) != 0 {
		return meta{}, damaged("page size %d", m.pageSize)
	}
	if m.pages < 3 || m.pages > uint64(st.Size())/uint64(m.pageSize) {
		return meta{}, damaged("the file ends at page %d of %d", uint64(st.Size())/uint64(m.pageSize), m.pages)
	}
	c := &checker{f: f, m: m, seen: make([]uint64, m.pages/64+1)}
	c.use(0)
	c.use(1)
	if err := c.tree(m.root, 0, nil, nil); err != nil {
		return meta{}, err
	}
	if m.freelist != none {
		if err := c.freelist(m.freelist); err != nil {
			return meta{}, err
		}
	}
	return m, nil
}

// secondMeta looks for the second meta page at each page size.
func secondMeta(f io.ReaderAt) (meta, bool) {
	b := make([]byte, header+metaSize)
	for size := int64(1024); size <= 64<<10; size *= 2 {
		if _, err := f.ReadAt(b, size); err != nil {
			break
		}
		if m, ok := parseMeta(b); ok && int64(m.pageSize) == size {
			return m, true
		}
	}
	return meta{}, false
}

// use marks a page, and reports false when it was in use or is none.
func (c *checker) use(id uint64) bool {
	if id >= c.m.pages {
		return false
	}
	bit := uint64(1) << (id % 64)
	if c.seen[id/64]&bit != 0 {
		return false
	}
	c.seen[id/64] |= bit
	return true
}

// page reads a page's header and as much behind it as a page has, and marks
// it with the pages that it overflows into.
func (c *checker) page(id uint64) (b []byte, size uint64, err error) {
	if id < 2 || !c.use(id) {
		return nil, 0, damaged("page %d is used twice or does not exist", id)
	}
	b = make([]byte, c.m.pageSize)
	if _, err := c.f.ReadAt(b, int64(id)*int64(c.m.pageSize)); err != nil {
		return nil, 0, err
	}
	if got := native.Uint64(b); got != id {
		return nil, 0, damaged("page %d says that it is page %d", id, got)
	}
	over := uint64(native.Uint32(b[12:]))
	if id+over >= c.m.pages {
		return nil, 0, damaged("page %d ends behind the file", id)
	}
	for i := range over {
		if !c.use(id + 1 + i) {
			return nil, 0, damaged("page %d is used twice", id+1+i)
		}
	}
	return b, (over + 1) * uint64(c.m.pageSize), nil
}

// tree checks the pages below a root, whose keys lie from least on and before
// most, where these are not nil.
func (c *checker) tree(id uint64, depth int, least, most []byte) error {
	if depth > maxDepth {
		return damaged("page %d lies too deep", id)
	}
	b, size, err := c.page(id)
	if err != nil {
		return err
	}
	flags, count := native.Uint16(b[8:]), uint64(native.Uint16(b[10:]))
	if header+count*element > size {
		return damaged("page %d has too many elements", id)
	}
	// The element headers, and the small values behind them, may lie in the
	// pages that this one overflows into.
	if need := header + count*element; need > uint64(len(b)) {
		b = make([]byte, need)
		if _, err := c.f.ReadAt(b, int64(id)*int64(c.m.pageSize)); err != nil {
			return err
		}
	}
	switch flags {
	case flagBranch:
		if count == 0 {
			return damaged("branch page %d is empty", id)
		}
		// The keys of a page lie from its own key on, and before the next page's:
		// bbolt finds records by that.
		keys := make([][]byte, count)
		for i := range count {
			at := header + i*element
			pos, ksize := uint64(native.Uint32(b[at:])), uint64(native.Uint32(b[at+4:]))
			if at+pos+ksize > size {
				return damaged("key %d of page %d ends behind it", i, id)
			}
			if keys[i], err = c.key(b, id, at+pos, ksize); err != nil {
				return err
			}
		}
		for i := range count {
			end := most
			if i+1 < count {
				end = keys[i+1]
			}
			if bytes.Compare(keys[i], least) < 0 || !before(keys[i], end) {
				return damaged("key %d of page %d is out of order", i, id)
			}
			if err := c.tree(native.Uint64(b[header+i*element+8:]), depth+1, keys[i], end); err != nil {
				return err
			}
		}
		return nil
	case flagLeaf:
		return c.leaf(b, id, count, size, depth, least, most)
	}
	return damaged("page %d is of unknown type %#x", id, flags)
}

// maxKey is the longest key that bbolt takes.
const maxKey = 32 << 10

// key returns a key of a page, of which b is the beginning.
func (c *checker) key(b []byte, id, at, length uint64) ([]byte, error) {
	switch {
	case length > maxKey:
		return nil, damaged("a key in page %d has %d bytes", id, length)
	case at+length <= uint64(len(b)):
		return b[at : at+length], nil
	}
	key := make([]byte, length)
	_, err := c.f.ReadAt(key, int64(id)*int64(c.m.pageSize)+int64(at))
	return key, err
}

// before reports whether a key lies before another one; nil stands for the end.
func before(key, end []byte) bool { return end == nil || bytes.Compare(key, end) < 0 }

func (c *checker) leaf(b []byte, id, count, size uint64, depth int, least, most []byte) error {
	for i := range count {
		at := header + i*element
		kind, pos := native.Uint32(b[at:]), uint64(native.Uint32(b[at+4:]))
		ksize, vsize := uint64(native.Uint32(b[at+8:])), uint64(native.Uint32(b[at+12:]))
		if at+pos+ksize+vsize > size || pos < (count-i)*element {
			return damaged("element %d of page %d ends behind it", i, id)
		}
		key, err := c.key(b, id, at+pos, ksize)
		if err != nil {
			return err
		}
		if i == 0 && bytes.Compare(key, least) < 0 || i > 0 && !before(least, key) || !before(key, most) {
			return damaged("key %d of page %d is out of order", i, id)
		}
		least = key
		if kind == 0 {
			continue
		}
		if kind != 1 || vsize < 16 {
			return damaged("element %d of page %d is of unknown type %#x", i, id, kind)
		}
		// A bucket within the bucket: its root page, or a small page in place.
		sub := make([]byte, vsize)
		if _, err := c.f.ReadAt(sub, int64(id)*int64(c.m.pageSize)+int64(at+pos+ksize)); err != nil {
			return err
		}
		if root := native.Uint64(sub); root != 0 {
			if err := c.tree(root, depth+1, nil, nil); err != nil {
				return err
			}
			continue
		}
		if err := c.inline(sub[16:], id); err != nil {
			return err
		}
	}
	return nil
}

// inline checks the page of a small bucket, which lies in its parent's value.
func (c *checker) inline(b []byte, id uint64) error {
	if len(b) < header {
		return damaged("a bucket in page %d is cut short", id)
	}
	var last []byte
	count := uint64(native.Uint16(b[10:]))
	if native.Uint16(b[8:]) != flagLeaf || header+count*element > uint64(len(b)) {
		return damaged("a bucket in page %d is no leaf", id)
	}
	for i := range count {
		at := header + i*element
		pos := uint64(native.Uint32(b[at+4:]))
		end := at + pos + uint64(native.Uint32(b[at+8:])) + uint64(native.Uint32(b[at+12:]))
		if native.Uint32(b[at:]) != 0 || end > uint64(len(b)) || pos < (count-i)*element {
			return damaged("a bucket in page %d has a bad element", id)
		}
		key := b[at+pos : at+pos+uint64(native.Uint32(b[at+8:]))]
		if i > 0 && !before(last, key) {
			return damaged("a bucket in page %d has its keys out of order", id)
		}
		last = key
	}
	return nil
}

// freelist checks the list of free pages: none of them may be in use.
func (c *checker) freelist(id uint64) error {
	b, size, err := c.page(id)
	if err != nil {
		return err
	}
	if native.Uint16(b[8:]) != flagFreelist {
		return damaged("page %d is not the list of free pages", id)
	}
	count, at := uint64(native.Uint16(b[10:])), uint64(header)
	if count == 0xFFFF {
		count, at = native.Uint64(b[header:]), header+8
	}
	if count > c.m.pages || at+count*8 > size {
		return damaged("the list of free pages, in page %d, is too long", id)
	}
	ids := make([]byte, count*8)
	if _, err := c.f.ReadAt(ids, int64(id)*int64(c.m.pageSize)+int64(at)); err != nil {
		return err
	}
	for i := range count {
		if free := native.Uint64(ids[i*8:]); free < 2 || !c.use(free) {
			return damaged("page %d is free and in use", free)
		}
	}
	return nil
}
