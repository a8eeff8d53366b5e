package xlate

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/port/dummy"
	"govs/internal/clock"
	"govs/vswitchd/mac"
)

// frame is a frame that the key could be of.
func frame(k *flow.Key) []byte {
	be := binary.BigEndian
	b := append(slices.Clone(k.EthDst[:]), k.EthSrc[:]...)
	for _, v := range k.VLAN {
		if v.Present() {
			b = be.AppendUint16(b, v.TPID)
			b = be.AppendUint16(b, v.TCI&^flow.VLANPresent)
		}
	}
	b = be.AppendUint16(b, k.EthType)
	switch k.EthType {
	case etherARP:
		b = append(b, 0, 1, 8, 0, 6, 4, 0, k.Proto)
		b = append(b, make([]byte, 20)...)
	default:
		b = append(b, 0x45, k.TOS, 0, 40, 0, 0, 0, 0, k.TTL, k.Proto, 0, 0)
		b = append(append(b, k.IPSrc[:4]...), k.IPDst[:4]...)
		switch k.Proto {
		case 1:
			b = append(b, byte(k.TPSrc), byte(k.TPDst), 0, 0, 0, 0, 0, 0)
		case 6:
			b = be.AppendUint16(be.AppendUint16(b, k.TPSrc), k.TPDst)
			b = append(b, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, byte(k.TCPFlags), 1, 0)
		default:
			b = be.AppendUint16(be.AppendUint16(b, k.TPSrc), k.TPDst)
			b = append(b, 0, 20, 0, 0)
		}
	}
	return append(b, make([]byte, 20)...)
}

// emitted is a sent frame as spec.emissions writes it.
func emitted(name string, b []byte) string {
	out := name
	for b = b[12:]; ; b = b[4:] {
		tpid, tci := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		if tpid != flow.TPID8021Q && tpid != flow.TPID8021AD {
			return out
		}
		out += fmt.Sprintf(" %04x/%d/%d", tpid, tci&0xfff, tci>>13)
	}
}

// TestEngine runs random packets through a whole engine with dummy ports, its
// caches and megaflows; what comes out must be what the model says, as if
// every packet were looked at on its own.
func TestEngine(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var missed atomic.Int64
	total := 0
	for seed := range uint64(25) {
		r := rand.New(rand.NewPCG(seed, 4))
		text := randomSpec(r)
		s := parseSpec(t, text)
		m := &model{s: s, known: map[string]string{}}
		tr := New()
		c := clock.NewStopped(time.Unix(1e9, 0))
		e := engine.New(engine.Options{Translator: tr, Clock: c, Events: engine.Events{
			Missed: func(*engine.Request, *engine.Result) { missed.Add(1) },
		}})
		for _, b := range s.cfg.Bridges {
			b.MACs = mac.New(mac.Options{}, e.Changed)
		}
		tr.Set(&s.cfg)
		ports := map[flow.PortNo]*dummy.Port{}
		for no, name := range s.names {
			p, err := dummy.New(name, dummy.Options{Keep: 1000})
			if err != nil {
				t.Fatal(err)
			}
			if err := e.AddPort(no, p); err != nil {
				t.Fatal(err)
			}
			ports[no] = p
		}
		var keys []*flow.Key
		for range 15 {
			k := randomKey(r, s)
			if k.EthSrc == k.EthDst {
				k.EthDst[5] ^= 8 // a station that moved is heard of by credit, after such a packet went
			}
			keys = append(keys, k)
		}
		for n := range 200 {
			k := keys[r.IntN(len(keys))]
			if err := ports[k.InPort].Receive(frame(k)); err != nil {
				t.Fatal(err)
			}
			if err := ports[k.InPort].Wait(ctx); err != nil {
				t.Fatal(err)
			}
			total++
			var got []string
			for no, p := range ports {
				for _, f := range p.Sent() {
					got = append(got, emitted(s.names[no], f.Bytes))
				}
			}
			slices.Sort(got)
			if want := m.packet(k); !slices.Equal(got, want) {
				t.Fatalf("seed %d, packet %d:\n%s\n%s\n got %q\nwant %q", seed, n, text, s.odp(k), got, want)
			}
			c.Warp(time.Millisecond, time.Millisecond)
			e.Revalidate() // credits, and so learns
			e.Revalidate()
		}
		e.Close()
	}
	t.Logf("%d of %d packets were misses", missed.Load(), total)
	if int(missed.Load()) > total/2 {
		t.Error("too few packets found a megaflow")
	}
}
