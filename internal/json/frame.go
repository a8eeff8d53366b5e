package json

// Framer finds the end of the value that a stream of bytes starts with, without
// parsing it: it knows strings and brackets only. The zero Framer is ready for
// the start of a value.
type Framer struct {
	depth   int
	inText  bool // inside a string
	escaped bool // behind a backslash
	started bool // inside a number, a word, a string or brackets
	bare    bool // the value is a number or a word
}

// Scan goes on with the next bytes of the stream. When the value ends within
// them, it returns the number of bytes that belong to it and true, and the
// Framer is ready for the next value. A number or a word at the top ends before
// the blank or bracket behind it. Blanks before a value count as part of it.
func (f *Framer) Scan(b []byte) (n int, done bool) {
	for i := 0; i < len(b); i++ {
		c := b[i]
		if f.inText {
			switch {
			case f.escaped:
				f.escaped = false
			case c == '\\':
				f.escaped = true
			case c == '"':
				f.inText = false
				if f.depth == 0 {
					*f = Framer{}
					return i + 1, true
				}
			}
			continue
		}
		if f.bare {
			switch c {
			case ' ', '\t', '\n', '\r', '{', '[', '}', ']', '"', ',', ':':
				*f = Framer{}
				return i, true
			}
			continue
		}
		switch c {
		case '"':
			f.inText, f.started = true, true
		case '{', '[':
			f.depth++
			f.started = true
		case '}', ']':
			f.depth--
			if f.depth <= 0 {
				*f = Framer{}
				return i + 1, true
			}
		case ' ', '\t', '\n', '\r':
		default:
			if f.depth == 0 {
				f.bare, f.started = true, true
			}
		}
	}
	return len(b), false
}

// Depth returns the number of brackets that are open.
func (f *Framer) Depth() int { return f.depth }

// Started reports whether something other than blanks of an unfinished value was
// seen.
func (f *Framer) Started() bool { return f.started }
