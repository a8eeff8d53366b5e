package ioctl

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// An ABI is the binary interface of a calling program. All of them are
// little-endian.
type ABI struct {
	Name  string
	Word  int    // bytes of an unsigned long and of a pointer: 4 or 8
	NR    uint32 // number of the ioctl system call
	Audit uint32 // AUDIT_ARCH_ value that seccomp reports
	tags  bool   // the top byte of a pointer is not part of the address
}

// The interfaces that are known.
var (
	AMD64 = &ABI{Name: "x86-64", Word: 8, NR: 16, Audit: unix.AUDIT_ARCH_X86_64}
	I386  = &ABI{Name: "i386", Word: 4, NR: 54, Audit: unix.AUDIT_ARCH_I386}
	ARM64 = &ABI{Name: "aarch64", Word: 8, NR: 29, Audit: unix.AUDIT_ARCH_AARCH64, tags: true}
)

// ABIs returns the known interfaces.
func ABIs() []*ABI { return []*ABI{AMD64, I386, ARM64} }

// ByAudit returns the interface with the given AUDIT_ARCH_ value, or nil.
func ByAudit(arch uint32) *ABI {
	for _, a := range ABIs() {
		if a.Audit == arch {
			return a
		}
	}
	return nil
}

// ifreq is the size of a struct ifreq.
func (a *ABI) ifreq() int { return nameSize + 2*a.Word + 8 }

// portInfo is the size of a struct __port_info, whose 64-bit members are
// aligned to 4 bytes on i386.
func (a *ABI) portInfo() int {
	if a.Word == 4 {
		return 44
	}
	return 48
}

// addr is the address that a word holds.
func (a *ABI) addr(v uint64) uint64 {
	switch {
	case a.Word == 4:
		return v & 0xffffffff
	case a.tags:
		return v &^ (0xff << 56)
	}
	return v
}

// word reads the i-th word of p.
func (a *ABI) word(p []byte, i int) uint64 {
	if a.Word == 4 {
		return uint64(binary.LittleEndian.Uint32(p[4*i:]))
	}
	return binary.LittleEndian.Uint64(p[8*i:])
}

// Memory is the calling program's memory.
type Memory interface {
	// ReadAt fills p from the given address; any error means that not all of
	// it can be read.
	ReadAt(p []byte, addr uint64) error
	// WriteAt writes p to the given address.
	WriteAt(p []byte, addr uint64) error
}
