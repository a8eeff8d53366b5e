package vnet

import (
	"bytes"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"govs/datapath/packet"
)

func TestHeader(t *testing.T) {
	frame := make([]byte, 2000)
	frame[34+12] = 8 << 4 // a TCP header of 32 bytes
	for _, o := range []packet.Offload{
		{},
		{CsumValid: true},
		{NeedsCsum: true, CsumStart: 34, CsumOffset: 16},
		{NeedsCsum: true, CsumStart: 34, CsumOffset: 16, GSO: packet.GSOTCPv4, GSOSize: 1448, HdrLen: 66},
		{NeedsCsum: true, CsumStart: 34, CsumOffset: 16, GSO: packet.GSOTCPv6 | packet.GSOECN, GSOSize: 1, HdrLen: 66},
		{NeedsCsum: true, CsumStart: 34, CsumOffset: 6, GSO: packet.GSOUDPL4, GSOSize: 1200, HdrLen: 42},
	} {
		var b [HeaderLen]byte
		Encode(&b, &o, frame)
		if got, err := Decode(&b); err != nil || got != o {
			t.Errorf("%+v became %+v, %v", o, got, err)
		}
	}
}

// TestHeaderLength never says that the headers are longer than the frame.
func TestHeaderLength(t *testing.T) {
	for _, n := range []int{14, 40, 47, 60} {
		frame := bytes.Repeat([]byte{0xff}, n)
		for _, start := range []uint16{0, 34, 59, 65535} {
			var b [HeaderLen]byte
			o := packet.Offload{NeedsCsum: true, CsumStart: start, GSO: packet.GSOTCPv4, GSOSize: 100, HdrLen: 60000}
			Encode(&b, &o, frame)
			if got, _ := Decode(&b); int(got.HdrLen) > n {
				t.Errorf("hdr_len %d of a frame of %d bytes", got.HdrLen, n)
			}
		}
	}
}

func TestUnknownKind(t *testing.T) {
	for _, kind := range []byte{2, 3, 6, 0x7f, 0x85, 0xff} {
		if o, err := Decode(&[HeaderLen]byte{1: kind}); err != ErrHeader {
			t.Errorf("kind %#x: %+v, %v", kind, o, err)
		}
	}
}

// fill writes a frame into slot i as readv does.
func fill(b *Buffers, i int, frame []byte) {
	for _, v := range b.Vectors[i][1:] {
		n := copy(view(v), frame)
		frame = frame[n:]
	}
}

func view(v unix.Iovec) []byte { return unsafe.Slice(v.Base, v.Len) }

func TestBuffers(t *testing.T) {
	var pool packet.Pool
	var cache Cache
	for range 3 {
		b := cache.Get(&pool)
		for i, n := range []int{0, 14, 60, 1514, 1919, 1920, 1921, 9000, 65549, packet.MaxFrame} {
			frame := make([]byte, n)
			for j := range frame {
				frame[j] = byte(j * (i + 3))
			}
			for range 2 {
				fill(b, i, frame)
				p, err := b.Take(i, n)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(p.Bytes(), frame) {
					t.Errorf("a frame of %d bytes came out as another", n)
				}
				if p.Push(packet.Headroom) == nil {
					t.Errorf("a frame of %d bytes has no head-room", n)
				}
				p.Free()
			}
		}
		b.Headers[0][1] = 0x77
		if _, err := b.Take(0, 60); err != ErrHeader {
			t.Error(err)
		}
		b.Headers[0][1] = 0
		cache.Put(b)
	}
	var other packet.Pool
	if b := cache.Get(&other); b.pool != &other {
		t.Error("buffers come from another pool")
	}
}
