package porttest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"govs/datapath/packet"
	"govs/datapath/port"
)

func (s *suite) order(t *testing.T, pair Pair) {
	const n = 200
	for i := range uint32(n) {
		p := s.frame(i, 60+int(i)*7)
		if err := pair.Inject(p); err != nil {
			t.Fatal(err)
		}
		p.Free()
	}
	got, err := recv(pair.Port, n)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range got {
		want := s.frame(uint32(i), 60+i*7)
		if !bytes.Equal(p.Bytes(), want.Bytes()) {
			t.Fatalf("packet %d is % x, sent was % x", i, p.Bytes(), want.Bytes())
		}
		if p.Offload != (packet.Offload{}) {
			t.Fatalf("packet %d has offload %+v", i, p.Offload)
		}
		p.Free()
		want.Free()
	}
}

func (s *suite) batches(t *testing.T, pair Pair) {
	next := uint32(0)
	for size := 1; size <= packet.MaxBatch; size += 15 {
		var b packet.Batch
		from := next
		for range size {
			b.Add(s.frame(next, 100))
			next++
		}
		if err := pair.Port.Send(&b); err != nil {
			t.Fatal(err)
		}
		if b.Len() != size {
			t.Fatalf("Send left %d of %d packets in the batch", b.Len(), size)
		}
		b.FreeAll()
		for i := from; i < next; i++ {
			p, err := capture(pair)
			if err != nil {
				t.Fatalf("packet %d: %v", i, err)
			}
			if got, _ := number(p.Bytes()); got != i {
				t.Fatalf("packet %d came as number %d", i, got)
			}
			p.Free()
		}
	}
	if err := pair.Port.Send(&packet.Batch{}); err != nil {
		t.Fatalf("sending an empty batch: %v", err)
	}
}

func (s *suite) borrow(t *testing.T, pair Pair) {
	p := s.frame(7, 1000)
	before := bytes.Clone(p.Bytes())
	offload := p.Offload
	b := packet.Batch{Packets: []*packet.Packet{p, p, p}}
	if err := pair.Port.Send(&b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.Bytes(), before) || p.Offload != offload {
		t.Fatal("Send changed the packet")
	}
	clear(p.Bytes())
	for range 3 {
		got, err := capture(pair)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), before) {
			t.Fatalf("the far end saw % x", got.Bytes())
		}
	}
}

func (s *suite) vlan(t *testing.T, pair Pair) {
	for _, tpids := range [][]uint16{{0x8100}, {0x88a8}, {0x88a8, 0x8100}} {
		p := s.frame(1, 200)
		for i := len(tpids) - 1; i >= 0; i-- {
			pushTag(p, tpids[i], uint16(0x2000+100*(i+1)))
		}
		want := bytes.Clone(p.Bytes())
		if err := pair.Inject(p); err != nil {
			t.Fatal(err)
		}
		got, err := recv(pair.Port, 1)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got[0].Bytes(), want) {
			t.Errorf("tags %x: in came % x, sent was % x", tpids, got[0].Bytes()[:32], want[:32])
		}
		if err := pair.Port.Send(&packet.Batch{Packets: []*packet.Packet{p}}); err != nil {
			t.Fatal(err)
		}
		out, err := capture(pair)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("tags %x: out came % x, sent was % x", tpids, out.Bytes()[:32], want[:32])
		}
		p.Free()
	}
}

func pushTag(p *packet.Packet, tpid, tci uint16) {
	f := p.Push(4)
	copy(f, f[4:16])
	f[12], f[13], f[14], f[15] = byte(tpid>>8), byte(tpid), byte(tci>>8), byte(tci)
}

// runt checks that a frame too short to be one hurts nobody.
func (s *suite) runt(t *testing.T, pair Pair) {
	short := s.pool.From([]byte{1, 2, 3})
	empty := s.pool.Get(0)
	good := s.frame(9, 60)
	if err := pair.Port.Send(&packet.Batch{Packets: []*packet.Packet{short, empty, good}}); err != nil {
		t.Fatal(err)
	}
	p, err := capture(pair)
	if err != nil {
		t.Fatal(err)
	}
	if i, _ := number(p.Bytes()); i != 9 {
		t.Fatalf("the far end got % x", p.Bytes())
	}
}

// oversized checks that a frame beyond the MTU is counted, and the next sent.
func (s *suite) oversized(t *testing.T, pair Pair) {
	mtu := pair.Port.State().MTU
	if mtu == 0 || mtu > 60000 {
		t.Skipf("the port's MTU is %d", mtu)
	}
	before := pair.Port.Stats()
	big, good := s.frame(1, mtu+200), s.frame(2, mtu+14)
	if err := pair.Port.Send(&packet.Batch{Packets: []*packet.Packet{big, good}}); err != nil {
		t.Fatal(err)
	}
	for {
		p, err := capture(pair)
		if err != nil {
			t.Fatal(err)
		}
		if i, _ := number(p.Bytes()); i == 2 && p.Len() == mtu+14 {
			break
		} else if i != 1 {
			t.Fatalf("the far end got number %d with %d bytes", i, p.Len())
		}
		t.Skip("the device takes frames beyond its MTU")
	}
	after := pair.Port.Stats()
	if after.TxErrors+after.TxDropped == before.TxErrors+before.TxDropped {
		t.Errorf("an oversized frame is not counted: %+v", after)
	}
}

func (s *suite) stats(t *testing.T, pair Pair) {
	before := pair.Port.Stats()
	for i := range uint32(3) {
		if err := pair.Inject(s.frame(i, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := recv(pair.Port, 3); err != nil {
		t.Fatal(err)
	}
	b := packet.Batch{Packets: []*packet.Packet{s.frame(0, 200), s.frame(1, 200)}}
	if err := pair.Port.Send(&b); err != nil {
		t.Fatal(err)
	}
	after := pair.Port.Stats()
	if n := after.RxPackets - before.RxPackets; n < 3 {
		t.Errorf("rx_packets grew by %d, want 3", n)
	}
	if n := after.RxBytes - before.RxBytes; n < 300 {
		t.Errorf("rx_bytes grew by %d, want 300", n)
	}
	if n := after.TxPackets - before.TxPackets; n != 2 {
		t.Errorf("tx_packets grew by %d, want 2", n)
	}
	if n := after.TxBytes - before.TxBytes; n != 400 {
		t.Errorf("tx_bytes grew by %d, want 400", n)
	}
}

func (s *suite) state(t *testing.T, pair Pair) {
	st := pair.Port.State()
	if !st.Admin || !st.Link {
		t.Errorf("the port is not up: %+v", st)
	}
	if pair.Port.Name() == "" {
		t.Error("the port has no name")
	}
	if n := len(st.MAC); n != 0 && n != 6 {
		t.Errorf("MAC %v", st.MAC)
	}
}

// notify checks that changes made through port.Admin are told and shown.
func (s *suite) notify(t *testing.T, pair Pair) {
	admin, ok := pair.Port.(port.Admin)
	if !ok {
		t.Skip("the port is no port.Admin")
	}
	notifier, ok := pair.Port.(port.Notifier)
	if !ok {
		t.Skip("the port is no port.Notifier")
	}
	states := make(chan port.State, 100)
	notifier.Notify(func(st port.State) { states <- st })
	until := func(what string, fn func(port.State) bool) {
		t.Helper()
		timeout := time.After(wait)
		for {
			select {
			case st := <-states:
				if fn(st) {
					return
				}
			case <-timeout:
				t.Fatalf("%s was not told; the state is %+v", what, pair.Port.State())
			}
		}
	}
	if err := admin.SetMTU(1300); err == nil {
		until("the MTU", func(st port.State) bool { return st.MTU == 1300 })
		if got := pair.Port.State().MTU; got != 1300 {
			t.Errorf("MTU is %d", got)
		}
	} else if !errors.Is(err, port.ErrUnsupported) {
		t.Errorf("SetMTU: %v", err)
	}
	mac := []byte{0x02, 1, 2, 3, 4, 5}
	if err := admin.SetMAC(mac); err == nil {
		until("the MAC address", func(st port.State) bool { return bytes.Equal(st.MAC, mac) })
	} else if !errors.Is(err, port.ErrUnsupported) {
		t.Errorf("SetMAC: %v", err)
	}
	if err := admin.SetUp(false); err == nil {
		until("admin down", func(st port.State) bool { return !st.Admin })
		if err := admin.SetUp(true); err != nil {
			t.Errorf("SetUp: %v", err)
		}
		until("admin up", func(st port.State) bool { return st.Admin })
		// Traffic flows again after it was down.
		if err := s.eventually(pair); err != nil {
			t.Error(err)
		}
	} else if !errors.Is(err, port.ErrUnsupported) {
		t.Errorf("SetUp: %v", err)
	}
	notifier.Notify(nil)
}

// eventually sends until the far end hears it: carriers take a moment.
func (s *suite) eventually(pair Pair) error {
	p := s.frame(77, 100)
	for deadline := time.Now().Add(wait); ; {
		if err := pair.Port.Send(&packet.Batch{Packets: []*packet.Packet{p}}); err != nil {
			return err
		}
		for {
			got, err := pair.Capture(50 * time.Millisecond)
			if err == nil && ours(got) {
				return nil
			}
			if err != nil {
				break
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("nothing is sent after the port was down and up: %+v", pair.Port.Stats())
		}
	}
}

// concurrent uses everything at the same time; the race detector judges.
func (s *suite) concurrent(t *testing.T, pair Pair) {
	var wg sync.WaitGroup
	stop := make(chan struct{})
	loop := func(fn func() bool) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
					if !fn() {
						return
					}
				}
			}
		}()
	}
	var in packet.Batch
	loop(func() bool {
		in.Reset()
		err := pair.Port.Recv(&in)
		in.FreeAll()
		return !errors.Is(err, port.ErrClosed)
	})
	var out packet.Batch
	for i := range uint32(5) {
		out.Add(s.frame(i, 100))
	}
	loop(func() bool { return !errors.Is(pair.Port.Send(&out), port.ErrClosed) })
	loop(func() bool { pair.Port.State(); pair.Port.Stats(); return true })
	p := s.frame(1, 300)
	for range 200 {
		if err := pair.Inject(p); err != nil {
			t.Error(err)
			break
		}
	}
	if err := pair.Port.Close(); err != nil {
		t.Error(err)
	}
	close(stop)
	wg.Wait()
}
