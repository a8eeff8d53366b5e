package daemon

import "govs/datapath/drop"

// counters are the engine's, with the drops by reason.
func (s *Switch) counters() map[string]uint64 {
	st := s.engine.Status()
	counts := map[string]uint64{
		"datapath_ebpf_hit":     st.Front,
		"datapath_cache_hit":    st.Cached,
		"datapath_megaflow_hit": st.Matched,
		"datapath_miss":         st.Missed,
		"datapath_lost":         st.Lost,
	}
	for _, reason := range drop.Reasons() {
		counts[reason.String()] = s.engine.Drops().Total(reason)
	}
	return counts
}
