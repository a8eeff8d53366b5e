package server_test

import (
	"fmt"
	"testing"
)

// TestStolenTwice: who owned a lock by "lock" and is stolen from waits for it;
// who had stolen it itself does not, as with the C server.
func TestStolenTwice(t *testing.T) {
	f := startVswitch(t)
	a, na := f.dial(t)
	b, nb := f.dial(t)
	want(t, call(t, a, "steal", `["x"]`), `{"locked":true}`)
	want(t, call(t, b, "steal", `["x"]`), `{"locked":true}`)
	want(t, next(t, na), `stolen["x"]`)
	want(t, call(t, b, "unlock", `["x"]`), `{}`)
	want(t, call(t, a, "transact", `["Open_vSwitch",{"op":"assert","lock":"x"}]`), `[{"details":"Asserted lock x not held.","error":"not owner"}]`)
	want(t, call(t, a, "unlock", `["x"]`), `{}`)
	want(t, call(t, a, "lock", `["x"]`), `{"locked":true}`)
	want(t, call(t, b, "steal", `["x"]`), `{"locked":true}`)
	want(t, next(t, na), `stolen["x"]`)
	want(t, call(t, b, "unlock", `["x"]`), `{}`)
	want(t, next(t, na), `locked["x"]`)
	if len(na)+len(nb) > 0 {
		t.Error("there are more notifications")
	}
}

// TestWaitBehindInsert: a transaction that waits is tried again when anything
// changes that an operation before the wait depends on.
func TestWaitBehindInsert(t *testing.T) {
	f := startVswitch(t)
	a, _ := f.dial(t)
	b, _ := f.dial(t)
	const row = `{"op":"insert","table":"QoS","uuid":"00000000-0000-4000-8000-000000000001","row":{"type":"x"}}`
	answer := make(chan string, 1)
	go func() {
		answer <- call(t, a, "transact", fmt.Sprintf(`["Open_vSwitch",%s,{"op":"wait","table":"Queue","where":[],"columns":["dscp"],"until":"!=","rows":[]}]`, row))
	}()
	// b's insertion may come first: then a's fails at once, with the same error.
	want(t, call(t, b, "transact", `["Open_vSwitch",`+row+`]`), `[{"uuid":["uuid","00000000-0000-4000-8000-000000000001"]}]`)
	want(t, <-answer, `[{"details":"This UUID would duplicate a UUID already present within the table or deleted within the same transaction.","error":"duplicate uuid","syntax":"\"00000000-0000-4000-8000-000000000001\""},null]`)
}

// TestWaitBehindAssert: so does a lock that an operation before the wait asserts,
// and that was lost meanwhile. As with the C server, that is found when anything
// changes.
func TestWaitBehindAssert(t *testing.T) {
	f := startVswitch(t)
	a, na := f.dial(t)
	b, _ := f.dial(t)
	want(t, call(t, a, "lock", `["x"]`), `{"locked":true}`)
	answer := make(chan string, 1)
	go func() {
		answer <- call(t, a, "transact", `["Open_vSwitch",{"op":"assert","lock":"x"},{"op":"wait","table":"Queue","where":[],"columns":["dscp"],"until":"!=","rows":[]}]`)
	}()
	// The lock may be lost before the transaction comes: then it fails at once,
	// with the same error.
	want(t, call(t, b, "steal", `["x"]`), `{"locked":true}`)
	want(t, next(t, na), `stolen["x"]`)
	want(t, call(t, b, "transact", `["Open_vSwitch",{"op":"insert","table":"QoS","uuid":"00000000-0000-4000-8000-000000000001","row":{"type":"x"}}]`), `[{"uuid":["uuid","00000000-0000-4000-8000-000000000001"]}]`)
	want(t, <-answer, `[{"details":"Asserted lock x not held.","error":"not owner"},null]`)
}
