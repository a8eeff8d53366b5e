package ioctl

import (
	"encoding/binary"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// A BridgeID is a priority and a MAC address.
type BridgeID struct {
	Priority uint16
	MAC      [6]byte
}

// ID makes a BridgeID; a missing address is all zeros.
func ID(priority uint16, mac net.HardwareAddr) BridgeID {
	id := BridgeID{Priority: priority}
	copy(id.MAC[:], mac)
	return id
}

// String writes the BridgeID as brctl and sysfs do: 8000.aabbccddeeff.
func (id BridgeID) String() string { return fmt.Sprintf("%04x.%x", id.Priority, id.MAC) }

func (id BridgeID) put(p []byte) {
	binary.BigEndian.PutUint16(p, id.Priority)
	copy(p[2:8], id.MAC[:])
}

// BridgeInfo is the answer to OpBridgeInfo. Times are in hundredths of a
// second.
type BridgeInfo struct {
	Root, Bridge                                                BridgeID
	RootPathCost                                                uint32
	MaxAge, HelloTime, ForwardDelay                             uint32 // in force, as the root says
	BridgeMaxAge, BridgeHelloTime, BridgeForwardDelay           uint32 // this bridge's own
	TopologyChange, TopologyChangeDetected                      bool
	RootPort                                                    uint8
	STP                                                         bool
	AgeingTime                                                  uint32
	HelloTimer, TCNTimer, TopologyChangeTimer, GarbageTimer, GC uint32
}

// PortInfo is the answer to OpPortInfo. Times are in hundredths of a second.
type PortInfo struct {
	Root, DesignatedBridge               BridgeID
	ID, DesignatedPort                   uint16
	PathCost, DesignatedCost             uint32
	State                                uint8 // one of the State constants
	TopologyChangeAck, ConfigPending     bool
	MessageTimer, ForwardTimer, HoldTime uint32
}

// The states of a port in the spanning tree.
const (
	StateDisabled uint8 = iota
	StateListening
	StateLearning
	StateForwarding
	StateBlocking
)

// An FDBEntry is one address of a MAC table.
type FDBEntry struct {
	MAC   [6]byte
	Port  uint16
	Local bool   // an address of the bridge's own
	Age   uint32 // in hundredths of a second
}

func put(mem Memory, p []byte, addr uint64) error {
	if len(p) > 0 && mem.WriteAt(p, addr) != nil {
		return unix.EFAULT
	}
	return nil
}

// PutWord answers OpProbe with a 32-bit number.
func (r *Request) PutWord(mem Memory, v uint32) error {
	return put(mem, binary.LittleEndian.AppendUint32(nil, v), r.out)
}

// PutIndexes answers OpBridges and OpPorts: as many of the interface indexes
// as there is room for. It returns the number that the ioctl returns.
func (r *Request) PutIndexes(mem Memory, list []int32) (int, error) {
	list = list[:min(len(list), r.Count)]
	b := make([]byte, 0, 4*r.Count)
	for _, v := range list {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	n := len(list)
	if r.Op == OpPorts {
		// The list of ports is an array by port number: all of it is written.
		b, n = b[:4*r.Count], r.Count
	}
	return n, put(mem, b, r.out)
}

// PutBridgeInfo answers OpBridgeInfo.
func (r *Request) PutBridgeInfo(mem Memory, i *BridgeInfo) error {
	var b [infoSize]byte
	i.Root.put(b[0:])
	i.Bridge.put(b[8:])
	for n, v := range []uint32{i.RootPathCost, i.MaxAge, i.HelloTime, i.ForwardDelay,
		i.BridgeMaxAge, i.BridgeHelloTime, i.BridgeForwardDelay} {
		binary.LittleEndian.PutUint32(b[16+4*n:], v)
	}
	b[44], b[45], b[46], b[47] = flag(i.TopologyChange), flag(i.TopologyChangeDetected), i.RootPort, flag(i.STP)
	for n, v := range []uint32{i.AgeingTime, i.GC, i.HelloTimer, i.TCNTimer, i.TopologyChangeTimer, i.GarbageTimer} {
		binary.LittleEndian.PutUint32(b[48+4*n:], v)
	}
	return put(mem, b[:], r.out)
}

// PutPortInfo answers OpPortInfo.
func (r *Request) PutPortInfo(mem Memory, i *PortInfo) error {
	b := make([]byte, r.abi.portInfo())
	i.Root.put(b[0:])
	i.DesignatedBridge.put(b[8:])
	binary.LittleEndian.PutUint16(b[16:], i.ID)
	binary.LittleEndian.PutUint16(b[18:], i.DesignatedPort)
	binary.LittleEndian.PutUint32(b[20:], i.PathCost)
	binary.LittleEndian.PutUint32(b[24:], i.DesignatedCost)
	b[28], b[29], b[30] = i.State, flag(i.TopologyChangeAck), flag(i.ConfigPending)
	for n, v := range []uint32{i.MessageTimer, i.ForwardTimer, i.HoldTime} {
		binary.LittleEndian.PutUint32(b[32+4*n:], v)
	}
	return put(mem, b, r.out)
}

// PutFDB answers OpFDB with the part of the whole table that was asked for. It
// returns the number that the ioctl returns.
func (r *Request) PutFDB(mem Memory, table []FDBEntry) (int, error) {
	if r.Offset >= len(table) {
		return 0, nil
	}
	table = table[r.Offset:]
	table = table[:min(len(table), r.Count)]
	b := make([]byte, 0, fdbSize*len(table))
	for i := range table {
		b = append(b, table[i].Bytes()...)
	}
	return len(table), put(mem, b, r.out)
}

// Bytes returns the entry as a struct __fdb_entry: 16 bytes.
func (e *FDBEntry) Bytes() []byte {
	var p [fdbSize]byte
	copy(p[:], e.MAC[:])
	p[6], p[7] = uint8(e.Port), flag(e.Local)
	binary.LittleEndian.PutUint32(p[8:], e.Age)
	p[12] = uint8(e.Port >> 8)
	return p[:]
}

// PutIndex answers OpIndex.
func (r *Request) PutIndex(mem Memory, index int32) error {
	return put(mem, binary.LittleEndian.AppendUint32(nil, uint32(index)), r.out+ifindexAt)
}

// PutName answers OpName.
func (r *Request) PutName(mem Memory, name string) error {
	var b [nameSize]byte
	copy(b[:nameSize-1], name)
	return put(mem, b[:], r.out)
}

func flag(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}
