// Package port is the waist between the packet engine and the world: every
// kind of port implements Port, and passes the suite in port/porttest.
package port

import (
	"errors"
	"net"
	"syscall"

	"govs/datapath/packet"
	"govs/datapath/shape"
)

// Errors that a Port returns, to be tested with errors.Is.
var (
	// ErrClosed says that Close was called. Recv and Send return it for ever.
	ErrClosed = errors.New("port is closed")
	// ErrGone says that the device behind the port vanished. Recv and Send
	// return it for ever; the owner closes the port.
	ErrGone = errors.New("device is gone")
	// ErrUnsupported says that this kind of port cannot do what was asked.
	ErrUnsupported = errors.New("not supported by this kind of port")
)

// A Port is where frames enter and leave the switch.
//
// One goroutine calls Recv, one at a time Send (the engine sees to that);
// Recv, Send, State, Stats and Close may run at the same time as each other.
type Port interface {
	// Name is the port's name: that of its device, where it has one.
	Name() string

	// Recv waits for at least one packet and appends up to packet.MaxBatch of
	// them to the batch, which the caller passes in empty. They are the
	// caller's from then on. Offload says what their sender left undone.
	// Errors other than ErrClosed and ErrGone are passing: the caller may
	// call again at once, the port does the waiting.
	Recv(*packet.Batch) error

	// Send transmits the packets in order. It only borrows them: it neither
	// changes nor frees them, and is done with them when it returns. The
	// caller has completed whatever State().Offloads does not name, and a
	// frame is no longer than State().MTU allows. Packets that could not be
	// sent are counted in Stats, not reported; the error is ErrClosed,
	// ErrGone or nil.
	Send(*packet.Batch) error

	// State is the port's present state; cheap enough to call for each batch.
	State() State

	// Stats are the counters since the port was opened.
	Stats() Stats

	// Close releases the device, wakes Recv, and waits for neither. It leaves
	// a device that was there before as it was found. A second call does
	// nothing.
	Close() error
}

// Offloads are the kinds of unfinished packet that a port can send.
type Offloads struct {
	Csum bool // partial TCP and UDP checksums
	TSO4 bool // TCP over IPv4 in large segments
	TSO6 bool // TCP over IPv6 in large segments
	USO  bool // UDP in large segments
}

// State is what a port is like at the moment.
type State struct {
	MAC      net.HardwareAddr // nil where the port has none
	MTU      int              // in bytes of the Ethernet payload; 0 where there is no limit
	Admin    bool             // administratively up
	Link     bool             // carrier
	Ifindex  int              // 0 where there is no device
	Speed    uint64           // bits a second, 0 where not known
	Duplex   string           // "full", "half" or "" where not known
	Driver   string           // name of the device's driver, "" where not known
	Version  string           // of the driver
	Firmware string           // its version, "" where the device has none
	Offloads Offloads         // what Send takes unfinished
	Resets   int              // how often the carrier changed (Interface.link_resets)
}

// Stats are a port's counters, named as Interface.statistics names them.
type Stats struct {
	RxPackets, RxBytes, RxDropped, RxErrors                  uint64
	TxPackets, TxBytes, TxDropped, TxErrors                  uint64
	RxFrameErr, RxOverErr, RxCRCErr, RxMissedErr, Collisions uint64
	RxMulticast                                              uint64

	Basic bool // only packets and bytes are counted by the port: zeros elsewhere say nothing
}

// Customs is a port with counters of its own, by the names that
// Interface.statistics has for them.
type Customs interface {
	Custom() map[string]uint64
}

// A Starter is a port whose frames wait for the switch to be ready for them: Recv
// gives none before Start was called. A second call does nothing.
type Starter interface{ Start() }

// Described is a port that has something to say about itself, as it is for as long
// as the port is open, by the keys of Interface.status.
type Described interface {
	Describe() map[string]string
}

// An Admin is a port whose device can be told what to be like.
type Admin interface {
	SetMAC(net.HardwareAddr) error
	SetMTU(int) error
	SetUp(bool) error
}

// A Notifier is a port that tells when its state changed. The function is
// called without locks held and returns quickly; nil stops the calls.
type Notifier interface {
	Notify(func(State))
}

// A Guard keeps what arrives on a device from the host's own stack, and says
// what of it a packet socket on the device gets.
type Guard interface {
	// Guard takes a device by its index, and by the packet socket on it, which
	// is not bound yet or has another guard. The function ends the guard; it
	// is called once, after the socket was closed or given another guard.
	Guard(index int, socket syscall.RawConn) (release func(), err error)
}

// A Queueing is a port on a device that has a queueing discipline of the
// kernel's. What is sent passes it by, unless it is asked otherwise.
type Queueing interface {
	// Pass has what is sent go through the device's discipline, whatever that
	// is, or pass it by.
	Pass(on bool) error
	// Shape gives the device a discipline that does what is configured, and has
	// what is sent go through it; nil takes it away again. The error wraps
	// ErrUnsupported where this kernel or this device cannot, or the device has
	// a discipline of somebody else's, which stays. What a device was given
	// outlives the port, and ends when another one is opened on it. It belongs
	// to the network namespace of the calling thread.
	Shape(*shape.Config) error
	// Shaped are the counters of the queues of that discipline.
	Shaped() []shape.Stats
	// Select says in which of its queues waits what is sent next. It is called
	// as Send is, one at a time.
	Select(queue uint32)
}

// A Guarded is a port on a device of which another Guard can take hold.
type Guarded interface {
	// SetGuard gives the port another guard, nil for its own.
	SetGuard(Guard) error
}
