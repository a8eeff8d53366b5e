package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"
	"golang.org/x/sys/unix"

	"govs/brcompat/link"
	"govs/schema/vswitch"
)

// mark is the key in Port.external_ids of the ports that AddPort made.
const mark = "brctl"

// begin starts a change: it waits for its turn, and for the news of vanished
// devices to be worked off, so that a device that was made again is not taken
// for the old one.
func (s *Switch) begin(ctx context.Context) (context.Context, func(), *view, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	s.write.Lock()
	end := func() {
		s.write.Unlock()
		cancel()
	}
	if err := s.prune(ctx); err != nil {
		s.log.Warn(fmt.Sprintf("cannot remove the ports of vanished devices: %v", err))
	}
	v, err := s.db.look(ctx)
	if err != nil {
		end()
		return nil, nil, nil, unix.ETIMEDOUT
	}
	return ctx, end, v, nil
}

// AddBridge adds a bridge, and returns when the switch has made it. Errors:
// EEXIST where a device, bridge or port has the name, EINVAL where it is no
// name for a device, ETIMEDOUT where the switch does not answer: the bridge is
// taken out of the database again.
func (s *Switch) AddBridge(ctx context.Context, name string) error {
	if !validName(name) {
		return unix.EINVAL
	}
	ctx, end, v, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if v.taken(name) || s.links.Index(name) != 0 {
		return unix.EEXIST
	}
	if err := s.db.initialize(ctx); err != nil {
		return s.errno(err)
	}
	ops := []ovsdb.Operation{
		{Op: ovsdb.OperationInsert, Table: vswitch.InterfaceTable, UUIDName: "iface",
			Row: ovsdb.Row{"name": name, "type": "internal"}},
		{Op: ovsdb.OperationInsert, Table: vswitch.PortTable, UUIDName: "port",
			Row: ovsdb.Row{"name": name, "interfaces": uuidSet("iface")}},
		{Op: ovsdb.OperationInsert, Table: vswitch.BridgeTable, UUIDName: "bridge",
			Row: ovsdb.Row{"name": name, "ports": uuidSet("port")}},
		s.member(ovsdb.MutateOperationInsert, "bridge"),
	}
	cfg, err := s.db.transact(ctx, "addbr "+name, ops...)
	if err != nil {
		return s.errno(err)
	}
	err = s.db.applied(ctx, cfg)
	if err == nil {
		if i := s.db.view().ifaces[name]; i != nil {
			err = failure(i)
		}
	}
	if err == nil {
		s.appears(ctx, name)
		s.hear() // what happened to the device so far was the switch's doing
		s.born[name] = &birth{macs: []net.HardwareAddr{s.links.MAC(name)}}
		return nil
	}
	s.log.Warn(fmt.Sprintf("adding bridge %s failed, removing it again: %v", name, err))
	s.revert(ctx, "delbr "+name, func(v *view) (ovsdb.Operation, bool) {
		if b := v.bridges[name]; b != nil && b.parent == nil {
			return s.member(ovsdb.MutateOperationDelete, b.row.UUID), true
		}
		return ovsdb.Operation{}, false
	})
	return s.errno(err)
}

// member inserts a bridge into, or deletes it from, the root of the database.
func (s *Switch) member(how ovsdb.Mutator, uuid string) ovsdb.Operation {
	op := ovsdb.Operation{Op: ovsdb.OperationMutate, Table: vswitch.OpenvSwitchTable, Where: []ovsdb.Condition{},
		Mutations: []ovsdb.Mutation{*ovsdb.NewMutation("bridges", how, uuidSet(uuid))}}
	if root := s.db.root(); root != nil {
		op.Where = byUUID(root.UUID)
	}
	return op
}

// DelBridge deletes a bridge. Errors: ENXIO where there is none, EBUSY where
// its device is up, ETIMEDOUT where the switch does not answer (the bridge is
// deleted nevertheless).
func (s *Switch) DelBridge(ctx context.Context, name string) error {
	ctx, end, v, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	b := v.bridges[name]
	if b == nil {
		return unix.ENXIO
	}
	if l, err := s.links.ByName(name); err == nil && l.Up {
		return unix.EBUSY
	}
	ops := []ovsdb.Operation{s.member(ovsdb.MutateOperationDelete, b.row.UUID)}
	if b.parent != nil {
		uuids := []string{b.fake.UUID}
		for _, p := range b.ports {
			uuids = append(uuids, p.row.UUID)
		}
		ops = []ovsdb.Operation{portsOf(b, ovsdb.MutateOperationDelete, uuids...)}
	}
	err = s.db.commit(ctx, "delbr "+name, ops...)
	delete(s.born, name)
	if err == nil {
		s.until(ctx, func() bool { return s.links.Index(name) == 0 })
	}
	return s.errno(err)
}

// portsOf inserts ports into a bridge, or deletes them from it.
func portsOf(b *bridge, how ovsdb.Mutator, uuids ...string) ovsdb.Operation {
	return ovsdb.Operation{Op: ovsdb.OperationMutate, Table: vswitch.BridgeTable, Where: byUUID(b.row.UUID),
		Mutations: []ovsdb.Mutation{*ovsdb.NewMutation("ports", how, uuidSet(uuids...))}}
}

func removePort(p *port) ovsdb.Operation {
	return portsOf(p.bridge, ovsdb.MutateOperationDelete, p.row.UUID)
}

// AddPort adds the device with the given index to a bridge, and returns when
// the switch has opened it. Errors: ENODEV where there is no such bridge,
// EINVAL where there is no such device or it cannot be a port, ELOOP where it
// is a bridge, EBUSY where it belongs to one; and what kept the switch from
// opening it, or ETIMEDOUT, after which the port is taken out again.
func (s *Switch) AddPort(ctx context.Context, name string, index int32) error {
	ctx, end, v, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	b := v.bridges[name]
	if b == nil {
		return unix.ENODEV
	}
	dev, err := s.candidate(v, index)
	if err != nil {
		return err
	}
	row := ovsdb.Row{"name": dev, "interfaces": uuidSet("iface"),
		"external_ids": ovsdb.OvsMap{GoMap: map[any]any{mark: "true"}}}
	if b.parent != nil {
		row["tag"] = b.vlan
	}
	s.numbers.of(b) // those that are there come first
	cfg, err := s.db.transact(ctx, "addif "+name+" "+dev,
		ovsdb.Operation{Op: ovsdb.OperationInsert, Table: vswitch.InterfaceTable, UUIDName: "iface",
			Row: ovsdb.Row{"name": dev}},
		ovsdb.Operation{Op: ovsdb.OperationInsert, Table: vswitch.PortTable, UUIDName: "port", Row: row},
		portsOf(b, ovsdb.MutateOperationInsert, "port"))
	if err != nil {
		return s.errno(err)
	}
	if err = s.db.applied(ctx, cfg); err == nil {
		v := s.db.view()
		if b := v.bridges[name]; b != nil {
			s.numbers.of(b)
		}
		if i := v.ifaces[dev]; i != nil {
			err = failure(i)
		}
	}
	if err == nil {
		return nil
	}
	s.log.Warn(fmt.Sprintf("adding %s to bridge %s failed, removing it again: %v", dev, name, err))
	s.revert(ctx, "delif "+name+" "+dev, func(v *view) (ovsdb.Operation, bool) {
		if p := v.ports[dev]; p != nil && p.bridge != nil && p.row.ExternalIDs[mark] == "true" {
			return removePort(p), true
		}
		return ovsdb.Operation{}, false
	})
	return s.errno(err)
}

// A birth is what a bridge that AddBridge made has had of addresses that were
// not given to it by somebody.
type birth struct{ macs []net.HardwareAddr }

func (b *birth) had(mac net.HardwareAddr) bool {
	return slices.ContainsFunc(b.macs, func(m net.HardwareAddr) bool { return bytes.Equal(m, mac) })
}

// keepAddress makes an address that somebody gave the device of a bridge the
// bridge's own, as it is with the kernel's: Debian's bridge_hw relies on that.
// The switch itself gives it that of a port, or the one that it had from the
// beginning, and would do so again at once.
func (s *Switch) keepAddress(ctx context.Context, v *view, a link.Address) error {
	b, birth := v.bridges[a.Name], s.born[a.Name]
	if b == nil || birth == nil || b.parent != nil || a.MAC[0]&1 != 0 || b.local != nil && b.local.MAC != nil {
		return nil
	}
	for _, p := range b.ports {
		for _, i := range p.ifaces {
			if i.MACInUse != nil {
				if mac, err := net.ParseMAC(*i.MACInUse); err == nil && !birth.had(mac) {
					birth.macs = append(birth.macs, mac)
				}
			}
		}
	}
	if birth.had(a.MAC) || strings.EqualFold(b.row.OtherConfig["hwaddr"], a.MAC.String()) {
		return nil
	}
	birth.macs = append(birth.macs, a.MAC)
	s.log.Info(fmt.Sprintf("bridge %s was given the address %s", a.Name, a.MAC))
	return s.db.commit(ctx, "set address of "+a.Name, ovsdb.Operation{Op: ovsdb.OperationMutate, Table: vswitch.BridgeTable,
		Where: byUUID(b.row.UUID), Mutations: []ovsdb.Mutation{
			*ovsdb.NewMutation("other_config", ovsdb.MutateOperationDelete, ovsdb.OvsSet{GoSet: []any{"hwaddr"}}),
			*ovsdb.NewMutation("other_config", ovsdb.MutateOperationInsert, ovsdb.OvsMap{GoMap: map[any]any{"hwaddr": a.MAC.String()}})}})
}

// candidate returns the name of a device that may become a port.
func (s *Switch) candidate(v *view, index int32) (string, error) {
	if name := s.Name(index); name != "" {
		switch {
		case v.bridges[name] != nil:
			return "", unix.ELOOP
		case v.taken(name):
			return "", unix.EBUSY
		}
		return "", unix.EINVAL
	}
	l, err := s.links.ByIndex(int(index))
	switch {
	case errors.Is(err, link.ErrNone):
		return "", unix.EINVAL
	case err != nil:
		s.log.Warn(err.Error())
		return "", unix.EINVAL
	case l.Loopback || !l.Ethernet:
		return "", unix.EINVAL
	case l.Kind == "bridge" || v.bridges[l.Name] != nil:
		return "", unix.ELOOP
	case l.Master != 0 || v.taken(l.Name):
		return "", unix.EBUSY
	}
	return l.Name, nil
}

// DelPort takes the device with the given index out of a bridge. Errors: ENODEV
// where there is no such bridge, EINVAL where the device is none of its ports,
// ETIMEDOUT where the switch does not answer (the port is deleted
// nevertheless).
func (s *Switch) DelPort(ctx context.Context, name string, index int32) error {
	ctx, end, v, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	b := v.bridges[name]
	if b == nil {
		return unix.ENODEV
	}
	dev := s.Name(index)
	if dev == "" {
		l, err := s.links.ByIndex(int(index))
		if err != nil {
			return unix.EINVAL
		}
		dev = l.Name
	}
	for _, p := range b.ports {
		if p.device() != dev && p.name != dev {
			continue
		}
		err := s.db.commit(ctx, "delif "+name+" "+dev, removePort(p))
		if b := s.db.view().bridges[name]; b != nil {
			s.numbers.of(b)
		}
		return s.errno(err)
	}
	return unix.EINVAL
}

// revert undoes a change that the switch could not take over, in its own time:
// the change's is used up when it took too long.
func (s *Switch) revert(ctx context.Context, comment string, op func(*view) (ovsdb.Operation, bool)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	undo, ok := op(s.db.view())
	if !ok {
		return
	}
	if _, err := s.db.transact(ctx, comment, undo); err != nil {
		s.log.Error(fmt.Sprintf("%s: cannot undo: %v", comment, err))
	}
}

// appears waits for a bridge's device. A switch without devices (dummy) makes
// none, so that not to see it is no error.
func (s *Switch) appears(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
	defer cancel()
	s.until(ctx, func() bool { return s.links.Index(name) != 0 })
}

// until waits for a condition, or for the end of ctx.
func (s *Switch) until(ctx context.Context, done func() bool) {
	for !done() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// A portError is what the switch says of an interface that it cannot open.
type portError struct{ text string }

func (e *portError) Error() string { return e.text }

// failure returns the error of an interface that the switch did not open.
func failure(i *vswitch.Interface) error {
	if i.Error != nil && *i.Error != "" {
		return &portError{*i.Error}
	}
	if i.Ofport != nil && *i.Ofport < 0 {
		return &portError{"could not open network device " + i.Name}
	}
	return nil
}

// errnos are the errors that a switch's words can tell.
var errnos = []unix.Errno{unix.ENODEV, unix.EBUSY, unix.EPERM, unix.EACCES, unix.EEXIST, unix.ENOENT,
	unix.ENOMEM, unix.ENOSPC, unix.EOPNOTSUPP, unix.ENETDOWN, unix.EADDRNOTAVAIL, unix.EMFILE, unix.ENFILE, unix.E2BIG}

// errno makes of any error one that an ioctl can return.
func (s *Switch) errno(err error) error {
	var (
		errno  unix.Errno
		port   *portError
		double *constraintError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &errno):
		return errno
	case errors.As(err, &double):
		return unix.EEXIST
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, errNoDatabase):
		return unix.ETIMEDOUT
	case errors.As(err, &port):
		text := strings.ToLower(port.text)
		for _, e := range errnos {
			if strings.Contains(text, strings.ToLower(e.Error())) {
				return e
			}
		}
		return unix.EINVAL
	}
	s.log.Error(err.Error())
	return unix.EIO
}

// validName tells whether the kernel would take the name for a device. A name
// with % asks the kernel for a number in its place; no bridge of ours has one.
func validName(name string) bool {
	if name == "" || len(name) > 15 || name == "." || name == ".." {
		return false
	}
	for _, c := range []byte(name) {
		if c == '/' || c == ':' || c == '%' || c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}
