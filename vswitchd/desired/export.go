package desired

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

// An SFlow is the configuration of an sFlow agent.
type SFlow struct {
	UUID     string
	Targets  []string // "IP:PORT" or "IP", sorted
	Agent    string   // address or device, "" where it is to be found
	Header   int      // bytes
	Polling  time.Duration
	Sampling uint32 // one packet in so many; 0 is none
}

// String is the configuration in a few words.
func (s *SFlow) String() string {
	if s == nil {
		return "none"
	}
	agent := s.Agent
	if agent == "" {
		agent = "found by route"
	}
	return fmt.Sprintf("%v, agent %s, 1 in %d, header %d, polling %v", s.Targets, agent, s.Sampling, s.Header, s.Polling)
}

// Limits and defaults of ovs-vswitchd.conf.db(5), sFlow table. The largest
// header is what fits a datagram beside the rest of a sample.
const (
	sflowSampling  = 400
	sflowHeader    = 128
	sflowMaxHeader = 1024
	sflowPolling   = 30
)

func (b *builder) sflow(br *Bridge, uuid string) *SFlow {
	row, ok := b.rows.SFlows[uuid]
	if !ok {
		return nil
	}
	number := func(name string, value *int, instead, most int) int {
		if value == nil {
			return instead
		}
		if *value < 0 || *value > most {
			n := clamp(*value, 0, most)
			b.problem("sFlow", uuid, "bridge %s: sFlow %s %d is out of range 0 to %d; %d it is", br.Name, name, *value, most, n)
			return n
		}
		return *value
	}
	return &SFlow{
		UUID:     uuid,
		Targets:  slices.Sorted(slices.Values(row.Targets)),
		Agent:    deref(row.Agent),
		Header:   number("header", row.Header, sflowHeader, sflowMaxHeader),
		Polling:  time.Duration(number("polling", row.Polling, sflowPolling, math.MaxInt32)) * time.Second,
		Sampling: uint32(number("sampling", row.Sampling, sflowSampling, math.MaxUint32)),
	}
}

// An IPFIX is the configuration of a bridge's IPFIX exporter.
type IPFIX struct {
	UUID          string
	Targets       []string // "IP:PORT" or "IP", sorted
	Sampling      uint32   // one packet in so many
	Domain, Point uint32
	Virtual       string        // virtualObsID, "" for none
	CacheActive   time.Duration // 0 is no cache
	CacheMax      uint32        // flows; 0 is no cache
	Input, Output bool          // which packets are sampled
	Tunnels       bool          // records tell of tunnels
	// How often templates and the exporter's statistics go out.
	TemplateInterval, StatsInterval time.Duration
}

// String is the configuration in a few words.
func (x *IPFIX) String() string {
	if x == nil {
		return "none"
	}
	s := fmt.Sprintf("%v, 1 in %d, domain %d, point %d, cache %v %d", x.Targets, x.Sampling, x.Domain, x.Point, x.CacheActive, x.CacheMax)
	if x.Virtual != "" {
		s += ", virtual " + x.Virtual
	}
	if !x.Input {
		s += ", no input"
	}
	if !x.Output {
		s += ", no output"
	}
	if !x.Tunnels {
		s += ", no tunnels"
	}
	if x.TemplateInterval != ipfixInterval || x.StatsInterval != ipfixInterval {
		s += fmt.Sprintf(", templates every %v, statistics every %v", x.TemplateInterval, x.StatsInterval)
	}
	return s
}

// FlowSamples are where the samples go that single flows take.
type FlowSamples struct {
	ID    uint32 // of the set of collectors
	IPFIX *IPFIX
}

// String is the configuration in a few words.
func (f FlowSamples) String() string { return fmt.Sprintf("%d to %s", f.ID, f.IPFIX) }

// samples reads the sets of collectors of all bridges.
func (b *builder) samples() {
	for _, uuid := range slices.Sorted(maps.Keys(b.rows.Collectors)) {
		row := b.rows.Collectors[uuid]
		b.problem("Flow_Sample_Collector_Set", uuid, "Flow_Sample_Collector_Set %d: sampling by OpenFlow actions not supported", row.ID)
		at := slices.IndexFunc(b.state.Bridges, func(br *Bridge) bool { return br.UUID == row.Bridge })
		if at < 0 || row.IPFIX == nil {
			continue
		}
		br, id := b.state.Bridges[at], uint32(row.ID)
		if slices.ContainsFunc(br.Samples, func(f FlowSamples) bool { return f.ID == id }) {
			b.problem("Flow_Sample_Collector_Set", uuid, "bridge %s: Flow_Sample_Collector_Set %d is there twice, ignoring one", br.Name, id)
			continue
		}
		if x := b.ipfix(br, *row.IPFIX); x != nil {
			br.Samples = append(br.Samples, FlowSamples{id, x})
		}
	}
	for _, br := range b.state.Bridges {
		slices.SortFunc(br.Samples, func(x, y FlowSamples) int { return cmp.Compare(x.ID, y.ID) })
	}
}

const (
	ipfixSampling   = 400
	ipfixMaxVirtual = 254 // bytes
	ipfixInterval   = 600 * time.Second
	ipfixMaxSeconds = 3600
)

func (b *builder) ipfix(br *Bridge, uuid string) *IPFIX {
	row, ok := b.rows.IPFIXs[uuid]
	if !ok {
		return nil
	}
	x := &IPFIX{
		UUID:        uuid,
		Targets:     slices.Sorted(slices.Values(row.Targets)),
		Sampling:    ipfixSampling,
		Domain:      uint32(deref(row.ObsDomainID)),
		Point:       uint32(deref(row.ObsPointID)),
		Virtual:     row.OtherConfig["virtual_obs_id"],
		CacheActive: time.Duration(deref(row.CacheActiveTimeout)) * time.Second,
		CacheMax:    uint32(deref(row.CacheMaxFlows)),
		Input:       row.OtherConfig["enable-input-sampling"] != "false",
		Output:      row.OtherConfig["enable-output-sampling"] != "false",
		Tunnels:     row.OtherConfig["enable-tunnel-sampling"] != "false",
	}
	if row.Sampling != nil {
		x.Sampling = uint32(*row.Sampling)
	}
	if len(x.Virtual) > ipfixMaxVirtual {
		b.problem("IPFIX", uuid, "bridge %s: IPFIX virtual_obs_id is longer than %d bytes, ignoring it", br.Name, ipfixMaxVirtual)
		x.Virtual = ""
	}
	interval := func(key string) time.Duration {
		text, set := row.OtherConfig[key]
		n, err := strconv.Atoi(text)
		switch {
		case !set:
			return ipfixInterval
		case err != nil || n < 1 || n > ipfixMaxSeconds:
			b.problem("IPFIX", uuid, "bridge %s: IPFIX other_config:%s %q is not in range 1 to %d; 600 it is", br.Name, key, text, ipfixMaxSeconds)
			return ipfixInterval
		}
		return time.Duration(n) * time.Second
	}
	x.TemplateInterval, x.StatsInterval = interval("template_interval"), interval("stats_interval")
	for _, key := range slices.Sorted(maps.Keys(row.OtherConfig)) {
		switch key {
		case "virtual_obs_id", "enable-input-sampling", "enable-output-sampling", "enable-tunnel-sampling", "template_interval", "stats_interval":
		default:
			b.problem("IPFIX", uuid, "bridge %s: IPFIX other_config:%s not supported", br.Name, key)
		}
	}
	return x
}
