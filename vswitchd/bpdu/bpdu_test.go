package bpdu

import (
	"bytes"
	"testing"
)

var (
	vector = Vector{Root: 0x8000020000000001, Cost: 20000, Bridge: 0x8000020000000002, Port: 0x8003}
	times  = Times{MessageAge: Second, MaxAge: 20 * Second, Hello: 2 * Second, ForwardDelay: 15 * Second}
)

// The bytes are those of 9.3.1 to 9.3.3.
func TestBytes(t *testing.T) {
	body := "\x80\x00\x02\x00\x00\x00\x00\x01\x00\x00\x4e\x20\x80\x00\x02\x00\x00\x00\x00\x02\x80\x03\x01\x00\x14\x00\x02\x00\x0f\x00"
	for _, test := range []struct {
		msg  Message
		want string
	}{
		{Message{Kind: Config, Flags: FlagTC, Vector: vector, Times: times}, "\x00\x00\x00\x00\x01" + body},
		{Message{Kind: TCN}, "\x00\x00\x00\x80"},
		{Message{Kind: RST, Version: 2, Flags: FlagProposal | Designated.Flag(), Vector: vector, Times: times}, "\x00\x00\x02\x02\x0e" + body + "\x00"},
	} {
		got := test.msg.Append(nil)
		if !bytes.Equal(got, []byte(test.want)) {
			t.Errorf("got  %x\nwant %x", got, test.want)
		}
		back, err := Parse([]byte(test.want))
		if err != nil || back != test.msg {
			t.Errorf("%+v, %v, want %+v", back, err, test.msg)
		}
	}
}

func TestRefused(t *testing.T) {
	good := (&Message{Kind: RST, Vector: vector, Times: times}).Append(nil)
	for n := range good {
		if _, err := Parse(good[:n]); err == nil {
			t.Errorf("%d bytes are taken", n)
		}
	}
	for at, with := range map[int]byte{0: 1, 1: 1, 2: 1, 3: 3, 27: 20} {
		b := bytes.Clone(good)
		b[at] = with
		if m, err := Parse(b); err == nil {
			t.Errorf("byte %d of %d is taken: %+v", at, with, m)
		}
	}
}

func TestNames(t *testing.T) {
	id := MakeID(0x8001, [6]byte{2, 0, 0, 0, 0, 1})
	if id.String() != "8.001.020000000001" || id.Old() != "8001.020000000001" || id.Address() != [6]byte{2, 5: 1} || id.Priority() != 0x8001 {
		t.Error(id, id.Old(), id.Address(), id.Priority())
	}
	if (&Message{Kind: Config}).Role() != Designated || (&Message{Kind: RST, Flags: Root.Flag()}).Role() != Root {
		t.Error("wrong roles")
	}
}

func FuzzParse(f *testing.F) {
	for _, kind := range []Kind{Config, TCN, RST} {
		f.Add((&Message{Kind: kind, Flags: 0x7e, Vector: vector, Times: times}).Append(nil))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		p, err := Parse(frame)
		if err != nil {
			return
		}
		again, err := Parse(p.Append(nil))
		again.Version = p.Version // a later one reads the same
		if err != nil || again != p {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
	})
}
