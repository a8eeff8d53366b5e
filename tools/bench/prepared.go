package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"govs/tools/peer"
)

// start runs the server on a fresh copy of the prepared database with this
// many bridges, each of three rows. The copy goes when stop is called.
func (s *subject) start(bridges int) (srv *peer.Server, stop func(), err error) {
	from, err := s.prepared(bridges)
	if err != nil {
		return nil, nil, fmt.Errorf("preparing %d bridges: %w", bridges, err)
	}
	s.runs++
	dir := filepath.Join(s.o.dir, fmt.Sprintf("%s-run%d", s.name, s.runs))
	if err := copyFiles(from, dir); err != nil {
		return nil, nil, err
	}
	srv, err = peer.Run(s.program, dir)
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	return srv, func() {
		srv.Stop()
		os.RemoveAll(dir)
	}, nil
}

// prepared makes a database through the server itself, once.
func (s *subject) prepared(bridges int) (string, error) {
	if dir := s.made[bridges]; dir != "" {
		return dir, nil
	}
	dir := filepath.Join(s.o.dir, fmt.Sprintf("%s-%d", s.name, bridges))
	if err := peer.Create(s.program, dir, s.schema); err != nil {
		return "", err
	}
	srv, err := peer.Run(s.program, dir)
	if err != nil {
		return "", err
	}
	defer srv.Stop()
	c, err := dial(srv.Sock)
	if err != nil {
		return "", err
	}
	defer c.close()
	c.out = insertRoot(c.out)
	if _, err := c.call(); err != nil {
		return "", err
	}
	const batch = 200
	for from := 0; from < bridges; from += batch {
		c.out = fillBridges(c.out, from, min(from+batch, bridges))
		if _, err := c.call(); err != nil {
			return "", err
		}
	}
	if err := srv.Exit(filepath.Join(s.o.theirs, "ovs-appctl"), []string{"ovsdb-server/compact"}); err != nil {
		return "", err
	}
	s.made[bridges] = dir
	return dir, nil
}

// copyFiles copies a folder's regular files.
func copyFiles(from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync() // or its writing back disturbs what is measured
}
