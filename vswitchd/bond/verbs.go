package bond

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Errors of the control verbs, in the words of the C daemon.
var (
	errNoMember     = errors.New("no such member")
	errNotSLB       = errors.New("not an SLB bond")
	errBadHash      = errors.New("bad hash")
	errMigrate      = errors.New("cannot migrate to disabled member")
	errNotActivated = errors.New("cannot make disabled member active")
)

// Show is the bond as bond/show prints it.
func (b *Bond) Show(now time.Time) string {
	var s strings.Builder
	c := &b.config
	fmt.Fprintf(&s, "---- %s ----\nbond_mode: %s\n", b.name, c.Mode)
	// Flows are placed when they are translated: nothing comes around twice.
	s.WriteString("bond may use recirculation: no, Recirc-ID : -1\n")
	fmt.Fprintf(&s, "bond-hash-basis: %d\n", c.Basis)
	if c.ID != 0 {
		fmt.Fprintf(&s, "lb_output action: enabled, bond-id: %d\n", c.ID)
	} else {
		s.WriteString("lb_output action: disabled, bond-id: -1\n")
	}
	if c.Mode == BalanceSLB {
		fmt.Fprintf(&s, "all members active: %v\n", c.AllActive)
	}
	fmt.Fprintf(&s, "updelay: %d ms\ndowndelay: %d ms\n", c.UpDelay.Milliseconds(), c.DownDelay.Milliseconds())
	if c.Rebalance > 0 {
		fmt.Fprintf(&s, "next rebalance: %d ms\n", max(b.next.Sub(now), 0).Milliseconds())
	}
	fmt.Fprintf(&s, "lacp_status: %s\nlacp_fallback_ab: %v\n", b.lacp, c.FallbackAB)
	primary := c.Primary
	switch {
	case primary == "", c.Mode != ActiveBackup && !c.FallbackAB:
		primary = "<none>"
	case b.find(primary) == nil:
		primary += " (no such member)"
	}
	fmt.Fprintf(&s, "active-backup primary: %s\n", primary)
	name := "none"
	if b.active != nil {
		name = b.active.Name
	}
	fmt.Fprintf(&s, "active member mac: %s(%s)\n", b.ActiveMAC(), name)
	b.gather()
	for _, m := range b.members {
		b.showMember(&s, m, now)
	}
	return s.String()
}

func (b *Bond) showMember(s *strings.Builder, m *member, now time.Time) {
	fmt.Fprintf(s, "\nmember %s: %s\n", m.Name, word(m.enabled, "enabled", "disabled"))
	if m == b.active {
		s.WriteString("  active member\n")
	}
	if m.changing {
		fmt.Fprintf(s, "  %s expires in %d ms\n", word(m.enabled, "downdelay", "updelay"), m.due.Sub(now).Milliseconds())
	}
	fmt.Fprintf(s, "  may_enable: %v\n", m.mayEnable)
	if b.config.Mode == ActiveBackup {
		return
	}
	for h, of := range b.buckets {
		if kb := b.weight[h] / 1024; of == m && kb > 0 {
			fmt.Fprintf(s, "  hash %d: %d kB load\n", h, kb)
		}
	}
}

// Migrate gives a hash to another member (bond/migrate).
func (b *Bond) Migrate(hash, to string) error {
	if b.config.Mode != BalanceSLB {
		return errNotSLB
	}
	h, err := strconv.ParseUint(hash, 10, 32)
	if err != nil {
		return errBadHash
	}
	m := b.find(to)
	switch {
	case m == nil:
		return errNoMember
	case !m.enabled:
		return errMigrate
	}
	b.buckets[h%Hashes], b.changed = m, true
	return nil
}

// SetActive makes a member the active one (bond/set-active-member). The
// answer is what the C daemon says.
func (b *Bond) SetActive(name string) (string, error) {
	m := b.find(name)
	switch {
	case m == nil:
		return "", errNoMember
	case !m.enabled:
		return "", errNotActivated
	case m == b.active:
		return "no change", nil
	}
	b.active, b.changed, b.moved = m, true, true
	b.events(fmt.Sprintf("bond %s: active member is now %s", b.name, name))
	return "done", nil
}

// Force enables or disables a member until its link changes
// (bond/enable-member, bond/disable-member).
func (b *Bond) Force(name string, on bool) (string, error) {
	m := b.find(name)
	if m == nil {
		return "", errNoMember
	}
	m.link = on
	b.enable(m, on)
	return word(on, "enabled", "disabled"), nil
}

// HashText is bond/hash's answer: the hash of an address in a VLAN.
func HashText(mac, vlan, basis string) (string, error) {
	addr, err := net.ParseMAC(mac)
	if err != nil || len(addr) != 6 {
		return "", errors.New("invalid mac")
	}
	number := func(text, what string, bits int) (n uint64, err error) {
		if text != "" {
			if n, err = strconv.ParseUint(text, 10, bits); err != nil {
				return 0, fmt.Errorf("invalid %s", what)
			}
		}
		return n, nil
	}
	v, err := number(vlan, "vlan", 16)
	if err != nil {
		return "", err
	}
	bs, err := number(basis, "basis", 32)
	if err != nil {
		return "", err
	}
	return strconv.Itoa(int(HashMAC([6]byte(addr), uint16(v), uint32(bs)))), nil
}
