package sysfs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"govs/brcompat/bridge"
	"govs/brcompat/ioctl"
)

// Bridges is what is shown; bridge.Switch has it. Errors are of type unix.Errno.
type Bridges interface {
	Layout(ctx context.Context) (*bridge.Layout, error)
	Info(ctx context.Context, name string) (*ioctl.BridgeInfo, error)
	PortNo(ctx context.Context, name, device string) (uint32, error)
	PortInfo(ctx context.Context, name string, no uint32) (*ioctl.PortInfo, error)
	FDB(ctx context.Context, name string, rest bool) ([]ioctl.FDBEntry, error)
	Set(ctx context.Context, bridge string, what ioctl.Setting, port uint32, value uint64) error
	Flush(ctx context.Context, bridge string) error
}

// Options say how an FS works.
type Options struct {
	Bridges Bridges
	// Permit decides whether a thread may change something, and returns the
	// error that it gets otherwise.
	Permit func(tid int) error
	// Done is told the outcome of each change.
	Done func(what string, err error)
	Log  *slog.Logger
}

// questionTime is how long the answer to a question may take.
const questionTime = 2 * time.Second

// An FS is one mounted view. Its methods are the kernel's requests.
type FS struct {
	fuse.RawFileSystem
	Options
	bridges Bridges
	real    int // descriptor of the real folder
	server  *fuse.Server
	dead    atomic.Bool

	mu      sync.Mutex
	nodes   map[uint64]*node
	keys    map[key]*node
	next    uint64
	handles map[uint64]any // []entry of folders, *content of files
	opened  uint64
	shown   *bridge.Layout // what the kernel was told last
	walk    walk
}

// A walk is a program that has read the folder a moment ago, and now asks for all
// that it found there: as long as nothing changes, it gets what was so then.
type walk struct {
	tid    uint32
	until  time.Time
	layout *bridge.Layout // nil where something changed
}

// layout is which names are bridges and ports, for a thread that asks.
func (f *FS) layout(ctx context.Context, tid uint32) (*bridge.Layout, error) {
	f.mu.Lock()
	w := f.walk
	f.mu.Unlock()
	if w.layout != nil && w.tid == tid && time.Now().Before(w.until) {
		return w.layout, nil
	}
	return f.bridges.Layout(ctx)
}

// A content is an open file: what it held when it was opened.
type content struct{ b []byte }

// initTime is how long a mount may take to send its first request.
const initTime = 5 * time.Second

// New serves the mount whose FUSE descriptor is fd; real is a descriptor of the
// folder that it covers. Both belong to New from then on. The FS ends by itself
// when nothing is left that could look at the mount; then ended is called. It
// is the descriptor of a mount that New waits for: none at all is an error.
func New(fd, real int, o Options, ended func()) (*FS, error) {
	f := &FS{RawFileSystem: fuse.NewDefaultRawFileSystem(), Options: o, bridges: o.Bridges, real: real,
		nodes: map[uint64]*node{}, keys: map[key]*node{}, next: fuse.FUSE_ROOT_ID + 1, handles: map[uint64]any{}}
	if err := check(fd, real); err != nil {
		unix.Close(fd)
		unix.Close(real)
		return nil, err
	}
	f.nodes[fuse.FUSE_ROOT_ID] = &node{key: key{kind: rootNode}, id: fuse.FUSE_ROOT_ID, refs: 1}
	type made struct {
		server *fuse.Server
		err    error
	}
	begun := make(chan made, 1)
	go func() {
		server, err := fuse.NewServer(f, fmt.Sprintf("/dev/fd/%d", fd), &fuse.MountOptions{
			MaxBackground: 64, MaxWrite: 64 << 10, DisableXAttrs: true, EnableSymlinkCaching: true, DisableSplice: true,
			Logger:               slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
			DisabledCapabilities: fuse.CAP_READDIRPLUS_AUTO, // the other half is asked for one by one
			PanicHandler: func(p any) fuse.Status {
				o.Log.Error(fmt.Sprintf("%v", p))
				return fuse.EIO
			},
		})
		if err != nil {
			unix.Close(real)
		}
		begun <- made{server, err}
	}()
	select {
	case m := <-begun:
		if m.err != nil {
			return nil, m.err
		}
		f.server = m.server
	case <-time.After(initTime):
		return nil, errors.New("the file system was not mounted")
	}
	go func() {
		f.server.Serve()
		f.mu.Lock()
		f.server = nil
		f.mu.Unlock()
		unix.Close(real)
		ended()
	}()
	return f, nil
}

// netFolder is the folder that a view stands for.
const netFolder = "/sys/class/net"

// openNet opens the folder that this process sees.
func openNet() (int, error) {
	fd, err := unix.Open(netFolder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		err = fmt.Errorf("cannot open %s: %w", netFolder, err)
	}
	return fd, err
}

// Mount makes a view of the folder that this process sees, and a mount of it
// that is attached nowhere. Closing its descriptor is the caller's. It ends, and
// ended is called, when there is no mount of it any more.
func Mount(o Options, ended func()) (f *FS, mount int, err error) {
	real, err := openNet()
	if err != nil {
		return nil, -1, err
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(real)
		return nil, -1, fmt.Errorf("cannot open /dev/fuse: %w", err)
	}
	if mount, err = mountFUSE(fd); err != nil {
		unix.Close(fd)
		unix.Close(real)
		return nil, -1, err
	}
	if f, err = New(fd, real, o, ended); err != nil {
		unix.Close(mount)
		return nil, -1, err
	}
	return f, mount, nil
}

// mountFUSE makes the mount whose FUSE descriptor is fd.
func mountFUSE(fd int) (mount int, err error) {
	fs, err := unix.Fsopen("fuse", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("fsopen: %w", err)
	}
	defer unix.Close(fs)
	for _, o := range [][2]string{
		{"source", "brcompat"}, {"subtype", "brcompat"}, {"fd", strconv.Itoa(fd)}, {"rootmode", "40755"},
		{"user_id", strconv.Itoa(os.Getuid())}, {"group_id", strconv.Itoa(os.Getgid())},
	} {
		if err := unix.FsconfigSetString(fs, o[0], o[1]); err != nil {
			return -1, fmt.Errorf("fsconfig %s: %w", o[0], err)
		}
	}
	for _, o := range []string{"allow_other", "default_permissions"} {
		if err := unix.FsconfigSetFlag(fs, o); err != nil {
			return -1, fmt.Errorf("fsconfig %s: %w", o, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("fsconfig: %w", err)
	}
	mount, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return -1, fmt.Errorf("fsmount: %w", err)
	}
	return mount, nil
}

// Ours makes sure that a descriptor is that of the folder that this process sees
// as /sys/class/net: of its devices, and of no other file system.
func Ours(fd int) error {
	real, err := openNet()
	if err != nil {
		return err
	}
	defer unix.Close(real)
	var a, b unix.Stat_t
	if err := errors.Join(unix.Fstat(fd, &a), unix.Fstat(real, &b), isSysfs(real)); err != nil {
		return err
	}
	if a.Dev != b.Dev || a.Ino != b.Ino {
		return errors.New("it sees another " + netFolder)
	}
	return nil
}

// check makes sure that descriptors are what they should be: whoever sends
// others would have the daemon look into folders for it.
func check(fd, real int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(10, 229) {
		return errors.New("descriptor is not /dev/fuse")
	}
	return isSysfs(real)
}

func isSysfs(fd int) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return err
	}
	if fs.Type != unix.SYSFS_MAGIC {
		return errors.New("descriptor is no folder of sysfs")
	}
	return nil
}

// Close makes all later requests fail. The mount stays until its last user is
// gone.
func (f *FS) Close() { f.dead.Store(true) }

// String is the name of the file system.
func (f *FS) String() string { return "brcompat" }

// Changed tells the kernel which names it must not rely upon any more, when the
// bridges and ports are no longer what they were. It returns when the kernel
// has forgotten them. No request waits for it.
func (f *FS) Changed(ctx context.Context) {
	now, err := f.bridges.Layout(ctx)
	if err != nil {
		return
	}
	f.mu.Lock()
	server, old := f.server, f.shown
	f.shown = now
	if f.walk.layout != now {
		f.walk.layout = nil
	}
	f.mu.Unlock()
	if server == nil || old == nil || old == now {
		return
	}
	forget := func(name string) { server.EntryNotify(fuse.FUSE_ROOT_ID, name) }
	for name := range old.Bridges {
		if _, still := now.Bridges[name]; !still {
			forget(name)
		}
	}
	for name, b := range old.Ports {
		if now.Ports[name] != b {
			forget(name)
		}
	}
	for name := range now.Ports {
		if _, before := old.Ports[name]; !before {
			forget(name)
		}
	}
}

// context limits the time of a request.
func (f *FS) context(cancel <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithTimeout(context.Background(), questionTime)
	if f.dead.Load() {
		stop()
	}
	return ctx, stop
}

// stale is the answer about a node that is forgotten: the kernel looks its name
// up again.
const stale = fuse.Status(unix.ESTALE)

func errno(err error) fuse.Status {
	var e unix.Errno
	if errors.As(err, &e) {
		return fuse.Status(e)
	}
	return fuse.EIO
}

// node finds a node by its number.
func (f *FS) node(id uint64) *node {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes[id]
}

// tell counts that the kernel is told of a key, and fills in what it gets.
func (f *FS) tell(e *entry, out *fuse.EntryOut) {
	f.mu.Lock()
	n := f.keys[e.key]
	if n == nil {
		n = &node{key: e.key, id: f.next}
		f.next++
		f.keys[e.key], f.nodes[n.id] = n, n
	}
	n.refs++
	f.mu.Unlock()
	out.NodeId, out.Generation = n.id, 1
	out.SetEntryTimeout(e.keep)
	out.SetAttrTimeout(always)
	n.attr(&out.Attr)
}

// Lookup finds a name.
func (f *FS) Lookup(cancel <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	dir := f.node(h.NodeId)
	if dir == nil {
		return stale
	}
	ctx, stop := f.context(cancel)
	defer stop()
	e, keep, status := f.lookup(ctx, h.Pid, &dir.key, name)
	if status == fuse.ENOENT && keep > 0 {
		*out = fuse.EntryOut{}
		out.SetEntryTimeout(keep)
		return fuse.OK
	}
	if status != fuse.OK {
		return status
	}
	if e.keep == brief {
		e.keep = never
	}
	f.tell(&e, out)
	return fuse.OK
}

// Forget counts that the kernel dropped a node.
func (f *FS) Forget(id, count uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.nodes[id]
	if n == nil || id == fuse.FUSE_ROOT_ID {
		return
	}
	if n.refs -= min(count, n.refs); n.refs == 0 {
		delete(f.nodes, id)
		delete(f.keys, n.key)
	}
}

// GetAttr tells what stat(2) does.
func (f *FS) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := f.node(in.NodeId)
	if n == nil {
		return stale
	}
	out.SetTimeout(always)
	n.attr(&out.Attr)
	return fuse.OK
}

// SetAttr takes notice of a file being truncated, as a shell does before it
// writes; nothing else can be changed.
func (f *FS) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	const harmless = fuse.FATTR_SIZE | fuse.FATTR_FH | fuse.FATTR_LOCKOWNER | fuse.FATTR_ATIME | fuse.FATTR_MTIME |
		fuse.FATTR_ATIME_NOW | fuse.FATTR_MTIME_NOW | fuse.FATTR_CTIME | fuse.FATTR_KILL_SUIDGID
	if in.Valid&^harmless != 0 {
		return fuse.EPERM
	}
	n := f.node(in.NodeId)
	if n == nil {
		return stale
	}
	out.SetTimeout(always)
	n.attr(&out.Attr)
	return fuse.OK
}

// Readlink reads a symbolic link.
func (f *FS) Readlink(_ <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	n := f.node(h.NodeId)
	if n == nil || n.kind != linkNode {
		return nil, fuse.EINVAL
	}
	return []byte(n.name), fuse.OK
}

// OpenDir reads a folder, which stays as it was until it is closed.
func (f *FS) OpenDir(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	dir := f.node(in.NodeId)
	if dir == nil {
		return stale
	}
	ctx, stop := f.context(cancel)
	defer stop()
	if dir.kind == rootNode {
		f.Changed(ctx)
	}
	list, status := f.list(ctx, in.Pid, &dir.key)
	if status != fuse.OK {
		return status
	}
	if dir.kind == rootNode && in.Pid != 0 { // 0 is any process of another namespace
		f.mu.Lock()
		f.walk = walk{in.Pid, time.Now().Add(brief), f.shown}
		f.mu.Unlock()
	}
	out.Fh = f.open(list)
	return fuse.OK
}

// open keeps what a handle stands for.
func (f *FS) open(v any) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened++
	f.handles[f.opened] = v
	return f.opened
}

func (f *FS) handle(fh uint64) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.handles[fh]
}

func (f *FS) release(fh uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.handles, fh)
}

// ReadDir gives a part of a folder.
func (f *FS) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	list, _ := f.handle(in.Fh).([]entry)
	for i := in.Offset; i < uint64(len(list)); i++ {
		if !out.AddDirEntry(fuse.DirEntry{Name: list[i].name, Mode: list[i].key.mode(), Off: i + 1}) {
			break
		}
	}
	return fuse.OK
}

// ReadDirPlus gives a part of a folder, and what a Lookup of each name would.
func (f *FS) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	list, _ := f.handle(in.Fh).([]entry)
	for i := in.Offset; i < uint64(len(list)); i++ {
		e := &list[i]
		eo := out.AddDirLookupEntry(fuse.DirEntry{Name: e.name, Mode: e.key.mode(), Off: i + 1})
		if eo == nil {
			break
		}
		f.tell(e, eo)
	}
	return fuse.OK
}

// ReleaseDir closes a folder.
func (f *FS) ReleaseDir(in *fuse.ReleaseIn) { f.release(in.Fh) }

// Open opens a file, and reads what it holds.
func (f *FS) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n := f.node(in.NodeId)
	if n == nil {
		return stale
	}
	mode := in.Flags & unix.O_ACCMODE
	perm := n.mode()
	if mode != unix.O_RDONLY && perm&0o200 == 0 || mode != unix.O_WRONLY && perm&0o444 == 0 {
		return fuse.EACCES // for root, too, as in sysfs
	}
	c := &content{}
	if mode != unix.O_WRONLY {
		ctx, stop := f.context(cancel)
		defer stop()
		var err error
		if c.b, err = f.read(ctx, &n.key); err != nil {
			return errno(err)
		}
	}
	out.Fh = f.open(c)
	out.OpenFlags = fuse.FOPEN_DIRECT_IO | fuse.FOPEN_NOFLUSH
	return fuse.OK
}

// read is what a file holds now.
func (f *FS) read(ctx context.Context, k *key) ([]byte, error) {
	switch k.kind {
	case bridgeFile:
		i, err := f.bridges.Info(ctx, k.bridge)
		if err != nil {
			return nil, err
		}
		return []byte(bridgeFiles[k.name].show(i) + "\n"), nil
	case portFile:
		no, err := f.bridges.PortNo(ctx, k.bridge, k.port)
		if err != nil {
			return nil, err
		}
		i, err := f.bridges.PortInfo(ctx, k.bridge, no)
		if err != nil {
			return nil, err
		}
		return []byte(portFiles[k.name].show(i) + "\n"), nil
	case macNode:
		list, err := f.bridges.FDB(ctx, k.bridge, false)
		if err != nil {
			return nil, err
		}
		return macTable(list), nil
	}
	return nil, unix.EISDIR
}

// Read gives a part of a file.
func (f *FS) Read(_ <-chan struct{}, in *fuse.ReadIn, _ []byte) (fuse.ReadResult, fuse.Status) {
	c, ok := f.handle(in.Fh).(*content)
	if !ok {
		return nil, fuse.EBADF
	}
	from := min(in.Offset, uint64(len(c.b)))
	to := min(from+uint64(in.Size), uint64(len(c.b)))
	return fuse.ReadResultData(c.b[from:to]), fuse.OK
}

// Write sets something. All of it is one write, as in sysfs.
func (f *FS) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	n := f.node(in.NodeId)
	if n == nil {
		return 0, stale
	}
	what, err := f.write(int(in.Pid), &n.key, data)
	if f.Done != nil {
		f.Done(what, err)
	}
	if err != nil {
		return 0, errno(err)
	}
	return uint32(len(data)), fuse.OK
}

// write carries a write out. A change takes as long as it takes: Bridges limits
// it.
func (f *FS) write(tid int, k *key, data []byte) (what string, err error) {
	what = fmt.Sprintf("write %s to %s of %s", printable(data), k.name, k.bridge)
	if k.port != "" {
		what += " port " + k.port
	}
	if f.dead.Load() {
		return what, unix.EIO
	}
	if err := f.Permit(tid); err != nil {
		return what, err
	}
	value, err := parseNumber(data)
	if err != nil {
		return what, err
	}
	ctx := context.Background()
	switch k.kind {
	case bridgeFile:
		if bridgeFiles[k.name].flush {
			return what, f.bridges.Flush(ctx, k.bridge)
		}
		return what, f.bridges.Set(ctx, k.bridge, bridgeFiles[k.name].set, 0, value)
	case portFile:
		if portFiles[k.name].only0 {
			if value != 0 {
				return what, unix.EOPNOTSUPP
			}
			return what, nil
		}
		no, err := f.bridges.PortNo(ctx, k.bridge, k.port)
		if err != nil {
			return what, err
		}
		return what, f.bridges.Set(ctx, k.bridge, portFiles[k.name].set, no, value)
	}
	return what, unix.EACCES
}

// printable is the beginning of what was written, for a log.
func printable(data []byte) string { return fmt.Sprintf("%q", data[:min(len(data), 24)]) }

// Release closes a file.
func (f *FS) Release(_ <-chan struct{}, in *fuse.ReleaseIn) { f.release(in.Fh) }

// Flush has nothing to do: the kernel need not ask again.
func (f *FS) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.ENOSYS }

// StatFs says nothing of interest.
func (f *FS) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	*out = fuse.StatfsOut{Bsize: pageSize, NameLen: 255}
	return fuse.OK
}

// Access is left to the permissions of the files.
func (f *FS) Access(<-chan struct{}, *fuse.AccessIn) fuse.Status { return fuse.ENOSYS }
