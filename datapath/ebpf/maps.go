package ebpf

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// memory is a map of fixed size that is shared with the kernel.
type memory struct {
	bytes []byte
	size  int // of an element
}

func mapped(m *ebpf.Map, size, n int) (memory, error) {
	page := os.Getpagesize()
	b, err := unix.Mmap(m.FD(), 0, (size*n+page-1)&^(page-1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return memory{b, size}, err
}

func (m memory) close() {
	if m.bytes != nil {
		_ = unix.Munmap(m.bytes)
	}
}

func (m memory) u64(i uint32, at int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&m.bytes[int(i)*m.size+at]))
}

func (m memory) u32(i uint32, at int) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&m.bytes[int(i)*m.size+at]))
}

func (m memory) clear(i uint32) {
	for at := 0; at < m.size; at += 8 {
		m.u64(i, at).Store(0)
	}
}

// makeMaps makes the maps, empty.
func makeMaps() (*maps, error) {
	m := new(maps)
	for _, spec := range []struct {
		to         **ebpf.Map
		name       string
		kind       ebpf.MapType
		key, value uint32
		n          uint32
		flags      uint32
	}{
		{&m.devices, "govs_devices", ebpf.Hash, 4, 4, maxPorts, unix.BPF_F_NO_PREALLOC},
		{&m.ports, "govs_ports", ebpf.Array, 4, portLen, maxPorts, unix.BPF_F_MMAPABLE},
		{&m.masks, "govs_masks", ebpf.Array, 4, rawLen, maxMasks, 0},
		{&m.flows, "govs_flows", ebpf.Hash, rawLen, 8, maxFlows, unix.BPF_F_NO_PREALLOC},
		{&m.lists, "govs_lists", ebpf.Array, 4, listLen, maxLists, 0},
		{&m.stats, "govs_stats", ebpf.Array, 4, statLen, maxFlows, unix.BPF_F_MMAPABLE},
		{&m.conf, "govs_conf", ebpf.Array, 4, confLen, 1, unix.BPF_F_MMAPABLE},
		{&m.pad, "govs_pad", ebpf.PerCPUArray, 4, padLen, 1, 0},
		{&m.room, "govs_room", ebpf.PerCPUArray, 4, showLen, 1, 0},
		{&m.ring, "govs_ring", ebpf.RingBuf, 0, 0, ringLen, 0},
	} {
		made, err := ebpf.NewMap(&ebpf.MapSpec{
			Name: spec.name, Type: spec.kind, KeySize: spec.key, ValueSize: spec.value,
			MaxEntries: spec.n, Flags: spec.flags,
		})
		if err != nil {
			m.close()
			return nil, fmt.Errorf("map %s: %w", spec.name, err)
		}
		*spec.to = made
	}
	return m, nil
}

func (m *maps) close() {
	for _, one := range []*ebpf.Map{m.devices, m.ports, m.masks, m.flows, m.lists, m.stats, m.conf, m.pad, m.room, m.ring} {
		if one != nil {
			one.Close()
		}
	}
}

// programs are the three of a cache.
type programs struct {
	socket, ingress, egress *ebpf.Program
}

func load(m *maps) (p programs, err error) {
	for _, one := range []struct {
		to    **ebpf.Program
		name  string
		kind  ebpf.ProgramType
		where mode
	}{
		{&p.socket, "govs_socket", ebpf.SocketFilter, onSocket},
		{&p.ingress, "govs_ingress", ebpf.SchedCLS, onIngress},
		{&p.egress, "govs_egress", ebpf.SchedCLS, onEgress},
	} {
		*one.to, err = ebpf.NewProgram(&ebpf.ProgramSpec{
			Name: one.name, Type: one.kind, Instructions: program(m, one.where), License: "Apache-2.0",
		})
		if err != nil {
			p.close()
			var ve *ebpf.VerifierError
			if errors.As(err, &ve) && len(ve.Log) > 0 {
				err = fmt.Errorf("%w", ve)
			}
			return p, fmt.Errorf("program %s: %w", one.name, err)
		}
	}
	return p, nil
}

func (p *programs) close() {
	for _, one := range []*ebpf.Program{p.socket, p.ingress, p.egress} {
		if one != nil {
			one.Close()
		}
	}
}
