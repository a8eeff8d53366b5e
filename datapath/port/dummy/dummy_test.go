package dummy

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/porttest"
)

func open(t *testing.T, o Options) *Port {
	t.Helper()
	p, err := New("p0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestConformance(t *testing.T) {
	porttest.Run(t, func(t *testing.T) porttest.Pair {
		var pool packet.Pool
		p := open(t, Options{
			Queue: 1000, Keep: 4096,
			Offloads: port.Offloads{Csum: true, TSO4: true, TSO6: true, USO: true},
		})
		return porttest.Pair{
			Port:   p,
			Inject: func(pkt *packet.Packet) error { return p.ReceivePacket(pkt.Clone()) },
			Capture: func(d time.Duration) (*packet.Packet, error) {
				ctx, cancel := context.WithTimeout(t.Context(), d)
				defer cancel()
				f, err := p.Next(ctx)
				if err != nil {
					return nil, porttest.ErrNothing
				}
				pkt := pool.From(f.Bytes)
				pkt.Offload = f.Offload
				return pkt, nil
			},
			Vanish: func() error { p.Vanish(); return nil },
		}
	})
}

func TestPcap(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.pcap")
	p := open(t, Options{Settings: Settings{RxPcap: file, TxPcap: file}})
	in, out := bytes.Repeat([]byte{1}, 60), bytes.Repeat([]byte{2}, 64)
	if err := p.Receive(in); err != nil {
		t.Fatal(err)
	}
	var pool packet.Pool
	p.Send(&packet.Batch{Packets: []*packet.Packet{pool.From(out)}})
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) != 24+16+60+16+64 || binary.LittleEndian.Uint32(b[20:]) != 1 ||
		!bytes.Equal(b[40:100], in) || !bytes.Equal(b[116:], out) {
		t.Errorf("file is % x", b)
	}
}

// TestConfigure says that a file is appended to, and that another takes over.
func TestConfigure(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "1"), filepath.Join(dir, "2")
	p := open(t, Options{})
	frame := make([]byte, 60)
	for _, file := range []string{one, two, one} {
		if err := p.Configure(Parse(map[string]string{"pcap": file, "ifindex": "7"})); err != nil {
			t.Fatal(err)
		}
		if err := p.Receive(frame); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]int64{one: 24 + 2*76, two: 24 + 76} {
		if st, err := os.Stat(file); err != nil || st.Size() != want {
			t.Errorf("%s: %v, %v; want %d bytes", file, st, err, want)
		}
	}
	if got := p.State().Ifindex; got != 7 {
		t.Errorf("ifindex is %d", got)
	}
	if err := p.Configure(Settings{TxPcap: filepath.Join(dir, "no", "file")}); err == nil {
		t.Error("no error from a file that cannot be")
	}
}

// TestStreams says that frames travel between dummies, and go on after one of
// them was away.
func TestStreams(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	listens := Settings{Listen: "punix:s"}
	a := open(t, Options{RunDir: dir, Keep: 10, Settings: listens})
	b := open(t, Options{RunDir: dir, Keep: 10, Settings: Settings{Connect: "unix:s"}})
	connected := func(want string) {
		t.Helper()
		for b.Connection() != want {
			if ctx.Err() != nil {
				t.Fatalf("connection is %s, want %s", b.Connection(), want)
			}
			time.Sleep(time.Millisecond) // there is no event
		}
	}
	var pool packet.Pool
	pass := func(from, to *Port, frame []byte) {
		t.Helper()
		for ctx.Err() == nil { // a frame sent before the connection stands is lost
			p := pool.From(frame)
			if err := from.Send(&packet.Batch{Packets: []*packet.Packet{p}}); err != nil {
				t.Fatal(err)
			}
			var got packet.Batch
			received := make(chan error, 1)
			go func() { received <- to.Recv(&got) }()
			select {
			case err := <-received:
				if err != nil || !bytes.Equal(got.Packets[0].Bytes(), frame) {
					t.Fatalf("received %v, %v", got.Packets, err)
				}
				return
			case <-ctx.Done():
			}
		}
		t.Fatal("no frame arrives")
	}
	connected("connected")
	pass(b, a, bytes.Repeat([]byte{1}, 60))
	pass(a, b, bytes.Repeat([]byte{2}, 1500))
	if got := a.Connection(); got != "unknown" {
		t.Errorf("the one that listens is %q", got)
	}
	if err := a.Configure(Settings{}); err != nil {
		t.Fatal(err)
	}
	connected("disconnected")
	if err := a.Configure(listens); err != nil {
		t.Fatal(err)
	}
	connected("connected")
	pass(b, a, bytes.Repeat([]byte{3}, 60))
	if err := a.Configure(Settings{Listen: "nonsense:x"}); err == nil {
		t.Error("no error from a stream of no kind")
	}
}

func TestQueueIsBounded(t *testing.T) {
	p := open(t, Options{Queue: 2})
	frame := make([]byte, 60)
	for i, want := range []error{nil, nil, ErrFull} {
		if err := p.Receive(frame); err != want {
			t.Errorf("frame %d: %v, want %v", i, err, want)
		}
	}
	if s := p.Stats(); s.RxPackets != 2 || s.RxDropped != 1 {
		t.Errorf("%+v", s)
	}
	p.SetUp(false)
	if err := p.Receive(frame); err != nil {
		t.Error(err)
	}
	if s := p.Stats(); s.RxDropped != 2 {
		t.Errorf("%+v", s)
	}
}
