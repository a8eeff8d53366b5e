package ebpf

import (
	"testing"

	"govs/datapath/flow"
)

// BenchmarkProgram is the ingress program alone, with a packet that it
// forwards: parsing, lookup under one mask, counters, redirect.
func BenchmarkProgram(b *testing.B) {
	frame := make([]byte, 60)
	copy(frame[12:], []byte{8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 7, 0, 9, 0, 26, 0, 0})
	for _, x := range []struct {
		name   string
		fields flow.Fields
	}{
		{"addresses of Ethernet", flow.EthSrc | flow.EthDst},
		{"five-tuple", flow.EthSrc | flow.EthDst | flow.IPv4Src | flow.IPv4Dst | flow.Proto | flow.TPSrc | flow.TPDst},
	} {
		b.Run(x.name, func(b *testing.B) {
			c := bench(b, 0)
			k := flow.Key{InPort: 1, EthType: typeIPv4, IPSrc: [16]byte{10, 0, 0, 1}, IPDst: [16]byte{10, 0, 0, 2}, Proto: protoUDP, TPSrc: 7, TPDst: 9}
			var m flow.Mask
			m.Add(x.fields | flow.InPort | flow.EthType | flow.VLANHas | flow.CVLANHas | flow.Frag)
			if c.Install(&k, &m, out(2)) == nil {
				b.Fatal("not taken")
			}
			ret, took, err := c.progs.ingress.Benchmark(frame, max(b.N, 1000), b.ResetTimer)
			if err != nil || ret != tcxRedirect {
				b.Fatal(ret, err)
			}
			b.ReportMetric(float64(took.Nanoseconds()), "ns/packet")
			b.ReportMetric(0, "ns/op")
		})
	}
}
