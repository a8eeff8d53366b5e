package link

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// message makes a message about a device, as the kernel sends it.
func message(kind uint16, family byte, name string, mac []byte) []byte {
	body := make([]byte, unix.SizeofIfInfomsg)
	body[0] = family
	attr := func(what uint16, value []byte) {
		body = binary.NativeEndian.AppendUint16(body, uint16(4+len(value)))
		body = binary.NativeEndian.AppendUint16(body, what)
		body = append(body, value...)
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
	}
	attr(unix.IFLA_IFNAME, append([]byte(name), 0))
	if mac != nil {
		attr(unix.IFLA_ADDRESS, mac)
	}
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	return append(append(b, make([]byte, unix.SizeofNlMsghdr-len(b))...), body...)
}

func TestNews(t *testing.T) {
	mac := []byte{2, 0, 0, 0, 0, 1}
	var n News
	for _, m := range [][]byte{
		message(unix.RTM_NEWLINK, unix.AF_UNSPEC, "v0", mac),
		message(unix.RTM_NEWLINK, unix.AF_BRIDGE, "v1", mac), // became a port of a bridge
		message(unix.RTM_DELLINK, unix.AF_BRIDGE, "v1", mac),
		message(unix.RTM_NEWLINK, unix.AF_UNSPEC, "tun0", nil),
		message(unix.RTM_DELLINK, unix.AF_UNSPEC, "v0", mac),
	} {
		n.read(m)
	}
	if len(n.Gone) != 1 || n.Gone[0] != "v0" {
		t.Errorf("gone: %q", n.Gone)
	}
	if len(n.Addresses) != 1 || n.Addresses[0].Name != "v0" || n.Addresses[0].MAC.String() != "02:00:00:00:00:01" {
		t.Errorf("addresses: %v", n.Addresses)
	}
}

func FuzzNews(f *testing.F) {
	f.Add(message(unix.RTM_NEWLINK, unix.AF_UNSPEC, "v0", []byte{2, 0, 0, 0, 0, 1}))
	f.Add(message(unix.RTM_DELLINK, unix.AF_UNSPEC, "v0", nil)[:30])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var n News
		n.read(b)
		for _, a := range n.Addresses {
			if a.Name == "" || len(a.MAC) != 6 {
				t.Errorf("%+v", a)
			}
		}
	})
}
