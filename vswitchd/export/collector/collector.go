// Package collector sends exporters' datagrams to those who collect them.
//
// # Caveats
//
// UDP on connected sockets: nobody is waited for, and what a collector misses
// is lost. The sockets are in the network namespace of the thread that calls
// Open.
package collector

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Set is the collectors of one exporter. It is safe for concurrent use.
type Set struct {
	protocol string // as messages name it
	port     uint16
	log      *slog.Logger

	mu    sync.Mutex // keeps datagrams in order
	names []string
	conns []*net.UDPConn
}

// New returns an empty set. port is that of targets which name none, 0 if
// they must; log is told of errors.
func New(protocol string, port uint16, log *slog.Logger) *Set {
	return &Set{protocol: protocol, port: port, log: log}
}

// Parse reads a collector's address as a targets column has it: "192.0.2.1:5566",
// "[2001:db8::1]:5566", and where port is not 0 without one, too.
func Parse(target string, port uint16) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(target)
	if err != nil && port != 0 {
		a, err = netip.ParseAddrPort(strings.TrimSuffix(target, ":") + ":" + strconv.Itoa(int(port)))
	}
	if err != nil || a.Port() == 0 {
		return netip.AddrPort{}, errors.New("not a numeric address and a port")
	}
	return a, nil
}

// Has says whether the targets are those that Open was called with last.
func (s *Set) Has(targets []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Equal(sorted(targets), s.names)
}

// sorted is a copy in order: targets are a set.
func sorted(targets []string) []string { return slices.Sorted(slices.Values(targets)) }

// Open sends to these from now on. Bad targets are logged in the C switch's
// words, reported in the error, and left out.
func (s *Set) Open(targets []string) error {
	var errs []error
	var conns []*net.UDPConn
	for _, t := range targets {
		a, err := Parse(t, s.port)
		if err == nil {
			var c *net.UDPConn
			if c, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(a)); err == nil {
				conns = append(conns, c)
				continue
			}
		}
		err = fmt.Errorf("couldn't open connection to collector %s (%w)", t, err) // C's words
		s.log.Warn(err.Error())
		errs = append(errs, err)
	}
	s.mu.Lock()
	old := s.conns
	s.conns, s.names = conns, sorted(targets)
	s.mu.Unlock()
	for _, c := range old {
		c.Close()
	}
	return errors.Join(errs...)
}

// Local is the address of the host as the first collector sees it; it is not
// valid where there is none.
func (s *Set) Local() netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) == 0 {
		return netip.Addr{}
	}
	a, _ := s.conns[0].LocalAddr().(*net.UDPAddr)
	return a.AddrPort().Addr().Unmap()
}

// Send passes datagrams to all collectors, and returns how many could not be
// sent.
func (s *Set) Send(datagrams [][]byte) (failed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range datagrams {
		for _, c := range s.conns {
			// A full socket buffer is not worth waiting for.
			c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			_, err := c.Write(d)
			if errors.Is(err, syscall.ECONNREFUSED) {
				_, err = c.Write(d) // the error was the one before's
			}
			if err != nil {
				failed++
				s.log.Debug(fmt.Sprintf("%v: sending %s: %v", c.RemoteAddr(), s.protocol, err))
			}
		}
	}
	return failed
}
