package service

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"govs/schema/atom"
)

// identify stores what the database is to know of the system.
func (s *service) identify() error {
	id, err := s.systemID()
	if err != nil {
		return err
	}
	s.say("Configuring Open vSwitch system IDs.")
	kind, version := s.o.systemType, s.o.systemVersion
	if kind == "" {
		kind = firstLine(configured("system-type.conf"))
	}
	if version == "" {
		version = firstLine(configured("system-version.conf"))
	}
	if kind == "" || version == "" {
		release := osRelease()
		if kind == "" {
			kind = release["ID"]
		}
		if version == "" {
			version = release["VERSION_ID"]
		}
	}
	args := []string{"set", "Open_vSwitch", ".", "external-ids:system-id=" + quoted(id)}
	for _, pair := range s.o.externalIDs {
		if key, value, ok := strings.Cut(pair, "="); ok {
			args = append(args, "external-ids:"+quoted(key)+"="+quoted(value))
		}
	}
	args = append(args, "external-ids:rundir="+quoted(filepath.Dir(s.o.dbSock)))
	if kind != "" {
		args = append(args, "system-type="+quoted(kind))
	}
	if version != "" {
		args = append(args, "system-version="+quoted(version))
	}
	_, err = s.vsctl(args...)
	return err
}

// systemID is the system's identity: as it was told, or the one that is kept in
// system-id.conf, which "random" makes where it is missing.
func (s *service) systemID() (string, error) {
	file := configured("system-id.conf")
	switch s.o.systemID {
	case "", "random":
	default:
		return s.o.systemID, nil
	}
	if id := firstLine(file); id != "" {
		return id, nil
	}
	if s.o.systemID == "" {
		s.say("system ID not configured, please use --system-id ... failed!")
		return "", nil
	}
	id := atom.New().String()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", err
	}
	return id, os.WriteFile(file, []byte(id+"\n"), 0o644)
}

// quoted makes a string that the syntax of ovs-vsctl takes as it is.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func firstLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
}

// osRelease reads os-release(5).
func osRelease() map[string]string {
	values := make(map[string]string)
	f, err := os.Open("/etc/os-release")
	if errors.Is(err, fs.ErrNotExist) {
		f, err = os.Open("/usr/lib/os-release")
	}
	if err != nil {
		return values
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok {
			values[key] = strings.Trim(value, `"'`)
		}
	}
	return values
}

// recordHostname sets external-ids:hostname where it is not set.
func (s *service) recordHostname() error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	_, err = s.vsctl("add", "Open_vSwitch", ".", "external-ids", "hostname="+quoted(name))
	return err
}

// deleteTransientPorts deletes the ports that are not to outlive a start.
func (s *service) deleteTransientPorts() error {
	ports, err := s.vsctl("--bare", "--", "--columns=name", "find", "port", "other_config:transient=true")
	if err != nil {
		return err
	}
	for _, p := range strings.Fields(ports) {
		if _, err := s.vsctl("--if-exists", "del-port", p); err != nil {
			return err
		}
	}
	return nil
}
