package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// A kind says how a row's figures are compared and judged.
type kind uint8

const (
	rate     kind = iota // higher is better; the target is a least ratio to C
	duration             // milliseconds, lower is better; the target is a least ratio C to govs
	size                 // lower is better; the target is a greatest ratio to C
	longest              // milliseconds; the target is the most that govs may take
	quotient             // higher is better; the target is the least that govs may have
)

// A row is one line of the table.
type row struct {
	name   string
	kind   kind
	target float64 // 0: none
}

// A figure is what one run measured for one row.
type figure struct {
	value float64
	cpu   float64 // microseconds of the server's time for one transaction, where that was measured
}

// A measure gives the figures of some rows, in their order, of one server.
type measure struct {
	rows   []row
	short  bool // stands in the short table, too
	self   bool // C against itself: shows the noise
	rounds int  // at the most, where not 0
	run    func(*subject) ([]figure, error)
}

// databaseMeasures is the long table. The targets are those of the project.
var databaseMeasures = []measure{
	{rows: []row{{"add-br/s, 1 client", rate, 3}}, short: true,
		run: addBridges{clients: 1, depth: 1}.run},
	{rows: []row{{"add-br/s, 8 clients, 8 deep", rate, 6}}, short: true,
		run: addBridges{clients: 8, depth: 8}.run},
	{rows: []row{{"add-br/s 8x8, 0 bridges", rate, 0}, {"add-br/s 8x8, 10,000 bridges", rate, 0}, {"  the second by the first", quotient, 0.9}},
		run: flatness},
	{rows: []row{{"durable add-br/s, 16 clients, 4 deep", rate, 15}}, short: true,
		run: addBridges{clients: 16, depth: 4, durable: true}.run},
	{rows: []row{{"  fdatasyncs for 1,000 of them", size, 0}}, rounds: 1,
		run: syncs},
	{rows: []row{{"update one row/s, 4 clients, 4 deep", rate, 6}},
		run: updateOne},
	{rows: []row{{"update 50 rows' statistics/s, 2x2", rate, 12}},
		run: updateFifty},
	{rows: []row{{"select by uuid/s, 4x4", rate, 4}, {"select by an indexed column/s, 4x4", rate, 4}, {"  the second by the first", quotient, 0.9}},
		run: selects},
	{rows: []row{{"50 monitors, same columns, deliveries/s", rate, 3}},
		run: fanOut{method: "monitor_cond"}.run},
	{rows: []row{{"50 monitors, own conditions, deliveries/s", rate, 4}},
		run: fanOut{method: "monitor_cond", own: true}.run},
	{rows: []row{{"50 monitors, version 1, deliveries/s", rate, 8}},
		run: fanOut{method: "monitor"}.run},
	{rows: []row{{"initial 10,000 rows, 1 client, ms", duration, 8}}, short: true,
		run: initial{clients: 1, times: 5}.run},
	{rows: []row{{"initial 10,000 rows, 20 at once, ms", duration, 40}},
		run: initial{clients: 20, times: 1}.run},
	{rows: []row{{"initial 10,000 rows, 20 own conditions, ms", duration, 10}},
		run: initial{clients: 20, times: 1, own: true}.run},
	{rows: []row{{"16,000 rows x20: longest transaction, ms", longest, 2}, {"16,000 rows x20: longest echo, ms", longest, 2}},
		run: meanwhile},
	{rows: []row{
		{"100,000 rows: exec to first select, ms", duration, 5},
		{"100,000 rows: RSS after start, MB", size, 0.7},
		{"100,000 rows x10: longest transaction, ms", longest, 5},
		{"100,000 rows x10: longest echo, ms", longest, 5},
		{"100,000 rows: RSS after 10 monitors, MB", size, 0.3},
	}, rounds: 3, run: large},
	{rows: []row{{"C against C: update one row/s, 4x4", rate, 0}}, self: true,
		run: updateOne},
}

// A subject is one of the two servers under test.
type subject struct {
	o       options
	name    string
	program string
	schema  []byte
	made    map[int]string // folders of prepared databases, by their bridges
	runs    int
}

// databases compares the two servers and prints the table, the short one or
// the long one.
func databases(o options, long bool) error {
	only, err := regexp.Compile(o.rows)
	if err != nil {
		return err
	}
	schema, err := os.ReadFile("schema/vswitch/vswitch.ovsschema")
	if err != nil {
		return err
	}
	ours := &subject{o: o, name: "govs", program: filepath.Join(o.bin, "ovsdb-server"), schema: schema, made: map[int]string{}}
	theirs := &subject{o: o, name: "C", program: filepath.Join(o.theirs, "ovsdb-server"), schema: schema, made: map[int]string{}}
	fmt.Printf("\n%-44s %10s %10s %8s  %-10s %s\n", "database", "govs", "C", "ratio", "target", "server CPU us/transaction")
	for _, m := range databaseMeasures {
		wanted := slices.ContainsFunc(m.rows, func(r row) bool { return only.MatchString(r.name) })
		if !wanted || !long && !m.short {
			continue
		}
		pair := [2]*subject{ours, theirs}
		if m.self {
			pair[0] = theirs
		}
		rounds := o.rounds
		if m.rounds > 0 {
			rounds = min(rounds, m.rounds)
		}
		figures := [2][][]figure{make([][]figure, len(m.rows)), make([][]figure, len(m.rows))}
		for range rounds {
			for i, s := range pair {
				got, err := m.run(s)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", s.name, m.rows[0].name, err)
				}
				for k, f := range got {
					figures[i][k] = append(figures[i][k], f)
				}
			}
		}
		for k, r := range m.rows {
			r.print(middle(figures[0][k]), middle(figures[1][k]))
		}
	}
	return nil
}

// middle gives the medians of some figures.
func middle(all []figure) figure {
	var values, cpus []float64
	for _, f := range all {
		values, cpus = append(values, f.value), append(cpus, f.cpu)
	}
	return figure{median(values), median(cpus)}
}

func (r row) print(ours, theirs figure) {
	ratio, met, sign := ours.value/theirs.value, false, ">="
	switch r.kind {
	case rate:
		met = ratio >= r.target
	case duration:
		ratio = theirs.value / ours.value
		met = ratio >= r.target
	case size:
		met, sign = ratio <= r.target, "<="
	case longest:
		met, sign = ours.value <= r.target, "<="
	case quotient:
		met = ours.value >= r.target
	}
	digits := 0
	if max(ours.value, theirs.value) < 100 {
		digits = 2
	}
	fmt.Printf("%-44s %10.*f %10.*f %8.2f", r.name, digits, ours.value, digits, theirs.value, ratio)
	target := ""
	if r.target > 0 {
		target = fmt.Sprintf("%s %g", sign, r.target)
		if r.kind == longest {
			target += " ms"
		}
		if !met {
			target += " NO"
		}
	}
	cpu := ""
	if ours.cpu > 0 {
		cpu = fmt.Sprintf("  %.0f : %.0f", ours.cpu, theirs.cpu)
	}
	if target+cpu != "" {
		fmt.Printf("  %-10s%s", target, cpu)
	}
	fmt.Println()
}
