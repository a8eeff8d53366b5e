package schema

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/internal/json/fault"
	"govs/internal/stream"
)

// ReadFile reads a schema from a file. Its errors are those of the C programs; of
// a file that cannot be opened they wrap the cause.
func ReadFile(name string) (*Schema, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, &fileError{fmt.Sprintf("failed to read schema: \"%s\" could not be read as JSON (error opening \"%s\": %s)", name, name, stream.ErrText(err)), err}
	}
	_, err = json.Parse(text)
	if what := fault.Of(string(text), err); what != "" {
		return nil, fmt.Errorf("failed to read schema: \"%s\" could not be read as JSON (%s)", name, what)
	}
	s, err := Parse(text)
	var bad *dberr.Error
	if errors.As(err, &bad) {
		text := fmt.Sprintf("failed to parse \"%s\" as ovsdb schema: %s", name, bad.Details)
		return nil, &dberr.Error{Tag: bad.Tag, Syntax: bad.Syntax, Details: text}
	}
	return s, err
}

// fileError prints as the C programs do, and wraps its cause.
type fileError struct {
	text  string
	cause error
}

func (e *fileError) Error() string { return e.text }
func (e *fileError) Unwrap() error { return e.cause }
