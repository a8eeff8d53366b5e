package afpacket

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// dropIngress attaches a program to the head of the device's TCX ingress that
// drops everything. AF_PACKET sockets have had their copy by then.
func dropIngress(index int) (link.Link, error) {
	const shot = 2 // TCX_DROP
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "govs_drop",
		Type: ebpf.SchedCLS,
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R0, shot),
			asm.Return(),
		},
		License: "Apache-2.0",
	})
	if err != nil {
		return nil, fmt.Errorf("loading a program: %w", err)
	}
	defer prog.Close()
	l, err := link.AttachTCX(link.TCXOptions{
		Interface: index,
		Program:   prog,
		Attach:    ebpf.AttachTCXIngress,
		Anchor:    link.Head(),
	})
	if errors.Is(err, ebpf.ErrNotSupported) {
		return nil, fmt.Errorf("TCX needs Linux 6.6: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("attaching to TCX: %w", err)
	}
	return l, nil
}
