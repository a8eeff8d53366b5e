package stream

import (
	"context"
	"errors"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// TargetError is a target string that means nothing. C prints the reason to its
// log and "Address family not supported by protocol" (which this error is, by
// errors.Is and for ErrText) to the user.
type TargetError struct{ Target, Reason string }

func (e *TargetError) Error() string { return e.Target + ": " + e.Reason }

// Unwrap returns EAFNOSUPPORT.
func (e *TargetError) Unwrap() error { return unix.EAFNOSUPPORT }

// configError is a TLS connection without the files that it needs; ENOPROTOOPT in C.
type configError struct{ text string }

func (e *configError) Error() string { return e.text }
func (e *configError) Unwrap() error { return unix.ENOPROTOOPT }

// Strerror is the text of C's strerror for e.
func Strerror(e unix.Errno) string {
	s := e.Error()
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		s = string(s[0]-'a'+'A') + s[1:]
	}
	return s
}

// ErrText is what the C programs print for an error of a connection or a file:
// the text of the error number within it, "End of file" for an end, or the
// error's own text.
func ErrText(err error) string {
	var e unix.Errno
	switch {
	case err == nil:
		return "Success"
	case errors.As(err, &e):
		return Strerror(e)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "End of file"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return Strerror(unix.ETIMEDOUT)
	}
	return err.Error()
}
