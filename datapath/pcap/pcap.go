// Package pcap writes frames in the classic libpcap format: version 2.4,
// microseconds, link type Ethernet, little-endian.
package pcap

import (
	"encoding/binary"
	"io"
	"time"
)

// The format's constants.
const (
	magic    = 0xa1b2c3d4
	snapLen  = 0x40000
	ethernet = 1
)

// Header is what a file begins with.
func Header() []byte {
	le := binary.LittleEndian
	h := le.AppendUint32(nil, magic)
	h = le.AppendUint16(h, 2)
	h = le.AppendUint16(h, 4)
	h = le.AppendUint64(h, 0)
	h = le.AppendUint32(h, snapLen)
	return le.AppendUint32(h, ethernet)
}

// A Writer writes frames behind the header.
type Writer struct {
	w   io.Writer
	buf []byte
}

// NewWriter writes to w, where the header stands already.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write writes a frame, or the beginning of one that has length bytes.
func (w *Writer) Write(at time.Time, frame []byte, length int) error {
	le := binary.LittleEndian
	b := le.AppendUint32(w.buf[:0], uint32(at.Unix()))
	b = le.AppendUint32(b, uint32(at.Nanosecond()/1000))
	b = le.AppendUint32(b, uint32(len(frame)))
	b = le.AppendUint32(b, uint32(length))
	w.buf = append(b, frame...)
	_, err := w.w.Write(w.buf)
	return err
}
