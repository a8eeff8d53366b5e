package afpacket

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/porttest"
	"govs/datapath/shape"
)

// root is the type of the device's queueing discipline.
func root(t *testing.T, ns *porttest.NS, dev string) (kind string, handle uint32) {
	t.Helper()
	ns.Must(func() error {
		l, err := netlink.LinkByName(dev)
		if err != nil {
			return err
		}
		list, err := netlink.QdiscList(l)
		for _, q := range list {
			if a := q.Attrs(); a.Parent == netlink.HANDLE_ROOT {
				kind, handle = q.Type(), a.Handle
			}
		}
		return err
	})
	return kind, handle
}

func TestQueueing(t *testing.T) {
	sw, host := porttest.NewNS(t), porttest.NewNS(t)
	sw.Veth("p0", host, "eth0")
	p := open(t, sw, "p0", Options{})
	c := &shape.Config{MTU: 1514, Rate: 1e9, Queues: []shape.Queue{{Min: 12000, Burst: 1564}, {ID: 1, Min: 1e8, Max: 5e8, Burst: 4000, Priority: 3}, {ID: 4, Min: 12000, Burst: 1564}}}
	if err := sw.Do(func() error { return p.Shape(c) }); errors.Is(err, port.ErrUnsupported) {
		t.Skip("no qdisc htb in this kernel: ", err)
	} else if err != nil {
		t.Fatal(err)
	}
	if kind, handle := root(t, sw, "p0"); kind != "htb" || handle>>16 != 0x6776 {
		t.Errorf("qdisc %s %x", kind, handle)
	}
	send := func(queue uint32, n int) {
		t.Helper()
		p.Select(queue)
		var b packet.Batch
		var pool packet.Pool
		for range n {
			b.Add(pool.From(append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5}, make([]byte, 86)...)))
		}
		if err := p.Send(&b); err != nil {
			t.Fatal(err)
		}
		b.FreeAll()
	}
	send(0, 3)
	send(1, 5)
	send(4, 7)
	send(1, 1)
	send(9, 2) // which is not there: the default
	counts := func() (n [3]uint64) {
		for i, s := range p.Shaped() {
			n[i] = s.Packets
		}
		return n
	}
	want := [3]uint64{5, 6, 7}
	for end := time.Now().Add(30 * time.Second); counts() != want && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if got := counts(); got != want {
		t.Errorf("%v packets by the queues, want %v: %+v", got, want, p.Shaped())
	}
	if s := p.Shaped(); s[1].Queue != 1 || s[1].Bytes < 600 || s[2].Queue != 4 {
		t.Errorf("%+v", s)
	}
	if p.Across() {
		t.Error("packets would pass the discipline by")
	}

	// Other rates of the same queues, which count on.
	faster := &shape.Config{MTU: 1514, Rate: 2e9, Queues: slices.Clone(c.Queues)}
	faster.Queues[1].Max = 7e8
	if err := sw.Do(func() error { return p.Shape(faster) }); err != nil {
		t.Error(err)
	}
	if got := counts(); got != want {
		t.Errorf("%v packets by the queues after a change, want %v", got, want)
	}
	if out, err := sw.Run("tc", "class", "show", "dev", "p0"); err == nil && (!strings.Contains(out, "rate 100Mbit ceil 700Mbit") || !strings.Contains(out, "rate 2Gbit")) {
		t.Errorf("classes after a change:\n%s", out)
	}

	// Another configuration, and none.
	c2 := *c
	c2.Queues = c.Queues[:1]
	if err := sw.Do(func() error { return p.Shape(&c2) }); err != nil {
		t.Error(err)
	}
	if s := p.Shaped(); len(s) != 1 || s[0].Packets != 0 {
		t.Errorf("%+v", s)
	}
	if err := sw.Do(func() error { return p.Shape(nil) }); err != nil {
		t.Error(err)
	}
	if kind, _ := root(t, sw, "p0"); kind != "noqueue" || p.Shaped() != nil || !p.Across() {
		t.Errorf("qdisc %s is left, %v", kind, p.Shaped())
	}
	if err := sw.Do(func() error { return p.Shape(&shape.Config{Kind: shape.SFQ}) }); !errors.Is(err, port.ErrUnsupported) {
		t.Error("another kind: ", err)
	}

	// What one port leaves, the next one takes away.
	if err := sw.Do(func() error { return p.Shape(c) }); err != nil {
		t.Error(err)
	}
	p2 := open(t, sw, "p0", Options{})
	if kind, _ := root(t, sw, "p0"); kind != "noqueue" {
		t.Errorf("qdisc %s is left by another port", kind)
	}
	if err := sw.Do(func() error { return p2.Shape(c) }); err != nil {
		t.Error(err)
	}
	p2.Close()
	if kind, _ := root(t, sw, "p0"); kind != "htb" {
		t.Errorf("qdisc %s is left by a closed port", kind)
	}
	if err := sw.Do(func() error { return p2.Shape(c) }); err == nil {
		t.Error("a closed port takes a discipline")
	}
	p3 := open(t, sw, "p0", Options{})
	p3.Close()

	// Somebody else's stays.
	sw.Must(func() error {
		l, err := netlink.LinkByName("p0")
		if err != nil {
			return err
		}
		return netlink.QdiscAdd(&netlink.Tbf{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
			Rate: 1e6, Limit: 100000, Buffer: 100000})
	})
	if err := sw.Do(func() error { return p.Shape(c) }); !errors.Is(err, port.ErrUnsupported) {
		t.Error("a discipline of somebody else: ", err)
	} else {
		t.Log(err)
	}
	if kind, _ := root(t, sw, "p0"); kind != "tbf" {
		t.Errorf("qdisc %s, and tbf was somebody else's", kind)
	}
	if err := p.Pass(true); err != nil || p.Across() {
		t.Error("packets pass it by: ", err)
	}
}
