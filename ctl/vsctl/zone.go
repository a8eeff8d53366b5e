package vsctl

import (
	"fmt"
	"strconv"
	"strings"

	"govs/schema/atom"
)

func needDatapaths(f *fetch, _ *command) error {
	f.need("Open_vSwitch", "datapaths")
	f.need("Datapath", "capabilities", "ct_zones")
	return nil
}

func needZones(f *fetch, c *command) error {
	f.need("CT_Zone", "timeout_policy")
	f.need("CT_Timeout_Policy", "timeouts")
	return needDatapaths(f, c)
}

// datapath finds a datapath by its name, or returns nil.
func (r *run) datapath(name string) *row {
	if id, ok := r.ovs().val("datapaths").Get(atom.Str(name)); ok {
		return r.find("Datapath", id.UUID())
	}
	return nil
}

// zone finds the zone that zone=ID names on a datapath; nil where there is none.
func (r *run) zone(c *command) (dp *row, id int64, zone *row, err error) {
	if dp = r.datapath(c.args[0]); dp == nil {
		return nil, 0, nil, fmt.Errorf("datapath %s does not exist", c.args[0])
	}
	text, ok := strings.CutPrefix(c.args[1], "zone=")
	if id, err = strconv.ParseInt(text, 10, 64); !ok || err != nil {
		return nil, 0, nil, fmt.Errorf("%s: expected zone=ZONE_ID", c.args[1])
	}
	if u, ok := dp.val("ct_zones").Get(atom.Int(id)); ok {
		zone = r.find("CT_Zone", u.UUID())
	}
	return dp, id, zone, nil
}
