package coverage

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestCoverage(t *testing.T) {
	var c History
	start := time.Unix(1000, 0)
	now := start
	for n := range 1000 {
		now = start.Add(time.Duration(n) * 5 * time.Second)
		c.Sample(now, map[string]uint64{"hit": uint64(n) * 10})
		c.Sample(now.Add(time.Second), nil) // too soon
	}
	if n := len(c.samples); n > 725 {
		t.Errorf("%d samples for an hour", n)
	}
	want := "Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash=00000000:\n" +
		"hit                        3.0/sec     2.083/sec        2.0014/sec   total: 10005\n" +
		"1 events never hit\n"
	if got := c.Show(now.Add(5*time.Second), map[string]uint64{"hit": 10005, "miss": 0}); got != want {
		t.Errorf("got:\n%s", got)
	}
}

type verbs map[string]func(context.Context, []string) (string, error)

func (v verbs) Register(name, _ string, _, _ int, fn func(context.Context, []string) (string, error)) {
	v[name] = fn
}

func TestLog(t *testing.T) {
	n := uint64(7)
	l := NewLog(func() map[string]uint64 { return map[string]uint64{"hits": n, "misses": 0} })
	v := verbs{}
	l.Register(v)
	now := time.Now()
	l.Sample(now.Add(-6 * time.Second))
	n = 37
	text, err := v["coverage/show"](t.Context(), nil)
	if err != nil || !strings.Contains(text, "5.0/sec") || !strings.Contains(text, "total: 37\n1 events never hit\n") {
		t.Error(text, err)
	}
	if text, err := v["coverage/read-counter"](t.Context(), []string{"hits"}); text != "37" || err != nil {
		t.Error(text, err)
	}
	if _, err := v["coverage/read-counter"](t.Context(), []string{"nonsense"}); err == nil || err.Error() != "No such counter" {
		t.Error(err)
	}
}
