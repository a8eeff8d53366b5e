package pcap

import (
	"os"
	"time"
)

// A File is a file that frames are written to. A nil *File writes nothing. After
// an error it writes no more; Close returns it.
type File struct {
	f   *os.File
	w   *Writer
	err error
}

// Append opens a file to write behind what it holds, or creates one.
func Append(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || st.Size() == 0 {
		if _, err := f.Write(Header()); err != nil {
			f.Close()
			return nil, err
		}
	}
	return &File{f: f, w: NewWriter(f)}, nil
}

// Write writes a frame of now.
func (p *File) Write(frame []byte) error {
	if p == nil {
		return nil
	}
	if p.err == nil {
		p.err = p.w.Write(time.Now(), frame, len(frame))
	}
	return p.err
}

// Close closes the file.
func (p *File) Close() error {
	if p == nil {
		return nil
	}
	err := p.f.Close()
	if p.err != nil {
		err = p.err
	}
	return err
}
