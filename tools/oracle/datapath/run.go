package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"govs/datapath/flow"
)

type options struct {
	limit        time.Duration
	cases        int
	seed         uint64
	ours, theirs string
	say          func(format string, args ...any)
}

// A report counts what a run saw.
type report struct {
	cases, packets, frames, flows, alone, traces int
	found                                        string
}

func (r *report) String() string {
	text := fmt.Sprintf("oracle: %d configurations, %d packets in, %d frames out, %d megaflows (%d more that one side alone had) and %d traces compared",
		r.cases, r.packets, r.frames, r.flows-r.alone, r.alone, r.traces)
	if r.found != "" {
		return r.found + "\n" + text + "; a difference"
	}
	return text + "; 0 differences"
}

// A pair is the two sides, and what was done to both in the present case.
type pair struct {
	sides [2]*side // ours first
	log   []string
	rep   *report

	lookups int // that C made so far
}

// run compares until the limits are reached, or a difference is found.
func run(o options) (*report, error) {
	dir, err := os.MkdirTemp("", "dporacle")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if o.ours, err = filepath.Abs(o.ours); err != nil {
		return nil, err
	}
	o.say("seed %d", o.seed)
	p := &pair{rep: &report{}}
	for i, program := range []string{o.ours, o.theirs} {
		name := []string{"ours", "C"}[i]
		if p.sides[i], err = startSide(name, program, filepath.Join(dir, name)); err != nil {
			return nil, err
		}
		defer p.sides[i].stop()
		if _, err := p.sides[i].call("time/stop"); err != nil {
			return nil, err
		}
	}
	begin := time.Now()
	for n := 0; p.rep.found == ""; n++ {
		if o.limit > 0 && time.Since(begin) > o.limit || o.cases > 0 && n >= o.cases {
			break
		}
		g := &generator{rand.New(rand.NewPCG(o.seed, uint64(n)))}
		p.log = nil
		if err := p.one(g, n); err != nil {
			return p.rep, fmt.Errorf("configuration %d of seed %d: %w\n%s", n, o.seed, err, strings.Join(p.log, "\n"))
		}
		p.rep.cases++
	}
	if p.rep.found != "" {
		p.rep.found = fmt.Sprintf("%s\n%s\nconfiguration %d of seed %d", strings.Join(p.log, "\n"), p.rep.found, p.rep.cases-1, o.seed)
	}
	return p.rep, nil
}

// both does the same on both sides.
func (p *pair) both(verb string, args ...string) (ours, theirs string, err error) {
	p.log = append(p.log, "ovs-appctl "+verb+" "+strings.Join(args, " "))
	return p.ask(verb, args...)
}

// ask is both for what changes nothing.
func (p *pair) ask(verb string, args ...string) (ours, theirs string, err error) {
	if ours, err = p.sides[0].call(verb, args...); err != nil {
		return
	}
	theirs, err = p.sides[1].call(verb, args...)
	return
}

// differ notes a difference, if it is the first.
func (p *pair) differ(what, ours, theirs string) {
	if ours != theirs && p.rep.found == "" {
		p.rep.found = fmt.Sprintf("%s differs: C\n%s\nours\n%s", what, theirs, ours)
	}
}

// one runs one configuration.
func (p *pair) one(g *generator, n int) error {
	c := g.config(n)
	for i, s := range p.sides {
		args := []string{"--if-exists", "del-br", "br0", "--", "--if-exists", "del-br", "br1"}
		if err := s.configure(args); err != nil {
			return err
		}
		if args = c.setup(s); i == 0 {
			p.log = append(p.log, "ovs-vsctl "+strings.Join(args, " "))
		}
		if err := s.configure(args); err != nil {
			return err
		}
	}
	if _, _, err := p.both("revalidator/purge"); err != nil {
		return err
	}
	for range 6 {
		if err := p.packets(g, c, n); err != nil || p.rep.found != "" {
			return err
		}
		if err := p.change(g, c); err != nil || p.rep.found != "" {
			return err
		}
	}
	return p.show("dpif/show", "dpctl/show")
}

// packets sends some packets, and looks at everything that comes of them.
func (p *pair) packets(g *generator, c *config, n int) error {
	inputs := c.inputs()
	var seen [][]byte
	for range 1 + g.IntN(8) {
		in := pick(g.Rand, inputs...)
		b := g.packet(c, in)
		if len(seen) > 0 && g.IntN(3) == 0 {
			b = pick(g.Rand, seen...)
			if p := c.port(in); c.limit == 2 && p != nil && p.mode != "trunk" {
				continue // it may have more tags than C keeps there
			}
		}
		seen = append(seen, b)
		p.rep.packets++
		a, t, err := p.both("netdev-dummy/receive", in, hexa(b))
		if err != nil {
			return err
		}
		p.differ("netdev-dummy/receive", a, t)
		if err := p.taken(); err != nil {
			return err
		}
		if g.IntN(3) == 0 {
			if _, _, err := p.both("time/warp", fmt.Sprint(1+g.IntN(300))); err != nil {
				return err
			}
		}
	}
	// C takes what was received when it comes round to it, and its revalidator
	// hears of what was learned another round later.
	for _, verb := range []string{"dpif/dump-dps", "revalidator/wait", "dpif/dump-dps", "revalidator/wait", "revalidator/wait"} {
		if _, _, err := p.both(verb); err != nil {
			return err
		}
	}
	for _, port := range inputs {
		ours, err := p.sides[0].sent(n, port)
		if err != nil {
			return err
		}
		theirs, err := p.sides[1].sent(n, port)
		if err != nil {
			return err
		}
		p.rep.frames += len(ours)
		p.differ("what port "+port+" sent", strings.Join(ours, "\n"), strings.Join(theirs, "\n"))
	}
	for _, b := range c.bridges {
		for _, verb := range []string{"fdb/show", "mdb/show"} {
			a, t, err := p.ask(verb, b)
			if err != nil {
				return err
			}
			p.differ(verb+" "+b, table(a), table(t))
		}
		a, t, err := p.ask("fdb/stats-show", b)
		if err != nil {
			return err
		}
		p.differ("fdb/stats-show "+b, a, t)
	}
	a, t, err := p.ask("dpctl/dump-flows", "-m", "--no-names")
	if err != nil {
		return err
	}
	p.rep.flows += strings.Count(a, "\n")
	difference, alone, err := compareFlows(a, t, p.now)
	p.rep.alone += alone
	if err != nil {
		return err
	}
	if difference != "" && p.rep.found == "" {
		p.rep.found = difference
	}
	in := pick(g.Rand, inputs...)
	if p := c.port(in); c.limit == 2 && p != nil && p.mode != "trunk" {
		return nil
	}
	b := pick(g.Rand, append(seen, g.packet(c, in))...)
	return p.trace(in, b, c.limit)
}

// taken waits until C's main loop came round to the packet that was received.
func (p *pair) taken() error {
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		text, err := p.sides[1].call("dpif/show")
		if err != nil {
			return err
		}
		var hit, missed int
		_, counts, _ := strings.Cut(text, " hit:")
		if n, _ := fmt.Sscanf(counts, "%d missed:%d", &hit, &missed); n == 2 && hit+missed != p.lookups {
			p.lookups = hit + missed
			return nil
		}
	}
	return nil // one that is no packet is not counted
}

// now is what C sends of packets of one of its megaflows.
func (p *pair) now(f *megaflow) ([]string, error) {
	text, err := p.sides[1].call("ofproto/trace", "ovs-dummy", flow.Format(&f.key, &everything, flow.Style{}))
	if err != nil {
		return nil, err
	}
	if a := actions.FindStringSubmatch(text); a != nil {
		return sends(a[1], &f.key)
	}
	return nil, nil
}

func (p *pair) trace(in string, b []byte, limit int) error {
	text := flowText(in, b, limit)
	a, t, err := p.ask("ofproto/trace", "ovs-dummy", text)
	if err != nil {
		return err
	}
	k := keyOf(b, limit)
	ours, err := story(a, &k)
	if err != nil {
		return err
	}
	theirs, err := story(t, &k)
	if err != nil {
		return err
	}
	p.rep.traces++
	p.differ("ofproto/trace "+text, ours, theirs)
	return nil
}

func (p *pair) show(verbs ...string) error {
	for _, verb := range verbs {
		a, t, err := p.ask(verb)
		if err != nil {
			return err
		}
		drop := func(line string) bool { // what a wider megaflow changes
			return strings.Contains(line, "hit:") || strings.HasPrefix(line, "  flows:")
		}
		ours := slices.DeleteFunc(strings.Split(a, "\n"), drop)
		theirs := slices.DeleteFunc(strings.Split(t, "\n"), drop)
		p.differ(verb, strings.Join(ours, "\n"), strings.Join(theirs, "\n"))
	}
	return nil
}

// change does something else than sending packets.
func (p *pair) change(g *generator, c *config) (err error) {
	switch g.IntN(6) {
	case 0:
		_, _, err = p.both("time/warp", fmt.Sprint(1000*(1+g.IntN(20))), "1000")
	case 1:
		_, _, err = p.both("fdb/flush", pick(g.Rand, c.bridges...))
	case 2:
		var a, t string
		port := pick(g.Rand, c.ports...)
		if port.mode == "access" || port.mode == "" && port.tag >= 0 {
			a, t, err = p.both("fdb/add", port.bridge, port.name, fmt.Sprint(port.tag), "02:00:00:00:00:03")
			p.differ("fdb/add", a, t)
		}
	case 3:
		port := pick(g.Rand, c.ports...)
		set := []string{"set", "port", port.name, fmt.Sprintf("protected=%v", g.IntN(2) == 0)}
		p.log = append(p.log, "ovs-vsctl "+strings.Join(set, " "))
		for _, s := range p.sides {
			if err := s.configure(set); err != nil {
				return err
			}
		}
	}
	if err != nil {
		return err
	}
	_, _, err = p.both("revalidator/wait")
	return err
}
