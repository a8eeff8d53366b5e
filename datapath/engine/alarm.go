package engine

import (
	"encoding/binary"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"govs/datapath/shape"
	"govs/internal/clock"
)

// An alarm is what a stage's goroutine sleeps by.
type alarm interface {
	// wait returns after d, which may be shape.Never, or when ring was called
	// since it returned last; sometimes sooner.
	wait(d time.Duration)
	ring()
	close()
}

// newAlarm makes an alarm that goes by the clock. The runtime's own timers are
// a millisecond late when nothing else runs, which is much at the rates that
// are shaped here: where the clock is the real one, the kernel has the timer.
func newAlarm(c clock.Clock) alarm {
	if c == clock.Real() {
		fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
		if err == nil {
			return &timerAlarm{fd: fd, file: os.NewFile(uintptr(fd), "timerfd")}
		}
	}
	return &clockAlarm{timer: c.NewTimer(time.Hour), rung: make(chan struct{}, 1)}
}

// A clockAlarm uses a clock's timer.
type clockAlarm struct {
	timer clock.Timer
	rung  chan struct{}
}

func (a *clockAlarm) wait(d time.Duration) {
	var due <-chan time.Time
	if d != shape.Never {
		a.timer.Reset(max(d, 0))
		due = a.timer.C()
	}
	select {
	case <-due:
	case <-a.rung:
	}
}

func (a *clockAlarm) ring() {
	select {
	case a.rung <- struct{}{}:
	default:
	}
}

func (a *clockAlarm) close() { a.timer.Stop() }

// A timerAlarm uses a timer of the kernel's, which the runtime polls.
type timerAlarm struct {
	fd   int
	file *os.File
	rung atomic.Bool
	buf  [8]byte
}

func (a *timerAlarm) wait(d time.Duration) {
	if a.rung.Swap(false) {
		return
	}
	a.set(d)
	if a.rung.Swap(false) { // what ring set may have been overwritten
		return
	}
	if n, err := a.file.Read(a.buf[:]); err != nil || n != len(a.buf) || binary.NativeEndian.Uint64(a.buf[:]) == 0 {
		time.Sleep(time.Millisecond) // which does not happen
	}
	a.rung.Store(false)
}

// set has the timer expire after d; never, for shape.Never.
func (a *timerAlarm) set(d time.Duration) {
	var spec unix.ItimerSpec
	if d != shape.Never {
		spec.Value = unix.NsecToTimespec(int64(max(d, 1)))
	}
	_ = unix.TimerfdSettime(a.fd, 0, &spec, nil)
}

func (a *timerAlarm) ring() {
	if !a.rung.Swap(true) {
		a.set(0)
	}
}

func (a *timerAlarm) close() { _ = a.file.Close() }
