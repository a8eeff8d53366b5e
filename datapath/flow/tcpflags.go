package flow

import (
	"fmt"
	"strings"

	"govs/datapath/header"
)

// tcpFlags are the names of TCP flags, in the order of their bits, and the
// letters for them.
var tcpFlags = []struct {
	bit    uint16
	name   string
	letter byte
}{
	{header.FIN, "fin", 'F'}, {header.SYN, "syn", 'S'}, {header.RST, "rst", 'R'},
	{header.PSH, "psh", 'P'}, {header.ACK, "ack", '.'}, {header.URG, "urg", 'U'},
	{header.ECE, "ece", 'E'}, {header.CWR, "cwr", 'C'}, {header.NS, "ns", 'N'},
}

// TCPFlagLetters prints TCP flags as dpctl/dump-flows does, "SF.": in the
// order SFPRU.ECN.
func TCPFlagLetters(flags uint16) string {
	var b strings.Builder
	for _, letter := range "SFPRU.ECN" {
		for _, f := range tcpFlags {
			if f.letter == byte(letter) && flags&f.bit != 0 {
				b.WriteByte(f.letter)
			}
		}
	}
	return b.String()
}

// allTCPFlags are the twelve bits that a TCP header has.
const allTCPFlags = 0x0fff

// formatTCPFlags prints flags, syn|ack, or with a mask +syn-ack.
func formatTCPFlags(flags, mask uint16) string {
	if mask&allTCPFlags == 0 {
		return hexa(uint64(flags&mask)) + "/0"
	}
	var b strings.Builder
	full := mask&allTCPFlags == allTCPFlags
	for _, f := range tcpFlags {
		switch {
		case mask&f.bit == 0 || full && flags&f.bit == 0:
			continue
		case full && b.Len() > 0:
			b.WriteByte('|')
		case !full && flags&f.bit != 0:
			b.WriteByte('+')
		case !full:
			b.WriteByte('-')
		}
		b.WriteString(f.name)
	}
	if b.Len() == 0 {
		return "0"
	}
	return b.String()
}

// parseTCPFlags reads what formatTCPFlags prints.
func parseTCPFlags(s string) (flags, mask uint16, err error) {
	switch s {
	case "0":
		return 0, 0xffff, nil
	case "":
		return 0, 0, fmt.Errorf("tcp_flags: no value")
	}
	if v, m, ok := strings.Cut(s, "/"); ok {
		a, err := number(v, 0xffff)
		if err != nil {
			return 0, 0, err
		}
		b, err := number(m, 0xffff)
		return uint16(a), uint16(b), err
	}
	if s[0] != '+' && s[0] != '-' {
		for _, name := range strings.Split(s, "|") {
			bit, err := tcpFlag(name)
			if err != nil {
				return 0, 0, err
			}
			flags |= bit
		}
		return flags, 0xffff, nil
	}
	for s != "" {
		sign := s[0]
		end := strings.IndexAny(s[1:], "+-") + 1
		if end == 0 {
			end = len(s)
		}
		bit, err := tcpFlag(s[1:end])
		if err != nil {
			return 0, 0, err
		}
		mask |= bit
		if sign == '+' {
			flags |= bit
		}
		s = s[end:]
	}
	return flags, mask, nil
}

func tcpFlag(name string) (uint16, error) {
	for _, f := range tcpFlags {
		if f.name == name {
			return f.bit, nil
		}
	}
	return 0, fmt.Errorf("%s: unknown TCP flag", name)
}
