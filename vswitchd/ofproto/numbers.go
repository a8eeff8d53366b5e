package ofproto

import "govs/vswitchd/desired"

// maxAuto is the last OpenFlow number that is given without being asked for
// (ovs-vswitchd.conf.db(5), ofport).
const maxAuto = 32767

// Numbers gives a bridge's interfaces their OpenFlow numbers. A number that
// became free is given again only after all others. The zero value is ready.
type Numbers struct {
	used map[int]string
	next int // where the search starts
}

// Take gives the interface a number: its bridge's local port's, else the one
// that is requested, else the one that it had before, else a free one; 0 when
// all are taken. A number that somebody else has is not given.
func (n *Numbers) Take(name string, local bool, request, before int) int {
	if n.used == nil {
		n.used = make(map[int]string)
	}
	for _, no := range []int{request, before} {
		if local {
			no = desired.LocalPort
		}
		if no != 0 && n.free(no, name) {
			n.used[no] = name
			return no
		}
	}
	for range maxAuto {
		n.next = n.next%maxAuto + 1
		if n.free(n.next, name) {
			n.used[n.next] = name
			return n.next
		}
	}
	return 0
}

// Owner is who has the number, "" for nobody.
func (n *Numbers) Owner(no int) string { return n.used[no] }

// Give returns a number.
func (n *Numbers) Give(no int) { delete(n.used, no) }

func (n *Numbers) free(no int, name string) bool {
	owner, taken := n.used[no]
	return !taken || owner == name
}

// TakeOther gives the interface the number that it requests, else a free one
// other than the one to avoid.
func (n *Numbers) TakeOther(name string, request, avoid int) int {
	if n.used[avoid] == "" {
		n.used[avoid] = "\x00" // nobody's name
		defer delete(n.used, avoid)
	}
	return n.Take(name, false, request, 0)
}
