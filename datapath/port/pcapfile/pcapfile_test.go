package pcapfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govs/datapath/packet"
	"govs/datapath/pcap"
	"govs/datapath/port"
	"govs/datapath/port/porttest"
)

// A pair whose far end writes the file that the port reads, a FIFO, and reads
// the one that it writes.
func TestConformance(t *testing.T) {
	porttest.Run(t, func(t *testing.T) porttest.Pair {
		dir := t.TempDir()
		rx, tx := filepath.Join(dir, "rx"), filepath.Join(dir, "tx")
		if err := unix.Mkfifo(rx, 0o600); err != nil {
			t.Fatal(err)
		}
		to, err := os.OpenFile(rx, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { to.Close() })
		p, err := Open("p0", Options{Pool: new(packet.Pool), Rx: rx, Tx: tx})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		p.Start()
		if _, err := to.Write(pcap.Header()); err != nil {
			t.Fatal(err)
		}
		// The FIFO takes less than the suite injects at once.
		frames := make(chan []byte, 1000)
		go func() {
			w := pcap.NewWriter(to)
			for f := range frames {
				if w.Write(time.Now(), f, len(f)) != nil {
					return // the test is over
				}
			}
		}()
		t.Cleanup(func() { close(frames) })
		back, err := Open("back", Options{Pool: new(packet.Pool), Rx: tx})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { back.Close() })
		return porttest.Pair{
			Port:      p,
			NoOffload: true,
			Inject:    func(pkt *packet.Packet) error { frames <- bytes.Clone(pkt.Bytes()); return nil },
			Capture: func(d time.Duration) (*packet.Packet, error) {
				for end := time.Now().Add(d); ; time.Sleep(time.Millisecond) {
					var b packet.Batch
					back.ended = false // what was the end of the file need not be it any more
					if err := back.read(&b); err == nil && b.Len() == 1 {
						return b.Packets[0], nil
					}
					if time.Now().After(end) {
						return nil, porttest.ErrNothing
					}
				}
			},
		}
	})
}

// Files of either byte order and resolution, and what is wrong with others.
func TestFiles(t *testing.T) {
	frame := append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5}, make([]byte, 46)...)
	file := func(order binary.AppendByteOrder, magic uint32, link uint32, lengths ...[2]int) []byte {
		b := order.AppendUint32(nil, magic)
		b = order.AppendUint16(b, 2)
		b = order.AppendUint16(b, 4)
		b = order.AppendUint64(b, 0)
		b = order.AppendUint32(b, 65535)
		b = order.AppendUint32(b, link)
		for _, l := range lengths {
			b = order.AppendUint64(b, 0)
			b = order.AppendUint32(b, uint32(l[0]))
			b = order.AppendUint32(b, uint32(l[1]))
			b = append(b, frame[:l[0]]...)
		}
		return b
	}
	whole := [2]int{60, 60}
	for _, c := range []struct {
		name           string
		file           []byte
		frames, errors uint64
		refused        bool
	}{
		{"little-endian", file(binary.LittleEndian, 0xa1b2c3d4, 1, whole, whole), 2, 0, false},
		{"big-endian", file(binary.BigEndian, 0xa1b2c3d4, 1, whole), 1, 0, false},
		{"nanoseconds", file(binary.LittleEndian, 0xa1b23c4d, 1, whole), 1, 0, false},
		{"a part of a frame", file(binary.LittleEndian, 0xa1b2c3d4, 1, [2]int{40, 60}, whole), 1, 1, false},
		{"a runt", file(binary.LittleEndian, 0xa1b2c3d4, 1, [2]int{13, 13}, whole), 1, 1, false},
		{"cut off", file(binary.LittleEndian, 0xa1b2c3d4, 1, whole, whole)[:24+16+60+20], 1, 1, false},
		{"empty", file(binary.LittleEndian, 0xa1b2c3d4, 1), 0, 0, false},
		{"other frames", file(binary.LittleEndian, 0xa1b2c3d4, 101), 0, 0, true},
		{"no pcap", []byte("something else, which is long enough"), 0, 0, true},
		{"nothing", nil, 0, 0, true},
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, c.file, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := Open("p0", Options{Pool: new(packet.Pool), Rx: path})
		if (err != nil) != c.refused {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil {
			continue
		}
		p.Start()
		done := make(chan error)
		go func() {
			var b packet.Batch
			for {
				b.Reset()
				err := p.Recv(&b)
				for _, pkt := range b.Packets {
					if !bytes.Equal(pkt.Bytes(), frame) {
						t.Errorf("%s: came as % x", c.name, pkt.Bytes())
					}
				}
				if err != nil {
					done <- err
					return
				}
			}
		}()
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if s := p.Stats(); s.RxPackets == c.frames && s.RxErrors == c.errors {
				break
			}
		}
		if s := p.Stats(); s.RxPackets != c.frames || s.RxErrors != c.errors || s.RxBytes != 60*c.frames {
			t.Errorf("%s: %+v", c.name, s)
		}
		p.Close()
		if err := <-done; !errors.Is(err, port.ErrClosed) {
			t.Errorf("%s: the end is %v", c.name, err)
		}
	}
}
