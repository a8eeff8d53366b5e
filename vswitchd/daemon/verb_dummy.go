package daemon

import (
	"context"
	"encoding/hex"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"govs/datapath/flow"
	"govs/datapath/port/dummy"
	"govs/vswitchd/desired"
)

// verbsDummy adds netdev-dummy/receive, set-admin-state, conn-state, ip4addr
// and ip6addr, where dummies are enabled.
func (s *Switch) verbsDummy(r Registrar) {
	if s.o.Dummy == desired.DummyOff {
		return
	}
	r.Register("netdev-dummy/receive", "name [--qid queue_id] packet|flow [--len packet_len]", 2, -1, s.reading(s.dummyReceive))
	r.Register("netdev-dummy/set-admin-state", "[netdev] up|down", 1, 2, s.reading(s.dummyAdmin))
	r.Register("netdev-dummy/conn-state", "[netdev]", 0, 1, s.reading(s.dummyState))
	r.Register("netdev-dummy/ip4addr", "[netdev] ipaddr/mask-prefix-len", 2, 2, s.reading(func(args []string) (string, error) {
		return s.dummyAddress(args, 32)
	}))
	r.Register("netdev-dummy/ip6addr", "[netdev] ip6addr", 2, 2, s.reading(func(args []string) (string, error) {
		return s.dummyAddress(args, 128)
	}))
}

// dummy finds a dummy port by name, nil where there is none.
func (s *Switch) dummy(name string) *dummy.Port {
	_, i := s.applier.Switch.Find(name)
	if i == nil {
		return nil
	}
	p, _ := i.Port.(*dummy.Port)
	return p
}

// dummies are all dummy ports, in the order of their bridges' and their names.
func (s *Switch) dummies() (list []*dummy.Port) {
	for _, b := range s.applier.Switch.Sorted() {
		for _, i := range b.Sorted() {
			if p, ok := i.Port.(*dummy.Port); ok {
				list = append(list, p)
			}
		}
	}
	return list
}

var errUnknownDummy = answer("Unknown Dummy Interface")

// dummyState tells of the connections that dummies make to others.
func (s *Switch) dummyState(args []string) (string, error) {
	var b strings.Builder
	if len(args) == 1 {
		state := "unknown"
		if p := s.dummy(args[0]); p != nil {
			state = p.Connection()
		}
		return args[0] + ": " + state + "\n", nil
	}
	for _, p := range s.dummies() {
		if state := p.Connection(); state != "unknown" {
			b.WriteString(p.Name() + ": " + state + "\n")
		}
	}
	return b.String(), nil
}

// dummyAddress gives a dummy an address of that many bits.
func (s *Switch) dummyAddress(args []string, bits int) (string, error) {
	p := s.dummy(args[0])
	if p == nil {
		return "", errUnknownDummy
	}
	prefix, err := netip.ParsePrefix(args[1])
	if err != nil {
		var addr netip.Addr
		if addr, err = netip.ParseAddr(args[1]); err == nil {
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
	}
	if err != nil || prefix.Addr().BitLen() != bits {
		return "", answer(args[1] + ": invalid IP address")
	}
	p.SetAddress(prefix)
	s.loadRoutes()
	return "OK", nil
}

func (s *Switch) dummyReceive(args []string) (string, error) {
	p := s.dummy(args[0])
	if p == nil {
		return "", errors.New("no such dummy netdev")
	}
	args = args[1:]
	if args[0] == "--qid" && len(args) > 1 {
		if n, err := strconv.Atoi(args[1]); err != nil || n != 0 { // there is but one queue
			return "", errors.New("bad rx queue id.")
		}
		args = args[2:]
	}
	var frames [][]byte
	for len(args) > 0 {
		text, length := args[0], 0
		args = args[1:]
		if len(args) > 0 && args[0] == "--len" {
			if len(args) > 1 {
				length, _ = strconv.Atoi(args[1])
			}
			if length < 14 {
				return "", errors.New("too small packet len")
			}
			if length > 65535 {
				return "", errors.New("too large packet len")
			}
			args = args[2:]
		}
		frame, err := s.frame(text, length)
		if err != nil {
			return "", err
		}
		frames = append(frames, frame)
	}
	if err := p.Receive(frames...); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = p.Wait(ctx) // so that what comes of it can be seen
	return "", nil
}

// frame reads a packet in hexadecimal or a flow in the syntax of dpctl(8),
// from which it makes one of that length, where that is not 0.
func (s *Switch) frame(text string, length int) ([]byte, error) {
	if packet, err := hex.DecodeString(strings.ReplaceAll(text, " ", "")); err == nil && len(packet) >= 14 {
		return packet, nil
	}
	key, _, err := flow.Parse(text, s.resolve)
	if err != nil {
		return nil, errors.New("syntax error at " + text)
	}
	frame := flow.Compose(&key, length)
	if len(frame) < 14 {
		return nil, errors.New("syntax error at " + text)
	}
	return frame, nil
}

func (s *Switch) dummyAdmin(args []string) (string, error) {
	up := args[len(args)-1]
	if up != "up" && up != "down" {
		return "", answer("Invalid Admin State")
	}
	ports := s.dummies()
	if len(args) == 2 {
		p := s.dummy(args[0])
		if p == nil {
			return "", errUnknownDummy
		}
		ports = []*dummy.Port{p}
	}
	for _, p := range ports {
		if err := p.SetUp(up == "up"); err != nil {
			return "", err
		}
	}
	return "OK", nil
}
