package action

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/datapath/tunnel"
)

// A Show shows a share of the packets, as they are at that step, to a
// Handler. It changes nothing about them.
type Show struct {
	Probability uint32 // of 2^32-1, which is every packet
	Cookie      Cookie
	To          Handler // nil is nobody
}

// A Cookie is what a Handler is told beside the packet: SFlow, IPFIX or
// FlowSample.
type Cookie interface {
	cookie()
	String() string
}

// SFlow is what an sFlow flow sample says of where the packet goes.
type SFlow struct {
	TCI    uint16 // of the VLAN tag with which it leaves; 0 is none
	Output uint32 // an ifindex, or as "interface" of the sFlow version 5 memo
	// What has no text:
	From Tunnel // that it came out of
	To   Tunnel // that it goes into, and nowhere else
}

// IPFIX is where the packet goes.
type IPFIX struct {
	Output flow.PortNo // the port that it is about to leave by, or NoOutput
	// What has no text:
	Dropped bool   // it leaves by no port
	From    Tunnel // that it came out of
	To      Tunnel // that it is about to go into
}

// FlowSample is what a flow says of the packets that it samples (the action
// "sample" of OpenFlow).
type FlowSample struct {
	Probability        uint16 // of 65535; Show's counts
	Set, Domain, Point uint32 // of collectors, and of the observation
	Output             flow.PortNo
	Direction          string // "ingress", "egress", or "" where Output decides
}

// A Tunnel is what a sample says of one. The zero value is none.
type Tunnel struct {
	Name     string // of the interface, one of several that share a port
	Kind     tunnel.Kind
	Src, Dst netip.Addr // of the outer header
	TOS      uint8
	Port     uint16 // of UDP, the destination's
	HasKey   bool
	Key      uint32
}

// NoOutput is IPFIX.Output of a packet that has just come in.
const NoOutput flow.PortNo = math.MaxUint32

func (SFlow) cookie()      {}
func (IPFIX) cookie()      {}
func (FlowSample) cookie() {}

// A Handler is given the packets that a Show takes. It is called on the
// packet path, by several goroutines: it returns quickly, and copies what it
// keeps. Handlers are compared as interface values are.
type Handler interface{ Sampled(*Taken) }

// Taken is a packet that a Show took: one frame as it would be on the wire.
type Taken struct {
	Cookie     Cookie
	In         flow.PortNo
	TunnelPort uint16 // the source port of UDP where it came out of a tunnel
	Packet     *packet.Packet
	Now        time.Time
}

// Share is the probability of one packet in so many; none for 0.
func Share(rate uint32) uint32 {
	if rate == 0 {
		return 0
	}
	return uint32((math.MaxUint32 + uint64(rate)/2) / uint64(rate))
}

// String is in the syntax of dpctl/dump-flows, with a percentage in full.
func (a Show) String() string { return a.text(nil, Sample{Probability: a.Probability}.percent()) }

// short is String as dpctl/dump-flows prints it, with ports as name says.
func (a Show) short(name func(flow.PortNo) string) string {
	return a.text(name, strconv.FormatFloat(100*float64(a.Probability)/math.MaxUint32, 'f', 1, 64))
}

func (a Show) text(name func(flow.PortNo) string, percent string) string {
	cookie := ""
	if a.Cookie != nil {
		cookie = a.Cookie.String()
		if x, ok := a.Cookie.(IPFIX); ok && name != nil {
			if s := name(x.Output); s != "" {
				cookie = "ipfix(output_port=" + s + ")"
			}
		}
		if x, ok := a.Cookie.(FlowSample); ok && name != nil {
			cookie = x.text(name(x.Output))
		}
		cookie = "," + cookie
	}
	s := "userspace(pid=0" + cookie + ")"
	if a.Probability < math.MaxUint32 {
		s = "sample(sample=" + percent + "%,actions(" + s + "))"
	}
	return s
}

func (c SFlow) String() string {
	return fmt.Sprintf("sFlow(vid=%d,pcp=%d,output=%d),actions", c.TCI&flow.VLANVIDMask, c.TCI>>13, c.Output)
}

func (c IPFIX) String() string { return fmt.Sprintf("ipfix(output_port=%d)", c.Output) }

func (c FlowSample) String() string { return c.text("") }

// text has a name for the output, "" for its number.
func (c FlowSample) text(output string) string {
	if output == "" {
		output = fmt.Sprint(c.Output)
	}
	s := fmt.Sprintf("flow_sample(probability=%d,collector_set_id=%d,obs_domain_id=%d,obs_point_id=%d,output_port=%s", c.Probability, c.Set, c.Domain, c.Point, output)
	if c.Direction != "" {
		s += "," + c.Direction
	}
	return s + ")"
}

// parseFlowSample reads the arguments of flow_sample(); only that which String
// would print is right.
func parseFlowSample(text string) (c FlowSample, ok bool) {
	n, _ := fmt.Sscanf(text, "flow_sample(probability=%d,collector_set_id=%d,obs_domain_id=%d,obs_point_id=%d,output_port=%d", &c.Probability, &c.Set, &c.Domain, &c.Point, &c.Output)
	for _, d := range []string{"ingress", "egress"} {
		if strings.HasSuffix(text, ","+d+")") {
			c.Direction = d
		}
	}
	return c, n == 5 && c.String() == text
}

// showing says whether sample() has arguments that are a Show's.
func showing(args string) bool {
	return strings.Contains(args, ",actions(userspace(pid=0") && !strings.Contains(args, Userspace{}.String())
}

// parseShow reads the arguments of sample().
func parseShow(args string) (Action, error) {
	share, inner, ok := strings.Cut(args, ",")
	share, sampled := strings.CutPrefix(share, "sample=")
	percent, err := strconv.ParseFloat(strings.TrimSuffix(share, "%"), 64)
	inner, begins := strings.CutPrefix(inner, "actions(userspace(")
	inner, ends := strings.CutSuffix(inner, "))")
	if !ok || !sampled || err != nil || !(percent >= 0 && percent <= 100) || !begins || !ends {
		return nil, fmt.Errorf("sample: bad arguments %q", args)
	}
	a, err := parseUserspace(inner)
	a.Probability = probability(strings.TrimSuffix(share, "%"))
	return a, err
}

// parseUserspace reads the arguments of userspace().
func parseUserspace(args string) (Show, error) {
	a := Show{Probability: math.MaxUint32}
	words := split(args)
	bad := fmt.Errorf("userspace: bad arguments %q", args)
	if words[0] != "pid=0" {
		return a, bad
	}
	switch {
	case len(words) == 1:
		return a, nil
	case len(words) == 2 && strings.HasPrefix(words[1], "flow_sample("):
		c, ok := parseFlowSample(words[1])
		if !ok {
			return a, bad
		}
		a.Cookie = c
		return a, nil
	case len(words) == 2:
		text, ok := strings.CutPrefix(words[1], "ipfix(output_port=")
		text, end := strings.CutSuffix(text, ")")
		n, err := strconv.ParseUint(text, 10, 32)
		if !ok || !end || err != nil {
			return a, bad
		}
		a.Cookie = IPFIX{Output: flow.PortNo(n)}
		return a, nil
	case len(words) == 3 && words[2] == "actions":
		var vid, pcp uint16
		var c SFlow
		if n, err := fmt.Sscanf(words[1], "sFlow(vid=%d,pcp=%d,output=%d)", &vid, &pcp, &c.Output); n != 3 || err != nil || vid > flow.VLANVIDMask || pcp > 7 {
			return a, bad
		}
		c.TCI = pcp<<13 | vid
		a.Cookie = c
		return a, nil
	}
	return a, bad
}
