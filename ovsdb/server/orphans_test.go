package server_test

import (
	"strings"
	"testing"
)

// TestTwoSteps: a row that nothing refers to is gone for all who look, as RFC
// 7047 says, and yet a later transaction may refer to it.
func TestTwoSteps(t *testing.T) {
	f := startVswitch(t)
	c, _ := f.dial(t)
	got := call(t, c, "transact", `["Open_vSwitch",
		{"op":"insert","table":"Bridge","uuid-name":"b","row":{"name":"br0"}},
		{"op":"insert","table":"Open_vSwitch","row":{"bridges":["named-uuid","b"]}}]`)
	if strings.Contains(got, "error") {
		t.Fatal(got)
	}
	create := func() string {
		got := call(t, c, "transact", `["Open_vSwitch",{"op":"insert","table":"NetFlow","uuid-name":"n","row":{"targets":"127.0.0.1:1"}}]`)
		id, ok := strings.CutPrefix(got, `[{"uuid":["uuid","`)
		if !ok {
			t.Fatal(got)
		}
		return id[:36]
	}
	count := `["Open_vSwitch",{"op":"select","table":"NetFlow","where":[],"columns":["targets"]}]`
	refer := func(id string) string {
		return call(t, c, "transact", `["Open_vSwitch",{"op":"update","table":"Bridge","where":[],"row":{"netflow":["uuid","`+id+`"]}}]`)
	}

	id := create()
	want(t, call(t, c, "transact", count), `[{"rows":[]}]`)
	want(t, refer(id), `[{"count":1}]`)
	want(t, call(t, c, "transact", count), `[{"rows":[{"targets":"127.0.0.1:1"}]}]`)

	// Once it lived, it goes as every other row does.
	want(t, call(t, c, "transact", `["Open_vSwitch",{"op":"update","table":"Bridge","where":[],"row":{"netflow":["set",[]]}}]`), `[{"count":1}]`)
	want(t, call(t, c, "transact", count), `[{"rows":[]}]`)
	if got := refer(id); !strings.Contains(got, `"referential integrity violation"`) {
		t.Error(got)
	}

	// An id that the client chose is not kept: it knows what it does.
	const own = "11111111-0000-4000-8000-000000000001"
	call(t, c, "transact", `["Open_vSwitch",{"op":"insert","table":"NetFlow","uuid":"`+own+`","row":{"targets":"127.0.0.1:1"}}]`)
	if got := refer(own); !strings.Contains(got, `"referential integrity violation"`) {
		t.Error(got)
	}
}
