package command

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestReplication: a backup has what the active server has, whoever of the two is
// killed meanwhile, and takes its place.
func TestReplication(t *testing.T) {
	debian(t)
	for i, p := range pairs {
		t.Run(fmt.Sprintf("%s from %s", p[1], p[0]), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			active, backup := newNode(t, p[0]), newNode(t, p[1])
			for _, n := range []*node{active, backup} {
				n.create(t, followed)
				n.create(t, strings.Replace(followed, `"F"`, `"G"`, 1))
			}
			active.up(t)
			active.write(t, r, 50)
			active.transact(t, `["G",{"op":"insert","table":"C","row":{"t":true}}]`)
			backup.up(t) // it has contents of its own, which go
			backup.transact(t, `["F",{"op":"insert","table":"A","row":{"name":"own"}}]`)
			backup.kill()
			backup.args = []string{"--sync-from=" + active.target()}
			backup.up(t)
			awaitSame(t, active, backup, followed)
			active.write(t, r, 200)
			backup.kill()
			active.write(t, r, 50)
			backup.up(t)
			active.write(t, r, 50)
			active.kill()
			active.up(t)
			active.write(t, r, 100)
			awaitSame(t, active, backup, followed)
			awaitSame(t, active, backup, strings.Replace(followed, `"F"`, `"G"`, 1))

			// A backup is read-only, an active server is not.
			if got, want := backup.transact(t, `["F",{"op":"delete","table":"A","where":[]}]`), "not allowed"; !strings.Contains(got, want) {
				t.Errorf("a backup answers %s", got)
			}
			active.kill()
			if got := backup.ctl(t, "ovsdb-server/disconnect-active-ovsdb-server"); got != "[0]" {
				t.Error(got)
			}
			backup.awaitCtl(t, "state: active\n[0]", "ovsdb-server/sync-status")
			backup.write(t, r, 100)

			// The one that was active is the backup now.
			active.args = []string{"--sync-from=" + backup.target()}
			active.up(t)
			awaitSame(t, backup, active, followed)
			backup.write(t, r, 50)
			awaitSame(t, backup, active, followed)
		})
	}
}

// TestReplicationExcludes: what is excluded stays as it is.
func TestReplicationExcludes(t *testing.T) {
	debian(t)
	for _, p := range pairs {
		t.Run(fmt.Sprintf("%s from %s", p[1], p[0]), func(t *testing.T) {
			active, backup := newNode(t, p[0]), newNode(t, p[1])
			for _, n := range []*node{active, backup} {
				n.create(t, followed)
				n.up(t)
				n.transact(t, `["F",{"op":"insert","table":"C","row":{"t":true}},{"op":"insert","table":"A","row":{"name":"x"}}]`)
			}
			backup.ctl(t, "ovsdb-server/set-active-ovsdb-server", active.target())
			backup.ctl(t, "ovsdb-server/set-sync-exclude-tables", "F:C,G:x")
			if got := backup.ctl(t, "ovsdb-server/connect-active-ovsdb-server"); got != "[0]" {
				t.Error(got)
			}
			before := backup.transact(t, `["F",{"op":"select","table":"C","where":[],"columns":["_uuid"]}]`)
			status := fmt.Sprintf("state: backup\nreplicating: %s\ndatabase: F\nexclude: F:C,G:x\n[0]", active.target())
			backup.awaitCtl(t, strings.ReplaceAll(status, backup.dir, "DIR"), "ovsdb-server/sync-status")
			active.transact(t, `["F",{"op":"insert","table":"C","uuid-name":"c","row":{"t":true}},{"op":"insert","table":"A","row":{"name":"weak","w":["named-uuid","c"]}}]`)
			awaitSame(t, active, backup, strings.Replace(followed, `"w":{"type"`, `"w":{"ephemeral":true,"type"`, 1), "A", "B")
			if after := backup.transact(t, `["F",{"op":"select","table":"C","where":[],"columns":["_uuid"]}]`); after != before {
				t.Errorf("an excluded table was %s and is %s", before, after)
			}
			if got := backup.transact(t, `["F",{"op":"select","table":"A","where":[["name","==","weak"]],"columns":["w"]}]`); got != `[{"rows":[{"w":["set",[]]}]}]` {
				t.Errorf("a weak reference to what is not replicated: %s", got)
			}
		})
	}
}

// TestReplicationVerbs: the verbs print what the C server prints.
func TestReplicationVerbs(t *testing.T) {
	debian(t)
	script := func(k kind) string {
		active, n := newNode(t, our), newNode(t, k)
		active.create(t, followed)
		active.up(t)
		n.create(t, followed)
		n.up(t)
		var out strings.Builder
		for _, line := range []string{
			"sync-status", "get-active-ovsdb-server", "get-sync-exclude-tables", "connect-active-ovsdb-server",
			"disconnect-active-ovsdb-server", "set-active-ovsdb-server-probe-interval x", "set-active-ovsdb-server-probe-interval -1",
			"set-active-ovsdb-server-probe-interval 5000", "set-sync-exclude-tables F:nope", "get-sync-exclude-tables",
			"set-sync-exclude-tables junk", "get-sync-exclude-tables", "set-sync-exclude-tables F:C,F:A,,G:a:b", "get-sync-exclude-tables",
			"set-sync-exclude-tables F:C", "set-active-ovsdb-server unix:" + n.dir + "/nowhere", "get-active-ovsdb-server",
			"sync-status", "connect-active-ovsdb-server", "sync-status", "get-active-ovsdb-server",
			"set-active-ovsdb-server " + active.target(), "connect-active-ovsdb-server", "+sync-status",
			"disconnect-active-ovsdb-server", "sync-status",
			// No server replicates itself: it becomes active.
			"set-active-ovsdb-server " + n.target(), "connect-active-ovsdb-server", "-sync-status", "get-active-ovsdb-server",
		} {
			verb, wait := strings.CutPrefix(line, "+")
			verb, refuse := strings.CutPrefix(verb, "-")
			words := strings.Fields(verb)
			words[0] = "ovsdb-server/" + words[0]
			if wait {
				n.awaitCtl(t, strings.ReplaceAll("state: backup\nreplicating: "+active.target()+"\ndatabase: F\nexclude: F:C\n[0]", n.dir, "DIR"), words...)
			}
			if refuse {
				n.awaitCtl(t, "state: active\n[0]", words...)
			}
			fmt.Fprintf(&out, "%s: %s\n", strings.ReplaceAll(verb, n.dir, "DIR"), n.ctl(t, words...))
		}
		return strings.ReplaceAll(out.String(), active.dir, "ACTIVE")
	}
	if got, want := script(our), script(their); got != want {
		t.Errorf("ours:\n%s\nthe C server:\n%s", got, want)
	}
}
