package vlog

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// syslogWriter sends one datagram to a syslog daemon.
type syslogWriter interface {
	Write(b []byte) (int, error)
	Close() error
}

// SetSyslogMethod chooses how messages reach the local syslog daemon: "libc"
// (the datagram socket /dev/log with the prefix that syslog(3) writes),
// "unix:FILE", "udp:IP:PORT" or "null". The empty string means $OVS_SYSLOG_METHOD,
// or libc. A daemon that is not there is no error: sockets are redialled.
func (s *System) SetSyslogMethod(method string) error {
	if method == "" {
		if method = os.Getenv("OVS_SYSLOG_METHOD"); method == "" {
			method = "libc"
		}
	}
	var w syslogWriter
	switch {
	case method == "null":
	case method == "libc":
		w = &redial{network: "unixgram", addr: "/dev/log"}
	case strings.HasPrefix(method, "unix:"):
		w = &redial{network: "unixgram", addr: method[len("unix:"):]}
	case strings.HasPrefix(method, "udp:"):
		addr := method[len("udp:"):]
		if err := checkUDP(addr); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		w = &redial{network: "udp", addr: addr}
	default:
		return fmt.Errorf("unsupported syslog method: %s", method)
	}
	s.out.Lock()
	defer s.out.Unlock()
	if s.sysPath != nil {
		_ = s.sysPath.Close()
	}
	s.sysName, s.sysPath = method, w
	return nil
}

// SetSyslogTarget additionally sends messages to a UDP port, "IP:PORT".
func (s *System) SetSyslogTarget(target string) error {
	if err := checkUDP(target); err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	s.out.Lock()
	defer s.out.Unlock()
	if s.target != nil {
		_ = s.target.Close()
	}
	s.target = &redial{network: "udp", addr: target}
	return nil
}

func checkUDP(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if net.ParseIP(host) == nil {
		return fmt.Errorf("bad IP address %q", host)
	}
	if port == "" {
		return errors.New("port is missing")
	}
	return nil
}

func (s *System) writeSyslog(rec *record, p pattern, facility int) {
	body := p.append(nil, rec)
	if s.sysPath != nil {
		rec.facility = facility
		if facility < 0 {
			rec.facility = facilityDaemon
		}
		var b []byte
		if s.sysName == "libc" {
			b = fmt.Appendf(b, "<%d>%s %s[%d]: ", rec.facility*8+rec.level.severity(), rec.when.Format(time.Stamp), s.program, s.pid)
		} else {
			b = syslogHeader.append(b, rec)
		}
		_, _ = s.sysPath.Write(append(b, body...))
	}
	if s.target != nil {
		rec.facility = facility
		if facility < 0 {
			rec.facility = facilityLocal0
		}
		b := syslogHeader.append(nil, rec)
		_, _ = s.target.Write(append(b, body...))
	}
}

// redial is a datagram socket that is dialled again after an error, at most
// once a second, and never blocks its writer for long.
type redial struct {
	network, addr string
	conn          net.Conn
	retry         time.Time
}

func (r *redial) Write(b []byte) (int, error) {
	for range 2 {
		if r.conn == nil {
			now := time.Now()
			if now.Before(r.retry) {
				return 0, net.ErrClosed
			}
			c, err := net.Dial(r.network, r.addr)
			if err != nil {
				r.retry = now.Add(time.Second)
				return 0, err
			}
			r.conn = c
		}
		_ = r.conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := r.conn.Write(b)
		if err == nil {
			return n, nil
		}
		_ = r.conn.Close()
		r.conn = nil
	}
	r.retry = time.Now().Add(time.Second)
	return 0, net.ErrClosed
}

func (r *redial) Close() error {
	if r.conn == nil {
		return nil
	}
	return r.conn.Close()
}
