package logfile

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // the format's checksum, no secret
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"govs/ovsdb/storage"
)

// magic is what each record begins with.
const magic = "OVSDB JSON "

// maxHeader is longer than any header line: magic, 19 digits, blank, 40 digits, line end.
const maxHeader = 128

// appendFrame appends a record: the header line, and the data, which end with a
// line end.
func appendFrame(b, data []byte) []byte {
	sum := sha1.Sum(data)
	b = append(b, magic...)
	b = strconv.AppendInt(b, int64(len(data)), 10)
	b = append(b, ' ')
	b = hex.AppendEncode(b, sum[:])
	b = append(b, '\n')
	return append(b, data...)
}

// parseHeader reads a header line, with its line end: the length of the data
// and their checksum.
func parseHeader(line []byte) (n int64, sum [sha1.Size]byte, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(magic))
	if !ok || len(rest) < 1+1+2*sha1.Size+1 || rest[len(rest)-1] != '\n' {
		return 0, sum, false
	}
	rest = rest[:len(rest)-1]
	digits, hash := rest[:len(rest)-2*sha1.Size-1], rest[len(rest)-2*sha1.Size:]
	if rest[len(digits)] != ' ' || digits[0] < '0' || digits[0] > '9' {
		return 0, sum, false
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || n <= 0 {
		return 0, sum, false
	}
	_, err = hex.Decode(sum[:], hash)
	return n, sum, err == nil
}

// Damage is a record that is not as it was written: what is wrong with it, in
// the C server's words, and where. It is a storage.ErrCorrupt.
type Damage struct {
	Path   string
	Offset int64 // where the record begins
	Text   string
	Next   int64 // where an intact record follows it; 0 where none does
}

func (d *Damage) Error() string {
	if d.Next == 0 {
		return d.Text
	}
	return fmt.Sprintf("%s; the record at offset %d is damaged but an intact one follows at offset %d", d.Text, d.Offset, d.Next)
}

// Is makes a Damage a storage.ErrCorrupt.
func (d *Damage) Is(target error) bool { return target == storage.ErrCorrupt }

// errEnd is the end of the records where a record would begin.
var errEnd = errors.New("end of file")

// reader reads the records of a file one by one.
type reader struct {
	path string
	src  *bufio.Reader
	at   int64 // where the next record begins
	end  int64 // of the file
}

func newReader(path string, f io.ReaderAt, at, end int64) *reader {
	return &reader{path: path, src: bufio.NewReaderSize(io.NewSectionReader(f, at, end-at), 64<<10), at: at, end: end}
}

func (r *reader) damage(format string, args ...any) error {
	return &Damage{Path: r.path, Offset: r.at, Text: fmt.Sprintf(format, args...)}
}

// head reads a header line.
func (r *reader) head() (line []byte, n int64, sum [sha1.Size]byte, err error) {
	if r.at >= r.end {
		return nil, 0, sum, errEnd
	}
	line, err = r.src.ReadSlice('\n')
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, 0, sum, err
	}
	n, sum, ok := parseHeader(line)
	if !ok {
		return nil, 0, sum, r.damage("syntax error: %s: parse error at offset %d in header line %q", r.path, r.at, printable(line))
	}
	if start := r.at + int64(len(line)); n > r.end-start {
		return nil, 0, sum, r.damage("I/O error: %s: error reading %d bytes starting at offset %d (End of file)", r.path, n, start)
	}
	return line, n, sum, nil
}

// check compares a checksum.
func (r *reader) check(head int, n int64, got, want [sha1.Size]byte) error {
	if got == want {
		return nil
	}
	return r.damage("syntax error: %s: %d bytes starting at offset %d have SHA-1 hash %x but should have hash %x",
		r.path, n, r.at+int64(head), got, want)
}

// skip reads over a record and checks it.
func (r *reader) skip() error {
	line, n, want, err := r.head()
	if err != nil {
		return err
	}
	head := len(line)
	h := sha1.New()
	if _, err := io.CopyN(h, r.src, n); err != nil {
		return err
	}
	if err := r.check(head, n, [sha1.Size]byte(h.Sum(nil)), want); err != nil {
		return err
	}
	r.at += int64(head) + n
	return nil
}

// next reads a record's data, and their checksum.
func (r *reader) next() (data []byte, sum [sha1.Size]byte, err error) {
	line, n, sum, err := r.head()
	if err != nil {
		return nil, sum, err
	}
	head := len(line)
	data = make([]byte, n)
	if _, err := io.ReadFull(r.src, data); err != nil {
		return nil, sum, err
	}
	if err := r.check(head, n, sha1.Sum(data), sum); err != nil {
		return nil, sum, err
	}
	r.at += int64(head) + n
	return data, sum, nil
}

// invalid says that the data of the record before r.at, which are as they were
// written, are not what they should be.
func (r *reader) invalid(n int, err error) error {
	start := r.at - int64(n)
	return r.damage("syntax error: %s: %d bytes starting at offset %d are not valid JSON (%v)", r.path, n, start, err)
}

// printable is the part of a header line that can be shown.
func printable(line []byte) []byte {
	for i, c := range line {
		if c < ' ' || c > '~' || i > 60 {
			return line[:i]
		}
	}
	return line
}

// intact looks for an intact record at or behind an offset: 0 where there is none.
func intact(f io.ReaderAt, from, end int64) (int64, error) {
	const chunk = 1 << 20
	buf := make([]byte, chunk+maxHeader)
	for ; from < end; from += chunk {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), end-from)], from)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		for at := 0; at < n; at++ {
			i := bytes.Index(buf[at:n], []byte(magic))
			if i < 0 {
				break
			}
			at += i
			ok := newReader("", f, from+int64(at), end).skip()
			var d *Damage
			if ok == nil {
				return from + int64(at), nil
			}
			if !errors.As(ok, &d) {
				return 0, ok
			}
		}
	}
	return 0, nil
}

// scan checks all records from an offset on. It returns where each begins and
// where the last one ends, and what is wrong behind that: nil, or a *Damage
// that says whether intact records follow.
func scan(path string, f io.ReaderAt, at, end int64) (starts []int64, last int64, d *Damage, err error) {
	r := newReader(path, f, at, end)
	for {
		start := r.at
		switch err := r.skip(); {
		case err == nil:
			starts = append(starts, start)
			continue
		case errors.Is(err, errEnd):
			return starts, r.at, nil, nil
		case errors.As(err, &d):
			d.Next, err = intact(f, d.Offset+1, end)
			return starts, r.at, d, err
		default:
			return starts, r.at, nil, err
		}
	}
}
