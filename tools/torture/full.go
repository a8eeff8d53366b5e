package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"govs/ovsdb/storage/file"
)

// fulls is what full disks came to.
type fulls struct {
	counts
	rounds      int // in which there was no room
	compactions int // that failed for that
	kills       int // while there was none
}

func (f fulls) String() string {
	return fmt.Sprintf("%d times no room: %d transactions failed with an I/O error, %d compactions; %d transactions acknowledged before, between and after, %d kills without room",
		f.rounds, f.refused, f.compactions, f.acked, f.kills)
}

// errNoRoom is why full disks are left out.
var errNoRoom = errors.New("a full disk cannot be had")

// onSmallDisk has the server run on a tmpfs of 48 megabytes, mounted in a namespace
// of its own over an empty folder beside the database's. What a server
// before left is copied there first.
func (p *place) onSmallDisk() error {
	dir := filepath.Join(p.dir, "small")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	args := []string{"unshare", "--mount"}
	if os.Getuid() != 0 {
		args = append(args, "--map-root-user")
	}
	if out, err := exec.Command(args[0], append(args[1:], "sh", "-c", `mount -t tmpfs tmpfs "$0"`, dir)...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %w: %s", errNoRoom, err, out)
	}
	from := filepath.Dir(p.db)
	p.wrap = append(args, "sh", "-c", `mount -t tmpfs -o size=48m,mode=700 tmpfs "$0" && cp -a "$1"/. "$0" && shift && exec "$@"`, dir, from)
	p.db = filepath.Join(dir, filepath.Base(p.db))
	return nil
}

// disk is where a running server's small disk can be reached.
func (s *process) disk() string {
	return filepath.Join("/proc", fmt.Sprint(s.cmd.Process.Pid), "root", filepath.Dir(s.place.db))
}

// fill takes the room of the disk, but for some bytes.
func (s *process) fill(but int) error {
	f, err := os.OpenFile(filepath.Join(s.disk(), "fill"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for chunk := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(chunk)
	}
	if !errors.Is(err, unix.ENOSPC) {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	return f.Truncate(max(0, st.Size()-int64(but)))
}

func (s *process) empty() error { return os.Remove(filepath.Join(s.disk(), "fill")) }

// limit sets how large the files may become that a server writes.
func (s *process) limit(bytes uint64) error {
	var old unix.Rlimit
	if err := unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_FSIZE, nil, &old); err != nil {
		return err
	}
	return unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: min(bytes, old.Max), Max: old.Max}, nil)
}

// lack is a way to take the room from a server.
type lack struct {
	take func(s *process, but int) error
	give func(s *process) error
	text string // of the error
}

var (
	noSpace   = lack{(*process).fill, (*process).empty, "No space left on device"}
	fileLimit = lack{
		func(s *process, but int) error { return s.limit(uint64(but)) },
		func(s *process) error { return s.limit(unix.RLIM_INFINITY) },
		"File too large",
	}
)

// full takes the room from a server's disk and gives it back, again and again,
// while clients write and compactions run: so many rounds, or as many as there
// is time for where limit is not 0. Now and then the server is killed while there
// is no room.
func full(program string, format file.Format, l lack, r *rand.Rand, rounds int, limit time.Duration) (f fulls, err error) {
	p, err := newPlace(program, format)
	if err != nil {
		return f, err
	}
	defer p.remove()
	all := newDrivers(clients)
	s, err := p.start()
	if err != nil {
		return f, err
	}
	defer func() { s.kill() }()
	if err := all.setup(p.sock()); err != nil {
		return f, err
	}
	if l.text == noSpace.text {
		s.kill()
		if err := p.onSmallDisk(); err != nil {
			return f, err
		}
		if s, err = p.start(); err != nil {
			return f, err
		}
	}
	for end := time.Now().Add(limit); f.rounds < rounds || time.Now().Before(end); {
		if err := all.withoutRoom(s, l, r, &f); err != nil {
			return f, fmt.Errorf("%w; the server's log: %.2000s", err, s.log.String())
		}
		f.rounds++
		if r.IntN(3) != 0 {
			continue
		}
		if err := l.take(s, r.IntN(6000)); err != nil {
			return f, err
		}
		if err := all.run(p.sock(), r, 3, func() {}); err != nil {
			return f, err
		}
		f.kills++
		if s, err = all.restart(s); err != nil {
			return f, fmt.Errorf("after a kill without room: %w", err)
		}
	}
	f.counts = all.counts()
	return f, nil
}

// withoutRoom takes the room but for a random rest, has clients write, who are
// told of I/O errors, and compacts; others read. With room again it all works.
func (all drivers) withoutRoom(s *process, l lack, r *rand.Rand, f *fulls) error {
	sock := s.place.sock()
	rest := r.IntN(20_000)
	if r.IntN(3) == 0 {
		rest = r.IntN(300_000) // for what a compaction or a checkpoint needs
	}
	if err := l.take(s, rest); err != nil {
		return err
	}
	before := all.counts().refused
	for tries := 0; all.counts().refused == before; tries++ {
		if tries > 300 {
			return wrong("no transaction failed without room")
		}
		// What a compaction gave back is taken, too, and in the end all there is.
		if tries%10 == 9 {
			rest /= 2
			if err := l.take(s, rest); err != nil {
				return err
			}
		}
		var failed error
		if err := all.run(sock, r, 4, func() { failed = s.place.compact() }); err != nil {
			return err
		}
		if failed != nil {
			if !strings.Contains(strings.ToLower(failed.Error()), strings.ToLower(l.text)) {
				return wrong("a compaction failed: %v", failed)
			}
			f.compactions++
		}
	}
	for _, d := range all {
		if e := d.refusal; e != nil && (e.IO != l.text || e.Details != s.place.db+": write failed") {
			return wrong("the error is %+v", *e)
		}
	}
	if !s.running() {
		return wrong("the server ended: %s", s.cmd.ProcessState)
	}
	if err := all.read(sock); err != nil {
		return err
	}
	if err := l.give(s); err != nil {
		return err
	}
	if err := s.place.compact(); err != nil {
		return wrong("a compaction with room again: %v", err)
	}
	before = all.counts().refused
	if err := all.run(sock, r, 3, func() {}); err != nil {
		return err
	}
	if n := all.counts().refused - before; n > 0 {
		return wrong("%d transactions failed with room again", n)
	}
	return all.read(sock)
}

// restart kills a server without room, starts another one on the files that it
// left, and looks what is there. Where files are limited, that one has no room at
// first either.
func (all drivers) restart(s *process) (*process, error) {
	p := s.place
	if p.wrap == nil {
		s.kill()
		p.wrap = []string{"sh", "-c", `ulimit -S -f 8 && exec "$@"`, "sh"}
		defer func() { p.wrap = nil }()
		next, err := p.start()
		if err != nil {
			return s, err
		}
		return next, errors.Join(all.read(p.sock()), fileLimit.give(next))
	}
	// The disk goes with the server, but for who has it open.
	disk, err := os.Open(s.disk())
	if err != nil {
		return s, err
	}
	defer disk.Close()
	s.kill()
	files, err := readAll(fmt.Sprintf("/proc/self/fd/%d", disk.Fd()))
	if err != nil {
		return s, err
	}
	delete(files, "fill")
	if _, err := put(filepath.Join(p.dir, "db"), files); err != nil {
		return s, err
	}
	next, err := p.start()
	if err != nil {
		return s, err
	}
	return next, all.read(p.sock())
}
