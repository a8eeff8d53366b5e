package daemon

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Die ends the process by signal s as if it had never been caught, so that the
// parent sees a death by signal. The Go runtime keeps a handler for nearly every
// signal; the default action is restored beneath it.
func Die(s syscall.Signal) {
	var dfl [4]uint64 // struct sigaction of the kernel: handler, flags, restorer, mask
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&dfl)), 0, 8, 0, 0)
	_ = syscall.Kill(os.Getpid(), s)
	time.Sleep(time.Second) // the signal is on its way
	os.Exit(128 + int(s))
}

// Alarm makes the process die of SIGALRM after the given time, as the -t and -T
// options of the commands do; before, it calls warn. d <= 0 does nothing. The
// returned function calls it off.
func Alarm(d time.Duration, warn func()) (stop func()) {
	if d <= 0 {
		return func() {}
	}
	t := time.AfterFunc(d, func() {
		if warn != nil {
			warn()
		}
		Die(syscall.SIGALRM)
	})
	return func() { t.Stop() }
}
