package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"govs/datapath/port"
	"govs/datapath/shape"
)

// major is the handle by which a queueing discipline is known as ours, also by
// the next process: "gv".
const major = 0x6776

// rootClass has the device's rate, which the classes of the queues share.
const rootClass = 0xfffe

// Class is the socket priority that selects a queue in the discipline that
// Queue gives a device.
func Class(queue uint32) uint32 { return netlink.MakeHandle(major, uint16(queue+1)) }

func ours(index int) *netlink.Htb {
	return &netlink.Htb{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(major, 0), Parent: netlink.HANDLE_ROOT},
		Version: 3, Rate2Quantum: 10, Defcls: 1}
}

// cannot is why the kernel does not do it; it is port.ErrUnsupported.
type cannot string

func (c cannot) Error() string { return string(c) }

// Is makes it port.ErrUnsupported.
func (c cannot) Is(target error) bool { return target == port.ErrUnsupported }

// Queue gives the device a queueing discipline of the kernel's that has the
// queues of the configuration, of the kind HTB; nil takes it away. old is what
// it gave before, nil for none: where the queues are the same ones, what waits
// in them stays. A discipline that is neither ours nor what the kernel gives by
// default stays. The error wraps port.ErrUnsupported where the device has such
// a one, the kernel has no htb, or the configuration is of another kind. It
// belongs to the network namespace of the calling thread.
func (d *Device) Queue(c, old *shape.Config) error {
	if c == nil {
		return d.Unqueue()
	}
	if c.Kind != shape.HTB {
		return cannot("only htb is asked of the kernel")
	}
	return d.links.use(func(h *netlink.Handle) error {
		if err := d.vacant(h); err != nil {
			return err
		}
		same := func(a, b shape.Queue) bool { return a.ID == b.ID }
		if old != nil && slices.EqualFunc(c.Queues, old.Queues, same) && d.classes(h, c) == nil {
			return nil
		}
		_ = h.QdiscDel(ours(d.index)) // which fails where there is none
		if err := h.QdiscAdd(ours(d.index)); err != nil {
			if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) {
				return cannot(fmt.Sprintf("the kernel gives no qdisc htb: %v", err))
			}
			return fmt.Errorf("qdisc htb: %w", err)
		}
		err := d.classes(h, c)
		if err != nil {
			_ = h.QdiscDel(ours(d.index))
		}
		return err
	})
}

// vacant says why the device's root is not to be taken.
func (d *Device) vacant(h *netlink.Handle) error {
	list, err := h.QdiscList(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: d.index}})
	if err != nil {
		return err
	}
	for _, q := range list {
		a := q.Attrs()
		if a.Parent != netlink.HANDLE_ROOT {
			continue
		}
		// What the kernel gives a device by itself has no handle.
		if first, _ := netlink.MajorMinor(a.Handle); first != 0 && first != major {
			return cannot(fmt.Sprintf("the device has a queueing discipline of somebody else, %s", q.Type()))
		}
	}
	return nil
}

// classes makes the classes of the queues, or changes them.
func (d *Device) classes(h *netlink.Handle, c *shape.Config) error {
	add := func(minor, parent uint32, a netlink.HtbClassAttrs) error {
		class := netlink.NewHtbClass(netlink.ClassAttrs{
			LinkIndex: d.index, Handle: netlink.MakeHandle(major, uint16(minor)), Parent: netlink.MakeHandle(major, uint16(parent)),
		}, a)
		if err := h.ClassReplace(class); err != nil {
			return fmt.Errorf("class %x of qdisc htb: %w", minor, err)
		}
		return nil
	}
	burst := func(rate uint64, want int) uint32 {
		return uint32(min(max(uint64(want), rate/8/10000, uint64(c.MTU)), math.MaxInt32)) // 100 us of the rate
	}
	b := burst(c.Rate, 0)
	if err := add(rootClass, 0, netlink.HtbClassAttrs{Rate: c.Rate, Ceil: c.Rate, Buffer: b, Cbuffer: b}); err != nil {
		return err
	}
	for _, q := range c.Queues {
		high := q.Max
		if high == 0 {
			high = c.Rate
		}
		err := add(q.ID+1, rootClass, netlink.HtbClassAttrs{
			Rate: q.Min, Ceil: high, Buffer: burst(q.Min, q.Burst), Cbuffer: burst(high, q.Burst), Prio: min(q.Priority, 7),
			Quantum: uint32(min(max(q.Min/80, uint64(c.MTU)), 200000)),
		})
		if err != nil {
			return err
		}
		if err := d.bound(q.ID+1, q.Room(c.Rate)); err != nil {
			return err
		}
	}
	return nil
}

// bound gives a class a queue of so many bytes, instead of a thousand segments
// of any length.
func (d *Device) bound(minor uint32, bytes int) error {
	req := nl.NewNetlinkRequest(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK)
	req.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(d.index), Parent: netlink.MakeHandle(major, uint16(minor))})
	req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("bfifo")))
	req.AddData(nl.NewRtAttr(nl.TCA_OPTIONS, binary.NativeEndian.AppendUint32(nil, uint32(bytes)))) // struct tc_fifo_qopt
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return fmt.Errorf("qdisc bfifo: %w", err)
	}
	return nil
}

// Unqueue takes away the discipline that Queue has given the device, or that
// another process of ours has left there.
func (d *Device) Unqueue() error {
	return d.links.use(func(h *netlink.Handle) error {
		err := h.QdiscDel(ours(d.index))
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) {
			return nil // there is none of ours
		}
		return err
	})
}

// QueueStats are the counters of the discipline's queues, in the order of the
// configuration.
func (d *Device) QueueStats(c *shape.Config) []shape.Stats {
	all := make([]shape.Stats, len(c.Queues))
	at := make(map[uint32]*shape.Stats)
	for i, q := range c.Queues {
		all[i].Queue = q.ID
		at[Class(q.ID)] = &all[i]
	}
	_ = d.links.use(func(h *netlink.Handle) error {
		classes, err := h.ClassList(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: d.index}}, 0)
		for _, class := range classes {
			s, to := class.Attrs().Statistics, at[class.Attrs().Handle]
			if to == nil || s == nil || s.Basic == nil || s.Queue == nil {
				continue
			}
			to.Packets, to.Bytes = uint64(s.Basic.Packets), s.Basic.Bytes
			to.Dropped, to.Waiting = uint64(s.Queue.Drops), int(s.Queue.Qlen)
		}
		return err
	})
	return all
}
