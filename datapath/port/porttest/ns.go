package porttest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// An NS is a throw-away network namespace with its loopback up and IPv6
// router solicitations and address configuration off. It lives until the test
// ends.
type NS struct {
	t      testing.TB
	handle netns.NsHandle
}

// NewNS makes a namespace, or skips the test where that is not permitted.
func NewNS(t testing.TB) *NS {
	t.Helper()
	type result struct {
		h   netns.NsHandle
		err error
	}
	c := make(chan result)
	go func() {
		// Never unlocked: the thread ends with its namespace.
		runtime.LockOSThread()
		h, err := netns.New()
		if err == nil {
			for _, key := range []string{"all", "default"} {
				_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+key+"/disable_ipv6", []byte("1"), 0)
			}
			if lo, e := netlink.LinkByName("lo"); e == nil {
				err = netlink.LinkSetUp(lo)
			}
		}
		c <- result{h, err}
	}()
	r := <-c
	if r.err != nil {
		t.Skipf("needs the privilege to make network namespaces: %v", r.err)
	}
	n := &NS{t: t, handle: r.h}
	t.Cleanup(func() { n.handle.Close() })
	return n
}

// Do runs fn on a thread inside the namespace and waits for it. Sockets and
// processes that fn makes stay in the namespace.
func (n *NS) Do(fn func() error) error {
	c := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := netns.Set(n.handle); err != nil {
			c <- err
			return
		}
		c <- fn()
	}()
	return <-c
}

// Must is Do that fails the test on an error.
func (n *NS) Must(fn func() error) {
	n.t.Helper()
	if err := n.Do(fn); err != nil {
		n.t.Fatal(err)
	}
}

// Start starts a process inside the namespace.
func (n *NS) Start(cmd *exec.Cmd) error {
	return n.Do(cmd.Start)
}

// Run runs a command inside the namespace and returns what it printed.
func (n *NS) Run(name string, args ...string) (string, error) {
	var out []byte
	err := n.Do(func() (err error) {
		out, err = exec.Command(name, args...).CombinedOutput()
		return err
	})
	if err != nil {
		err = fmt.Errorf("%s %q: %w: %s", name, args, err, out)
	}
	return string(out), err
}

// Veth makes a veth pair with one end here and the other in peer, both up.
func (n *NS) Veth(name string, peer *NS, peerName string) {
	n.t.Helper()
	n.Must(func() error {
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: name, TxQLen: 1000},
			PeerName:      peerName,
			PeerNamespace: netlink.NsFd(int(peer.handle)),
		})
	})
	n.Up(name)
	peer.Up(peerName)
}

// Up brings a device of the namespace up.
func (n *NS) Up(name string) {
	n.t.Helper()
	n.Must(func() error { return with(name, netlink.LinkSetUp) })
}

// Down brings a device of the namespace down.
func (n *NS) Down(name string) {
	n.t.Helper()
	n.Must(func() error { return with(name, netlink.LinkSetDown) })
}

// Move moves a device into another namespace.
func (n *NS) Move(name string, to *NS) error {
	return n.Do(func() error {
		return with(name, func(l netlink.Link) error { return netlink.LinkSetNsFd(l, int(to.handle)) })
	})
}

// with looks a device up for fn, in the namespace of the calling thread.
func with(name string, fn func(netlink.Link) error) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return fn(l)
}

// Addr gives a device of the namespace an address like "10.0.0.1/24".
func (n *NS) Addr(name, cidr string) {
	n.t.Helper()
	n.Must(func() error {
		a, err := netlink.ParseAddr(cidr)
		if err != nil {
			return err
		}
		a.Flags = unix.IFA_F_NODAD
		return with(name, func(l netlink.Link) error { return netlink.AddrAdd(l, a) })
	})
}

// Delete removes a device of the namespace.
func (n *NS) Delete(name string) error {
	return n.Do(func() error { return with(name, netlink.LinkDel) })
}
