package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"govs/tools/peer"
)

// patience is how long a command line may take.
const patience = 30 * time.Second

// A world is a run directory with a server of one side, in which a script is
// played with the programs of one side.
type world struct {
	client, server string // folders of the programs
	other          string // and of the client's opposite
	dir            string
	db             *peer.Server
	name           string // of the database
	tables         []table
	swtch          *exec.Cmd
	played         *played
	env            []string
}

// A table of the schema, with the columns that are compared.
type table struct {
	name    string
	columns []string
}

// The switch writes these by itself; what it writes is not what a command did.
var written = map[string]bool{
	"Open_vSwitch.cur_cfg": true, "Open_vSwitch.ovs_version": true, "Open_vSwitch.db_version": true, "Open_vSwitch.datapath_types": true,
	"Open_vSwitch.iface_types": true, "Open_vSwitch.system_type": true, "Open_vSwitch.system_version": true, "Open_vSwitch.dpdk_initialized": true, "Open_vSwitch.dpdk_version": true, "Open_vSwitch.statistics": true,
	"Bridge.datapath_id": true, "Bridge.datapath_version": true, "Bridge.status": true, "Port.status": true, "Port.statistics": true,
	"Port.rstp_status": true, "Port.rstp_statistics": true, "Port.bond_active_slave": true, "Interface.ofport": true, "Interface.error": true,
	"Interface.mac_in_use": true, "Interface.ifindex": true, "Interface.mtu": true, "Interface.statistics": true, "Interface.status": true,
	"Interface.admin_state": true, "Interface.link_state": true, "Interface.link_resets": true, "Interface.link_speed": true, "Interface.duplex": true,
}

func parseTables(schema []byte) (name string, tables []table, err error) {
	var s struct {
		Name   string
		Tables map[string]struct {
			Columns map[string]struct{ Ephemeral bool }
		}
	}
	if err := json.Unmarshal(schema, &s); err != nil {
		return "", nil, err
	}
	for name, t := range s.Tables {
		tab := table{name: name}
		for c, d := range t.Columns {
			if !d.Ephemeral && !written[name+"."+c] {
				tab.columns = append(tab.columns, c)
			}
		}
		slices.Sort(tab.columns)
		tables = append(tables, tab)
	}
	slices.SortFunc(tables, func(a, b table) int { return strings.Compare(a.name, b.name) })
	return s.Name, tables, nil
}

// newWorld starts the server, and the switch, in a new folder.
func newWorld(o options, s script, dir, client, server, other string) (w *world, err error) {
	w = &world{client: client, server: server, other: other, dir: dir}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	schema, err := os.ReadFile(filepath.Join(o.root, s.schema))
	if err != nil {
		return w, err
	}
	if w.name, w.tables, err = parseTables(schema); err != nil {
		return w, err
	}
	program := filepath.Join(server, "ovsdb-server")
	if err := peer.Create(program, dir, schema); err != nil {
		return w, err
	}
	if w.db, err = peer.Run(program, dir, "--remote=punix:"+dir+"/db.sock", "--pidfile"); err != nil {
		return w, err
	}
	if _, err := w.db.Call("set_db_change_aware", []any{true}); err != nil { // a conversion would end the session
		return w, err
	}
	for end := time.Now().Add(patience); !listens(dir + "/db.sock"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return w, fmt.Errorf("%s does not listen on db.sock", program)
		}
	}
	format, opposite := "log", other
	if client == server && client == o.ours {
		format, opposite = "bolt", client // what only our programs read
	}
	w.env = append(clean(os.Environ()), "PATH="+client+":/usr/sbin:/usr/bin:/sbin:/bin", "OVS_RUNDIR="+dir, "OVS_DBDIR="+dir, "OVS_LOGDIR="+dir,
		"OVS_SYSCONFDIR="+dir, "OVS_PKGDATADIR="+dir, "OVS_SYSLOG_METHOD=null", "TZ=UTC", "LC_ALL=C", "OVSDB_FORMAT="+format, "SERVER="+server, "OTHER="+opposite,
		"LD_LIBRARY_PATH="+o.libraries)
	switch {
	case w.name != "Open_vSwitch":
	case s.swtch:
		err = w.startSwitch()
	default:
		w.played, err = playSwitch(filepath.Join(dir, "db.sock"))
	}
	return w, err
}

func listens(sock string) bool {
	conn, err := net.Dial("unix", sock)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func clean(env []string) (out []string) {
	for _, e := range env {
		if !strings.HasPrefix(e, "OVS") && !strings.HasPrefix(e, "PATH=") {
			out = append(out, e)
		}
	}
	return out
}

func (w *world) startSwitch() error {
	if r := w.shell("ovs-vsctl --no-wait init"); r.code != 0 {
		return fmt.Errorf("ovs-vsctl init: %s", r.stderr)
	}
	w.swtch = exec.Command(filepath.Join(w.server, "ovs-vswitchd"), "--enable-dummy=override", "--pidfile", "--log-file", "-vconsole:off", "--no-chdir")
	w.swtch.Dir, w.swtch.Env = w.dir, w.env
	w.swtch.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := w.swtch.Start(); err != nil {
		w.swtch = nil
		return err
	}
	if r := w.shell("ovs-vsctl -t 20 add-br start -- del-br start"); r.code != 0 {
		return fmt.Errorf("the switch does not come: %s", r.stderr)
	}
	return nil
}

func (w *world) close() {
	if w.played != nil {
		w.played.stop()
	}
	if w.swtch != nil {
		_ = w.swtch.Process.Kill()
		_ = w.swtch.Wait() // killed
	}
	if w.db != nil {
		w.db.Stop()
	}
}

// An outcome is what came of a command line.
type outcome struct {
	stdout, stderr string
	code           int // 128+n for a death by signal n, as in a shell
}

// shell runs a command line.
func (w *world) shell(text string) outcome { return w.shellIn(text, w.env) }

func (w *world) shellIn(text string, env []string) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", text)
	cmd.Dir, cmd.Env = w.dir, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	// Files, not pipes: daemons in the background keep them open.
	var files [2]*os.File
	for i := range files {
		f, err := os.CreateTemp("", "gv")
		if err != nil {
			return outcome{stderr: err.Error(), code: -1}
		}
		defer f.Close()
		defer os.Remove(f.Name())
		files[i] = f
	}
	cmd.Stdout, cmd.Stderr = files[0], files[1]
	err := cmd.Run()
	o := outcome{stdout: whole(files[0]), stderr: whole(files[1])}
	if cmd.ProcessState == nil {
		o.stderr += fmt.Sprint("cannot run: ", err)
		o.code = -1
		return o
	}
	if o.code = cmd.ProcessState.ExitCode(); o.code < 0 {
		o.code = 128 + int(cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
	}
	if ctx.Err() != nil {
		o.stderr += "hangs\n"
	}
	return o
}

// whole is what was written to a file.
func whole(f *os.File) string {
	b, err := os.ReadFile(f.Name())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// opposite returns the environment with the other side's programs in PATH.
func (w *world) opposite() []string {
	env := slices.Clone(w.env)
	for i, e := range env {
		if rest, ok := strings.CutPrefix(e, "PATH="+w.client); ok {
			env[i] = "PATH=" + w.other + rest
		}
	}
	return env
}

// rows reads the whole database: a line a row, references by the names of what
// they refer to; and the UUIDs that it has.
func (w *world) rows() (lines map[string]int, ids map[string]bool, err error) {
	params := []any{w.name}
	for _, t := range w.tables {
		params = append(params, map[string]any{"op": "select", "table": t.name, "where": []any{}, "columns": append([]string{"_uuid"}, t.columns...)})
	}
	reply, err := w.db.Call("transact", params)
	if err != nil {
		return nil, nil, err
	}
	results, ok := reply.Result.([]any)
	if !ok || len(results) != len(w.tables) {
		return nil, nil, fmt.Errorf("select: %v %v", reply.Result, reply.Error)
	}
	all := make([][]any, len(results))
	names := map[string]string{}
	ids = map[string]bool{}
	for i, r := range results {
		all[i], _ = r.(map[string]any)["rows"].([]any)
		for _, row := range all[i] {
			row := row.(map[string]any)
			name := w.tables[i].name
			for _, c := range []string{"name", "target", "type", "id"} {
				switch v := row[c].(type) {
				case string, json.Number:
					name += fmt.Sprintf(" %v", v)
				}
			}
			id := row["_uuid"].([]any)[1].(string)
			names[id] = "<" + name + ">"
			ids[id] = true
		}
	}
	lines = map[string]int{}
	for i, t := range w.tables {
		for _, row := range all[i] {
			l := t.name + ":"
			for _, c := range t.columns {
				if v := valueText(row.(map[string]any)[c], names); v != "" {
					l += " " + c + "=" + v
				}
			}
			lines[l]++
		}
	}
	return lines, ids, nil
}

// valueText is a value of RFC 7047, section 5.1, "" where it is empty.
func valueText(v any, names map[string]string) string {
	a, ok := v.([]any)
	if !ok {
		b, err := json.Marshal(v)
		if err != nil {
			return err.Error()
		}
		switch s := string(b); s {
		case `""`, "0", "false":
			return ""
		default:
			return s
		}
	}
	if a[0] == "uuid" {
		if n, ok := names[a[1].(string)]; ok {
			return n
		}
		return "<?>"
	}
	var parts []string
	for _, e := range a[1].([]any) {
		if a[0] == "map" {
			p := e.([]any)
			parts = append(parts, elementText(p[0], names)+"="+elementText(p[1], names))
		} else {
			parts = append(parts, elementText(e, names))
		}
	}
	slices.Sort(parts)
	text := strings.Join(parts, ",")
	if len(text) > 400 {
		text = fmt.Sprintf("%s... (%d)", text[:400], len(parts))
	}
	return text
}

func elementText(v any, names map[string]string) string {
	if s := valueText(v, names); s != "" {
		return s
	}
	return fmt.Sprintf("%q", fmt.Sprint(v))
}

// played is the oracle in the place of ovs-vswitchd: it takes every
// configuration in at once. Interfaces whose names begin with "bad" do not come up.
type played struct {
	conn net.Conn
	done chan struct{}
}

func playSwitch(sock string) (*played, error) {
	conn, err := net.Dial("unix", sock)
	if err != nil {
		return nil, err
	}
	p := &played{conn, make(chan struct{})}
	if _, err := conn.Write([]byte(`{"id":0,"method":"monitor","params":["Open_vSwitch",null,{"Open_vSwitch":{"columns":["next_cfg"]},"Interface":{"columns":["name"]}}]}`)); err != nil {
		return nil, err
	}
	go p.run()
	return p, nil
}

func (p *played) stop() {
	_ = p.conn.Close()
	<-p.done
}

func (p *played) run() {
	defer close(p.done)
	dec := json.NewDecoder(p.conn)
	type rows map[string]struct {
		New map[string]any
	}
	type updates struct {
		Open      rows `json:"Open_vSwitch"`
		Interface rows
	}
	fresh := map[string]string{} // interfaces that have come, by UUID
	requests := 0
	for {
		var m struct {
			ID     any
			Method string
			Params []json.RawMessage
			Result json.RawMessage
		}
		if dec.Decode(&m) != nil {
			return
		}
		var u updates
		switch {
		case m.Method == "echo":
			b, err := json.Marshal(map[string]any{"id": m.ID, "result": m.Params, "error": nil})
			if err != nil {
				return
			}
			if _, err := p.conn.Write(b); err != nil {
				return
			}
			continue
		case m.Method == "update" && len(m.Params) == 2:
			if json.Unmarshal(m.Params[1], &u) != nil {
				return
			}
		case m.ID == 0.0 && m.Method == "":
			if json.Unmarshal(m.Result, &u) != nil {
				return
			}
		default:
			continue
		}
		for id, r := range u.Interface {
			if r.New == nil {
				delete(fresh, id)
			} else {
				fresh[id], _ = r.New["name"].(string)
			}
		}
		for id, r := range u.Open {
			next, ok := r.New["next_cfg"]
			if !ok {
				continue
			}
			ops := []any{"Open_vSwitch"}
			update := func(table, id string, row map[string]any) {
				ops = append(ops, map[string]any{"op": "update", "table": table, "where": []any{[]any{"_uuid", "==", []any{"uuid", id}}}, "row": row})
			}
			for iface, name := range fresh {
				if strings.HasPrefix(name, "bad") {
					update("Interface", iface, map[string]any{"ofport": -1, "error": "could not open network device " + name + " (No such device)"})
				} else {
					update("Interface", iface, map[string]any{"ofport": 1})
				}
			}
			clear(fresh)
			update("Open_vSwitch", id, map[string]any{"cur_cfg": next})
			requests++
			b, err := json.Marshal(map[string]any{"id": requests, "method": "transact", "params": ops})
			if err != nil {
				return
			}
			if _, err := p.conn.Write(b); err != nil {
				return
			}
		}
	}
}

// together runs command lines at the same time, a few of them at once.
func (w *world) together(texts []string) []outcome {
	out := make([]outcome, len(texts))
	slots := make(chan struct{}, 12)
	var wg sync.WaitGroup
	for i, t := range texts {
		wg.Go(func() {
			slots <- struct{}{}
			out[i] = w.shell(t)
			<-slots
		})
	}
	wg.Wait()
	return out
}
