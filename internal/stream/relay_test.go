package stream

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// Each connection to a relay is one of its own behind it, and ends with it.
func TestRelay(t *testing.T) {
	var refuse atomic.Bool
	ends := make(chan net.Conn, 2)
	path, done, err := Relay("govs-test", func() (net.Conn, error) {
		if refuse.Load() {
			return nil, errors.New("no")
		}
		here, there := net.Pipe()
		ends <- there
		return here, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	for _, text := range []string{"one\n", "two\n"} {
		c := dial()
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		far := <-ends
		if got, err := bufio.NewReader(far).ReadString('\n'); got != text {
			t.Errorf("%q came, %v", got, err)
		}
		if _, err := io.WriteString(far, strings.ToUpper(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := bufio.NewReader(c).ReadString('\n'); got != strings.ToUpper(text) {
			t.Errorf("%q came back, %v", got, err)
		}
		if text == "two\n" {
			done() // ends both
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("the connection outlives the relay")
			}
			continue
		}
		far.Close()
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after the far end closed: %v", err)
		}
		refuse.Store(true)
		if _, err := dial().Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("where there is nothing behind: %v", err)
		}
		refuse.Store(false)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder is left: %v", err)
	}
}
