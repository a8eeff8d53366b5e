package dummy

import (
	"os"
	"time"

	"govs/datapath/pcap"
)

// A file writes frames in pcap format. A nil *file writes nothing. After an
// error it writes no more; close returns it.
type file struct {
	f   *os.File
	w   *pcap.Writer
	err error
}

// openFile appends to a file, or creates one.
func openFile(path string) (*file, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || st.Size() == 0 {
		if _, err := f.Write(pcap.Header()); err != nil {
			f.Close()
			return nil, err
		}
	}
	return &file{f: f, w: pcap.NewWriter(f)}, nil
}

func (p *file) write(frame []byte) {
	if p == nil || p.err != nil {
		return
	}
	p.err = p.w.Write(time.Now(), frame, len(frame))
}

func (p *file) close() error {
	if p == nil {
		return nil
	}
	err := p.f.Close()
	if p.err != nil {
		err = p.err
	}
	return err
}
