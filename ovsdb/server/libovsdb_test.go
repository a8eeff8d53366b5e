package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"govs/schema/vswitch"
)

// TestLibovsdb: the client that ovs-vswitchd and others use connects, fills its
// cache, transacts, and sees its own change in the cache.
func TestLibovsdb(t *testing.T) {
	f := startVswitch(t)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	dbm, err := vswitch.FullDatabaseModel()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.NewOVSDBClient(dbm, client.WithEndpoint(f.target))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.MonitorAll(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Echo(ctx); err != nil {
		t.Fatal(err)
	}
	root := &vswitch.OpenvSwitch{UUID: "root"}
	br := &vswitch.Bridge{UUID: "br", Name: "br0", ExternalIDs: map[string]string{"a": "b"}}
	root.Bridges = []string{"br"}
	var ops []ovsdb.Operation
	for _, m := range []model.Model{root, br} {
		o, err := c.Create(m)
		if err != nil {
			t.Fatal(err)
		}
		ops = append(ops, o...)
	}
	res, err := c.Transact(ctx, ops...)
	if err != nil {
		t.Fatal(err)
	}
	if opErrs, err := ovsdb.CheckOperationResults(res, ops); err != nil {
		t.Fatal(err, opErrs)
	}
	find := func(want int) []vswitch.Bridge {
		t.Helper()
		for {
			var list []vswitch.Bridge
			if err := c.List(ctx, &list); err != nil {
				t.Fatal(err)
			}
			if len(list) == want {
				return list
			}
			select {
			case <-ctx.Done():
				t.Fatalf("%d bridges in the cache, want %d", len(list), want)
			case <-time.After(time.Millisecond):
			}
		}
	}
	got := find(1)[0]
	if got.Name != "br0" || got.ExternalIDs["a"] != "b" {
		t.Errorf("%+v", got)
	}
	got.ExternalIDs = map[string]string{"a": "c"}
	ops, err = c.Where(&got).Update(&got, &got.ExternalIDs)
	if err != nil {
		t.Fatal(err)
	}
	if res, err = c.Transact(ctx, ops...); err != nil || len(res) != 1 || res[0].Count != 1 {
		t.Fatal(res, err)
	}
	root.Bridges = nil
	var roots []vswitch.OpenvSwitch
	if err := c.List(ctx, &roots); err != nil || len(roots) != 1 {
		t.Fatal(roots, err)
	}
	roots[0].Bridges = nil
	if ops, err = c.Where(&roots[0]).Update(&roots[0], &roots[0].Bridges); err != nil {
		t.Fatal(err)
	}
	if _, err = c.Transact(ctx, ops...); err != nil {
		t.Fatal(err)
	}
	find(0)
}
