package engine

import (
	"testing"
	"time"

	"govs/datapath/shape"
	"govs/internal/clock"
)

// TestAlarm says that an alarm goes off when its time has come, and when it is
// rung, before or meanwhile; no ring is lost.
func TestAlarm(t *testing.T) {
	for name, c := range map[string]clock.Clock{"real": clock.Real(), "dummy": clock.NewDummy()} {
		t.Run(name, func(t *testing.T) {
			a := newAlarm(c)
			defer a.close()
			if _, kernel := a.(*timerAlarm); kernel != (name == "real") {
				t.Errorf("a %T", a)
			}
			start := time.Now()
			for time.Since(start) < 5*time.Millisecond {
				a.wait(5*time.Millisecond - time.Since(start))
			}
			a.ring()
			a.wait(shape.Never)

			const rounds = 2000
			turn, done := make(chan struct{}), make(chan struct{})
			go func() {
				for range rounds {
					<-turn
					a.ring()
				}
				close(done)
			}()
			for range rounds {
				turn <- struct{}{}
				a.wait(shape.Never) // that there may be one more is no harm
			}
			<-done
		})
	}
}
