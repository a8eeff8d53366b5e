package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"govs/ovsdb/storage/file"
	"govs/tools/peer"
)

// TestLocks: beside a running server nobody else writes its database, and our
// programs say so in the words of the C programs, whoever holds the lock.
func TestLocks(t *testing.T) {
	theirServer, err := peer.Debian("ovsdb-server")
	if err != nil {
		t.Skip(err)
	}
	ours, theirs := programs(t), filepath.Dir(theirServer)
	ask := func(dir, db, program string) string {
		args := []string{db}
		if filepath.Base(program) == "ovsdb-tool" {
			args = []string{"transact", db, `["Torture",{"op":"insert","table":"Item","row":{}}]`}
		} else {
			args = append(args, "--remote=punix:"+dir+"/s2", "--unixctl="+dir+"/c2", "-vsyslog:off", "-vfile:off", "--no-chdir")
		}
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "OVS_RUNDIR="+dir)
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("%s opened the database of another server", program)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return strings.ReplaceAll(lines[len(lines)-1], db, "DB")
	}
	for _, h := range []struct {
		server string
		format file.Format
	}{{theirs, file.Log}, {ours, file.Log}, {ours, file.Bolt}} {
		p, err := newPlace(filepath.Join(h.server, "ovsdb-server"), h.format)
		if err != nil {
			t.Fatal(err)
		}
		defer p.remove()
		s, err := p.start()
		if err != nil {
			t.Fatal(err)
		}
		defer s.kill()
		for _, program := range []string{"ovsdb-server", "ovsdb-tool"} {
			want := program + ": I/O error: DB: failed to lock lockfile (Resource temporarily unavailable)"
			by := []string{ours}
			if h.format == file.Log {
				by = append(by, theirs)
			}
			for _, dir := range by {
				if got := ask(p.dir, p.db, filepath.Join(dir, program)); got != want {
					t.Errorf("%s beside %s: %q", filepath.Join(dir, program), p.server, got)
				}
			}
		}
		if !s.running() {
			t.Errorf("%s ended", p.server)
		}
	}
}
