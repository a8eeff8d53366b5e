// Command caller makes bridge ioctls, prints what they return, and is run under
// the launcher by the tests, which build it for several machines:
//
//	everything BRIDGE PORT  every operation, on a bridge that it adds and deletes
//	unprivileged BRIDGE     lists, adds and deletes without CAP_NET_ADMIN
//	elsewhere BRIDGE        adds the bridge in another network namespace
//	pointers BRIDGE         passes bad pointers and absurd numbers
//	again BRIDGE            asks for the bridge again and again, until it fails
//	threads BRIDGE          asks from many threads at once
//	signals BRIDGE          adds the bridge while signals arrive
//	flips BRIDGE            asks while another thread changes the memory of the question
//	flood BRIDGE            asks from many threads until it is killed
package main

import (
	"encoding/hex"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// The ioctls.
const (
	gifname    = 0x8910
	gifindex   = 0x8933
	gifbr      = 0x8940
	sifbr      = 0x8941
	addbr      = 0x89a0
	delbr      = 0x89a1
	addif      = 0x89a2
	delif      = 0x89a3
	devprivate = 0x89f0
)

const word = unsafe.Sizeof(uintptr(0))

// An arena is memory at fixed addresses.
type arena struct {
	mu   sync.Mutex
	mem  []byte
	used int
}

var mem = func() *arena {
	b, err := syscall.Mmap(-1, 0, 1<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		panic(err)
	}
	return &arena{mem: b}
}()

// put copies b into the arena, with room for size bytes, and returns that room
// and its address.
func put(size int, b []byte) ([]byte, uintptr) {
	mem.mu.Lock()
	defer mem.mu.Unlock()
	at := mem.used
	size = max(size, len(b))
	mem.used += (size + 31) &^ 15
	copy(mem.mem[at:at+size], b)
	return mem.mem[at : at+size], uintptr(unsafe.Pointer(&mem.mem[at]))
}

func name(s string) uintptr {
	_, p := put(16, []byte(s))
	return p
}

func little(v uint64, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
	return b
}

func words(w ...uintptr) uintptr {
	var b []byte
	for _, v := range w {
		b = append(b, little(uint64(v), int(word))...)
	}
	_, p := put(4*int(word), b)
	return p
}

// ifreq makes a struct ifreq of a name and a value.
func ifreq(device string, value uint64, size int) ([]byte, uintptr) {
	b := append(make([]byte, 16), little(value, size)...)
	copy(b, device)
	return put(24+2*int(word), b)
}

// private calls SIOCDEVPRIVATE for a device with some words.
func private(fd int, device string, w ...uintptr) string {
	_, p := ifreq(device, uint64(words(w...)), int(word))
	return call(fd, devprivate, p)
}

func socket() int {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)
	if err != nil {
		panic(err)
	}
	return fd
}

func call(fd int, cmd, arg uintptr) string {
	n, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), cmd, arg)
	if errno != 0 {
		return errno.Error()
	}
	return strconv.Itoa(int(n))
}

func say(parts ...string) {
	line := ""
	for i, p := range parts {
		if i > 0 {
			line += " "
		}
		line += p
	}
	os.Stdout.WriteString(line + "\n")
}

func main() {
	runtime.LockOSThread()
	fd := socket()
	bridge := os.Args[2]
	switch os.Args[1] {
	case "everything":
		everything(fd, bridge, os.Args[3])
	case "unprivileged":
		hdr := struct{ version, pid uint32 }{0x20080522, 0}
		var data [6]uint32
		if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&data)), 0); errno != 0 {
			say(errno.Error())
			return
		}
		_, list := put(64, nil)
		say("list:", call(fd, gifbr, words(1, list, 16)))
		say("add:", call(fd, addbr, name("nobody")))
		say("old add:", call(fd, sifbr, words(2, name("nobody"))))
		say("delete:", call(fd, delbr, name(bridge)))
		say("set:", private(fd, bridge, 14, 1))
	case "elsewhere":
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			say(err.Error())
			return
		}
		fd = socket()
		_, list := put(64, nil)
		say("add:", call(fd, addbr, name(bridge)))
		say("list:", call(fd, gifbr, words(1, list, 16)))
	case "pointers":
		pointers(fd, bridge)
	case "again":
		say("begin")
		_, info := put(72, nil)
		for {
			if r := private(fd, bridge, 6, info); r != "0" {
				say(r)
				return
			}
			mem.used = 4096
			time.Sleep(time.Millisecond)
		}
	case "threads":
		threads(fd, bridge)
	case "flips":
		flips(fd, bridge)
	case "flood":
		_, info := put(72, nil)
		_, p := ifreq(bridge, uint64(words(6, info)), int(word))
		for range 200 {
			go func() {
				runtime.LockOSThread()
				for {
					call(fd, devprivate, p)
				}
			}()
		}
		say("begin")
		select {}
	case "signals":
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGUSR1)
		pid, tid := os.Getpid(), syscall.Gettid()
		begun := make(chan struct{})
		go func() {
			for n := 0; ; n++ {
				if n == 1 {
					<-begun
				}
				if n == 13 {
					say("a dozen signals")
				}
				syscall.Syscall(syscall.SYS_TGKILL, uintptr(pid), uintptr(tid), uintptr(syscall.SIGUSR1))
				time.Sleep(10 * time.Millisecond)
			}
		}()
		<-signals
		say("begin")
		close(begun)
		say("add:", call(fd, addbr, name(bridge)))
	}
}

// everything uses each operation, by the new ioctl and by the old one. The
// answers are printed in hexadecimal, less what another run would not repeat.
func everything(fd int, bridge, port string) {
	req, p := ifreq(port, 0, 4)
	say("index:", call(fd, gifindex, p))
	index := req[16:20]
	number := uintptr(index[0]) | uintptr(index[1])<<8 | uintptr(index[2])<<16 | uintptr(index[3])<<24
	back, p := put(40, append(make([]byte, 16), index...))
	say("name:", call(fd, gifname, p), string(back[:len(port)]))

	say("version:", call(fd, gifbr, words(0)))
	for _, old := range []bool{false, true} {
		if old {
			say("old add:", call(fd, sifbr, words(2, name(bridge))))
		} else {
			say("add:", call(fd, addbr, name(bridge)))
		}
		list, p := put(64, nil)
		say("list:", call(fd, gifbr, words(1, p, 16)))
		back, p := put(40, append(make([]byte, 16), list[:4]...))
		say("first:", call(fd, gifname, p), string(back[:len(bridge)]))
		if old {
			say("old addif:", private(fd, bridge, 4, number))
		} else {
			_, p := ifreq(bridge, uint64(number), 4)
			say("addif:", call(fd, addif, p))
			_, p = ifreq(bridge, uint64(number), 4)
			say("addif:", call(fd, addif, p))
		}
		for _, set := range [][2]uintptr{{8, 400}, {9, 500}, {10, 1000}, {11, 7700}, {14, 1}, {15, 4096}, {9, 99999}} {
			say("set", strconv.Itoa(int(set[0]))+":", private(fd, bridge, set[0], set[1]))
		}
		say("set 16:", private(fd, bridge, 16, 1, 5))
		say("set 17:", private(fd, bridge, 17, 1, 77))
		say("set 17:", private(fd, bridge, 17, 9, 77))

		info, p := put(72, nil)
		r := private(fd, bridge, 6, p)
		say("info:", r, hex.EncodeToString(info[16:]))
		ports, p := put(4*10, nil)
		r = private(fd, bridge, 7, p, 10)
		say("ports:", r, strconv.FormatBool(string(ports[4:8]) == string(index)))
		// What comes behind the structure is another's.
		size := 48
		if word == 4 {
			size = 44
		}
		pinfo, p := put(64, []byte("0123456789012345678901234567890123456789012345678901234567890123"))
		r = private(fd, bridge, 13, p, 1)
		say("port:", r, hex.EncodeToString(pinfo[16:44]), strconv.FormatBool(string(pinfo[size:]) == "0123456789012345678901234567890123456789012345678901234567890123"[size:]))
		fdb, p := put(16*10, nil)
		r = private(fd, bridge, 18, p, 10, 0)
		say("fdb:", r, hex.EncodeToString(fdb[7:8]))
		say("fdb:", private(fd, bridge, 18, p, 10, 10))

		if old {
			say("old delif:", private(fd, bridge, 5, number))
			say("old delete:", call(fd, sifbr, words(3, name(bridge))))
		} else {
			_, p := ifreq(bridge, uint64(number), 4)
			say("delif:", call(fd, delif, p))
			say("delete:", call(fd, delbr, name(bridge)))
		}
	}
}

func pointers(fd int, bridge string) {
	list, _ := put(4096, nil)
	at := uintptr(unsafe.Pointer(&list[0]))
	for _, cmd := range []uintptr{gifbr, sifbr, addbr, delbr, addif, delif, devprivate, gifindex, gifname} {
		say("0x"+strconv.FormatUint(uint64(cmd), 16), "at 8:", call(fd, cmd, 8))
	}
	say("list to 8:", call(fd, gifbr, words(1, 8, 16)))
	say("too long a list:", call(fd, gifbr, words(1, at, 1<<20)))
	say("unknown operation:", call(fd, gifbr, words(99)))
	say("info to 8:", private(fd, bridge, 6, 8))
	say("ports to 8:", private(fd, bridge, 7, 8, 10))
	say("-1 ports:", private(fd, bridge, 7, at, ^uintptr(0)))
	say("a million ports:", private(fd, bridge, 7, at, 1<<20))
	say("port 77:", private(fd, bridge, 13, at, 77))
	say("port -1:", private(fd, bridge, 13, at, ^uintptr(0)))
	say("no room for addresses:", private(fd, bridge, 18, at, 0, 0))
	say("addresses from far on:", private(fd, bridge, 18, at, ^uintptr(0), ^uintptr(0)))
	say("unknown operation:", private(fd, bridge, 99))
	say("another driver's ioctl:", private(fd, "lo", 6, 8))
	null, _ := syscall.Open("/dev/null", syscall.O_RDONLY, 0)
	say("not a socket:", call(null, addbr, name("file")))
	_, p := put(40, append(make([]byte, 16), 9, 9, 9, 9))
	say("unknown index:", call(fd, gifname, p))
}

// flips asks about a bridge that is there and one that is not, by a name that
// another thread changes all the time: each answer is one of the two.
func flips(fd int, bridge string) {
	_, info := put(72, nil)
	req, p := ifreq(bridge, uint64(words(6, info)), int(word))
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			copy(req, "zz\x00")
			copy(req, bridge+"\x00")
		}
	}()
	bad := 0
	for range 500 {
		switch r := call(fd, devprivate, p); r {
		case "0", "no such device", "operation not supported", "inappropriate ioctl for device":
		default:
			say(r)
			bad++
		}
	}
	close(stop)
	say("bad:", strconv.Itoa(bad))
}

func threads(fd int, bridge string) {
	const threads, rounds = 50, 40
	results := make(chan string)
	for range threads {
		_, info := put(72, nil)
		_, p := ifreq(bridge, uint64(words(6, info)), int(word))
		go func() {
			runtime.LockOSThread()
			for range rounds {
				if r := call(fd, devprivate, p); r != "0" {
					results <- r
					return
				}
			}
			results <- ""
		}()
	}
	bad := 0
	for range threads {
		if r := <-results; r != "" {
			say(r)
			bad++
		}
	}
	say("bad:", strconv.Itoa(bad))
}
