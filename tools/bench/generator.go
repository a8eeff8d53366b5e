package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// frame is a 60-byte UDP frame to the MAC address 02:00:00:00:00:0N of host N,
// counted from one. The last four bytes of its source address are its flow's.
func frame(to byte) []byte {
	f := []byte{
		2, 0, 0, 0, 0, to, 2, 1, 0, 0, 0, 0, 8, 0,
		0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0x64, 0xbd, 10, 1, 1, 1, 10, 1, 1, 2,
		0x30, 0x39, 0x30, 0x39, 0, 26, 0, 0,
	}
	return append(f, make([]byte, 60-len(f))...)
}

// flowAt is where the number of the flow stands in a frame.
const flowAt = 8

// flood sends frames of so many flows on an interface as fast as one thread can,
// for a while.
func flood(name string, to byte, flows int, length time.Duration) error {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		return err
	}
	f, at := frame(to), &unix.SockaddrLinklayer{Protocol: 0x0008, Ifindex: ifi.Index}
	n, end := 0, time.Now().Add(length)
	for time.Now().Before(end) {
		for range 64 {
			binary.BigEndian.PutUint32(f[flowAt:], uint32(n%flows))
			n++
			if err := unix.Sendto(fd, f, 0, at); err != nil && err != unix.ENOBUFS {
				return fmt.Errorf("sendto: %w", err)
			}
		}
	}
	return nil
}

// liveFrames has the kernel receive frames to host 2, of so many flows, on an
// interface, for a while: BPF_PROG_RUN with frames that are passed on
// (Documentation/bpf/bpf_prog_run.rst of Linux).
func liveFrames(name string, flows int, length time.Duration) error {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	next, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return err
	}
	defer next.Close()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: numbering(next, flows)})
	if err != nil {
		return err
	}
	defer prog.Close()
	context := struct{ Data, DataEnd, DataMeta, IngressIfindex, RxQueueIndex, EgressIfindex uint32 }{
		DataEnd: 60, IngressIfindex: uint32(ifi.Index),
	}
	for end := time.Now().Add(length); time.Now().Before(end); {
		_, err := prog.Run(&ebpf.RunOptions{Data: frame(2), Context: context, Repeat: 1 << 17, Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES})
		if err != nil {
			return fmt.Errorf("live frames: %w", err)
		}
	}
	return nil
}

// numbering is a program that writes the number of the next flow into a frame
// and passes it on.
func numbering(next *ebpf.Map, flows int) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, next.FD()),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "pass"),
		asm.LoadMem(asm.R3, asm.R0, 0, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R3),
		asm.Add.Imm(asm.R4, 1),
		asm.Mod.Imm32(asm.R4, int32(flows)),
		asm.StoreMem(asm.R0, 0, asm.R4, asm.Word),
		asm.LoadMem(asm.R1, asm.R6, 0, asm.Word), // data
		asm.LoadMem(asm.R2, asm.R6, 4, asm.Word), // data_end
		asm.Mov.Reg(asm.R5, asm.R1),
		asm.Add.Imm(asm.R5, flowAt+4),
		asm.JGT.Reg(asm.R5, asm.R2, "pass"),
		asm.HostTo(asm.BE, asm.R3, asm.Word),
		asm.StoreMem(asm.R1, flowAt, asm.R3, asm.Word),
		asm.Mov.Imm(asm.R0, 2).WithSymbol("pass"), // XDP_PASS
		asm.Return(),
	}
}
