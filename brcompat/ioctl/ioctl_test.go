package ioctl

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// memory is a caller's memory: one piece of it, at a base address.
type memory struct {
	base uint64
	b    []byte
}

var errFault = errors.New("no memory there")

func (m *memory) at(addr uint64, n int) ([]byte, error) {
	if addr < m.base || addr > m.base+uint64(len(m.b)) || uint64(n) > m.base+uint64(len(m.b))-addr {
		return nil, errFault
	}
	return m.b[addr-m.base:][:n], nil
}

func (m *memory) ReadAt(p []byte, addr uint64) error {
	b, err := m.at(addr, len(p))
	copy(p, b)
	return err
}

func (m *memory) WriteAt(p []byte, addr uint64) error {
	b, err := m.at(addr, len(p))
	if err == nil {
		copy(b, p)
	}
	return err
}

const base = 0x10000

// program writes arguments into memory as a program of the ABI would.
type program struct {
	abi *ABI
	memory
}

func newProgram(abi *ABI) *program { return &program{abi, memory{base, nil}} }

func (p *program) put(b []byte) uint64 {
	at := base + uint64(len(p.b))
	p.b = append(p.b, b...)
	return at
}

func (p *program) name(s string) uint64 {
	b := make([]byte, nameSize)
	copy(b, s)
	return p.put(b)
}

func (p *program) words(w ...uint64) uint64 {
	b := make([]byte, 0, 4*p.abi.Word)
	for len(w) < 4 {
		w = append(w, 0)
	}
	for _, v := range w {
		if p.abi.Word == 4 {
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		} else {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
	}
	return p.put(b)
}

func (p *program) ifreq(name string, value uint64) uint64 {
	b := make([]byte, p.abi.ifreq())
	copy(b, name)
	if p.abi.Word == 4 {
		binary.LittleEndian.PutUint32(b[nameSize:], uint32(value))
	} else {
		binary.LittleEndian.PutUint64(b[nameSize:], value)
	}
	return p.put(b)
}

// private is an ifreq that names a device and points to words.
func (p *program) private(name string, w ...uint64) uint64 {
	return p.ifreq(name, p.words(w...))
}

func TestDecode(t *testing.T) {
	for _, abi := range ABIs() {
		p := newProgram(abi)
		out := p.put(make([]byte, 8192))
		tests := []struct {
			cmd  uint32
			arg  uint64
			want Request
			err  error
		}{
			{cmd: SIOCBRADDBR, arg: p.name("br0"), want: Request{Op: OpAddBridge, Bridge: "br0"}},
			{cmd: SIOCBRADDBR, arg: p.name("a-name-of-sixteen"), want: Request{Op: OpAddBridge, Bridge: "a-name-of-sixte"}},
			{cmd: SIOCBRDELBR, arg: p.name("br0"), want: Request{Op: OpDelBridge, Bridge: "br0"}},
			{cmd: SIOCBRADDIF, arg: p.ifreq("br0", 7), want: Request{Op: OpAddPort, Bridge: "br0", Ifindex: 7}},
			{cmd: SIOCBRDELIF, arg: p.ifreq("br0", 7), want: Request{Op: OpDelPort, Bridge: "br0", Ifindex: 7}},
			{cmd: SIOCGIFINDEX, arg: p.ifreq("eth0", 0), want: Request{Op: OpIndex, Name: "eth0"}},
			{cmd: SIOCGIFNAME, arg: p.ifreq("", 0x40000001), want: Request{Op: OpName, Ifindex: 0x40000001}},
			{cmd: SIOCGIFBR, arg: p.words(0), want: Request{Op: OpVersion}},
			{cmd: SIOCGIFBR, arg: p.words(1, out, 1024), want: Request{Op: OpBridges, Count: 1024}},
			{cmd: SIOCGIFBR, arg: p.words(1, out, 2048), err: unix.ENOMEM},
			{cmd: SIOCGIFBR, arg: p.words(1, out, 0xffffffff), err: unix.ENOMEM},
			{cmd: SIOCGIFBR, arg: p.words(Probe, out, 4), want: Request{Op: OpProbe}},
			{cmd: SIOCSIFBR, arg: p.words(Probe, out, 4), err: unix.EOPNOTSUPP},
			{cmd: SIOCSIFBR, arg: p.words(2, p.name("br0")), want: Request{Op: OpAddBridge, Bridge: "br0"}},
			{cmd: SIOCSIFBR, arg: p.words(3, p.name("br0")), want: Request{Op: OpDelBridge, Bridge: "br0"}},
			{cmd: SIOCSIFBR, arg: p.words(2, 8), err: unix.EFAULT},
			{cmd: SIOCSIFBR, arg: p.words(4), err: unix.EOPNOTSUPP},
			{cmd: SIOCDEVPRIVATE, arg: p.private("br0", 4, 7), want: Request{Op: OpAddPort, Bridge: "br0", Ifindex: 7}},
			{cmd: SIOCDEVPRIVATE, arg: p.private("br0", 5, 7), want: Request{Op: OpDelPort, Bridge: "br0", Ifindex: 7}},
			{cmd: SIOCDEVPRIVATE, arg: p.private("br0", 6, out), want: Request{Op: OpBridgeInfo, Bridge: "br0"}},
			{cmd: SIOCDEVPRIVATE, arg: p.private("br0", 7, out, 0), want: Request{Op: OpPorts, Bridge: "br0", Count: 256}},
			{cmd: SIOCDEVPRIVATE, arg: p.private("br0", 7, out, 5000), want: Request{Op: OpPorts, Bridge: "br0", Count: 1024}},
			{cmd: SIOCDEVPRIVATE, arg: p.private("br0", 7, out, 0xffffffff), err: unix.EINVAL},
			{cmd: SIOCDEVPRIVATE, arg: p.private("br0", 8, 400), want: Request{Op: OpSet, Bridge: "br0", Setting: ForwardDelay, Value: 400}},
			{cmd: SIOCDEVPRIVATE, arg: p.private("br0", 14, 1), want: Request{Op: OpSet, Bridge: "br0", Setting: STPState, Value: 1}},
			{cmd: SIOCDEVPRIVATE, arg: p.private("br0", 16, 3, 9), want: Request{Op: OpSet, Bridge: "br0", Setting: PortPriority, Port: 3, Value: 9}},
			{cmd: SIOCDEVPRIVATE, arg: p.private("br0", 17, 3, 9), want: Request{Op: OpSet, Bridge: "br0", Setting: PathCost, Port: 3, Value: 9}},
			{cmd: SIOCDEVPRIVATE, arg: p.private("br0", 13, out, 3), want: Request{Op: OpPortInfo, Bridge: "br0", Port: 3}},
			{cmd: SIOCDEVPRIVATE, arg: p.private("br0", 18, out, 128, 256), want: Request{Op: OpFDB, Bridge: "br0", Count: 128, Offset: 256}},
			{cmd: SIOCDEVPRIVATE, arg: p.private("br0", 0), want: Request{Op: OpOther, Bridge: "br0"}},
			{cmd: SIOCDEVPRIVATE, arg: p.ifreq("br0", 8), err: unix.EFAULT},
			{cmd: SIOCDEVPRIVATE, arg: 8, err: unix.EFAULT},
			{cmd: 0x1234, arg: p.ifreq("br0", 8), err: unix.EINVAL},
		}
		for _, tt := range tests {
			got, err := Decode(abi, p, tt.cmd, tt.arg)
			if !errors.Is(err, tt.err) {
				t.Errorf("%s: %#x %+v: error %v, want %v", abi.Name, tt.cmd, tt.want, err, tt.err)
				continue
			}
			if err != nil {
				continue
			}
			tt.want.Cmd = tt.cmd
			got.abi, got.out = nil, 0
			if tt.want.Op != OpAddPort && tt.want.Op != OpDelPort && tt.want.Op != OpName {
				got.Ifindex = 0
			}
			if *got != tt.want {
				t.Errorf("%s: %#x: got %+v, want %+v", abi.Name, tt.cmd, *got, tt.want)
			}
		}
	}
}

func TestEncode(t *testing.T) {
	for _, abi := range ABIs() {
		p := newProgram(abi)
		out := p.put(bytes.Repeat([]byte{0xee}, 8192))
		get := func(n int) []byte { return p.b[:n] }
		request := func(w ...uint64) *Request {
			r, err := Decode(abi, p, SIOCDEVPRIVATE, p.private("br0", w...))
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		id := ID(0x8000, net.HardwareAddr{2, 0, 0, 0, 0, 9})
		err := request(6, out).PutBridgeInfo(p, &BridgeInfo{Root: id, Bridge: id, MaxAge: 2000, STP: true, AgeingTime: 30000})
		if err != nil || !bytes.Equal(get(8), []byte{0x80, 0, 2, 0, 0, 0, 0, 9}) || p.b[47] != 1 ||
			binary.LittleEndian.Uint32(p.b[20:]) != 2000 || binary.LittleEndian.Uint32(p.b[48:]) != 30000 || p.b[72] != 0xee {
			t.Errorf("%s: bridge info: %v % x", abi.Name, err, get(73))
		}
		copy(p.b, bytes.Repeat([]byte{0xee}, 100))
		err = request(13, out, 1).PutPortInfo(p, &PortInfo{ID: 0x8001, PathCost: 4, State: StateForwarding})
		if err != nil || p.b[16] != 1 || p.b[17] != 0x80 || p.b[20] != 4 || p.b[28] != 3 || p.b[abi.portInfo()] != 0xee {
			t.Errorf("%s: port info: %v % x", abi.Name, err, get(49))
		}
		n, err := request(7, out, 4).PutIndexes(p, []int32{0, 5, 6})
		if err != nil || n != 4 || !bytes.Equal(get(16), []byte{0, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0}) {
			t.Errorf("%s: ports: %d %v % x", abi.Name, n, err, get(16))
		}
		table := []FDBEntry{{Port: 1}, {Port: 2}, {MAC: id.MAC, Port: 0x103, Local: true, Age: 700}}
		n, err = request(18, out, 2, 2).PutFDB(p, table)
		if err != nil || n != 1 || !bytes.Equal(get(16), []byte{2, 0, 0, 0, 0, 9, 3, 1, 0xbc, 2, 0, 0, 1, 0, 0, 0}) {
			t.Errorf("%s: addresses: %d %v % x", abi.Name, n, err, get(16))
		}
		if n, err = request(18, 8, 2, 0).PutFDB(p, table); err != unix.EFAULT {
			t.Errorf("%s: addresses nowhere: %d %v", abi.Name, n, err)
		}
	}
}

// FuzzDecode decodes whatever memory may hold: no panic, an errno or a request
// within its limits, and no answer outside of memory.
func FuzzDecode(f *testing.F) {
	for i, abi := range ABIs() {
		p := newProgram(abi)
		out := p.put(make([]byte, 64))
		for _, cmd := range Commands() {
			for _, w := range []uint64{0, 1, 2, 6, 7, 13, 18, Probe, 99} {
				q := *p
				q.b = slices.Clone(p.b)
				arg := q.words(w, out, 16, 0)
				if cmd == SIOCDEVPRIVATE {
					arg = q.private("br0", w, out, 16, 0)
				}
				f.Add(uint8(i), cmd, arg, q.b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, abi uint8, cmd uint32, arg uint64, b []byte) {
		m := &memory{base, b}
		r, err := Decode(ABIs()[int(abi)%len(ABIs())], m, cmd, arg)
		if err != nil {
			var errno unix.Errno
			if r != nil || !errors.As(err, &errno) || errno == 0 {
				t.Fatalf("request %v, error %v", r, err)
			}
			return
		}
		if r.Op == 0 || r.Count < 0 || r.Count > 2047 || r.Offset < 0 || len(r.Bridge) > 15 || len(r.Name) > 15 {
			t.Fatalf("%+v", r)
		}
		_ = r.String()
		switch r.Op {
		case OpProbe:
			_ = r.PutWord(m, 1)
		case OpBridges, OpPorts:
			if n, err := r.PutIndexes(m, make([]int32, 1024)); err == nil && n > r.Count {
				t.Fatal(n)
			}
		case OpBridgeInfo:
			_ = r.PutBridgeInfo(m, &BridgeInfo{})
		case OpPortInfo:
			_ = r.PutPortInfo(m, &PortInfo{})
		case OpFDB:
			if n, err := r.PutFDB(m, make([]FDBEntry, 300)); err == nil && n > 256 {
				t.Fatal(n)
			}
		case OpIndex:
			_ = r.PutIndex(m, 1)
		case OpName:
			_ = r.PutName(m, "a-long-name-that-is-cut")
		}
	})
}
