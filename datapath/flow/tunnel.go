package flow

import (
	"cmp"
	"fmt"
	"strings"
)

// tunFlags are the names of the bits of Key.TunFlg, in the order in which they
// are printed.
var tunFlags = []struct {
	name string
	bit  uint16
}{{"df", TunDF}, {"csum", TunCsum}, {"key", TunKey}}

// tunnel adds what the outer headers said: tunnel(...).
func (f *formatter) tunnel() {
	k, m := f.k, f.m
	if !k.Tunnelled() {
		return
	}
	flags := ""
	if m.TunFlg != 0 || f.all {
		flags = "flags(" + formatTunFlags(k.TunFlg, m.TunFlg) + ")"
	}
	id := ""
	if m.TunID != 0 || f.all {
		id = "tun_id=" + hexa(k.TunID)
		if m.TunID != ^uint64(0) {
			id += "/" + hexa(m.TunID)
		}
	}
	src, dst := f.ip4("src", k.TunSrc, m.TunSrc), f.ip4("dst", k.TunDst, m.TunDst)
	if k.TunV6() {
		src, dst = f.ip6("ipv6_src", k.TunSrc, m.TunSrc), f.ip6("ipv6_dst", k.TunDst, m.TunDst)
	}
	policy := ""
	if m.TunGBPID != 0 || m.TunGBPFlags != 0 {
		p := &formatter{k: k, m: m}
		p.group("gbp", p.dec("id", uint64(k.TunGBPID), uint64(m.TunGBPID), 0xffff), p.hex("flags", uint64(k.TunGBPFlags), uint64(m.TunGBPFlags), 0xff))
		policy = "vxlan(" + p.parts[0] + ")"
	}
	f.group("tunnel", id, src, dst,
		f.hex("tos", uint64(k.TunTOS), uint64(m.TunTOS), 0xff), f.dec("ttl", uint64(k.TunTTL), uint64(m.TunTTL), 0xff), policy, flags)
}

// formatTunFlags prints which flags are to be there and which not.
func formatTunFlags(v, mask uint16) string {
	var b strings.Builder
	for _, f := range tunFlags {
		switch {
		case mask&f.bit == 0:
		case v&f.bit != 0:
			b.WriteString("+" + f.name)
		default:
			b.WriteString("-" + f.name)
		}
	}
	return b.String()
}

// tunnelFields are the fields of the outer headers, but for the flags.
var tunnelFields = map[string]func(*parser, string) error{
	"tun_id":   func(p *parser, v string) error { return long(v, &p.k.TunID, &p.m.TunID) },
	"src":      func(p *parser, v string) error { return ip(v, p.k.TunSrc[:4], p.m.TunSrc[:4]) },
	"dst":      func(p *parser, v string) error { return ip(v, p.k.TunDst[:4], p.m.TunDst[:4]) },
	"ipv6_src": func(p *parser, v string) error { return ip(v, p.k.TunSrc[:], p.m.TunSrc[:]) },
	"ipv6_dst": func(p *parser, v string) error { return ip(v, p.k.TunDst[:], p.m.TunDst[:]) },
	"tos":      func(p *parser, v string) error { return num(v, &p.k.TunTOS, &p.m.TunTOS, 0xff) },
	"ttl":      func(p *parser, v string) error { return num(v, &p.k.TunTTL, &p.m.TunTTL, 0xff) },
}

// policyFields are those of vxlan(gbp()).
var policyFields = map[string]func(*parser, string) error{
	"id":    func(p *parser, v string) error { return num(v, &p.k.TunGBPID, &p.m.TunGBPID, 0xffff) },
	"flags": func(p *parser, v string) error { return num(v, &p.k.TunGBPFlags, &p.m.TunGBPFlags, 0xff) },
}

// tunnel reads tunnel(tun_id=N,src=A,dst=A,tos=N,ttl=N,vxlan(gbp(id=N,flags=N)),flags(...)),
// with ipv6_src and ipv6_dst for addresses of IPv6.
func (p *parser) tunnel(args string) error {
	if p.k.Tunnelled() {
		return fmt.Errorf("given twice")
	}
	if at := strings.Index(args, "flags("); at >= 0 {
		text, rest, ok := strings.Cut(args[at+len("flags("):], ")")
		if !ok || rest != "" {
			return fmt.Errorf("syntax error at %s", args[at:])
		}
		if err := p.tunFlags(text); err != nil {
			return err
		}
		args = strings.TrimSuffix(args[:at], ",")
	}
	if before, policy, ok := strings.Cut(args, "vxlan(gbp("); ok {
		policy, closed := strings.CutSuffix(policy, "))")
		if !closed {
			return fmt.Errorf("syntax error at vxlan(gbp(%s", policy)
		}
		if err := p.fields(policyFields, policy); err != nil {
			return err
		}
		args = strings.TrimSuffix(before, ",")
	}
	err := p.fields(tunnelFields, args)
	if err == nil && !p.k.Tunnelled() {
		return fmt.Errorf("no dst")
	}
	return err
}

// tunFlags reads +df-csum+key, or df|key for all of them.
func (p *parser) tunFlags(text string) error {
	if text != "" && text[0] != '+' && text[0] != '-' {
		text = "+" + strings.ReplaceAll(text, "|", "+")
		for _, f := range tunFlags {
			p.m.TunFlg |= f.bit
		}
	}
next:
	for text != "" {
		sign := text[0]
		for _, f := range tunFlags {
			rest, ok := strings.CutPrefix(text[1:], f.name)
			if !ok || rest != "" && rest[0] != '+' && rest[0] != '-' {
				continue
			}
			p.m.TunFlg |= f.bit
			if sign == '+' {
				p.k.TunFlg |= f.bit
			}
			text = rest
			continue next
		}
		return fmt.Errorf("syntax error at %s", text)
	}
	return nil
}

// tunnel adds the fields of the outer headers in the syntax of ovs-fields(7).
func (f *matcher) tunnel() {
	k, m := f.k, &f.m
	if !k.Tunnelled() {
		return
	}
	f.add(m.TunID != 0, "tun_id=%s", hexa(k.TunID))
	switch {
	case !k.TunV6():
		f.ip("tun_src", k.TunSrc[:4], m.TunSrc[:4])
		f.ip("tun_dst", k.TunDst[:4], m.TunDst[:4])
		f.add(f.all, "tun_ipv6_src=::,tun_ipv6_dst=::")
	default:
		f.add(f.all, "tun_src=0.0.0.0,tun_dst=0.0.0.0")
		f.ip("tun_ipv6_src", k.TunSrc[:], m.TunSrc[:])
		f.ip("tun_ipv6_dst", k.TunDst[:], m.TunDst[:])
	}
	f.add(m.TunGBPID != 0, "tun_gbp_id=%d", k.TunGBPID)
	f.add(m.TunGBPFlags != 0, "tun_gbp_flags=%d", k.TunGBPFlags)
	f.add(m.TunTOS != 0, "tun_tos=%d", k.TunTOS)
	f.add(m.TunTTL != 0, "tun_ttl=%d", k.TunTTL)
	switch {
	case f.all:
		var names []string
		for _, flag := range tunFlags {
			if k.TunFlg&flag.bit != 0 {
				names = append(names, flag.name)
			}
		}
		f.add(true, "tun_erspan_ver=0,gtpu_flags=0,gtpu_msgtype=0,tun_flags=%s", cmp.Or(strings.Join(names, "|"), "0"))
	case m.TunFlg != 0:
		f.add(true, "tun_flags=%s", formatTunFlags(k.TunFlg, m.TunFlg))
	}
}
