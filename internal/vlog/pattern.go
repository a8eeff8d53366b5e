package vlog

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// record is one message on its way to the destinations.
type record struct {
	sys      *System
	module   string
	level    level
	text     string
	seq      uint32
	when     time.Time
	sub      string
	facility int
}

// pattern is a parsed log pattern; see the manual of ovs-appctl.
type pattern struct {
	source string
	parts  []part
}

type part struct {
	literal string // used when verb is 0
	verb    byte
	left    bool
	zero    bool
	width   int
	arg     string // strftime template of %d and %D
}

const maxWidth = 4096

var syslogHeader = mustPattern(syslogPrefix)

func mustPattern(s string) pattern { return parsePattern(s) }

// parsePattern never fails: an escape that means nothing is a literal, as in
// the C programs.
func parsePattern(s string) pattern {
	p := pattern{source: s}
	lit := func(text string) {
		if n := len(p.parts); n > 0 && p.parts[n-1].verb == 0 {
			p.parts[n-1].literal += text
			return
		}
		p.parts = append(p.parts, part{literal: text})
	}
	for i := 0; i < len(s); {
		if s[i] != '%' {
			j := strings.IndexByte(s[i:], '%')
			if j < 0 {
				j = len(s) - i
			}
			lit(s[i : i+j])
			i += j
			continue
		}
		i++
		var q part
		if i < len(s) && s[i] == '-' {
			q.left = true
			i++
		}
		if i < len(s) && s[i] == '0' {
			q.zero = true
			i++
		}
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			q.width = min(q.width*10+int(s[i]-'0'), maxWidth)
			i++
		}
		if i == len(s) {
			break
		}
		q.verb = s[i]
		i++
		if strings.IndexByte("ABcdDEmNnpPrtT%", q.verb) < 0 {
			lit("%" + s[i-1:i])
			continue
		}
		if (q.verb == 'd' || q.verb == 'D') && i < len(s) && s[i] == '{' {
			if j := strings.IndexByte(s[i:], '}'); j > 0 {
				q.arg = s[i+1 : i+j]
				i += j + 1
			}
		}
		p.parts = append(p.parts, q)
	}
	return p
}

func (p pattern) append(b []byte, r *record) []byte {
	for i := range p.parts {
		q := &p.parts[i]
		if q.verb == 0 {
			b = append(b, q.literal...)
			continue
		}
		start := len(b)
		b = q.expand(b, r)
		if n := q.width - (len(b) - start); n > 0 {
			b = q.pad(b, start, n)
		}
	}
	return b
}

func (q *part) pad(b []byte, start, n int) []byte {
	fill := byte(' ')
	if q.zero {
		fill = '0'
	}
	text := string(b[start:])
	b = b[:start]
	if q.left {
		b = append(b, text...)
	}
	for range n {
		b = append(b, fill)
	}
	if !q.left {
		b = append(b, text...)
	}
	return b
}

func (q *part) expand(b []byte, r *record) []byte {
	switch q.verb {
	case 'A':
		return append(b, r.sys.program...)
	case 'B':
		return strconv.AppendInt(b, int64(r.facility*8+r.level.severity()), 10)
	case 'c':
		return append(b, r.module...)
	case 'd':
		return appendTime(b, q.arg, r.when.Local())
	case 'D':
		return appendTime(b, q.arg, r.when.UTC())
	case 'E':
		return append(b, r.sys.host...)
	case 'm':
		return append(b, r.text...)
	case 'N':
		return strconv.AppendUint(b, uint64(r.seq), 10)
	case 'n':
		return append(b, '\n')
	case 'p':
		return append(b, r.level.String()...)
	case 'P':
		return strconv.AppendInt(b, int64(r.sys.pid), 10)
	case 'r':
		return strconv.AppendInt(b, r.when.Sub(r.sys.start).Milliseconds(), 10)
	case 't':
		if r.sub == "" {
			return append(b, "main"...)
		}
		return append(b, r.sub...)
	case 'T':
		if r.sub == "" {
			return b
		}
		return append(append(append(b, '('), r.sub...), ')')
	}
	return append(b, '%')
}

// appendTime formats t by a strftime(3) template; # stands for a digit of the
// fraction of the second.
func appendTime(b []byte, layout string, t time.Time) []byte {
	if layout == "" {
		layout = "%Y-%m-%d %H:%M:%S"
	}
	frac := fmt.Sprintf("%03d", t.Nanosecond()/1e6)
	used := 0
	for i := 0; i < len(layout); i++ {
		switch c := layout[i]; {
		case c == '#':
			if used < len(frac) {
				b = append(b, frac[used])
			} else {
				b = append(b, '0')
			}
			used++
			continue
		case c != '%' || i+1 == len(layout):
			b = append(b, c)
			continue
		}
		i++
		b = appendConversion(b, layout[i], t)
	}
	return b
}

// conversions maps strftime conversions to layouts of package time.
var conversions = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'c': "Mon Jan _2 15:04:05 2006",
	'd': "02", 'D': "01/02/06", 'e': "_2", 'F': "2006-01-02", 'H': "15", 'I': "03", 'j': "002",
	'm': "01", 'M': "04", 'p': "PM", 'r': "03:04:05 PM", 'R': "15:04", 'S': "05", 'T': "15:04:05",
	'x': "01/02/06", 'X': "15:04:05", 'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST", 'P': "pm",
	'k': "15", 'l': "3",
}

func appendConversion(b []byte, c byte, t time.Time) []byte {
	switch c {
	case '%':
		return append(b, '%')
	case 'n':
		return append(b, '\n')
	case 't':
		return append(b, '\t')
	case 's':
		return strconv.AppendInt(b, t.Unix(), 10)
	case 'C':
		return fmt.Appendf(b, "%02d", t.Year()/100)
	case 'u':
		return strconv.AppendInt(b, int64((t.Weekday()+6)%7+1), 10)
	case 'w':
		return strconv.AppendInt(b, int64(t.Weekday()), 10)
	case 'G', 'V', 'g':
		y, w := t.ISOWeek()
		if c == 'V' {
			return fmt.Appendf(b, "%02d", w)
		}
		if c == 'g' {
			return fmt.Appendf(b, "%02d", y%100)
		}
		return strconv.AppendInt(b, int64(y), 10)
	case 'U':
		return fmt.Appendf(b, "%02d", (t.YearDay()+6-int(t.Weekday()))/7)
	case 'W':
		return fmt.Appendf(b, "%02d", (t.YearDay()+6-int((t.Weekday()+6)%7))/7)
	case 'k':
		return fmt.Appendf(b, "%2d", t.Hour())
	case 'l':
		return fmt.Appendf(b, "%2d", (t.Hour()+11)%12+1)
	}
	if layout, ok := conversions[c]; ok {
		return t.AppendFormat(b, layout)
	}
	return append(b, '%', c)
}
