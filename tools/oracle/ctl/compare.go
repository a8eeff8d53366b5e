package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// A meant difference of the commands is a line "$ REGEXP | WHAT | why" of
// differences.txt: the command lines and what may differ there: "stdout",
// "stderr", "exit", "database", "order" (of the rows that are printed), "answer"
// (of the other program on the same database), or several of them.
type meant struct {
	lines *regexp.Regexp
	what  []string
}

func (m meant) is(text, what string) bool {
	return slices.Contains(m.what, what) && m.lines.MatchString(text)
}

func parseMeant(text string) ([]meant, error) {
	var all []meant
	for l := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(l), "$ ")
		if !ok {
			continue
		}
		f := strings.Split(rest, " | ")
		if len(f) != 3 {
			return nil, fmt.Errorf("differences.txt: %s", l)
		}
		re, err := regexp.Compile(f[0])
		if err != nil {
			return nil, fmt.Errorf("differences.txt: %w", err)
		}
		all = append(all, meant{re, strings.Fields(f[1])})
	}
	return all, nil
}

var (
	uuidRE  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	stampRE = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT[0-9:.]+Z\|\d+\|`)
	timeRE  = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?`)
	linkRE  = regexp.MustCompile(`("#?[?-]{36}">)[0-9a-f]{8}(</a>)`)
	startRE = regexp.MustCompile(`(record|row) "?[0-9A-Fa-f-]{4,12}"?`)
	cutRE   = regexp.MustCompile(`\b[0-9a-f]{8}-([0-9a-f]{1,4}\b)?`) // a UUID in a narrow column
	ownerRE = regexp.MustCompile(`locked by pid -?\d+`)
	asPidRE = regexp.MustCompile(`(running as pid) \d+`)
	versRE  = regexp.MustCompile(`\(Open vSwitch\) \d+\.\d+\.\d+`)
	dateRE  = regexp.MustCompile(`"_date":\d+`)
	headRE  = regexp.MustCompile(`OVSDB JSON \d+ [0-9a-f]{40}`)
	pidRE   = regexp.MustCompile(`\.\d+\.ctl`)
	rowRE   = regexp.MustCompile(`row[0-9a-f]{8}_[0-9a-f]{4}_[0-9a-f]{4}_[0-9a-f]{4}_[0-9a-f]{12}`)
)

const anUUID = "????????-????-????-????-????????????"

// tidy takes out of an outcome what differs from run to run: UUIDs, times,
// process ids and the folder.
func (w *world) tidy(o outcome) outcome {
	o.stdout, o.stderr = w.tidyText(o.stdout), stampRE.ReplaceAllString(w.tidyText(o.stderr), "TIME|")
	return o
}

func (w *world) tidyText(s string) string {
	s = strings.ReplaceAll(s, w.dir, "DIR")
	s = rowRE.ReplaceAllString(s, "row")
	s = linkRE.ReplaceAllString(uuidRE.ReplaceAllString(s, anUUID), "$1????????$2")
	s = cutRE.ReplaceAllString(s, "????????-")
	s = ownerRE.ReplaceAllString(s, "locked by pid PID")
	s = asPidRE.ReplaceAllString(s, "$1 PID")
	s = versRE.ReplaceAllString(s, "(Open vSwitch) VERSION")
	s = startRE.ReplaceAllString(s, "$1 ????????")
	s = dateRE.ReplaceAllString(s, `"_date":DATE`)
	s = headRE.ReplaceAllString(s, "OVSDB JSON SIZE SUM")
	s = stampRE.ReplaceAllString(s, "TIME|")
	s = timeRE.ReplaceAllString(s, "TIME")
	return pidRE.ReplaceAllString(s, ".PID.ctl")
}

// died says that a program, C's, ended by a fault of its own.
func (o outcome) died() bool { return o.code == 128+6 || o.code == 128+11 }

// against says what differs between a step and the judge's, by its name.
func (st step) against(judge step) map[string]string {
	d := map[string]string{}
	if judge.outcome.died() && !st.outcome.died() {
		return d
	}
	if a, b := st.outcome.stdout, judge.outcome.stdout; a != b && !sameBag(a, b) {
		d["stdout"] = both(a, b)
	}
	if a, b := st.outcome.stderr, judge.outcome.stderr; a != b {
		d["stderr"] = both(a, b)
	}
	if a, b := st.outcome.code, judge.outcome.code; a != b {
		d["exit"] = both(fmt.Sprint(a), fmt.Sprint(b))
	}
	if st.change != judge.change {
		d["database"] = both(st.change, judge.change)
	}
	return d
}

// both shows two texts from where they begin to differ.
func both(got, want string) string {
	a, b := strings.Split(strings.TrimSuffix(got, "\n"), "\n"), strings.Split(strings.TrimSuffix(want, "\n"), "\n")
	from := 0
	for from < min(len(a), len(b)) && a[from] == b[from] {
		from++
	}
	from = max(0, from-1)
	cut := func(lines []string) string {
		const most = 20
		more := ""
		if lines = lines[from:]; len(lines) > most {
			lines, more = lines[:most], fmt.Sprintf("\n  ... (%d lines more)", len(lines)-most)
		}
		return "  " + strings.Join(lines, "\n  ") + more
	}
	return fmt.Sprintf("got, from line %d\n%s\nwant\n%s", from+1, cut(a), cut(b))
}

// sameBag says whether two outputs have the same words: rows with UUIDs of their
// own are in an order of their own. Where the order is the same, exactly sees to.
func sameBag(a, b string) bool {
	bag := func(s string) []string {
		words := strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`,[]{}<>"\`, r) })
		slices.Sort(words)
		return words
	}
	return len(a) == len(b) && slices.Equal(bag(a), bag(b))
}

// exactly compares two programs' answers to the same database: all is the same
// but UUIDs of rows that do not exist, which were made up.
func exactly(a, b outcome, ids map[string]bool) map[string]string {
	known := func(s string) string {
		s = uuidRE.ReplaceAllStringFunc(s, func(id string) string {
			if ids[id] {
				return id
			}
			return anUUID
		})
		s = dateRE.ReplaceAllString(s, `"_date":DATE`)
		s = headRE.ReplaceAllString(s, "OVSDB JSON SIZE SUM")
		return timeRE.ReplaceAllString(rowRE.ReplaceAllString(s, "row"), "TIME")
	}
	if a.died() != b.died() { // C's: see differences.txt
		return nil
	}
	a.stderr, b.stderr = stampRE.ReplaceAllString(a.stderr, "TIME|"), stampRE.ReplaceAllString(b.stderr, "TIME|")
	a.stdout, b.stdout, a.stderr, b.stderr = known(a.stdout), known(b.stdout), known(a.stderr), known(b.stderr)
	if a.stdout == b.stdout && a.stderr == b.stderr && a.code == b.code {
		return nil
	}
	what := "answer"
	if a.stderr == b.stderr && a.code == b.code && sameBag(a.stdout, b.stdout) {
		what = "order"
	}
	return map[string]string{what: both(fmt.Sprintf("%s%sexit %d", a.stdout, a.stderr, a.code), fmt.Sprintf("%s%sexit %d", b.stdout, b.stderr, b.code))}
}
