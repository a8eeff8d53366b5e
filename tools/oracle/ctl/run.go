package main

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

type options struct {
	root, ours, theirs string
	libraries          string // LD_LIBRARY_PATH of the C programs
	seed               uint64
	lines              int
	only               string
	quick              bool // leave slow scripts out
	scripts            []script
	meant              []meant
	say                func(string, ...any)
}

type report struct {
	commands, runs, same, meant, differences int
	took                                     time.Duration
}

func (r *report) String() string {
	return fmt.Sprintf("oracle: %d command lines, each in the 4 pairings of programs and servers, %d runs in %.0f s; %d answers of both programs on the same database compared byte by byte; %d meant differences, %d differences",
		r.commands, r.runs, r.took.Seconds(), r.same, r.meant, r.differences)
}

// A step is what came of one line of a script in one world.
type step struct {
	line    line
	outcome outcome
	change  string            // of the database
	exact   map[string]string // how the other program's answer to the same database differed
	tried   bool              // the other program was asked
}

func run(o options) (*report, error) {
	if o.libraries == "" {
		o.libraries = libraries(o.theirs)
	}
	if o.lines > 0 {
		o.scripts = append(o.scripts, randomScript(rand.New(rand.NewPCG(o.seed, 0)), o.lines))
	}
	rep := &report{}
	begin := time.Now()
	for _, s := range o.scripts {
		if o.only != "" && s.name != o.only || o.only == "" && o.quick && s.slow {
			continue
		}
		if err := rep.script(o, s); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	rep.took = time.Since(begin)
	if rep.commands == 0 {
		return nil, errors.New("no command lines")
	}
	o.say("%s", rep)
	return rep, nil
}

// libraries is where the C programs in a folder find theirs.
func libraries(bin string) string {
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64", "386": "i386"}[runtime.GOARCH]
	root := filepath.Join(filepath.Dir(bin), "root")
	return filepath.Join(root, "usr/lib", arch+"-linux-gnu") + ":" + filepath.Join(root, "lib", arch+"-linux-gnu")
}

// binaries makes a folder of links to the C programs themselves, so that they
// know their names.
func binaries(o *options, base string) error {
	dir := filepath.Join(base, "theirs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(o.theirs)
	if err != nil {
		return err
	}
	root := filepath.Join(filepath.Dir(o.theirs), "root")
	for _, e := range entries {
		target := filepath.Join(o.theirs, e.Name())
		for _, place := range []string{"usr/bin", "usr/sbin", "usr/lib/openvswitch-switch", "usr/lib/openvswitch-common"} {
			if p := filepath.Join(root, place, e.Name()); exists(p) {
				if p, err := filepath.EvalSymlinks(p); err == nil {
					target = p
				}
				break
			}
		}
		if err := os.Symlink(target, filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	o.theirs = dir
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// script plays a script in the four worlds, and compares. Where a command line was
// too late for its own time-out in some of them only, which a busy machine
// explains, it is played again.
func (rep *report) script(o options, s script) error {
	for try := 0; ; try++ {
		steps, err := worlds(o, s)
		if err != nil {
			return err
		}
		if try == 2 || !late(steps) {
			rep.compare(o, s, steps)
			return nil
		}
	}
}

// late says whether a line ended by SIGALRM in some worlds only.
func late(steps [4][]step) bool {
	for k := range steps[0] {
		n := 0
		for i := range steps {
			if steps[i][k].outcome.code == 128+14 {
				n++
			}
		}
		if n > 0 && n < len(steps) {
			return true
		}
	}
	return false
}

// pairings are the four worlds, the judge first.
var pairings = [4]string{"Debian's on Debian's", "Debian's on ours", "ours on Debian's", "ours on ours"}

// worlds plays a script in the four worlds.
func worlds(o options, s script) (steps [4][]step, err error) {
	base, err := os.MkdirTemp("", "gv")
	if err != nil {
		return steps, err
	}
	defer os.RemoveAll(base)
	if err := binaries(&o, base); err != nil {
		return steps, err
	}
	if err := os.Setenv("LD_LIBRARY_PATH", o.libraries); err != nil { // for the servers, too
		return steps, err
	}
	pairs := [4]struct{ client, server, other string }{
		{o.theirs, o.theirs, o.ours}, {o.theirs, o.ours, o.ours}, {o.ours, o.theirs, o.theirs}, {o.ours, o.ours, o.theirs},
	}
	var errs [4]error
	var wg sync.WaitGroup
	for i, p := range pairs {
		wg.Go(func() {
			w, err := newWorld(o, s, fmt.Sprintf("%s/%d", base, i), p.client, p.server, p.other)
			if err != nil {
				errs[i] = err
				return
			}
			defer w.close()
			steps[i], errs[i] = w.play(s.lines)
		})
	}
	wg.Wait()
	return steps, errors.Join(errs[:]...)
}

// compare compares what came of a script.
func (rep *report) compare(o options, s script, steps [4][]step) {
	rep.commands += len(s.lines)
	before := rep.differences
	for k, l := range s.lines {
		for i := range pairings {
			rep.runs++
			judge := 0
			if l.server && i == 3 {
				judge = 1
			}
			if st := steps[i][k]; st.tried {
				rep.same++
				rep.note(o, s, l, pairings[i]+": the other program on the same database", st.exact)
			}
			if i == judge || l.server && i == 1 {
				continue
			}
			rep.note(o, s, l, pairings[i]+", against "+pairings[judge], steps[i][k].against(steps[judge][k]))
		}
	}
	if rep.differences > before {
		o.say("script %s: %d differences", s.name, rep.differences-before)
	}
}

// note counts differences of a line, by what differs, and reports those that
// are not meant.
func (rep *report) note(o options, s script, l line, where string, diffs map[string]string) {
	for _, what := range slices.Sorted(maps.Keys(diffs)) {
		text := diffs[what]
		if text == "" {
			continue
		}
		if slices.ContainsFunc(o.meant, func(m meant) bool { return m.is(l.text, what) }) {
			rep.meant++
			continue
		}
		rep.differences++
		o.say("%s: $ %s\n%s: %s:\n%s\n", s.name, l.text, where, what, text)
	}
}

// play runs the lines of a script.
func (w *world) play(lines []line) ([]step, error) {
	var steps []step
	raced := false
	before, _, err := w.rows()
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(lines); {
		n := 1
		for lines[i].together && i+n < len(lines) && lines[i+n].together {
			n++
		}
		texts := make([]string, n)
		for k := range n {
			texts[k] = lines[i+k].text
		}
		outcomes := w.together(texts)
		after, ids, err := w.rows()
		if err != nil {
			return nil, fmt.Errorf("after %s: %w", texts, err)
		}
		sortSame(texts, outcomes)
		for k := range n {
			steps = append(steps, step{line: lines[i+k], outcome: w.tidy(outcomes[k])})
		}
		last := &steps[len(steps)-1]
		last.change = change(before, after)
		if raced = raced || n > 1; raced { // how many tries that took is chance
			last.change = configRE.ReplaceAllString(last.change, "")
		}
		if n == 1 && last.change == "" && reads(texts[0], outcomes[0]) {
			last.tried = true
			other := w.shellIn(texts[0], w.opposite())
			last.exact = exactly(outcomes[0], other, ids)
			if after, _, err = w.rows(); err != nil {
				return nil, err
			}
		}
		before = after
		i += n
	}
	return steps, nil
}

var configRE = regexp.MustCompile(`(?m)^[-+] Open_vSwitch: next_cfg=\d+\n| next_cfg=\d+`)

// reads says whether a command line that changed nothing can be asked again of
// the other program.
func reads(text string, o outcome) bool {
	for _, p := range []string{"ovs-vsctl ", "ovsdb-client "} {
		if strings.HasPrefix(text, p) && !strings.ContainsAny(text, ">|") && o.code == 0 {
			return true
		}
	}
	return false
}

// sortSame brings the outcomes of equal command lines in an order.
func sortSame(texts []string, outcomes []outcome) {
	for i := range texts {
		for j := i + 1; j < len(texts); j++ {
			a, b := outcomes[i], outcomes[j]
			if texts[i] == texts[j] && fmt.Sprint(b.code, b.stderr, b.stdout) < fmt.Sprint(a.code, a.stderr, a.stdout) {
				outcomes[i], outcomes[j] = b, a
			}
		}
	}
}

// change is how two states of the database differ.
func change(before, after map[string]int) string {
	all := maps.Clone(before)
	maps.Copy(all, after)
	var b strings.Builder
	for _, l := range slices.Sorted(maps.Keys(all)) {
		for range before[l] - after[l] {
			b.WriteString("- " + l + "\n")
		}
		for range after[l] - before[l] {
			b.WriteString("+ " + l + "\n")
		}
	}
	return b.String()
}
