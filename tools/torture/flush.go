package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"govs/ovsdb/storage/file"
)

// flushes counts how often a server flushes for so many clients that each have
// so many durable transactions acknowledged.
func flushes(program string, format file.Format, r *rand.Rand, writers, each int) (transactions, flushed int, err error) {
	p, err := newPlace(program, format)
	if err != nil {
		return 0, 0, err
	}
	defer p.remove()
	all := newDrivers(writers)
	s, err := p.start()
	if err != nil {
		return 0, 0, err
	}
	err = all.setup(p.sock())
	s.kill()
	if err != nil {
		return 0, 0, err
	}
	name := filepath.Join(p.dir, "trace")
	if p.wrap, err = tracer(name, "fsync", "fdatasync"); err != nil {
		return 0, 0, fmt.Errorf("%w: %w", errNoTrace, err)
	}
	// A flush takes as long as on a plain disk, whatever there is here.
	p.wrap = append(p.wrap, "-e", "inject=fsync,fdatasync:delay_enter=2000")
	if s, err = p.start(); err != nil {
		return 0, 0, fmt.Errorf("%w: %w", errNoTrace, err)
	}
	defer s.kill()
	for _, d := range all {
		d.always = true
	}
	if err := all.run(p.sock(), r, each, func() {}); err != nil {
		return 0, 0, err
	}
	if err := p.exit(s); err != nil {
		return 0, 0, err
	}
	f, err := os.Open(name)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	moments, err := readTrace(f)
	for _, m := range moments {
		if m.end {
			flushed++
		}
	}
	return all.counts().durable, flushed, err
}
