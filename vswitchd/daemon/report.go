package daemon

import (
	"context"
	"time"

	"govs/schema/vswitch"
	"govs/vswitchd/desired"
	"govs/vswitchd/status"
)

// patience is how long a transaction may take.
const patience = 10 * time.Second

// system is what the Open_vSwitch row says of this program and host.
func system(o Options) status.System {
	sys := status.System{
		OVSVersion: o.Version,
		DBVersion:  vswitch.Schema().Version,
		IfaceTypes: append(desired.TunnelTypes(), "afxdp", "afxdp-nonpmd", "internal", "patch", "system", "tap"),
	}
	sys.DatapathTypes = []string{"netdev"}
	if !o.DisableSystem || o.Dummy.Datapath("system") {
		sys.DatapathTypes = append(sys.DatapathTypes, "system")
	}
	if o.Dummy != 0 {
		sys.DatapathTypes = append(sys.DatapathTypes, "dummy")
		sys.IfaceTypes = append(sys.IfaceTypes, "dummy", "dummy-internal", "pcap")
	}
	return sys
}

// report tells the database what became of the configuration, and that it was
// applied: what ovs-vsctl waits for. It returns whether the database took all
// of it.
func (s *Switch) report(ctx context.Context) bool {
	rows, ifaces, root, cfg := s.rows(false)
	if root == "" {
		return true
	}
	rows.Applied(root, cfg)
	if s.tell(ctx, rows, ifaces) {
		return true
	}
	if s.db.Err() == nil {
		// A status that the database refuses must not keep clients waiting.
		last := make(status.Rows)
		last.Applied(root, cfg)
		s.tell(ctx, last, nil)
	}
	return false
}

// refresh tells the database what has changed by itself.
func (s *Switch) refresh(ctx context.Context, stats bool) {
	if s.db == nil {
		return
	}
	if rows, ifaces, root, _ := s.rows(stats); root != "" {
		s.tell(ctx, rows, ifaces)
	}
}

// rows collects the status of everything, without the rows of interfaces that
// are as the database knows them. The root's UUID is empty while the database
// has none, or has not been read.
func (s *Switch) rows(stats bool) (rows status.Rows, ifaces map[string]status.Iface, root string, cfg int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows, ifaces = make(status.Rows), make(map[string]status.Iface)
	if s.want.Root == "" {
		return rows, ifaces, "", 0
	}
	sys := s.system
	if s.want.SystemType == "" && s.want.SystemVersion == "" {
		sys.Type, sys.Version = status.Host()
	}
	rows.Root(s.want.Root, sys)
	now := s.o.Clock.Now()
	first := s.writer.Last(status.Ref{Table: vswitch.OpenvSwitchTable, UUID: s.want.Root}, "ovs_version") == nil
	wrong := make(map[string][]string) // by UUID of a bridge or port
	for _, p := range s.want.Problems {
		if p.At != "" {
			wrong[p.At] = append(wrong[p.At], p.Text)
		}
	}
	for _, w := range s.want.Bridges {
		b := s.applier.Switch.Bridges[w.Name]
		rows.BridgeRow(w.UUID, b)
		if b == nil {
			continue
		}
		tree := s.services.bridge(b)
		tree.Errors = wrong[w.UUID]
		rows.Services(w.UUID, tree)
		for _, m := range b.Want.Mirrors {
			told, _ := s.writer.Last(status.Ref{Table: vswitch.MirrorTable, UUID: m.UUID}, "statistics").(map[string]int)
			c := s.services.mirrorCounters(m)
			rows.Set(vswitch.MirrorTable, m.UUID, status.Row{})
			if stats || len(told) == 0 {
				rows.Mirror(m.UUID, c.Packets.Load(), c.Bytes.Load())
			}
		}
		partners := s.services.partners(b)
		for _, p := range b.Want.Ports {
			// A new row is empty already.
			st := s.services.port(b, p, now)
			st.Errors = wrong[p.UUID]
			if at := (status.Ref{Table: vswitch.PortTable, UUID: p.UUID}); first || !st.Empty() || s.writer.Last(at, "status") != nil {
				rows.PortRow(p.UUID, st)
			}
			if trunks, ok := s.services.trunks[p.UUID]; ok {
				rows.Trunks(p.UUID, trunks)
			}
		}
		for _, i := range b.Sorted() {
			if i.Want.Fake {
				continue
			}
			i.Way, i.WhyNot = s.way(i)
			i.Shaped = s.shapedBy(i)
			i.Egress, i.Carrier = s.egress(i)
			seen := status.See(i)
			if heard, ok := partners[i.Want.Name]; ok {
				seen.Partner(heard)
			}
			if x := s.services.bfd[i.Want.Name]; x != nil {
				seen.Watched(x.Status())
			}
			managed := s.services.cfm[i.Want.Name]
			if managed != nil {
				st := managed.Status()
				seen.Managed(&st)
			}
			ifaces[i.Want.UUID] = seen
			at := status.Ref{Table: vswitch.InterfaceTable, UUID: i.Want.UUID}
			saw := s.writer.Saw(i.Want.UUID, seen)
			if saw {
				rows.Mention(at)
			} else {
				rows.IfaceRow(i.Want.UUID, seen)
				if managed == nil && (first || s.writer.Last(at, "cfm_fault") != nil) {
					rows.Unmanaged(i.Want.UUID)
				}
			}
			// Statistics have a rhythm of their own, but are not left empty.
			if !i.Open() || saw && !stats {
				continue
			}
			told, _ := s.writer.Last(at, "statistics").(map[string]int)
			if stats || len(told) == 0 {
				rows.IfaceStats(i, s.applier.Stats(i))
			}
		}
	}
	for _, refused := range s.applier.Refused {
		rows.Refused(refused)
		if first || s.writer.Last(status.Ref{Table: vswitch.InterfaceTable, UUID: refused.UUID}, "cfm_fault") != nil {
			rows.Unmanaged(refused.UUID)
		}
	}
	if stats {
		if s.want.SystemStats {
			rows.SystemStats(s.want.Root, status.HostStats())
		} else {
			rows.SystemStats(s.want.Root, nil)
		}
	}
	return rows, ifaces, s.want.Root, s.want.NextCfg
}

// tell commits what the database does not know yet.
func (s *Switch) tell(ctx context.Context, rows status.Rows, ifaces map[string]status.Iface) bool {
	ops := s.writer.Diff(rows)
	if len(ops) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := s.db.Transact(ctx, ops...); err != nil {
		if s.db.Err() == nil && ctx.Err() == nil {
			s.log.Warn("updating the database failed: " + err.Error())
		}
		return false
	}
	s.writer.Told(rows, ifaces)
	return true
}
