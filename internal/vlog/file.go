package vlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"govs/internal/stream"
)

// errNoFile is what vlog/reopen says where no log file was ever named.
//
//lint:ignore ST1005 the text of the C program
var errNoFile = errors.New("Logging to file not configured")

// OpenFile starts logging to the file at path, appending; its directory must exist.
func (s *System) OpenFile(path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	f, err := openAppend(abs)
	if err != nil {
		return err
	}
	s.out.Lock()
	old := s.file
	s.path, s.file = abs, f
	s.out.Unlock()
	if old != nil {
		_ = old.Close()
	}
	s.Logger("vlog").Info("opened log file " + abs)
	return nil
}

func openAppend(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return nil, fmt.Errorf("failed to open %s for logging: %s", path, stream.ErrText(err))
	}
	return f, nil
}

// FilePath returns the name of the log file, or "" where none was named.
func (s *System) FilePath() string {
	s.out.Lock()
	defer s.out.Unlock()
	return s.path
}

// Reopen closes the log file and opens it again by its name (after rotation).
func (s *System) Reopen() error {
	path := s.FilePath()
	if path == "" {
		return errNoFile
	}
	s.CloseFile()
	return s.OpenFile(path)
}

// CloseFile stops logging to the file until Reopen.
func (s *System) CloseFile() {
	s.out.Lock()
	defer s.out.Unlock()
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
}

// Close closes the log file and the syslog socket.
func (s *System) Close() {
	s.CloseFile()
	s.out.Lock()
	defer s.out.Unlock()
	for _, w := range []*syslogWriter{&s.sysPath, &s.target} {
		if *w != nil {
			(*w).Close()
			*w = nil
		}
	}
}
