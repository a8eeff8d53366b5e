package drop

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"govs/datapath/flow"
)

func TestEveryReasonHasAName(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reasons() {
		back, err := Parse(r.String())
		if err != nil || back != r || seen[r.String()] {
			t.Errorf("%d: name %q, read as %d, %v", r, r, back, err)
		}
		seen[r.String()] = true
	}
	if _, err := Parse("nope"); err == nil || err.Error() != "nope: unknown drop reason" {
		t.Error(err)
	}
	if s := Reason(200).String(); s != "drop_reason_200" {
		t.Error(s)
	}
}

func TestLog(t *testing.T) {
	var l Log
	frame := bytes.Repeat([]byte{7}, 500)
	for i := range 40 {
		l.Count(i, BadVLAN, 1)
		l.Sample(&Sample{Time: time.Unix(int64(i), 0), Reason: BadVLAN, Port: flow.PortNo(i), Len: 500, Head: frame})
	}
	l.Sample(&Sample{Reason: Pipeline, Head: frame[:3]})
	frame[0] = 8
	if n := l.Total(BadVLAN); n != 40 {
		t.Errorf("%d drops, want 40", n)
	}
	all := l.Samples()
	if len(all) != 33 {
		t.Fatalf("%d samples, want 33", len(all))
	}
	if s := all[0]; s.Reason != Pipeline || !bytes.Equal(s.Head, []byte{7, 7, 7}) {
		t.Errorf("%+v", s)
	}
	for i, s := range all[1:] {
		if s.Port != flow.PortNo(8+i) || s.Len != 500 || len(s.Head) != 128 || s.Head[0] != 7 {
			t.Errorf("sample %d is %+v", i, s)
		}
	}
}

func TestLogIsForManyGoroutines(t *testing.T) {
	var l Log
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for range 1000 {
				l.Count(g, NoPort, 2)
				l.Sample(&Sample{Reason: NoPort, Head: []byte{1}})
			}
		})
	}
	wg.Go(func() {
		for range 100 {
			l.Samples()
		}
	})
	wg.Wait()
	if n := l.Total(NoPort); n != 8000 {
		t.Errorf("%d drops, want 8000", n)
	}
}

func TestSampleAllocatesNothing(t *testing.T) {
	var l Log
	frame := make([]byte, 60)
	if n := testing.AllocsPerRun(100, func() { l.Sample(&Sample{Reason: NoPort, Head: frame}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
