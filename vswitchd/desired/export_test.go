package desired_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"govs/schema/vswitch"
)

// TestExporterColumns has each column of the tables of exporters change what
// is desired.
func TestExporterColumns(t *testing.T) {
	values := map[string]string{
		"netflow targets": "192.0.2.2:7", "netflow engine_id": "7", "netflow engine_type": "7", "netflow active_timeout": "7", "netflow add_id_to_interface": "true",
		"netflow external_ids": ":netflow-version=9",
		"sflow targets":        "192.0.2.2:7", "sflow agent": "lo", "sflow header": "70", "sflow polling": "7", "sflow sampling": "7",
		"ipfix targets": "192.0.2.2:7", "ipfix sampling": "7", "ipfix obs_domain_id": "7", "ipfix obs_point_id": "7",
		"ipfix cache_active_timeout": "7", "ipfix cache_max_flows": "7", "ipfix other_config": ":virtual_obs_id=7",
	}
	for verb, row := range map[string]any{"netflow": vswitch.NetFlow{}, "sflow": vswitch.SFlow{}, "ipfix": vswitch.IPFIX{}} {
		for i := range reflect.TypeOf(row).NumField() {
			column := reflect.TypeOf(row).Field(i).Tag.Get("ovsdb")
			value := values[verb+" "+column]
			if column == "_uuid" || column == "external_ids" && value == "" {
				continue
			}
			if value == "" {
				t.Errorf("%s: column %s is not in this test", verb, column)
				continue
			}
			if !strings.HasPrefix(value, ":") {
				value = "=" + value
			}
			line := verb + " br0 targets=192.0.2.1:7"
			with, without := wanted(t, []string{"bridge br0", line + " " + column + value}), wanted(t, []string{"bridge br0", line})
			if reflect.DeepEqual(with, without) {
				t.Errorf("%s: %s%s changes nothing", verb, column, value)
			}
		}
	}

	// Samples of single flows are asked for by OpenFlow.
	s := wanted(t, []string{"bridge br0", "samples br0 7 targets=192.0.2.7:7 cache_max_flows=3", "samples br0 5 targets=192.0.2.5:7", "samples br0 5 targets=192.0.2.6:7"})
	if got := fmt.Sprint(s.Bridges[0].Samples); !strings.HasPrefix(got, "[5 to [192.0.2.") || !strings.HasSuffix(got, " 7 to [192.0.2.7:7], 1 in 400, domain 0, point 0, cache 0s 3]") {
		t.Errorf("samples: %s", got)
	}
	var texts []string
	for _, p := range s.Problems {
		texts = append(texts, p.Text)
	}
	slices.Sort(texts)
	want := []string{
		"Flow_Sample_Collector_Set 5: sampling by OpenFlow actions not supported", "Flow_Sample_Collector_Set 5: sampling by OpenFlow actions not supported",
		"Flow_Sample_Collector_Set 7: sampling by OpenFlow actions not supported", "bridge br0: Flow_Sample_Collector_Set 5 is there twice, ignoring one",
	}
	if !slices.Equal(texts, want) {
		t.Errorf("problems: %q", texts)
	}
}

// TestPortMangling warns, in C's words, where numbers of interfaces that hold
// the engine id are not unique.
func TestPortMangling(t *testing.T) {
	const (
		vswitchs = "bridge br0: NetFlow port mangling may conflict with another vswitch, choose an engine id less than 128"
		ports    = "bridge br0: NetFlow port mangling will conflict with another port when more than 508 ports are used"
	)
	for _, x := range []struct {
		row   string
		ports int
		want  []string
	}{
		{"engine_id=127 add_id_to_interface=true", 508, nil},
		{"engine_id=128", 509, nil},
		{"engine_id=127 add_id_to_interface=true", 509, []string{ports}},
		{"engine_id=128 add_id_to_interface=true", 1, []string{vswitchs}},
		{"add_id_to_interface=true", 509, []string{vswitchs, ports}},
	} {
		lines := []string{"bridge br0", "netflow br0 targets=192.0.2.1:7 " + x.row}
		for n := range x.ports {
			lines = append(lines, fmt.Sprintf("port br0 p%d", n))
		}
		var got []string
		for _, p := range wanted(t, lines).Problems {
			got = append(got, p.Text)
		}
		if !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s, %d ports: %v", x.row, x.ports, got)
		}
	}
}
