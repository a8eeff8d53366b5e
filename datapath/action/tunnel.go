package action

import (
	"fmt"
	"strconv"
	"strings"

	"govs/datapath/flow"
	"govs/datapath/tunnel"
)

// TunnelPush puts the headers of a tunnel in front of the packet, which is cut
// up before where it is a large segment. The actions behind it are for what
// comes of it.
type TunnelPush struct {
	Header tunnel.Header
	Port   flow.PortNo // of the tunnel
	Out    flow.PortNo // of the bridge that the packet goes through: its MTU counts
}

func (a TunnelPush) String() string { return a.text(nil) }

func (a TunnelPush) text(name func(flow.PortNo) string) string {
	return fmt.Sprintf("tnl_push(tnl_port(%s),%s,out_port(%s))", portText(a.Port, name), a.Header, portText(a.Out, name))
}

// TunnelPop takes the headers of a tunnel away, and has the packet go through
// the megaflows again as one that came by the tunnel's port.
type TunnelPop struct {
	Port flow.PortNo
	// What has no text:
	Kind   tunnel.Kind
	ERSPAN flow.PortNo // the port of ERSPAN, beside Port for other GRE; 0 is none
}

func (a TunnelPop) String() string { return a.text(nil) }

func (a TunnelPop) text(name func(flow.PortNo) string) string {
	return "tnl_pop(" + portText(a.Port, name) + ")"
}

func portText(no flow.PortNo, name func(flow.PortNo) string) string {
	if name != nil {
		if text := name(no); text != "" {
			return text
		}
	}
	return fmt.Sprint(no)
}

func parsePort(text string, resolve func(string) (flow.PortNo, bool)) (flow.PortNo, error) {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return flow.PortNo(n), nil
	}
	if resolve != nil {
		if no, ok := resolve(text); ok {
			return no, nil
		}
	}
	return 0, fmt.Errorf("%s: unknown port", text)
}

func parseTunnelPush(args string, resolve func(string) (flow.PortNo, bool)) (Action, error) {
	words := split(args)
	if len(words) != 3 {
		return nil, fmt.Errorf("tnl_push: %s: not tnl_port(N),header(...),out_port(N)", args)
	}
	port, ok := strings.CutPrefix(strings.TrimSuffix(words[0], ")"), "tnl_port(")
	out, too := strings.CutPrefix(strings.TrimSuffix(words[2], ")"), "out_port(")
	if !ok || !too {
		return nil, fmt.Errorf("tnl_push: %s: not tnl_port(N),header(...),out_port(N)", args)
	}
	var a TunnelPush
	var err error
	if a.Header, err = tunnel.ParseHeader(words[1]); err != nil {
		return nil, fmt.Errorf("tnl_push: %w", err)
	}
	if a.Port, err = parsePort(port, resolve); err == nil {
		a.Out, err = parsePort(out, resolve)
	}
	if err != nil {
		return nil, fmt.Errorf("tnl_push: %w", err)
	}
	return a, nil
}

func parseTunnelPop(args string, resolve func(string) (flow.PortNo, bool)) (Action, error) {
	no, err := parsePort(args, resolve)
	if err != nil {
		return nil, fmt.Errorf("tnl_pop: %w", err)
	}
	return TunnelPop{Port: no}, nil
}
