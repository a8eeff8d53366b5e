package main

import (
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// flood sends 60-byte UDP frames on an interface as fast as one thread can,
// for a while. They go to the MAC address 02:00:00:00:00:02.
func flood(name string, length time.Duration) error {
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
	frame := []byte{
		2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
		0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0x64, 0xbd, 10, 1, 1, 1, 10, 1, 1, 2,
		0x30, 0x39, 0x30, 0x39, 0, 26, 0, 0,
	}
	frame = append(frame, make([]byte, 60-len(frame))...)
	to := &unix.SockaddrLinklayer{Protocol: 0x0008, Ifindex: ifi.Index}
	end := time.Now().Add(length)
	for time.Now().Before(end) {
		for range 64 {
			if err := unix.Sendto(fd, frame, 0, to); err != nil && err != unix.ENOBUFS {
				return fmt.Errorf("sendto: %w", err)
			}
		}
	}
	return nil
}
