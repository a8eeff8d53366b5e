package clock

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestWarpFiresInOrderOfDeadlines(t *testing.T) {
	d := NewStopped(epoch)
	a, b := d.NewTimer(3*time.Second), d.NewTimer(time.Second)
	tick := d.NewTicker(2 * time.Second)
	d.Warp(2500*time.Millisecond, 0)
	if got := <-b.C(); got != epoch.Add(time.Second) {
		t.Errorf("timer fired at %v", got)
	}
	if got := <-tick.C(); got != epoch.Add(2*time.Second) {
		t.Errorf("ticker fired at %v", got)
	}
	select {
	case <-a.C():
		t.Error("timer fired early")
	default:
	}
	if now := d.Now(); now != epoch.Add(2500*time.Millisecond) {
		t.Errorf("now is %v", now)
	}
	if !a.Stop() || a.Stop() {
		t.Error("Stop does not tell whether the timer waited")
	}
	d.Warp(10*time.Second, time.Second)
	select {
	case <-a.C():
		t.Error("stopped timer fired")
	default:
	}
	if n := len(d.Deadlines()); n != 1 {
		t.Errorf("%d timers armed, want the ticker only", n)
	}
	tick.Stop()
	if n := len(d.Deadlines()); n != 0 {
		t.Errorf("%d timers armed after Stop", n)
	}
}

func TestTimerResetDropsUnreadFiring(t *testing.T) {
	d := NewStopped(epoch)
	tm := d.NewTimer(time.Second)
	d.Warp(time.Second, 0)
	if tm.Reset(time.Second) {
		t.Error("a timer that fired was not waiting")
	}
	select {
	case <-tm.C():
		t.Error("old firing left in the channel")
	default:
	}
	d.Warp(time.Second, 0)
	<-tm.C()
	if got := <-d.After(0); got != d.Now() {
		t.Errorf("After(0) gave %v", got)
	}
}

func TestRunningDummyFollowsRealClock(t *testing.T) {
	d := NewDummy()
	if off := time.Since(d.Now()); off < -time.Second || off > time.Second {
		t.Errorf("dummy is %v off", off)
	}
	<-d.NewTimer(time.Millisecond).C()
	tm := d.NewTimer(time.Hour)
	d.Warp(time.Hour, 0)
	<-tm.C()
	if off := d.Since(time.Now()); off < 59*time.Minute {
		t.Errorf("a warp moved the running clock by %v", off)
	}
	d.Stop()
	d.Stop()
	at := d.Now()
	tm = d.NewTimer(time.Nanosecond)
	select {
	case <-tm.C():
		t.Error("timer fired on a stopped clock")
	case <-time.After(5 * time.Millisecond):
	}
	if d.Now() != at || !d.Stopped() {
		t.Error("the stopped clock moves")
	}
}

func TestAwaitTimers(t *testing.T) {
	d := NewStopped(epoch)
	var wg sync.WaitGroup
	wg.Go(func() { <-d.After(time.Second) })
	if err := d.AwaitTimers(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	d.Warp(time.Second, 0)
	wg.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.AwaitTimers(ctx, 1); err == nil {
		t.Error("no error from a wait that ended")
	}
}

func TestRealClock(t *testing.T) {
	c := Real()
	start := c.Now()
	<-c.After(time.Millisecond)
	tk := c.NewTicker(time.Millisecond)
	<-tk.C()
	tk.Reset(time.Hour)
	tk.Stop()
	tm := c.NewTimer(time.Hour)
	if !tm.Reset(time.Hour) || !tm.Stop() {
		t.Error("timer was not waiting")
	}
	if c.Since(start) < 2*time.Millisecond {
		t.Error("time did not pass")
	}
}

type verbs map[string]func(context.Context, []string) (string, error)

func (v verbs) Register(name, _ string, _, _ int, fn func(context.Context, []string) (string, error)) {
	v[name] = fn
}

func TestVerbs(t *testing.T) {
	d := NewStopped(epoch)
	v := verbs{}
	var steps []string
	d.Register(v, func(context.Context) { steps = append(steps, d.Now().Format("05.000")) })
	ctx := context.Background()
	if _, err := v["time/stop"](ctx, nil); err != nil {
		t.Error(err)
	}
	out, err := v["time/warp"](ctx, []string{"2500", "1000"})
	if err != nil || out != "warped" {
		t.Errorf("%q, %v", out, err)
	}
	if got := strings.Join(steps, " "); got != "06.000 07.000 07.500" {
		t.Errorf("steps at %s", got)
	}
	for _, bad := range []string{"x", "0", "-5", "", "99999999999999999999"} {
		if _, err := v["time/warp"](ctx, []string{bad}); fmt.Sprint(err) != "invalid MSECS" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := v["time/warp"](ctx, []string{"5x"}); err != nil {
		t.Error(err)
	}
}
