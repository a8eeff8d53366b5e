package ioctl

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// The ioctls that are trapped.
const (
	SIOCGIFNAME    = 0x8910
	SIOCGIFINDEX   = 0x8933
	SIOCGIFBR      = 0x8940
	SIOCSIFBR      = 0x8941
	SIOCBRADDBR    = 0x89a0
	SIOCBRDELBR    = 0x89a1
	SIOCBRADDIF    = 0x89a2
	SIOCBRDELIF    = 0x89a3
	SIOCDEVPRIVATE = 0x89f0
)

// Commands returns the ioctls that are to be trapped.
func Commands() []uint32 { return append(BridgeCommands(), SIOCGIFINDEX, SIOCGIFNAME) }

// BridgeCommands returns those that are about bridges alone, and not about the
// names of devices.
func BridgeCommands() []uint32 {
	return []uint32{SIOCGIFBR, SIOCSIFBR, SIOCBRADDBR, SIOCBRDELBR, SIOCBRADDIF, SIOCBRDELIF, SIOCDEVPRIVATE}
}

// Probe is the operation of SIOCGIFBR that only our daemon answers, and no
// kernel: a launcher finds out by it whether it runs under another one. The
// answer is one word in the buffer, the launcher's mode.
const Probe = 0x676f7673

const (
	nameSize  = 16   // IFNAMSIZ
	maxList   = 2047 // bridges in one list
	maxPorts  = 1024 // ports of a bridge
	defPorts  = 256  // ports in a list whose caller says 0
	maxFDB    = 256  // MAC table entries in one answer: a page
	fdbSize   = 16   // bytes of one
	infoSize  = 72   // bytes of a struct __bridge_info
	version   = 1    // of the interface
	ifindexAt = nameSize
)

// Version is the number of the interface that OpVersion is answered with.
const Version = version

// An Op is what a caller wants.
type Op uint8

// What a caller can want.
const (
	OpProbe      Op = iota + 1 // are you there?
	OpVersion                  // which version of the interface is it?
	OpBridges                  // list the bridges
	OpAddBridge                // add the bridge Bridge
	OpDelBridge                // delete it
	OpAddPort                  // add the device Ifindex to Bridge
	OpDelPort                  // take it out of Bridge
	OpBridgeInfo               // describe Bridge
	OpPorts                    // list the ports of Bridge
	OpPortInfo                 // describe port number Port of Bridge
	OpFDB                      // list the MAC table of Bridge
	OpSet                      // set Setting of Bridge, or of its port number Port, to Value
	OpIndex                    // what is the index of the device Name?
	OpName                     // what is the name of the device Ifindex?
	OpOther                    // something that no bridge of ours can do, on Bridge if there is one
)

var opNames = [...]string{"", "probe", "version", "bridges", "addbr", "delbr", "addif", "delif",
	"info", "ports", "port-info", "fdb", "set", "index", "name", "other"}

func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return fmt.Sprintf("op %d", uint8(o))
}

// A Setting is what OpSet sets.
type Setting uint8

// The settings. Times are in hundredths of a second.
const (
	ForwardDelay Setting = iota + 1
	HelloTime
	MaxAge
	AgeingTime
	STPState
	BridgePriority
	PortPriority
	PathCost
)

var settingNames = [...]string{"", "setfd", "sethello", "setmaxage", "setageing", "stp",
	"setbridgeprio", "setportprio", "setpathcost"}

func (s Setting) String() string {
	if int(s) < len(settingNames) {
		return settingNames[s]
	}
	return fmt.Sprintf("setting %d", uint8(s))
}

// A Request is a decoded ioctl. Which fields mean something is said at its Op.
type Request struct {
	Op      Op
	Cmd     uint32 // the ioctl it came by
	Bridge  string
	Name    string
	Ifindex int32
	Port    uint32
	Setting Setting
	Value   uint64
	Count   int // how many entries the caller has room for
	Offset  int // the first entry of the MAC table that it wants

	abi *ABI
	out uint64 // where the answer goes
}

// Old tells whether the request came by one of the ioctls that carry several
// operations.
func (r *Request) Old() bool {
	return r.Cmd == SIOCGIFBR || r.Cmd == SIOCSIFBR || r.Cmd == SIOCDEVPRIVATE
}

// Changes tells whether the request is one to change something.
func (r *Request) Changes() bool {
	switch r.Op {
	case OpAddBridge, OpDelBridge, OpAddPort, OpDelPort, OpSet:
		return true
	}
	return false
}

// Target is the name of what the request is about, for messages.
func (r *Request) Target() string {
	switch r.Op {
	case OpIndex:
		return r.Name
	case OpName:
		return fmt.Sprintf("#%d", r.Ifindex)
	case OpAddPort, OpDelPort:
		return fmt.Sprintf("%s #%d", r.Bridge, r.Ifindex)
	case OpSet:
		return fmt.Sprintf("%s %s %d", r.Setting, r.Bridge, r.Value)
	}
	return r.Bridge
}

// String describes the request, for logs.
func (r *Request) String() string { return fmt.Sprintf("%s %s", r.Op, r.Target()) }

// Decode reads the arguments of the ioctl cmd, whose third argument is arg,
// from the caller's memory. An error is a unix.Errno for the caller, and the
// Request is nil. A cmd that is not one of Commands is EINVAL.
func Decode(abi *ABI, mem Memory, cmd uint32, arg uint64) (*Request, error) {
	r := &Request{Cmd: cmd, abi: abi}
	arg = abi.addr(arg)
	var err error
	switch cmd {
	case SIOCBRADDBR:
		r.Op = OpAddBridge
		r.Bridge, err = readName(mem, arg)
	case SIOCBRDELBR:
		r.Op = OpDelBridge
		r.Bridge, err = readName(mem, arg)
	case SIOCGIFBR, SIOCSIFBR:
		err = r.global(mem, arg)
	default:
		err = r.ifreq(mem, arg)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// readName reads a name in 16 bytes of memory.
func readName(mem Memory, addr uint64) (string, error) {
	var b [nameSize]byte
	if mem.ReadAt(b[:], addr) != nil {
		return "", unix.EFAULT
	}
	return cutName(b[:]), nil
}

func cutName(b []byte) string {
	b = b[:nameSize-1]
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// global decodes SIOCGIFBR and SIOCSIFBR: three words.
func (r *Request) global(mem Memory, arg uint64) error {
	abi := r.abi
	b := make([]byte, 3*abi.Word)
	if mem.ReadAt(b, arg) != nil {
		return unix.EFAULT
	}
	r.out = abi.addr(abi.word(b, 1))
	n := abi.word(b, 2)
	switch op := abi.word(b, 0); op {
	case 0:
		r.Op = OpVersion
	case 1:
		if n > maxList {
			return unix.ENOMEM
		}
		r.Op, r.Count = OpBridges, int(n)
	case 2, 3:
		r.Op = OpAddBridge
		if op == 3 {
			r.Op = OpDelBridge
		}
		name, err := readName(mem, r.out)
		if err != nil {
			return err
		}
		r.Bridge = name
	case Probe:
		if r.Cmd != SIOCGIFBR {
			return unix.EOPNOTSUPP
		}
		r.Op = OpProbe
	default:
		return unix.EOPNOTSUPP
	}
	return nil
}

// ifreq decodes the ioctls that take a struct ifreq.
func (r *Request) ifreq(mem Memory, arg uint64) error {
	abi := r.abi
	b := make([]byte, abi.ifreq())
	if mem.ReadAt(b, arg) != nil {
		return unix.EFAULT
	}
	r.Ifindex = int32(binary.LittleEndian.Uint32(b[ifindexAt:]))
	name := cutName(b)
	switch r.Cmd {
	case SIOCBRADDIF:
		r.Op, r.Bridge = OpAddPort, name
	case SIOCBRDELIF:
		r.Op, r.Bridge = OpDelPort, name
	case SIOCGIFINDEX:
		r.Op, r.Name, r.out = OpIndex, name, arg
	case SIOCGIFNAME:
		r.Op, r.out = OpName, arg
	case SIOCDEVPRIVATE:
		r.Bridge, r.Ifindex = name, 0
		return r.private(mem, abi.addr(abi.word(b[nameSize:], 0)))
	default:
		return unix.EINVAL
	}
	return nil
}

// settings are the operations of SIOCDEVPRIVATE that set something.
var settings = map[uint64]Setting{8: ForwardDelay, 9: HelloTime, 10: MaxAge, 11: AgeingTime,
	14: STPState, 15: BridgePriority, 16: PortPriority, 17: PathCost}

// private decodes what a struct ifreq of SIOCDEVPRIVATE points to: four words.
func (r *Request) private(mem Memory, data uint64) error {
	abi := r.abi
	b := make([]byte, 4*abi.Word)
	if mem.ReadAt(b, data) != nil {
		return unix.EFAULT
	}
	op, w1, w2, w3 := abi.word(b, 0), abi.word(b, 1), abi.word(b, 2), abi.word(b, 3)
	r.out = abi.addr(w1)
	switch op {
	case 4, 5:
		r.Op, r.Ifindex = OpAddPort, int32(w1)
		if op == 5 {
			r.Op = OpDelPort
		}
	case 6:
		r.Op = OpBridgeInfo
	case 7:
		n := int32(w2)
		switch {
		case n < 0:
			return unix.EINVAL
		case n == 0:
			n = defPorts
		case n > maxPorts:
			n = maxPorts
		}
		r.Op, r.Count = OpPorts, int(n)
	case 13:
		r.Op, r.Port = OpPortInfo, uint32(min(w2, 1<<31))
	case 18:
		r.Op, r.Count, r.Offset = OpFDB, int(min(w2, maxFDB)), int(min(w3, 1<<31-1))
	default:
		s, ok := settings[op]
		if !ok {
			r.Op = OpOther
			break
		}
		r.Op, r.Setting, r.Value = OpSet, s, w1
		if s == PortPriority || s == PathCost {
			r.Port, r.Value = uint32(min(w1, 1<<31)), w2
		}
	}
	return nil
}

// Device reads the name of the device that a SIOCDEVPRIVATE is for, so that its
// caller can leave another driver's ioctl alone before Decode reads arguments
// that only a bridge has. The error is EFAULT.
func Device(abi *ABI, mem Memory, arg uint64) (string, error) {
	return readName(mem, abi.addr(arg))
}
