package desired

import (
	"maps"
	"slices"

	"govs/schema/vswitch"
	"govs/vswitchd/qos"
)

// egress reads a port's QoS row with its queues; nil where there is none, or
// none that can be.
func (b *builder) egress(port *vswitch.Port) *qos.Egress {
	if port.QOS == nil {
		return nil
	}
	row := b.rows.QoS[*port.QOS]
	if row == nil {
		return nil // the next snapshot has it
	}
	e := &qos.Egress{Type: row.Type, Options: row.OtherConfig}
	for _, id := range slices.Sorted(maps.Keys(row.Queues)) {
		q := b.rows.Queues[row.Queues[id]]
		if q == nil || id < 0 || id > 1<<32-1 {
			continue
		}
		dscp := -1
		if q.DSCP != nil {
			dscp = *q.DSCP & 63
		}
		e.Queues = append(e.Queues, qos.EgressQueue{ID: uint32(id), DSCP: dscp, Options: q.OtherConfig})
	}
	problems, ok := e.Check()
	for _, text := range problems {
		b.wrong(port.UUID, "QoS", row.UUID, "port %s: %s", port.Name, text)
	}
	if !ok {
		return nil
	}
	return e
}
