package porttest

import (
	"errors"
	"testing"
	"time"

	"govs/datapath/packet"
	"govs/datapath/port"
)

// untilError receives until an error other than a passing one comes.
func untilError(p port.Port) <-chan error {
	c := make(chan error, 1)
	go func() {
		var b packet.Batch
		for {
			b.Reset()
			err := p.Recv(&b)
			b.FreeAll()
			if errors.Is(err, port.ErrClosed) || errors.Is(err, port.ErrGone) {
				c <- err
				return
			}
		}
	}()
	return c
}

func expect(t *testing.T, c <-chan error, want error) {
	t.Helper()
	select {
	case err := <-c:
		if !errors.Is(err, want) {
			t.Errorf("Recv returned %v, want %v", err, want)
		}
	case <-time.After(wait):
		t.Fatalf("Recv did not wake up to return %v", want)
	}
}

func (s *suite) closeWakes(t *testing.T, pair Pair) {
	c := untilError(pair.Port)
	// Recv waits by the time that a packet has gone through.
	if err := pair.Inject(s.frame(1, 100)); err != nil {
		t.Fatal(err)
	}
	if err := pair.Port.Close(); err != nil {
		t.Fatal(err)
	}
	expect(t, c, port.ErrClosed)
	expect(t, untilError(pair.Port), port.ErrClosed)
	if err := pair.Port.Send(&packet.Batch{Packets: []*packet.Packet{s.frame(1, 60)}}); !errors.Is(err, port.ErrClosed) {
		t.Errorf("Send after Close: %v", err)
	}
}

func (s *suite) closeTwice(t *testing.T, pair Pair) {
	for range 2 {
		if err := pair.Port.Close(); err != nil {
			t.Error(err)
		}
	}
	pair.Port.State()
	pair.Port.Stats()
}

func (s *suite) gone(t *testing.T, pair Pair) {
	if pair.Vanish == nil {
		t.Skip("there is no device that could vanish")
	}
	c := untilError(pair.Port)
	if err := pair.Vanish(); err != nil {
		t.Fatal(err)
	}
	expect(t, c, port.ErrGone)
	expect(t, untilError(pair.Port), port.ErrGone)
	if err := pair.Port.Send(&packet.Batch{Packets: []*packet.Packet{s.frame(1, 60)}}); !errors.Is(err, port.ErrGone) {
		t.Errorf("Send: %v, want %v", err, port.ErrGone)
	}
	if st := pair.Port.State(); st.Admin || st.Link {
		t.Errorf("the port is up: %+v", st)
	}
	pair.Port.Stats()
	if err := pair.Port.Close(); err != nil {
		t.Error(err)
	}
	expect(t, untilError(pair.Port), port.ErrClosed)
}
