package bridge

import (
	"context"
	"strconv"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"
	"golang.org/x/sys/unix"

	"govs/brcompat/ioctl"
	"govs/schema/vswitch"
)

// A rule says where a setting goes.
type rule struct {
	key       string // in other_config
	low, high uint64 // as the caller gives it; ERANGE outside
	mask      uint64 // bits of the value that count; 0: all
	time      bool   // hundredths of a second, stored as whole seconds
	times     uint64 // what the value is multiplied with
	port      bool   // of the table Port
}

var rules = map[ioctl.Setting]rule{
	ioctl.ForwardDelay:   {key: "stp-forward-delay", high: 1<<31 - 1, time: true},
	ioctl.HelloTime:      {key: "stp-hello-time", low: 100, high: 1000, time: true},
	ioctl.MaxAge:         {key: "stp-max-age", low: 600, high: 4000, time: true},
	ioctl.AgeingTime:     {key: "mac-aging-time", high: 1<<31 - 1, time: true},
	ioctl.BridgePriority: {key: "stp-priority", high: 0xffff, mask: 0xffff, times: 1},
	ioctl.PathCost:       {key: "stp-path-cost", low: 1, high: 0xffff, times: 1, port: true},
	ioctl.PortPriority:   {key: "stp-port-priority", high: 63, times: 4, port: true},
}

// The range of the forward delay while the spanning tree runs (IEEE 802.1D
// allows 4 to 30 seconds; the kernel's bridge 2 to 30).
const minRunningDelay, maxRunningDelay = 200, 3000

// Set changes a setting of a bridge, or of its port no where the setting is
// one of a port. Errors: ENODEV where there is no such bridge, EINVAL where it
// has no such port, ERANGE where the value is not allowed, EOPNOTSUPP for a
// fake bridge, ETIMEDOUT where the switch does not answer (the setting is
// stored nevertheless).
func (s *Switch) Set(ctx context.Context, name string, what ioctl.Setting, no uint32, value uint64) error {
	ctx, end, v, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	b := v.bridges[name]
	if b == nil {
		return unix.ENODEV
	}
	op, err := s.setting(b, what, no, value)
	if err != nil {
		return err
	}
	return s.errno(s.db.commit(ctx, what.String()+" "+name, op))
}

// setting returns the operation that changes a setting.
func (s *Switch) setting(b *bridge, what ioctl.Setting, no uint32, value uint64) (ovsdb.Operation, error) {
	r, known := rules[what]
	table, uuid := vswitch.BridgeTable, b.row.UUID
	switch {
	case r.port:
		p := s.byNumber(b, no)
		if p == nil {
			return ovsdb.Operation{}, unix.EINVAL
		}
		table, uuid = vswitch.PortTable, p.row.UUID
	case b.parent != nil:
		return ovsdb.Operation{}, unix.EOPNOTSUPP
	}
	if what == ioctl.STPState {
		return ovsdb.Operation{Op: ovsdb.OperationUpdate, Table: table, Where: byUUID(uuid),
			Row: ovsdb.Row{"stp_enable": value != 0}}, nil
	}
	if !known {
		return ovsdb.Operation{}, unix.EOPNOTSUPP
	}
	if r.mask != 0 {
		value &= r.mask // the kernel's bridge takes more for a priority, too
	}
	if value < r.low || value > r.high {
		return ovsdb.Operation{}, unix.ERANGE
	}
	if what == ioctl.ForwardDelay && b.row.STPEnable && (value < minRunningDelay || value > maxRunningDelay) {
		return ovsdb.Operation{}, unix.ERANGE
	}
	if r.time {
		value = (value + 50) / 100
	} else {
		value *= r.times
	}
	return ovsdb.Operation{Op: ovsdb.OperationMutate, Table: table, Where: byUUID(uuid), Mutations: []ovsdb.Mutation{
		*ovsdb.NewMutation("other_config", ovsdb.MutateOperationDelete, ovsdb.OvsSet{GoSet: []any{r.key}}),
		*ovsdb.NewMutation("other_config", ovsdb.MutateOperationInsert,
			ovsdb.OvsMap{GoMap: map[any]any{r.key: strconv.FormatUint(value, 10)}}),
	}}, nil
}
