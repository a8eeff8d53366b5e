// Package modeltest builds snapshots of the database from lines of text, for
// tests of what is computed from them.
//
//	open next_cfg=3 other_config:max-idle=500
//	bridge br0 datapath_type=netdev other_config:hwaddr=02:00:00:00:00:01
//	port br0 p1 tag=10 trunks=1,2
//	iface p1 type=internal ofport_request=7
//	bond br0 b0 p2 p3 bond_mode=balance-slb
//	netflow br0 targets=192.0.2.1:2055 active_timeout=60
//	samples br0 5 targets=192.0.2.1:4739
//	mirror br0 m1 select_all=true
//	select m1 output_port=p1 select_src_port=p2,p3
//	qos p1 type=linux-htb other_config:max-rate=1000000
//	queue p1 5 dscp=8 other_config:min-rate=200000
//	del p1
//
// "port" makes the interface of that name, too; a line for something that is
// there changes it. A row's UUID is made from its table, name, and how often
// that name was made before.
package modeltest

import (
	"crypto/sha1"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"govs/schema/vswitch"
	"govs/vswitchd/model"
)

// A DB is a database in the making.
type DB struct {
	root    *vswitch.OpenvSwitch
	bridges map[string]*vswitch.Bridge
	ports   map[string]*vswitch.Port
	ifaces  map[string]*vswitch.Interface
	flows   map[string]*vswitch.NetFlow // by bridge
	sflows  map[string]*vswitch.SFlow   // by bridge
	ipfixs  map[string]*vswitch.IPFIX   // by bridge, and by "bridge/id" those of sets
	sets    map[string]*vswitch.FlowSampleCollectorSet
	mirrors map[string]*vswitch.Mirror
	qos     map[string]*vswitch.QoS // by port
	queues  []*vswitch.Queue
	made    map[string]int
}

// New returns a database with an Open_vSwitch row and nothing else.
func New() *DB {
	db := &DB{
		bridges: make(map[string]*vswitch.Bridge),
		ports:   make(map[string]*vswitch.Port),
		ifaces:  make(map[string]*vswitch.Interface),
		flows:   make(map[string]*vswitch.NetFlow),
		sflows:  make(map[string]*vswitch.SFlow),
		ipfixs:  make(map[string]*vswitch.IPFIX),
		sets:    make(map[string]*vswitch.FlowSampleCollectorSet),
		mirrors: make(map[string]*vswitch.Mirror),
		qos:     make(map[string]*vswitch.QoS),
		made:    make(map[string]int),
	}
	db.root = &vswitch.OpenvSwitch{UUID: db.uuid("Open_vSwitch", ".")}
	return db
}

func (db *DB) uuid(table, name string) string {
	key := table + "/" + name
	db.made[key]++
	h := sha1.Sum(fmt.Appendf(nil, "%s/%d", key, db.made[key]))
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// Do carries out one line.
func (db *DB) Do(line string) error {
	words := strings.Fields(line)
	if len(words) == 0 {
		return nil
	}
	verb, words := words[0], words[1:]
	need := map[string]int{"open": 0, "bridge": 1, "port": 2, "iface": 1, "bond": 2, "netflow": 1, "sflow": 1, "ipfix": 1, "samples": 2, "mirror": 2, "select": 2, "qos": 1, "queue": 2, "del": 1}
	n, known := need[verb]
	if !known || len(words) < n {
		return fmt.Errorf("do not understand %q", line)
	}
	switch verb {
	case "open":
		return set(db.root, words)
	case "bridge":
		return set(db.bridge(words[0]), words[1:])
	case "port":
		p := db.port(words[0], words[1])
		p.Interfaces = []string{db.iface(words[1]).UUID}
		return set(p, words[2:])
	case "bond":
		p := db.port(words[0], words[1])
		p.Interfaces = nil
		var columns []string
		for _, name := range words[2:] {
			if strings.Contains(name, "=") {
				columns = append(columns, name)
			} else {
				p.Interfaces = append(p.Interfaces, db.iface(name).UUID)
			}
		}
		return set(p, columns)
	case "iface":
		return set(db.iface(words[0]), words[1:])
	case "netflow":
		f := &vswitch.NetFlow{UUID: db.uuid("NetFlow", words[0])}
		db.flows[words[0]] = f
		db.bridge(words[0]).Netflow = &f.UUID
		return set(f, words[1:])
	case "sflow":
		f := &vswitch.SFlow{UUID: db.uuid("sFlow", words[0])}
		db.sflows[words[0]] = f
		db.bridge(words[0]).Sflow = &f.UUID
		return set(f, words[1:])
	case "ipfix":
		f := &vswitch.IPFIX{UUID: db.uuid("IPFIX", words[0])}
		db.ipfixs[words[0]] = f
		db.bridge(words[0]).IPFIX = &f.UUID
		return set(f, words[1:])
	case "samples":
		id, err := strconv.Atoi(words[1])
		if err != nil {
			return err
		}
		f := &vswitch.IPFIX{UUID: db.uuid("IPFIX", words[0]+"/"+words[1])}
		db.ipfixs[words[0]+"/"+words[1]] = f
		s := &vswitch.FlowSampleCollectorSet{UUID: db.uuid("Flow_Sample_Collector_Set", words[0]+"/"+words[1]), ID: id, Bridge: db.bridge(words[0]).UUID, IPFIX: &f.UUID}
		db.sets[s.UUID] = s
		return set(f, words[2:])
	case "mirror":
		return set(db.mirror(words[0], words[1]), words[2:])
	case "select":
		return db.choose(words[0], words[1:])
	case "qos":
		return db.setQoS(words[0], words[1:])
	case "queue":
		return db.setQueue(words[0], words[1], words[2:])
	case "del":
		db.del(words[0])
	}
	return nil
}

func (db *DB) bridge(name string) *vswitch.Bridge {
	b := db.bridges[name]
	if b == nil {
		b = &vswitch.Bridge{UUID: db.uuid("Bridge", name), Name: name}
		db.bridges[name] = b
		db.root.Bridges = append(db.root.Bridges, b.UUID)
	}
	return b
}

func (db *DB) port(bridge, name string) *vswitch.Port {
	p := db.ports[name]
	if p == nil {
		p = &vswitch.Port{UUID: db.uuid("Port", name), Name: name}
		db.ports[name] = p
	}
	if b := db.bridge(bridge); !slices.Contains(b.Ports, p.UUID) {
		b.Ports = append(b.Ports, p.UUID)
	}
	return p
}

func (db *DB) iface(name string) *vswitch.Interface {
	i := db.ifaces[name]
	if i == nil {
		i = &vswitch.Interface{UUID: db.uuid("Interface", name), Name: name}
		db.ifaces[name] = i
	}
	return i
}

func (db *DB) mirror(bridge, name string) *vswitch.Mirror {
	m := db.mirrors[name]
	if m == nil {
		m = &vswitch.Mirror{UUID: db.uuid("Mirror", name), Name: name}
		db.mirrors[name] = m
	}
	if b := db.bridge(bridge); !slices.Contains(b.Mirrors, m.UUID) {
		b.Mirrors = append(b.Mirrors, m.UUID)
	}
	return m
}

// setQoS gives a port, which is there, a QoS row.
func (db *DB) setQoS(port string, words []string) error {
	p := db.ports[port]
	if p == nil {
		return fmt.Errorf("no port %s", port)
	}
	q := db.qos[port]
	if q == nil {
		q = &vswitch.QoS{UUID: db.uuid("QoS", port), Queues: make(map[int]string)}
		db.qos[port] = q
	}
	p.QOS = &q.UUID
	return set(q, words)
}

// setQueue gives the QoS row of a port another queue of that number.
func (db *DB) setQueue(port, number string, words []string) error {
	n, err := strconv.Atoi(number)
	if err != nil || db.qos[port] == nil {
		return fmt.Errorf("no queue %s of port %s", number, port)
	}
	q := &vswitch.Queue{UUID: db.uuid("Queue", port+"/"+number)}
	db.queues = append(db.queues, q)
	to := *db.qos[port] // the old row belongs to snapshots
	to.Queues = maps.Clone(to.Queues)
	to.Queues[n] = q.UUID
	db.qos[port] = &to
	return set(q, words)
}

// choose makes a mirror's columns refer to ports, given by name.
func (db *DB) choose(name string, words []string) error {
	m := db.mirrors[name]
	if m == nil {
		return fmt.Errorf("no mirror %s", name)
	}
	for n, word := range words {
		column, ports, _ := strings.Cut(word, "=")
		var ids []string
		for _, p := range strings.Split(ports, ",") {
			if db.ports[p] == nil {
				return fmt.Errorf("no port %s", p)
			}
			ids = append(ids, db.ports[p].UUID)
		}
		words[n] = column + "=" + strings.Join(ids, ",")
	}
	return set(m, words)
}

// del removes the bridge, port and interface of that name.
func (db *DB) del(name string) {
	if b := db.bridges[name]; b != nil {
		db.root.Bridges = without(db.root.Bridges, b.UUID)
		delete(db.bridges, name)
	}
	if p := db.ports[name]; p != nil {
		for _, b := range db.bridges {
			b.Ports = without(b.Ports, p.UUID)
		}
		delete(db.ports, name)
	}
	delete(db.ifaces, name)
}

func without(list []string, s string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(x string) bool { return x == s })
}

// Snapshot is the database as it is now.
func (db *DB) Snapshot() *model.Snapshot {
	s := &model.Snapshot{
		Root:       clone(db.root),
		Bridges:    make(map[string]*vswitch.Bridge),
		Ports:      make(map[string]*vswitch.Port),
		Interfaces: make(map[string]*vswitch.Interface),
		NetFlows:   make(map[string]*vswitch.NetFlow),
		SFlows:     make(map[string]*vswitch.SFlow),
		IPFIXs:     make(map[string]*vswitch.IPFIX),
		Collectors: make(map[string]*vswitch.FlowSampleCollectorSet),
		Mirrors:    make(map[string]*vswitch.Mirror),
		QoS:        make(map[string]*vswitch.QoS),
		Queues:     make(map[string]*vswitch.Queue),
	}
	for _, q := range db.qos {
		s.QoS[q.UUID] = clone(q)
	}
	for _, q := range db.queues {
		s.Queues[q.UUID] = clone(q)
	}
	for _, b := range db.bridges {
		s.Bridges[b.UUID] = clone(b)
	}
	for _, p := range db.ports {
		s.Ports[p.UUID] = clone(p)
	}
	for _, i := range db.ifaces {
		s.Interfaces[i.UUID] = clone(i)
	}
	for _, m := range db.mirrors {
		s.Mirrors[m.UUID] = clone(m)
	}
	for _, f := range db.flows {
		s.NetFlows[f.UUID] = clone(f)
	}
	for _, f := range db.sflows {
		s.SFlows[f.UUID] = clone(f)
	}
	for _, f := range db.sets {
		s.Collectors[f.UUID] = clone(f)
	}
	for _, f := range db.ipfixs {
		s.IPFIXs[f.UUID] = clone(f)
	}
	return s
}

func clone[T any](p *T) *T {
	c := *p
	return &c
}

// set changes columns: "column=value", "column:key=value"; a value "[]"
// clears.
func set(row any, words []string) error {
	v := reflect.ValueOf(row).Elem()
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			return fmt.Errorf("%q is not column=value", word)
		}
		name, key, _ := strings.Cut(name, ":")
		field := reflect.Value{}
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("ovsdb") == name {
				field = v.Field(i)
			}
		}
		if !field.IsValid() {
			return fmt.Errorf("no column %s", name)
		}
		if err := assign(field, key, value); err != nil {
			return fmt.Errorf("%s: %w", word, err)
		}
	}
	return nil
}

func assign(field reflect.Value, key, value string) error {
	if value == "[]" && key == "" {
		field.SetZero()
		return nil
	}
	switch field.Kind() {
	case reflect.Pointer:
		p := reflect.New(field.Type().Elem())
		field.Set(p)
		return assign(p.Elem(), key, value)
	case reflect.Map:
		m := reflect.MakeMap(field.Type())
		for it := field.MapRange(); it.Next(); {
			m.SetMapIndex(it.Key(), it.Value())
		}
		v := reflect.ValueOf(value)
		if value == "[]" {
			v = reflect.Value{} // deletes
		}
		m.SetMapIndex(reflect.ValueOf(key), v)
		field.Set(m)
		return nil
	case reflect.Slice:
		list := reflect.MakeSlice(field.Type(), 0, 4)
		for part := range strings.SplitSeq(value, ",") {
			item := reflect.New(field.Type().Elem()).Elem()
			if err := assign(item, "", part); err != nil {
				return err
			}
			list = reflect.Append(list, item)
		}
		field.Set(list)
		return nil
	case reflect.String:
		field.SetString(value)
		return nil
	case reflect.Bool:
		b, err := strconv.ParseBool(value)
		field.SetBool(b)
		return err
	case reflect.Int:
		n, err := strconv.Atoi(value)
		field.SetInt(int64(n))
		return err
	}
	return fmt.Errorf("cannot set a %s", field.Type())
}
