package seccomp

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"govs/brcompat/ioctl"
)

// run is a machine for the few instructions that the filter has.
func run(t *testing.T, prog []unix.SockFilter, data []byte) uint32 {
	t.Helper()
	var a uint32
	for pc := 0; pc < len(prog); pc++ {
		switch i := prog[pc]; i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = binary.LittleEndian.Uint32(data[i.K:])
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			if a == i.K {
				pc += int(i.Jt)
			} else {
				pc += int(i.Jf)
			}
		case unix.BPF_RET | unix.BPF_K:
			return i.K
		default:
			t.Fatalf("instruction %d: code %#x", pc, i.Code)
		}
	}
	t.Fatal("the program ran out")
	return 0
}

func TestProgram(t *testing.T) {
	prog := Program(ioctl.Commands())
	verdict := func(arch, nr uint32, cmd uint64) uint32 {
		data := make([]byte, 64)
		binary.LittleEndian.PutUint32(data[0:], nr)
		binary.LittleEndian.PutUint32(data[4:], arch)
		binary.LittleEndian.PutUint64(data[24:], cmd)
		return run(t, prog, data)
	}
	others := []uint64{0, 0x5401, 0x8911, 0x8927, 0x89a4, 0x89f1, 0x893f, 0x8942}
	for _, abi := range ioctl.ABIs() {
		for _, c := range ioctl.Commands() {
			if v := verdict(abi.Audit, abi.NR, uint64(c)); v != unix.SECCOMP_RET_USER_NOTIF {
				t.Errorf("%s: ioctl %#x: %#x", abi.Name, c, v)
			}
			// The kernel takes the low word only; so must the filter.
			if v := verdict(abi.Audit, abi.NR, uint64(c)|1<<40); v != unix.SECCOMP_RET_USER_NOTIF {
				t.Errorf("%s: ioctl %#x with a high word: %#x", abi.Name, c, v)
			}
			for nr := range uint32(500) {
				if v := verdict(abi.Audit, nr, uint64(c)); nr != abi.NR && v != unix.SECCOMP_RET_ALLOW {
					t.Errorf("%s: system call %d: %#x", abi.Name, nr, v)
				}
			}
			if v := verdict(unix.AUDIT_ARCH_MIPS, abi.NR, uint64(c)); v != unix.SECCOMP_RET_ALLOW {
				t.Errorf("unknown machine: %#x", v)
			}
		}
		for _, c := range others {
			if v := verdict(abi.Audit, abi.NR, c); v != unix.SECCOMP_RET_ALLOW || slices.Contains(ioctl.Commands(), uint32(c)) {
				t.Errorf("%s: ioctl %#x: %#x", abi.Name, c, v)
			}
		}
	}
}
