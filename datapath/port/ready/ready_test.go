package ready_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"govs/datapath/port/ready"
)

// pair is a Waiter on one end of a pair of sockets, and both ends.
func pair(t *testing.T) (w *ready.Waiter, ours, theirs int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if w, err = ready.New(fds[0]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Close()
		unix.Close(fds[1])
	})
	return w, fds[0], fds[1]
}

// TestWait waits for what comes, for what is there, and again for what nobody
// has read.
func TestWait(t *testing.T) {
	w, ours, theirs := pair(t)
	defer unix.Close(ours)
	b := make([]byte, 8)
	for range 100 {
		done := make(chan error)
		go func() { done <- w.Wait() }()
		if _, err := unix.Write(theirs, b); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if err := w.Wait(); err != nil {
			t.Fatal("what is there already:", err)
		}
		if n, err := unix.Read(ours, b); n != len(b) {
			t.Fatal(n, err)
		}
	}
}

// TestEnds ends waits that would last for ever, and all that follow.
func TestEnds(t *testing.T) {
	for name, end := range map[string]func(w *ready.Waiter){
		"woken":  func(w *ready.Waiter) { w.Wake() },
		"closed": func(w *ready.Waiter) { w.Close() },
	} {
		w, ours, _ := pair(t)
		done := make(chan error)
		go func() { done <- w.Wait() }()
		end(w)
		if err := <-done; err == nil {
			t.Errorf("%s: the wait ended as if there were something to read", name)
		}
		if err := w.Wait(); err == nil {
			t.Errorf("%s: another wait did not fail", name)
		}
		unix.Close(ours)
	}
	w, ours, _ := pair(t)
	unix.Close(ours)
	if err := w.Wait(); err == nil {
		t.Error("a closed descriptor is waited for")
	}
}
