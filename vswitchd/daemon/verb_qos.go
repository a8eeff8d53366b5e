package daemon

import (
	"errors"
	"fmt"
	"strings"

	"govs/vswitchd/apply"
	"govs/vswitchd/desired"
	"govs/vswitchd/ofproto"
	"govs/vswitchd/qos"
)

// verbsQoS adds qos/show and qos/show-types.
func (s *Switch) verbsQoS(r Registrar) {
	add := func(verb string, text func(*ofproto.Iface) string) {
		r.Register(verb, "interface", 1, 1, s.reading(func(args []string) (string, error) {
			_, i := s.applier.Switch.Find(args[0])
			if i == nil {
				return "", errors.New("no such interface")
			}
			return text(i), nil
		}))
	}
	add("qos/show", func(i *ofproto.Iface) string {
		if !i.Want.QoS.Off() {
			if x := s.engine.Shaping(i.No); x != nil {
				return i.Want.QoS.Show(i.Want.Name, &x.Config, x.Stats)
			}
		}
		return fmt.Sprintf("QoS not configured on %s\n", i.Want.Name)
	})
	add("qos/show-types", func(i *ofproto.Iface) string {
		if i.Want.Kind == desired.Patch {
			return fmt.Sprintf("No QoS types supported for interface: %s\n", i.Want.Name)
		}
		var b strings.Builder
		for _, name := range qos.Types() {
			fmt.Fprintf(&b, "QoS type: %s\n", name)
		}
		return b.String()
	})
}

// shapedBy is what an interface's QoS is done by, for its status.
func (s *Switch) shapedBy(i *ofproto.Iface) string {
	if i.No == 0 || i.Want.QoS == nil {
		return ""
	}
	return i.Want.QoS.Type + " by " + apply.By(s.engine.Shaping(i.No))
}
