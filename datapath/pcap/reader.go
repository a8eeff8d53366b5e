package pcap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// nanoseconds is the magic number of files whose times are finer.
const nanoseconds = 0xa1b23c4d

// A Reader reads the frames of a file of either byte order.
type Reader struct {
	r     io.Reader
	order binary.ByteOrder
	buf   []byte
}

// ErrTooLong says that a record is longer than a Reader takes; nothing can be
// read after it.
var ErrTooLong = errors.New("a record of a pcap file is too long")

// NewReader reads the header. Files of other frames than Ethernet's are an error.
func NewReader(r io.Reader) (*Reader, error) {
	var h [24]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, fmt.Errorf("not a pcap file: %w", err)
	}
	p := &Reader{r: r, order: binary.LittleEndian}
	if m := binary.BigEndian.Uint32(h[:]); m == magic || m == nanoseconds {
		p.order = binary.BigEndian
	} else if m := binary.LittleEndian.Uint32(h[:]); m != magic && m != nanoseconds {
		return nil, errors.New("not a pcap file")
	}
	if link := p.order.Uint32(h[20:]) & 0xffff; link != ethernet {
		return nil, fmt.Errorf("frames of link type %d, not Ethernet", link)
	}
	return p, nil
}

// Next is the next frame, or as much of it as was written, and its length. It
// lasts until the next call. The error is io.EOF at the end, and
// io.ErrUnexpectedEOF within a record.
func (p *Reader) Next() (frame []byte, length int, err error) {
	var h [16]byte
	if _, err := io.ReadFull(p.r, h[:]); err != nil {
		return nil, 0, err
	}
	n := p.order.Uint32(h[8:])
	if n > snapLen {
		return nil, 0, ErrTooLong
	}
	if int(n) > cap(p.buf) {
		p.buf = make([]byte, n)
	}
	p.buf = p.buf[:n]
	if _, err := io.ReadFull(p.r, p.buf); err == io.EOF && n > 0 {
		return nil, 0, io.ErrUnexpectedEOF
	} else if err != nil && err != io.EOF {
		return nil, 0, err
	}
	return p.buf, int(p.order.Uint32(h[12:])), nil
}
