package table_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"govs/internal/debs"
	"govs/internal/table"
)

const uuid = "711377f3-b6dd-44d5-9d42-9c57d22c4d81"

// TestAgainstDebian makes a table of awkward values with Debian's ovs-vsctl,
// takes the cells out of its csv and json outputs, and compares what we print
// in every format with what it prints.
func TestAgainstDebian(t *testing.T) {
	dir := debs.OVSDBServer(t)
	vsctl := debs.Bin(t, "ovs-vsctl")
	run := func(args ...string) string {
		t.Helper()
		r := debs.Run(t, dir, vsctl, append([]string{"--db=unix:" + dir + "/db.sock", "--no-wait"}, args...)...)
		if r.Code != 0 {
			t.Fatalf("%q: %+v", args, r)
		}
		return r.Stdout
	}
	run("add-br", "br0", "--", "add-br", "br1", "--", "set", "bridge", "br0", `external-ids:a="x \"y\", <z>&"`, `external-ids:b=""`,
		`external-ids:u=xx`+uuid+`yy`, `external-ids:n="a\nb\tc"`, `other-config:k="a,b"`, `other-config:s=" lead"`,
		"--", "set", "bridge", "br1", "stp_enable=true", "fail_mode=secure", `external-ids:"äöü"=€`)
	const columns = "--columns=_uuid,name,external_ids,other_config,stp_enable,fail_mode,ports"
	for _, condition := range []string{"stp_enable=true", "stp_enable!=maybe", "name=nope"} {
		find := []string{columns, "find", "bridge", strings.Replace(condition, "!=maybe", "=false", 1)}
		if condition == "stp_enable!=maybe" {
			find = []string{columns, "list", "bridge"}
		}
		tab := cells(t, run, find)
		for _, f := range []string{"list", "table", "html", "csv", "json"} {
			for _, d := range []string{"string", "bare", "json"} {
				for _, more := range [][]string{nil, {"--no-headings"}, {"--pretty"}, {"--max-column-width=20"}, {"--max-column-width=3"}, {"--max-column-width=x"}} {
					opts := append([]string{"--format=" + f, "--data=" + d}, more...)
					check(t, tab, opts, run(append(append([]string{}, opts...), find...)...))
				}
			}
		}
		check(t, tab, []string{"--bare"}, run(append([]string{"--bare"}, find...)...))
	}
}

// cells reads a table back from the outputs of ovs-vsctl.
func cells(t *testing.T, run func(...string) string, find []string) *table.Table {
	t.Helper()
	var doc struct {
		Headings []string
		Data     [][]json.RawMessage
	}
	if err := json.Unmarshal([]byte(run(append([]string{"-f", "json"}, find...)...)), &doc); err != nil {
		t.Fatal(err)
	}
	read := func(d string) [][]string {
		rows, err := csv.NewReader(strings.NewReader(run(append([]string{"-f", "csv", "-d", d}, find...)...))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return rows[1:]
	}
	text, bare := read("string"), read("bare")
	tab := &table.Table{Headings: doc.Headings}
	for i, row := range doc.Data {
		var out []table.Cell
		for j := range row {
			out = append(out, table.Cell{Text: text[i][j], Bare: bare[i][j], HasBare: true, JSON: row[j]})
		}
		tab.Rows = append(tab.Rows, out)
	}
	return tab
}

func parse(t *testing.T, style table.Style, opts []string) (table.Style, error) {
	t.Helper()
	fs := pflag.NewFlagSet("x", pflag.ContinueOnError)
	style.Flags(fs)
	err := fs.Parse(opts)
	return style, err
}

func check(t *testing.T, tab *table.Table, opts []string, want string) {
	t.Helper()
	style, err := parse(t, table.Style{Format: table.FormatList}, opts)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := table.Fprint(&b, style, tab); err != nil {
		t.Fatal(err)
	}
	if b.String() != want {
		t.Errorf("%v:\ngot\n%s\nwant\n%s", opts, &b, want)
	}
}

func TestSeveralTables(t *testing.T) {
	a := &table.Table{Caption: "A table", Headings: []string{"name"}}
	a.Add("x")
	b := &table.Table{Caption: "B <table>", Timestamp: "2026-01-02 03:04:05.678", Headings: []string{"n"}}
	for _, c := range []struct {
		format table.Format
		want   string
	}{
		{table.FormatTable, "A table\nname\n----\nx\n\n2026-01-02 03:04:05.678\nB <table>\nn\n-\n"},
		{table.FormatList, "A table\nname                : x\n\n2026-01-02 03:04:05.678\nB <table>\n"},
		{table.FormatCSV, "A table\nname\nx\n\n2026-01-02 03:04:05.678\nB <table>\nn\n"},
		{table.FormatHTML, "<table border=1>\n    <caption>A table</caption>\n  <tr>\n    <th>name</th>\n  </tr>\n  <tr>\n    <td>x</td>\n  </tr>\n</table>\n" +
			"2026-01-02 03:04:05.678\n<table border=1>\n    <caption>B &lt;table&gt;</caption>\n  <tr>\n    <th>n</th>\n  </tr>\n</table>\n"},
		{table.FormatJSON, `{"caption":"A table","data":[["x"]],"headings":["name"]}` + "\n" +
			`{"caption":"B <table>","data":[],"headings":["n"],"time":"2026-01-02 03:04:05.678"}` + "\n"},
	} {
		var out bytes.Buffer
		p := table.NewPrinter(&out, table.Style{Format: c.format})
		for _, tab := range []*table.Table{a, b} {
			if err := p.Print(tab); err != nil {
				t.Fatal(err)
			}
		}
		if out.String() != c.want {
			t.Errorf("%v:\ngot\n%s\nwant\n%s", c.format, &out, c.want)
		}
	}
}

func TestBadOptionsAndTables(t *testing.T) {
	for opt, want := range map[string]string{"--format=foo": `unknown output format "foo"`, "--data=foo": `unknown data format "foo"`, "--format=l": `unknown output format "l"`} {
		if _, err := parse(t, table.Style{}, []string{opt}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", opt, err)
		}
	}
	ragged := &table.Table{Headings: []string{"a", "b"}, Rows: [][]table.Cell{{table.Text("x")}}}
	if err := table.Fprint(&bytes.Buffer{}, table.Style{}, ragged); err == nil {
		t.Error("a ragged table was printed")
	}
	bad := &table.Table{Headings: []string{"a"}, Rows: [][]table.Cell{{{JSON: json.RawMessage("{")}}}}
	if err := table.Fprint(&bytes.Buffer{}, table.Style{Format: table.FormatJSON}, bad); err == nil {
		t.Error("bad JSON was printed")
	}
}
