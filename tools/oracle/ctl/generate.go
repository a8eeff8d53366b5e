package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// randomScript makes command lines of ovs-vsctl, most of them valid, on a few
// bridges.
func randomScript(r *rand.Rand, n int) script {
	s := script{name: "random", schema: "schema/vswitch/vswitch.ovsschema"}
	s.lines = append(s.lines, line{text: "ovs-vsctl --no-wait add-br b0 -- add-br b1 -- add-br f0 b0 5 -- add-port b0 p0 -- add-port b1 p1 tag=3 -- add-port f0 p2"})
	g := &generator{r: r}
	for range n {
		s.lines = append(s.lines, line{text: g.line()})
	}
	return s
}

// generator makes words that stand for each other: a name that is a bridge in one
// line is a port in another.
type generator struct {
	r *rand.Rand

	deletes bool // something that a command of the line deletes
}

func (g *generator) pick(s ...string) string { return s[g.r.IntN(len(s))] }

func (g *generator) bridge() string { return g.pick("b0", "b1", "b2", "f0", "f1", "p0") }

func (g *generator) port() string { return g.pick("p0", "p1", "p2", "p3", "b0", "f0", "e1") }

// value is one of a column, quoted for the shell.
func (g *generator) value() string {
	return quote(g.pick("1", "1,2", "[]", "[3, 4]", "a", "true", "{}", "a=1", "{a=1,b=2}", `""`, "5-7", "4096", "x y", "@x", "active", "secure", "[", "1.5",
		`"a b"`, `"\"q\""`, `"a\n"`, `a="b c", "d,e"=f`, `{"a:b"=c}`, `"x`, "a=b=c", "3-1", "-1", "0x10", "1,,2", " 7 ", "[1", "1]", "{a=1", "é", "a:b", "1e3", "NaN"))
}

func (g *generator) column() string {
	return g.pick("tag", "trunks", "other_config", "other_config:a", "external-ids:b", "vlan_mode", "lacp", "fail_mode", "stp_enable", "name", "t", "bond", "mac", "qos",
		"protected", "interfaces", "no_such", "_uuid", "other_config:\\\"a\\\"", "OTHER-CONFIG", "bond_updelay", "flood_vlans", "protocols", "cvlans", "options:k", "status", "ofport_request")
}

func (g *generator) op() string {
	return g.pick("=", "!=", "<", ">", "<=", ">=", "{=}", "{!=}", "{<}", "{<=}", "{>}", "{>=}", "{in}", "{not-in}", "~", "==", "{}")
}

func (g *generator) record() string {
	byID := []string{"Port $(ovs-vsctl get port p0 _uuid)", "bridge $(ovs-vsctl get bridge b0 _uuid | cut -c1-9)"}
	if !g.deletes && g.r.IntN(8) == 0 { // else C fails an assertion: see differences.txt
		return g.pick(byID...)
	}
	return g.pick("port "+g.port(), "bridge "+g.bridge(), "interface "+g.port(), "open .", "qos "+g.port(), "mirror m", "netflow "+g.bridge(), "controller "+g.bridge(),
		"br "+g.bridge(), "Interf "+g.port(), "ssl .", "manager ptcp:1", "queue 0000")
}

func (g *generator) command() string {
	pick := g.pick
	switch g.r.IntN(24) {
	case 0, 1:
		return pick("", "--may-exist ") + "add-br " + g.bridge() + pick("", "", " b0 5", " b1 0", " b2 7", " b0 4096", " b0 x")
	case 2:
		return pick("", "--if-exists ") + "del-br " + g.bridge()
	case 3, 4, 5:
		return pick("", "--may-exist ") + "add-port " + g.bridge() + " " + g.port() + pick("", " tag=5", " "+g.column()+"="+g.value())
	case 6:
		return pick("", "--if-exists ", "--with-iface ", "--if-exists --with-iface ") + "del-port " + pick("", g.bridge()+" ") + g.port()
	case 7:
		return pick("", "--may-exist ", "--fake-iface ") + "add-bond " + g.bridge() + " " + g.port() + " e1 " + pick("e2", "p1", "e1", "e2 lacp=active", "e3 bond_mode=balance-tcp")
	case 8:
		return pick("add-bond-iface ", "--may-exist add-bond-iface ", "del-bond-iface ", "--if-exists del-bond-iface ") + g.port() + " " + pick("e1", "e2", "e3")
	case 9:
		return pick("list-ports ", "list-ifaces ", "br-to-vlan ", "br-to-parent ", "br-exists ", "br-get-external-id ", "get-fail-mode ", "get-controller ", "del-controller ",
			"del-fail-mode ", "get-aa-mapping ") + g.bridge()
	case 10:
		return pick("port-to-br ", "iface-to-br ") + g.port()
	case 11:
		return "br-set-external-id " + g.bridge() + " k" + pick("", " v")
	case 12, 13:
		return pick("", "--if-exists ") + "set " + g.record() + " " + g.column() + "=" + g.value() + pick("", "", " "+g.column()+"="+g.value())
	case 14, 15:
		return pick("", "--if-exists ") + pick("add ", "remove ") + g.record() + " " + g.column() + " " + g.value()
	case 16:
		return pick("", "--if-exists ") + "get " + g.record() + " " + g.column()
	case 17, 18:
		return "--columns=name find " + pick("port", "bridge", "interface") + " " + quote(strings.ReplaceAll(g.column(), `\`, "")+g.op()) + g.value()
	case 19:
		return pick("", "--if-exists ") + "clear " + g.record() + " " + g.column()
	case 20:
		return pick("set-controller ", "set-fail-mode ") + g.bridge() + " " + pick("tcp:1.2.3.4", "ptcp:6653", "secure", "standalone", "nonsense:1", "tcp:1.2.3.4 tcp:1.2.3.4")
	case 21:
		return pick("--columns=name,_uuid ", "--columns=nam ", "--columns=tag,name ", "") + "list " + pick("port ", "bridge ", "interface ") + g.port()
	case 22:
		return pick("", "--if-exists ", "--all ") + "destroy " + pick("qos", "queue", "bridge "+g.bridge(), "netflow "+g.bridge(), "port "+g.port())
	}
	return pick("list-br", "--fake list-br", "--real list-br", "get-manager", "comment x", "--id=@x get port "+g.port(), "--id=@x create qos type="+pick("a", "b"), "set port "+g.port()+" qos=@x",
		"set-manager ptcp:1 ssl:2.3.4.5", "del-manager", "get-ssl", "set-ssl a b c", "del-ssl", "emer-reset", "--id=@n create netflow targets="+quote(`"1.2.3.4:5"`),
		"set bridge "+g.bridge()+" netflow=@n", "--id=@m create mirror name=m select_all=true", "add bridge "+g.bridge()+" mirrors @m", "wait-until port p0", "add-aa-mapping "+g.bridge()+" 5 6",
		"add-zone-tp netdev zone=1 tcp_syn_sent=1", "list-dp-cap netdev")
}

func (g *generator) line() string {
	g.deletes = false
	cmd := g.command()
	for g.r.IntN(3) == 0 {
		g.deletes = g.deletes || strings.Contains(cmd, "del-") || strings.Contains(cmd, "destroy") || strings.Contains(cmd, "emer-reset")
		cmd += " -- " + g.command()
	}
	return "ovs-vsctl -t 10 --no-wait " + g.pick("", "", "", "--oneline ", "--dry-run ", "-d json ", "-f json ", "-f csv ", "-f table ", "-d bare ", "--no-headings ", "-f html ") + "-- " + cmd
}

// quote makes one word of the shell.
func quote(s string) string { return fmt.Sprintf("'%s'", strings.ReplaceAll(s, "'", `'\''`)) }
