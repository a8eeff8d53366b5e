package main

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// quoted writes text as strace was asked to.
func quoted(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		const digits = "0123456789abcdef"
		b.WriteString(`\x` + string(digits[c>>4]) + string(digits[c&15]))
	}
	return `"` + b.String() + `"`
}

// sampleTrace is one record flushed and acknowledged, one that is not, and a
// file that takes another's place.
var sampleTrace = strings.Join([]string{
	`7 openat(AT_FDCWD, ` + quoted("/d/a") + `, O_RDWR|O_CLOEXEC) = 3`,
	`7 openat(AT_FDCWD, ` + quoted("/d") + `, O_RDONLY|O_CLOEXEC) = 4`,
	`8 accept4(9,  <unfinished ...>`,
	`7 pwrite64(3, ` + quoted("one") + `, 3, 4) = 3`,
	`8 <... accept4 resumed>{sa_family=AF_UNIX}, [112 => 2], SOCK_CLOEXEC) = 5`,
	`7 fdatasync(3 <unfinished ...>`,
	`8 pwrite64(3, ` + quoted("two") + `, 3, 7) = 3`,
	`7 <... fdatasync resumed>)          = 0`,
	`7 write(5, ` + quoted(`{"id":"1:4:true","result":[]}`) + `, 29) = 29`,
	`7 openat(AT_FDCWD, ` + quoted("/d/b") + `, O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0640) = 6`,
	`7 write(6, ` + quoted("new") + `, 3) = 3`,
	`7 renameat(AT_FDCWD, ` + quoted("/d/b") + `, AT_FDCWD, ` + quoted("/d/a") + `) = 0`,
	`7 fsync(4)                         = 0`,
	`7 unlinkat(AT_FDCWD, ` + quoted("/d/z") + `, 0) = -1 ENOENT (No such file or directory)`,
	`7 write(5, ` + quoted(`{"id":"1:5:false"`) + ` <detached ...>`,
}, "\n") + "\n"

// TestVolume follows a trace, and looks what a power cut may leave on the way.
func TestVolume(t *testing.T) {
	moments, err := readTrace(strings.NewReader(sampleTrace))
	if err != nil {
		t.Fatal(err)
	}
	v := newVolume("/d", map[string][]byte{"a": []byte("old-")})
	acks := newDrivers(2)
	v.sent = acks.sent
	r := rand.New(rand.NewPCG(1, 1))
	seen := map[string]bool{} // what file a may be, at this moment
	var at string
	check := func(when string, want ...string) {
		t.Helper()
		if at != when {
			return
		}
		clear(seen)
		for range 300 {
			for _, how := range losses {
				seen[string(v.cut(how, r)["a"])] = true
			}
		}
		for _, w := range want {
			if !seen[w] {
				t.Errorf("%s: %q is not among what a power cut may leave", when, w)
			}
			delete(seen, w)
		}
		for s := range seen {
			t.Errorf("%s: a power cut leaves %q", when, s)
		}
	}
	for _, m := range moments {
		v.step(m)
		if v.err != nil {
			t.Fatal(v.err)
		}
		at = m.name + map[bool]string{true: " returned", false: " began"}[m.end]
		if m.name == "write" && len(v.names["a"].now) != 10 {
			at = "later"
		}
		// Blocks hold more than this file: a write is there or not. The length
		// may be one, and the block from before.
		check("fdatasync began", "old-", "old-one", "old-\x00\x00\x00")
		check("fdatasync returned", "old-one", "old-onetwo", "old-one\x00\x00\x00")
		check("renameat returned", "old-one", "old-onetwo", "old-one\x00\x00\x00", "", "new", "\x00\x00\x00")
		check("fsync returned", "", "new", "\x00\x00\x00")
		if at == "fdatasync returned" && acks[1].durable != 0 || at == "renameat returned" && acks[1].durable != 4 {
			t.Errorf("%s: acknowledged up to %+v", at, acks[1])
		}
	}
	if acks[1].acked != 5 || acks[1].durable != 4 || acks[0].acked != 0 {
		t.Errorf("acknowledged: %+v", acks[1])
	}
}

// TestUnknownCall: what the model does not know is not passed over.
func TestUnknownCall(t *testing.T) {
	for _, line := range []string{
		`7 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3, 0) = 0x7f0000000000`,
		`7 copy_file_range(9, NULL, 3, NULL, 10, 0) = 10`,
		`7 pwrite64(3, ` + quoted("one") + `, 3, 4) = 2`,
		`7 pwrite64(3, ` + quoted("one") + `, 3, 4) = -1 ENOSPC (No space left on device)`,
		`7 io_uring_setup(1, 0x7f) = 8`,
		`7 renameat(AT_FDCWD, ` + quoted("/d/a") + `, AT_FDCWD, ` + quoted("/e/a") + `) = 0`,
	} {
		moments, err := readTrace(strings.NewReader(`7 openat(AT_FDCWD, ` + quoted("/d/a") + `, O_RDWR|O_CLOEXEC) = 3` + "\n" + line + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		v := newVolume("/d", map[string][]byte{"a": nil})
		for _, m := range moments {
			v.step(m)
		}
		if v.err == nil {
			t.Errorf("passed over: %s", line)
		}
	}
	for _, bad := range []string{"x", "7 <... read resumed>) = 0", "7 read(3", "7 nothing = 0"} {
		if _, err := readTrace(strings.NewReader(bad)); err == nil {
			t.Errorf("read: %s", bad)
		}
	}
}

// FuzzTrace reads any text as a trace.
func FuzzTrace(f *testing.F) {
	f.Add([]byte(sampleTrace))
	f.Fuzz(func(t *testing.T, in []byte) {
		moments, err := readTrace(bytes.NewReader(in))
		if err != nil {
			return
		}
		for _, m := range moments {
			if m.call == nil {
				t.Fatal("a moment of nothing")
			}
		}
	})
}
