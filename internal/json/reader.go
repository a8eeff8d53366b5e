package json

// ParseNext parses the value that begins at src[at], after blanks, and returns
// the offset behind it. What follows is not looked at.
func (d *Doc) ParseNext(src []byte, at int) (Value, int, error) {
	d.src = src
	d.nodes = d.nodes[:0]
	p := parser{src: src, nodes: d.nodes, stack: d.stack[:0]}
	end, err := p.runFrom(at)
	d.nodes, d.stack = p.nodes, p.stack
	if err != nil {
		return Value{}, end, err
	}
	return Value{d, 0}, end, nil
}

// Reader walks the outer objects of a text whose inner values are parsed one by
// one, so that a large text needs little memory. The first fault is kept.
type Reader struct {
	src  []byte
	at   int
	more []bool // for each open object, whether a member was read
	doc  Doc
	err  error
}

// NewReader returns a Reader for a text.
func NewReader(src []byte) *Reader { return &Reader{src: src} }

// Err returns the first fault.
func (r *Reader) Err() error { return r.err }

// Enter opens the object that comes next.
func (r *Reader) Enter() bool {
	r.at = skipBlanks(r.src, r.at)
	if r.err == nil && (r.at >= len(r.src) || r.src[r.at] != '{') {
		r.err = fault(r.at, "object expected")
	}
	if r.err != nil {
		return false
	}
	r.at++
	r.more = append(r.more, false)
	return true
}

// Next reads the name of the next member of the innermost open object. At its
// end, it closes the object and returns false.
func (r *Reader) Next() (name string, ok bool) {
	if r.err != nil || len(r.more) == 0 {
		return "", false
	}
	top := &r.more[len(r.more)-1]
	r.at = skipBlanks(r.src, r.at)
	if r.at < len(r.src) && r.src[r.at] == '}' {
		r.at++
		r.more = r.more[:len(r.more)-1]
		return "", false
	}
	if *top {
		if r.at >= len(r.src) || r.src[r.at] != ',' {
			r.err = fault(r.at, "syntax error expecting '}' or ','")
			return "", false
		}
		r.at++
	}
	*top = true
	var v Value
	r.at = skipBlanks(r.src, r.at)
	v, r.at, r.err = r.doc.ParseNext(r.src, r.at)
	if r.err == nil && v.Kind() != String {
		r.err = fault(r.at, "syntax error parsing object expecting string")
	}
	if r.err != nil {
		return "", false
	}
	name = v.Str()
	r.at = skipBlanks(r.src, r.at)
	if r.at >= len(r.src) || r.src[r.at] != ':' {
		r.err = fault(r.at, "syntax error parsing object expecting ':'")
		return "", false
	}
	r.at++
	return name, true
}

// Value parses the value that comes next. It lives until the Reader's next call.
func (r *Reader) Value() (v Value, ok bool) {
	if r.err != nil {
		return Value{}, false
	}
	v, r.at, r.err = r.doc.ParseNext(r.src, r.at)
	return v, r.err == nil
}

// End checks that nothing but blanks follows.
func (r *Reader) End() error {
	if r.err == nil {
		if r.at = skipBlanks(r.src, r.at); r.at < len(r.src) {
			r.err = fault(r.at, "trailing garbage at end of input")
		}
	}
	return r.err
}
