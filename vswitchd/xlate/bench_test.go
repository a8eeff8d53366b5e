package xlate

import (
	"fmt"
	"testing"
	"time"

	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/packet"
)

func benchSpec(b *testing.B, ports int) *spec {
	text := "bridge br0\n"
	for n := range ports {
		text += fmt.Sprintf("port p%d access tag=10\n", n)
	}
	return parseSpec(b, text)
}

func benchTranslate(b *testing.B, ports int, vary func(k *flow.Key, n int)) {
	s := benchSpec(b, ports)
	tr := New()
	tr.Set(&s.cfg)
	var pool packet.Pool
	k := &flow.Key{EthType: 0x0800, EthSrc: [6]byte{0: 2, 5: 1}, EthDst: [6]byte{0: 2, 5: 2}}
	req := engine.Request{Key: k, Packet: pool.From(make([]byte, 60)), Now: time.Unix(1e9, 0)}
	var res engine.Result
	k.InPort = 3
	k.EthSrc, k.EthDst = k.EthDst, k.EthSrc
	tr.Translate(&req, &res)
	k.InPort = 2
	k.EthSrc, k.EthDst = k.EthDst, k.EthSrc
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		vary(k, n)
		res = engine.Result{Actions: res.Actions[:0], Credit: res.Credit[:0]}
		tr.Translate(&req, &res)
	}
}

// BenchmarkKnown is a station that is known talking to another.
func BenchmarkKnown(b *testing.B) {
	benchTranslate(b, 8, func(*flow.Key, int) {})
}

// BenchmarkNew is ever new stations talking to a known one.
func BenchmarkNew(b *testing.B) {
	benchTranslate(b, 8, func(k *flow.Key, n int) {
		k.EthSrc = [6]byte{2, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 1}
	})
}

// BenchmarkFlood is a broadcast on a bridge of 8 and of 1000 ports.
func BenchmarkFlood(b *testing.B) {
	for _, ports := range []int{8, 1000} {
		b.Run(fmt.Sprint(ports), func(b *testing.B) {
			benchTranslate(b, ports, func(k *flow.Key, _ int) { k.EthDst = [6]byte{255, 255, 255, 255, 255, 255} })
		})
	}
}
