package daemon

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"govs/datapath/action"
	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/vswitchd/desired"
	"govs/vswitchd/ofproto"
)

// verbsTrace adds ofproto/trace: what would become of a packet, and why.
func (s *Switch) verbsTrace(r Registrar) {
	r.Register("ofproto/trace", "{[dp_name] odp_flow | bridge br_flow} [OPTIONS...] [-generate|packet]", 1, -1,
		func(_ context.Context, args []string) (string, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			t, err := s.parseTrace(args)
			if err != nil {
				return "", err
			}
			return s.trace(t), nil
		})
}

// A trace is what ofproto/trace is asked for.
type trace struct {
	key    flow.Key
	packet []byte // nil: nothing is learned
	bridge *ofproto.Bridge
	port   uint16 // OpenFlow number; 0 is none
	names  bool
}

func (s *Switch) parseTrace(args []string) (*trace, error) {
	t := &trace{}
	var rest []string
	generate := false
	for n := 0; n < len(args); n++ {
		switch a := args[n]; a {
		case "-generate", "--generate":
			generate = true
		case "--names":
			t.names = true
		case "--no-names":
			t.names = false
		case "--ct-next", "--l7", "--l7-len": // there is no connection tracking, and no flow that looks so deep
			if a != "--l7" {
				n++
			}
		default:
			rest = append(rest, a)
		}
	}
	if len(rest) == 0 || len(rest) > 3 {
		return nil, answer("too many arguments")
	}
	var err error
	switch b := s.applier.Switch.Bridges[rest[0]]; {
	case b != nil && len(rest) > 1:
		err = t.bridgeFlow(b, rest[1])
		rest = rest[2:]
	case strings.Contains(rest[0], "("):
		err = s.datapathFlow(t, rest[0])
		rest = rest[1:]
	case len(rest) == 1:
		return nil, answer(fmt.Sprintf("syntax error at %s (or the bridge name was omitted)", rest[0]))
	default:
		if _, derr := s.datapathArgs(rest[:1]); derr != nil {
			if strings.Contains(rest[1], "(") {
				return nil, answer("Cannot find the datapath")
			}
			return nil, answer(rest[0] + ": unknown bridge")
		}
		err = s.datapathFlow(t, rest[1])
		rest = rest[2:]
	}
	if err != nil {
		return nil, err
	}
	switch {
	case len(rest) > 1:
		return nil, answer("too many arguments")
	case len(rest) == 1:
		t.packet, err = hex.DecodeString(strings.ReplaceAll(rest[0], " ", ""))
		if err != nil || len(t.packet) < 14 {
			return nil, answer("Trailing garbage in packet data")
		}
		in := t.key.InPort
		var pool packet.Pool
		p := pool.From(t.packet)
		flow.ExtractTags(p, in, s.engine.VLANLimit(), &t.key)
		p.Free()
	case generate:
		t.packet = flow.Compose(&t.key, 0)
	}
	return t, nil
}

// bridgeFlow reads a flow in the syntax of OpenFlow, with numbers and names of
// the bridge's ports.
func (t *trace) bridgeFlow(b *ofproto.Bridge, text string) error {
	key, mask, err := flow.ParseMatch(text, func(name string) (flow.PortNo, bool) {
		if strings.EqualFold(name, "local") {
			return desired.LocalPort, true
		}
		no, ok := b.Number(name)
		return flow.PortNo(no), ok
	})
	if err != nil {
		return answer(fmt.Sprintf("Bad openflow flow syntax: %s: %v", text, err))
	}
	t.bridge, t.key = b, key
	if mask.InPort != 0 {
		t.port = uint16(key.InPort)
	}
	t.key.InPort = 0
	for _, i := range b.Ifaces {
		if t.port != 0 && i.OFPort == int(t.port) {
			t.key.InPort = i.No
		}
	}
	return nil
}

// datapathFlow reads a flow in the syntax of datapaths.
func (s *Switch) datapathFlow(t *trace, text string) error {
	key, _, err := flow.Parse(text, s.resolve)
	if err != nil {
		return answer("Bad datapath flow syntax: " + text)
	}
	t.key = key
	if name := s.translator.Tunnel(&key); name != "" {
		b, i := s.applier.Switch.Find(name)
		if i != nil {
			t.bridge, t.port = b, uint16(i.OFPort)
		}
	}
	for _, b := range s.applier.Switch.Bridges {
		for _, i := range b.Ifaces {
			if i.No != 0 && i.No == key.InPort && i.Want.Tunnel == nil {
				t.bridge, t.port = b, uint16(i.OFPort)
			}
		}
	}
	if t.bridge == nil {
		return answer("Invalid datapath flow")
	}
	return nil
}

// portText is the input port's number or name.
func (t *trace) portText() string {
	switch {
	case t.port == 0:
		return "ANY"
	case t.port == desired.LocalPort && !t.names:
		return "LOCAL"
	}
	if t.names {
		for name, i := range t.bridge.Ifaces {
			if i.OFPort == int(t.port) {
				return name
			}
		}
	}
	return strconv.Itoa(int(t.port))
}

func (s *Switch) trace(t *trace) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Flow: %s\n", flow.FormatKey(&t.key, t.portText()))
	enters := func(bridge, does string) {
		title := fmt.Sprintf("bridge(%q)", bridge)
		fmt.Fprintf(&b, "\n%s\n%s\n", title, strings.Repeat("-", len(title)))
		if does == "" {
			b.WriteString(" 0. No match.\n    drop\n")
		} else {
			fmt.Fprintf(&b, " 0. priority 0\n    %s\n", does)
		}
	}
	var res engine.Result
	if t.key.InPort == 0 {
		enters(t.bridge.Want.Name, "NORMAL")
		fmt.Fprintf(&b, "     >>>> received packet on unknown port %s <<<<\n     >> no input bundle, dropping\n", t.portText())
		res.Mask.Add(flow.InPort | flow.RecircID | flow.EthType | flow.EthSrc | flow.EthDst)
	} else {
		req := engine.Request{Key: &t.key, Now: s.o.Clock.Now(), Note: func(bridge, text string) {
			if bridge != "" {
				enters(bridge, text)
			} else {
				b.WriteString("     " + text + "\n")
			}
		}}
		if t.packet != nil {
			var pool packet.Pool
			req.Packet = pool.From(t.packet)
			defer req.Packet.Free()
		}
		s.engine.Ask(&req, &res)
	}
	var named func(flow.PortNo) string
	if t.names {
		names := s.portNames()
		named = func(no flow.PortNo) string { return portName(names, no) }
	}
	fmt.Fprintf(&b, "\nFinal flow: unchanged\nMegaflow: %s\nDatapath actions: %s\n",
		flow.FormatMatch(&t.key, &res.Mask, t.portText()), action.Format(res.Actions, named))
	if res.Slow || res.Uncacheable {
		b.WriteString("This flow is handled by the userspace slow path because it:\n  - Uses action(s) not supported by datapath.\n")
	}
	return b.String()
}
