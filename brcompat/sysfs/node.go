package sysfs

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A kind is what a node is.
type kind uint8

const (
	rootNode   kind = iota // the folder that stands for /sys/class/net
	linkNode               // a symbolic link
	bridgeNode             // the folder of a bridge
	portNode               // the folder of a port
	bridgeDir              // a bridge's folder bridge/
	brifNode               // a bridge's folder brif/
	brportNode             // a port's folder brport/
	bridgeFile             // a file of bridge/
	portFile               // a file of brport/
	macNode                // a bridge's brforward
)

// A key says all there is to know about a node, so that two lookups of the same
// thing find the same node, and what changed is another node.
type key struct {
	kind   kind
	bridge string // name of a bridge
	port   string // name of a port's device
	name   string // of a file; the target of a link
}

// A node is a key that the kernel knows by a number.
type node struct {
	key
	id   uint64
	refs uint64 // how often the kernel was told of it
}

// How long the kernel may keep an entry. Zero is no time at all; brief is as
// long as a program takes to look at all that it found in a folder, and counts
// for what it found there, not for what it looked up by name.
const (
	always = time.Hour
	brief  = 100 * time.Millisecond
	never  = 0
)

// An entry is a name in a folder.
type entry struct {
	name string
	key  key
	keep time.Duration
}

// mode is the type and the permissions of a node.
func (k *key) mode() uint32 {
	switch k.kind {
	case linkNode:
		return unix.S_IFLNK | 0o777
	case bridgeFile:
		return bridgeFiles[k.name].mode()
	case portFile:
		return portFiles[k.name].mode()
	case macNode:
		return unix.S_IFREG | 0o444
	}
	return unix.S_IFDIR | 0o755
}

// attr fills in what stat(2) tells of a node. Files have the size that those of
// sysfs have, whatever they hold.
func (n *node) attr(a *fuse.Attr) {
	*a = fuse.Attr{Ino: n.id, Mode: n.mode(), Nlink: 1}
	if n.kind == bridgeFile || n.kind == portFile {
		a.Size = pageSize
	}
	if n.kind == linkNode {
		a.Size = uint64(len(n.name))
	}
	a.Blksize = pageSize
}

const pageSize = 4096

// lookup finds a name in a folder. Where there is none, keep is how long the
// kernel may remember that.
func (f *FS) lookup(ctx context.Context, tid uint32, dir *key, name string) (e entry, keep time.Duration, status fuse.Status) {
	found := func(k key, keep time.Duration) (entry, time.Duration, fuse.Status) {
		return entry{name, k, keep}, 0, fuse.OK
	}
	missing := func(keep time.Duration) (entry, time.Duration, fuse.Status) { return entry{}, keep, fuse.ENOENT }
	switch dir.kind {
	case rootNode:
		l, err := f.layout(ctx, tid)
		if err != nil {
			return entry{}, 0, errno(err)
		}
		if _, ok := l.Bridges[name]; ok {
			return found(key{kind: bridgeNode, bridge: name}, never)
		}
		if b, ok := l.Ports[name]; ok {
			return found(key{kind: portNode, bridge: b, port: name}, brief)
		}
		target, ok := f.readlink(name)
		if !ok {
			return missing(never)
		}
		return found(key{kind: linkNode, name: target}, brief)
	case bridgeNode:
		for _, e := range bridgeEntries(dir) {
			if e.name == name {
				return e, 0, fuse.OK
			}
		}
		return f.below(dir.bridge, name)
	case portNode:
		for _, e := range portEntries(dir) {
			if e.name == name {
				return e, 0, fuse.OK
			}
		}
		if name == "bridge" || name == "brif" || name == "brforward" {
			return missing(always)
		}
		return f.below(dir.port, name)
	case brifNode:
		l, err := f.layout(ctx, tid)
		if err != nil {
			return entry{}, 0, errno(err)
		}
		if slices.Contains(l.Bridges[dir.bridge], name) {
			return found(portLink(name), never)
		}
		return missing(never)
	case bridgeDir:
		if bridgeFiles[name] != nil {
			return found(key{kind: bridgeFile, bridge: dir.bridge, name: name}, always)
		}
		return missing(always)
	case brportNode:
		if portFiles[name] != nil {
			return found(key{kind: portFile, bridge: dir.bridge, port: dir.port, name: name}, always)
		}
		if name == "bridge" {
			return found(key{kind: linkNode, name: "../../" + dir.bridge}, always)
		}
		return missing(always)
	}
	return entry{}, 0, fuse.ENOTDIR
}

// bridgeEntries is what the folder of a bridge has beside its device's entries.
func bridgeEntries(dir *key) []entry {
	return []entry{
		{"bridge", key{kind: bridgeDir, bridge: dir.bridge}, always},
		{"brif", key{kind: brifNode, bridge: dir.bridge}, always},
		{"brforward", key{kind: macNode, bridge: dir.bridge}, always},
	}
}

// portEntries is the same for the folder of a port.
func portEntries(dir *key) []entry {
	return []entry{
		{"brport", key{kind: brportNode, bridge: dir.bridge, port: dir.port}, always},
		{"master", key{kind: linkNode, name: "../" + dir.bridge}, always},
	}
}

func portLink(device string) key { return key{kind: linkNode, name: "../../" + device + "/brport"} }

// below finds a name in the real folder of a device.
func (f *FS) below(device, name string) (entry, time.Duration, fuse.Status) {
	target, ok := f.readlink(device)
	if !ok {
		return entry{}, never, fuse.ENOENT
	}
	var st unix.Stat_t
	if err := unix.Fstatat(f.real, device+"/"+name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return entry{}, never, fuse.ENOENT
	}
	return entry{name, deviceLink(target, name), brief}, 0, fuse.OK
}

// deviceLink is a link out of our folder of a device into the real one, whose
// own link in /sys/class/net points to target.
func deviceLink(target, name string) key {
	return key{kind: linkNode, name: filepath.Join("..", target, name)}
}

// readlink reads a link of the real folder, and tells whether there is one.
func (f *FS) readlink(name string) (string, bool) {
	if strings.Contains(name, "/") {
		return "", false
	}
	var buf [unix.PathMax]byte
	n, err := unix.Readlinkat(f.real, name, buf[:])
	return string(buf[:max(n, 0)]), err == nil
}

// list lists a folder.
func (f *FS) list(ctx context.Context, tid uint32, dir *key) ([]entry, fuse.Status) {
	switch dir.kind {
	case rootNode:
		return f.listRoot(ctx)
	case bridgeNode:
		return f.listDevice(dir.bridge, bridgeEntries(dir))
	case portNode:
		return f.listDevice(dir.port, portEntries(dir))
	case brifNode:
		l, err := f.layout(ctx, tid)
		if err != nil {
			return nil, errno(err)
		}
		var list []entry
		for _, p := range l.Bridges[dir.bridge] {
			list = append(list, entry{p, portLink(p), never})
		}
		return list, fuse.OK
	case bridgeDir:
		var list []entry
		for _, n := range names(bridgeFiles) {
			list = append(list, entry{n, key{kind: bridgeFile, bridge: dir.bridge, name: n}, always})
		}
		return list, fuse.OK
	case brportNode:
		list := []entry{{"bridge", key{kind: linkNode, name: "../../" + dir.bridge}, always}}
		for _, n := range names(portFiles) {
			list = append(list, entry{n, key{kind: portFile, bridge: dir.bridge, port: dir.port, name: n}, always})
		}
		return list, fuse.OK
	}
	return nil, fuse.ENOTDIR
}

func (f *FS) listRoot(ctx context.Context) ([]entry, fuse.Status) {
	l, err := f.bridges.Layout(ctx)
	if err != nil {
		return nil, errno(err)
	}
	var list []entry
	for _, name := range f.children(".") {
		if _, ours := l.Bridges[name]; ours {
			continue
		}
		if b, ours := l.Ports[name]; ours {
			list = append(list, entry{name, key{kind: portNode, bridge: b, port: name}, brief})
		} else if target, ok := f.readlink(name); ok {
			list = append(list, entry{name, key{kind: linkNode, name: target}, never})
		}
	}
	for name := range l.Bridges {
		list = append(list, entry{name, key{kind: bridgeNode, bridge: name}, never})
	}
	slices.SortFunc(list, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return list, fuse.OK
}

// listDevice lists our entries of a device, and links to its own.
func (f *FS) listDevice(device string, ours []entry) ([]entry, fuse.Status) {
	list := slices.Clone(ours)
	target, ok := f.readlink(device)
	if !ok {
		return list, fuse.OK
	}
	for _, name := range f.children(device) {
		if !slices.ContainsFunc(ours, func(e entry) bool { return e.name == name }) {
			list = append(list, entry{name, deviceLink(target, name), brief})
		}
	}
	return list, fuse.OK
}

// children are the names in the real folder of a device, or in "." itself.
func (f *FS) children(device string) []string {
	fd, err := unix.Openat(f.real, device, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	var names []string
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err != nil || n <= 0 {
			return names
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}
