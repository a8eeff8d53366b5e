package pcap

import (
	"bytes"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// TestWriter has another project's reader read what was written.
func TestWriter(t *testing.T) {
	var b bytes.Buffer
	b.Write(Header())
	w := NewWriter(&b)
	at := time.Unix(1e9, 123456000).UTC()
	for i := range 3 {
		if err := w.Write(at, bytes.Repeat([]byte{byte(i)}, 60), 60+i); err != nil {
			t.Fatal(err)
		}
	}
	r, err := pcapgo.NewReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	if r.LinkType() != layers.LinkTypeEthernet {
		t.Errorf("link type %v", r.LinkType())
	}
	for i := range 3 {
		frame, info, err := r.ReadPacketData()
		if err != nil || len(frame) != 60 || frame[0] != byte(i) || info.Length != 60+i || !info.Timestamp.Equal(at) {
			t.Errorf("frame %d: % x, %+v, %v", i, frame, info, err)
		}
	}
}

// Whatever a file holds, reading it ends, and no frame is longer than a record
// may be.
func FuzzReader(f *testing.F) {
	f.Add(append(Header(), "12345678\x04\x00\x00\x00\x04\x00\x00\x00abcd"...))
	f.Add(Header()[:20])
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := NewReader(bytes.NewReader(file))
		for err == nil {
			var frame []byte
			if frame, _, err = r.Next(); len(frame) > snapLen {
				t.Fatalf("a frame of %d bytes", len(frame))
			}
		}
	})
}
