package xlate

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/packet"
)

var rewrite = flag.Bool("rewrite", false, "write the transcripts anew, asking Debian's ovs-vswitchd")

// maskText names what of a mask matters beside what always does.
func maskText(m *flow.Mask) string {
	var out []string
	for _, f := range []struct {
		name string
		f    flow.Fields
	}{
		{"eth_src", flow.EthSrc}, {"eth_dst", flow.EthDst}, {"vid", flow.VLANVID}, {"pcp", flow.VLANPCP},
		{"tpid", flow.VLANTPID}, {"inner tag", flow.CVLANHas}, {"cvid", flow.CVLANVID}, {"cpcp", flow.CVLANPCP}, {"proto", flow.Proto},
		{"src", flow.IPv4Src}, {"dst", flow.IPv4Dst}, {"tp_src", flow.TPSrc}, {"tp_dst", flow.TPDst},
	} {
		var one flow.Mask
		one.Add(f.f)
		if m.Covers(&one) {
			out = append(out, f.name)
		}
	}
	return strings.Join(out, " ")
}

// TestTranscripts plays testdata/*.txt: configuration, packets, and what ours
// and the C switch do with them. "packet" learns, "peek" does not; "fdb" shows
// a bridge's table. A line "differs: WHY" says that the two are meant to.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	var o *oracle
	if *rewrite {
		o = newOracle(t)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) { transcript(t, f, o) })
	}
}

func transcript(t *testing.T, file string, o *oracle) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var (
		out   []string
		s     = newSpec()
		tr    = New()
		dirty bool
		now   = time.Unix(1e9, 0)
		pool  packet.Pool
		pkt   = pool.From(make([]byte, 60))
		kept  = strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	)
	for n, l := range kept {
		f := strings.Fields(l)
		if len(f) == 0 || f[0] == "=>" || f[0] == "C" || f[0] == "|" {
			if len(f) == 0 {
				out = append(out, l)
			}
			continue
		}
		out = append(out, l)
		switch {
		case f[0] == "reset":
			s = newSpec()
		case s.line(t, l):
			dirty = true
		case f[0] == "packet" || f[0] == "peek":
			if dirty {
				tr.Set(&s.cfg)
				if o != nil {
					o.configure(s)
				}
				dirty = false
			}
			k := parsePacket(t, s, f[1:])
			req := engine.Request{Key: s.seen(k), Now: now}
			if f[0] == "packet" {
				req.Packet = pkt
			}
			var res engine.Result
			tr.Translate(&req, &res)
			out = append(out, fmt.Sprintf("  => %s [%s]", s.text(res.Actions), maskText(&res.Mask)))
			c := ""
			if o != nil {
				c, _ = o.trace(s, k, f[0] == "packet")
				out = append(out, "  C  "+c)
			} else {
				for _, l := range kept[n+1:] {
					if v, ok := strings.CutPrefix(l, "  C  "); ok {
						c = v
						out = append(out, l)
						break
					}
				}
			}
			theirs, err := s.parse(c)
			if err != nil {
				t.Fatalf("%s:%d: %v", file, n+1, err)
			}
			differ := !slices.Equal(s.emissions(res.Actions, k), s.emissions(theirs, k))
			meant := n > 0 && strings.HasPrefix(kept[n-1], "differs:")
			if differ != meant {
				t.Errorf("%s:%d: %s\n  ours %s\n  C    %s", file, n+1, l, s.text(res.Actions), c)
			}
		case f[0] == "fdb":
			b := s.cfg.Bridges[slices.IndexFunc(s.cfg.Bridges, func(b *Bridge) bool { return b.Name == f[1] })]
			show := b.MACs.Show(func(name string) (uint16, bool) { return ofport(b, name) }, now)
			for _, l := range strings.Split(strings.TrimSuffix(show, "\n"), "\n") {
				out = append(out, "  | "+l)
			}
		case f[0] == "warp":
			d, err := time.ParseDuration(f[1])
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(d)
		}
	}
	got := strings.Join(out, "\n") + "\n"
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(raw) {
		t.Errorf("%s: got\n%s", file, got)
	}
}

func ofport(b *Bridge, name string) (uint16, bool) {
	for _, p := range b.Ports {
		if p.Name == name {
			return p.Interfaces[0].OFPort, true
		}
	}
	return 0, false
}
