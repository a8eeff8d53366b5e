package sysfs

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"govs/brcompat/ioctl"
)

// A file is what a file of bridge/ or brport/ holds. One without a show cannot
// be read; one that neither sets nor does anything cannot be written.
type file[T any] struct {
	show  func(*T) string
	set   ioctl.Setting // what a write sets, or 0
	flush bool          // a write forgets what was learned
	only0 bool          // a write of anything but 0 asks for what is not there
}

func (f *file[T]) writable() bool { return f.set != 0 || f.flush || f.only0 }

// mode is the file's mode.
func (f *file[T]) mode() uint32 {
	mode := uint32(unix.S_IFREG)
	if f.show != nil {
		mode |= 0o444
	}
	if f.writable() {
		mode |= 0o200
	}
	return mode
}

func digits[T ~uint8 | ~uint16 | ~uint32](v T) string { return strconv.FormatUint(uint64(v), 10) }

func truth(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func hexadecimal(v uint16) string { return fmt.Sprintf("0x%x", v) }

// bridgeFiles are the files of bridge/. Times are in hundredths of a second.
var bridgeFiles = map[string]*file[ioctl.BridgeInfo]{
	"ageing_time":              {show: func(i *ioctl.BridgeInfo) string { return digits(i.AgeingTime) }, set: ioctl.AgeingTime},
	"bridge_id":                {show: func(i *ioctl.BridgeInfo) string { return i.Bridge.String() }},
	"flush":                    {flush: true},
	"forward_delay":            {show: func(i *ioctl.BridgeInfo) string { return digits(i.ForwardDelay) }, set: ioctl.ForwardDelay},
	"gc_timer":                 {show: func(i *ioctl.BridgeInfo) string { return digits(i.GarbageTimer) }},
	"group_addr":               {show: func(*ioctl.BridgeInfo) string { return "1:80:c2:0:0:0" }},
	"hello_time":               {show: func(i *ioctl.BridgeInfo) string { return digits(i.HelloTime) }, set: ioctl.HelloTime},
	"hello_timer":              {show: func(i *ioctl.BridgeInfo) string { return digits(i.HelloTimer) }},
	"max_age":                  {show: func(i *ioctl.BridgeInfo) string { return digits(i.MaxAge) }, set: ioctl.MaxAge},
	"priority":                 {show: func(i *ioctl.BridgeInfo) string { return digits(i.Bridge.Priority) }, set: ioctl.BridgePriority},
	"root_id":                  {show: func(i *ioctl.BridgeInfo) string { return i.Root.String() }},
	"root_path_cost":           {show: func(i *ioctl.BridgeInfo) string { return digits(i.RootPathCost) }},
	"root_port":                {show: func(i *ioctl.BridgeInfo) string { return digits(i.RootPort) }},
	"stp_state":                {show: func(i *ioctl.BridgeInfo) string { return truth(i.STP) }, set: ioctl.STPState},
	"tcn_timer":                {show: func(i *ioctl.BridgeInfo) string { return digits(i.TCNTimer) }},
	"topology_change":          {show: func(i *ioctl.BridgeInfo) string { return truth(i.TopologyChange) }},
	"topology_change_detected": {show: func(i *ioctl.BridgeInfo) string { return truth(i.TopologyChangeDetected) }},
	"topology_change_timer":    {show: func(i *ioctl.BridgeInfo) string { return digits(i.TopologyChangeTimer) }},
}

// portFiles are the files of brport/.
var portFiles = map[string]*file[ioctl.PortInfo]{
	"change_ack":          {show: func(i *ioctl.PortInfo) string { return truth(i.TopologyChangeAck) }},
	"config_pending":      {show: func(i *ioctl.PortInfo) string { return truth(i.ConfigPending) }},
	"designated_bridge":   {show: func(i *ioctl.PortInfo) string { return i.DesignatedBridge.String() }},
	"designated_cost":     {show: func(i *ioctl.PortInfo) string { return digits(i.DesignatedCost) }},
	"designated_port":     {show: func(i *ioctl.PortInfo) string { return digits(i.DesignatedPort) }},
	"designated_root":     {show: func(i *ioctl.PortInfo) string { return i.Root.String() }},
	"forward_delay_timer": {show: func(i *ioctl.PortInfo) string { return digits(i.ForwardTimer) }},
	"hairpin_mode":        {show: func(*ioctl.PortInfo) string { return "0" }, only0: true},
	"hold_timer":          {show: func(i *ioctl.PortInfo) string { return digits(i.HoldTime) }},
	"message_age_timer":   {show: func(i *ioctl.PortInfo) string { return digits(i.MessageTimer) }},
	"path_cost":           {show: func(i *ioctl.PortInfo) string { return digits(i.PathCost) }, set: ioctl.PathCost},
	"port_id":             {show: func(i *ioctl.PortInfo) string { return hexadecimal(i.ID) }},
	"port_no":             {show: func(i *ioctl.PortInfo) string { return hexadecimal(i.ID & 0x3ff) }},
	"priority":            {show: func(i *ioctl.PortInfo) string { return digits(i.ID >> 10) }, set: ioctl.PortPriority},
	"state":               {show: func(i *ioctl.PortInfo) string { return digits(i.State) }},
}

// names returns the names of files, sorted.
func names[T any](files map[string]*file[T]) []string {
	list := make([]string, 0, len(files))
	for n := range files {
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

// parseNumber reads the number that a write begins with, as the kernel does: in
// decimal, with 0x in hexadecimal and with 0 in octal; what follows it does not
// count. The error is EINVAL where there is none.
func parseNumber(p []byte) (uint64, error) {
	base := uint64(10)
	rest := p
	switch {
	case len(p) > 2 && p[0] == '0' && p[1]|0x20 == 'x' && digit(p[2]) < 16:
		base, rest = 16, p[2:]
	case len(p) > 0 && p[0] == '0':
		base = 8
	}
	var v uint64
	n := 0
	for ; n < len(rest) && digit(rest[n]) < base; n++ {
		v = v*base + digit(rest[n])
	}
	if n == 0 {
		return 0, unix.EINVAL
	}
	return v, nil
}

func digit(c byte) uint64 {
	switch {
	case c >= '0' && c <= '9':
		return uint64(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return uint64(c|0x20-'a') + 10
	}
	return 16
}

// macTable is what brforward holds: 16 bytes an address.
func macTable(list []ioctl.FDBEntry) []byte {
	var b bytes.Buffer
	for i := range list {
		b.Write(list[i].Bytes())
	}
	return b.Bytes()
}
