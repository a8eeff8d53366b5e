package command

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"govs/internal/daemon"
	"govs/internal/json"
	"govs/ovsdb/server"
)

// config is the contents of a --config-file, as the ovsdb-server(1) of Open
// vSwitch 3.3 describes it:
//
//	{"remotes": {TARGET: OPTIONS | null, ...}, "databases": {NAME: OPTIONS | null, ...}}
type config struct {
	remotes   map[string]server.RemoteOptions // by target
	databases map[string]database             // by file; a relay by the database's name
}

// database is what is said of one.
type database struct {
	relay   bool
	backup  bool            // of an active-backup pair
	sources []server.Source // of a relay or a backup, in order; there is one
	exclude []string        // tables that a backup does not take
}

// maxConfig bounds a file that somebody took for a configuration.
const maxConfig = 1 << 20

// readConfig reads a file.
func readConfig(path string) (*config, error) {
	if st, err := os.Stat(path); err == nil && st.Size() > maxConfig {
		return nil, fmt.Errorf("%s: the file is too large for a configuration", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := parseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// parseConfig reads the text of a configuration. What is not understood is an
// error: a server that leaves half of it out is not what was asked for.
func parseConfig(text []byte) (*config, error) {
	v, err := json.Parse(text)
	if err != nil {
		return nil, err
	}
	if v.Kind() != json.Object {
		return nil, errors.New("a JSON object is expected")
	}
	c := &config{remotes: make(map[string]server.RemoteOptions), databases: make(map[string]database)}
	for name, m := range v.Members() {
		if m.Kind() != json.Object {
			return nil, fmt.Errorf("%q: a JSON object is expected", name.Str())
		}
		for key, val := range m.Members() {
			var err error
			switch name.Str() {
			case "remotes":
				var o server.RemoteOptions
				if o, err = parseRemote(val); err == nil {
					c.remotes[key.Str()] = o
				}
			case "databases":
				c.databases[key.Str()], err = parseDatabase(key.Str(), val)
			default:
				return nil, fmt.Errorf("unknown member %q", name.Str())
			}
			if err != nil {
				return nil, fmt.Errorf("%q: %q: %w", name.Str(), key.Str(), err)
			}
		}
	}
	return c, nil
}

// members calls f for each member of an object; null is an empty one.
func members(v json.Value, f func(name string, v json.Value) (known, ok bool)) error {
	if v.Kind() == json.Null {
		return nil
	}
	if v.Kind() != json.Object {
		return errors.New("a JSON object or null is expected")
	}
	for name, m := range v.Members() {
		known, ok := f(name.Str(), m)
		if !known {
			return fmt.Errorf("unknown option %q", name.Str())
		}
		if !ok {
			return fmt.Errorf("option %q has a wrong value", name.Str())
		}
	}
	return nil
}

// milliseconds is the value of an option.
func milliseconds(v json.Value) (time.Duration, bool) {
	n, ok := v.Int()
	if !ok || n < 0 || n > int64(1<<31) {
		return 0, false
	}
	return time.Duration(n) * time.Millisecond, true
}

func parseRemote(v json.Value) (o server.RemoteOptions, err error) {
	err = members(v, func(name string, v json.Value) (known, ok bool) {
		known = true
		switch name {
		case "inactivity-probe":
			var d time.Duration
			d, ok = milliseconds(v)
			o.Probe = &d
		case "max-backoff":
			o.MaxBackoff, ok = milliseconds(v)
		case "read-only":
			o.ReadOnly, ok = v.Bool()
		case "role":
			o.Role, ok = v.Str(), v.Kind() == json.String
		case "dscp": // has no effect
			_, ok = v.Int()
		default:
			known = false
		}
		return known, ok
	})
	return o, err
}

// parseDatabase reads what is said of a database: which format a file has, it
// says itself.
func parseDatabase(name string, v json.Value) (d database, err error) {
	model := "standalone"
	var wrong error // with an option that has a value of its own
	err = members(v, func(name string, v json.Value) (known, ok bool) {
		switch name {
		case "service-model":
			model = v.Str()
			return true, v.Kind() == json.String
		case "source":
			d.sources, wrong = parseSources(v)
			return true, true
		case "exclude-tables":
			for t := range v.Elems() {
				if t.Kind() != json.String {
					return true, false
				}
				d.exclude = append(d.exclude, t.Str())
			}
			return true, v.Kind() == json.Array
		case "backup":
			d.backup, ok = v.Bool()
			return true, ok
		}
		return false, false
	})
	if err == nil {
		err = wrong
	}
	switch {
	case err != nil:
		return d, err
	case model == "clustered":
		return d, errors.New("service model clustered is not supported")
	case model == "relay":
		if name == "" || name[0] == '_' {
			return d, errors.New("the name is reserved")
		}
		d.relay, d.backup = true, false
	case model == "active-backup":
	case model == "standalone":
		return database{}, nil
	default:
		return d, fmt.Errorf("unknown service model %q", model)
	}
	if (d.relay || d.backup) && len(d.sources) == 0 {
		return d, errors.New("a source is expected")
	}
	return d, nil
}

// parseSources reads the targets of another server, with their options.
func parseSources(v json.Value) (list []server.Source, err error) {
	if v.Kind() != json.Object {
		return nil, errors.New("option \"source\" has a wrong value")
	}
	for target, options := range v.Members() {
		src := server.Source{Target: target.Str()}
		err := members(options, func(name string, v json.Value) (known, ok bool) {
			switch name {
			case "inactivity-probe":
				d, ok := milliseconds(v)
				src.Probe = &d
				return true, ok
			case "max-backoff":
				src.MaxBackoff, ok = milliseconds(v)
				return true, ok
			case "dscp": // has no effect
				_, ok = v.Int()
				return true, ok
			}
			return false, false
		})
		if err != nil {
			return nil, fmt.Errorf("source %q: %w", src.Target, err)
		}
		list = append(list, src)
	}
	slices.SortFunc(list, func(a, b server.Source) int { return strings.Compare(a.Target, b.Target) })
	return list, nil
}

// configured is a server whose databases and remotes stand in a file.
type configured struct {
	s    *server.Server
	path string
	mu   sync.Mutex // one load at a time
	now  config
}

// load reads the file and makes the server what it says. Where it cannot be
// read, or the file of a database cannot be opened, all stays as it is.
func (c *configured) load() error {
	next, err := readConfig(c.path)
	if err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(next.databases))
	// Relays go first: a file may hold a database of the same name.
	var left, opened []string
	for name, was := range c.now.databases {
		if d, ok := next.databases[name]; was.relay && !(ok && reflect.DeepEqual(was, d)) {
			_ = c.s.RemoveDatabase(name) // it is gone already
			left = append(left, name)
		}
	}
	for _, name := range names {
		d := next.databases[name]
		if was, ok := c.now.databases[name]; d.relay || ok && !was.relay {
			continue
		}
		err := c.s.OpenDatabase(c.file(name))
		if err == nil {
			opened = append(opened, name)
			err = c.role(name, database{}, d)
		}
		if err != nil {
			for _, name := range opened {
				c.close(name)
			}
			for _, name := range left {
				err = errors.Join(err, c.s.Relay(name, c.now.databases[name].sources))
			}
			return errors.New(strings.ReplaceAll(err.Error(), c.file(name), name))
		}
	}
	for target := range c.now.remotes {
		if _, ok := next.remotes[target]; !ok {
			_ = c.s.RemoveRemote(target) // it is gone already
		}
	}
	for name, was := range c.now.databases {
		if d, ok := next.databases[name]; !was.relay && (!ok || d.relay) {
			c.close(name)
		}
	}
	var failed []error
	before := c.now.databases
	c.now = config{remotes: make(map[string]server.RemoteOptions), databases: make(map[string]database)}
	for _, name := range names {
		d, was := next.databases[name], before[name]
		var err error
		switch {
		case d.relay && !reflect.DeepEqual(was, d):
			err = c.s.Relay(name, d.sources)
		case !d.relay && !slices.Contains(opened, name):
			err = c.role(name, was, d)
		}
		if err != nil {
			failed = append(failed, err)
			if d.relay {
				continue
			}
			d = was
		}
		c.now.databases[name] = d
	}
	for target, o := range next.remotes {
		if err := c.s.SetRemote(target, o); err != nil {
			failed = append(failed, err)
			continue
		}
		c.now.remotes[target] = o
	}
	return errors.Join(failed...)
}

// role makes a file's database what is said of it.
func (c *configured) role(name string, was, d database) error {
	if reflect.DeepEqual(was, d) {
		return nil
	}
	for schema := range c.schemas(name) {
		if d.backup {
			return c.s.Backup(schema, d.sources, d.exclude)
		}
		c.s.EndBackup(schema)
	}
	return nil
}

// register adds ovsdb-server/reload, and takes the place of the verbs that would
// change what stands in the file.
func (c *configured) register(ctl server.Registrar) {
	ctl.Register("ovsdb-server/reload", "", 0, 0, func(context.Context, []string) (string, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return "", c.load()
	})
	for verb, usage := range map[string]string{
		"add-db": "DB", "remove-db": "DB", "add-remote": "REMOTE", "remove-remote": "REMOTE",
		"set-active-ovsdb-server": "", "connect-active-ovsdb-server": "", "disconnect-active-ovsdb-server": "", "set-sync-exclude-tables": "",
	} {
		ctl.Register("ovsdb-server/"+verb, usage, 0, 1, func(context.Context, []string) (string, error) {
			return "", fmt.Errorf("%s: databases and remotes stand in %s: change it and use ovsdb-server/reload", verb, c.path)
		})
	}
}

// file is the path of a database: relative ones are below the database directory.
func (c *configured) file(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(daemon.DBDir(), name)
}

// schemas yields the name of the database that a file holds, while it is served.
func (c *configured) schemas(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, schema := range c.s.Databases() {
			if db := c.s.Database(schema); db != nil && db.File() == c.file(name) && !yield(schema) {
				return
			}
		}
	}
}

// close ends serving a database.
func (c *configured) close(name string) {
	for schema := range c.schemas(name) {
		_ = c.s.RemoveDatabase(schema) // it is gone already
	}
}
