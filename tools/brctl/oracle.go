package main

import (
	_ "embed"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"

	"govs/tools/peer"
)

//go:embed corpus.txt
var corpus string

// oracle compares the sides, and returns an error where they differ.
func oracle(o options, out io.Writer) error {
	rules, err := loadRules()
	if err != nil {
		return err
	}
	e, err := newEnds(o)
	if err != nil {
		return err
	}
	defer e.close()
	fmt.Fprintf(out, "%d command lines in the corpus, %d random ones (-seed=%d), in the modes %s\n",
		len(lines(corpus)), o.random, o.seed, strings.Join(o.modes, ", "))
	bad := 0
	for _, mode := range o.modes {
		c := comparison{out: out, mode: mode, rules: rules, ends: e}
		if err := c.play(lines(corpus)); err != nil {
			return err
		}
		if err := c.play(randomLines(rand.New(rand.NewPCG(o.seed, 0)), o.random)); err != nil {
			return err
		}
		if err := e.clear(); err != nil {
			return err
		}
		fmt.Fprintf(out, "--sysfs=%-5s %4d command lines, %4d of them the same, %3d with a difference that is meant, other differences: %d\n",
			mode, c.total, c.total-c.meant-c.bad, c.meant, c.bad)
		bad += c.bad
	}
	for _, r := range rules {
		fmt.Fprintf(out, "meant, %4d times: %s\n", r.used, r.why)
	}
	if bad > 0 {
		return fmt.Errorf("%d differences that are not meant", bad)
	}
	fmt.Fprintln(out, "differences outside the list of meant ones: 0")
	return nil
}

// ends are the two sides, with the same devices, and brctl.
type ends struct {
	kernel, govs *side
	brctl        string
	brcompat     string
	vsctl        string
}

// devices are made on both sides. Fixed addresses make identifiers comparable.
var devices = []string{
	"ip link set lo up",
	"ip link add v0 address 00:16:3e:00:00:10 type veth peer name v1 address 00:16:3e:00:00:11",
	"ip link add w0 address 00:16:3e:00:00:20 type veth peer name w1 address 00:16:3e:00:00:21",
	"ip link set v0 up", "ip link set v1 up", "ip link set w0 up", "ip link set w1 up",
	"ip link add other address 00:16:3e:00:00:99 type bridge",
}

func newEnds(o options) (e *ends, err error) {
	e = &ends{}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	if e.brctl, err = peer.DebianFile("sbin/brctl", "usr/sbin/brctl"); err != nil {
		return nil, err
	}
	bin, err := filepath.Abs(o.bin)
	if err != nil {
		return nil, err
	}
	e.brcompat, e.vsctl = filepath.Join(bin, "brcompat"), filepath.Join(bin, "ovs-vsctl")
	if e.kernel, err = newSide("kernel"); err != nil {
		return nil, err
	}
	if e.govs, err = newSide("govs"); err != nil {
		return nil, err
	}
	for _, s := range []*side{e.kernel, e.govs} {
		// Silent devices learn nothing that the other side's do not.
		s.run(1, "sh", "-c", "for c in all default; do echo 1 >/proc/sys/net/ipv6/conf/$c/disable_ipv6; done")
		if err := s.all(devices...); err != nil {
			return nil, err
		}
	}
	return e, e.govs.daemons(bin)
}

func (e *ends) close() {
	for _, s := range []*side{e.kernel, e.govs} {
		if s != nil {
			s.close()
		}
	}
}

// native runs brctl on the kernel's side.
func (e *ends) native(n int, args ...string) (result, error) {
	return e.kernel.run(n, append([]string{e.brctl}, args...)...)
}

// ours runs brctl on ours.
func (e *ends) ours(n int, mode string, args ...string) (result, error) {
	return e.govs.run(n, append([]string{e.brcompat, "exec", "--sysfs=" + mode, "--", e.brctl}, args...)...)
}

// clear deletes the bridges that the lines have left, and makes the kernel's own
// one anew.
func (e *ends) clear() error {
	for _, s := range []*side{e.kernel, e.govs} {
		if err := s.all("ip link del other", devices[len(devices)-1]); err != nil {
			return err
		}
	}
	for _, b := range bridges {
		for _, s := range []*side{e.kernel, e.govs} {
			if _, err := s.run(1, "ip", "link", "set", b, "down"); err != nil {
				return err
			}
		}
		if _, err := e.native(1, "delbr", b); err != nil {
			return err
		}
		if _, err := e.ours(1, "none", "delbr", b); err != nil {
			return err
		}
	}
	return nil
}

// lines are the command lines of a text, without comments.
func lines(text string) []string {
	var list []string
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			list = append(list, l)
		}
	}
	return list
}

// A comparison compares the two sides in one mode.
type comparison struct {
	out               io.Writer
	mode              string
	rules             []*rule
	ends              *ends
	total, meant, bad int
}

// play runs lines on both sides and compares what they print. A line that
// begins with an exclamation mark is another command than brctl.
func (c *comparison) play(list []string) error {
	for _, line := range list {
		var kernel, govs result
		var err error
		if cmd, ok := strings.CutPrefix(line, "!"); ok {
			argv := strings.Fields(cmd)
			if kernel, err = c.ends.kernel.run(1, argv...); err != nil {
				return err
			}
			if govs, err = c.ends.govs.run(1, argv...); err != nil {
				return err
			}
		} else {
			argv := strings.Fields(line)
			if kernel, err = c.ends.native(1, argv...); err != nil {
				return err
			}
			if govs, err = c.ends.ours(1, c.mode, argv...); err != nil {
				return err
			}
		}
		c.total++
		switch different, meant := c.compare(line, kernel.String(), govs.String()); {
		case !different:
		case meant:
			c.meant++
		default:
			c.bad++
			fmt.Fprintf(c.out, "--sysfs=%s brctl %s\n  kernel:\n%s  govs:\n%s", c.mode, line, indent(kernel), indent(govs))
		}
	}
	return nil
}

func indent(r result) string {
	var b strings.Builder
	for l := range strings.Lines(r.String()) {
		b.WriteString("    " + strings.TrimSuffix(l, "\n") + "\n")
	}
	return b.String()
}

// compare tells whether two outputs differ, and whether that is meant: line by
// line where they have as many lines, and as a whole otherwise.
func (c *comparison) compare(line, kernel, govs string) (different, meant bool) {
	kernel, govs = mask(kernel), mask(govs)
	if kernel == govs {
		return false, false
	}
	kernel, govs = strings.TrimSuffix(kernel, "\n"), strings.TrimSuffix(govs, "\n")
	for _, r := range c.rules {
		if r.sorted && r.concerns(c.mode, line) {
			k, g := inOrder(kernel), inOrder(govs)
			if k != kernel || g != govs {
				r.used++
			}
			if kernel, govs = k, g; k == g {
				return true, true
			}
		}
	}
	k, g := strings.Split(kernel, "\n"), strings.Split(govs, "\n")
	if c.isMeant(line, kernel, govs) {
		return true, true
	}
	if len(k) != len(g) {
		return true, false
	}
	for i := range k {
		if k[i] != g[i] && !c.isMeant(line, k[i], g[i]) {
			return true, false
		}
	}
	return true, true
}

func (c *comparison) isMeant(line, kernel, govs string) bool {
	for _, r := range c.rules {
		if r.matches(c.mode, line, kernel, govs) {
			r.used++
			return true
		}
	}
	return false
}

// What another run would not repeat, on either side: how long timers have yet
// to run, and how old an address is.
var timers = regexp.MustCompile(`((?:hello|tcn|topology change|gc|message age|forward delay|hold) timer)\t\s*[0-9]+\.[0-9]{2}`)
var ages = regexp.MustCompile(`(?m)(\t(?:yes|no)\t\t)\s*[0-9]+\.[0-9]{2}$`)

func mask(s string) string {
	return ages.ReplaceAllString(timers.ReplaceAllString(s, "${1} T"), "${1}T")
}
