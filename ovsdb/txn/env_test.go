package txn

import (
	"strings"
	"testing"
	"time"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/store"
	"govs/schema"
)

func execute(t *testing.T, s *store.Snapshot, params string, env Env) Result {
	t.Helper()
	v, err := json.Parse([]byte(params))
	if err != nil {
		t.Fatal(err)
	}
	return Parse(s.Schema(), v).Execute(s, env)
}

func newSnapshot(t *testing.T) *store.Snapshot {
	t.Helper()
	return newOurs(t, readSchema(t)).db.Snapshot()
}

func TestReadOnly(t *testing.T) {
	s := newSnapshot(t)
	for params, want := range map[string]string{
		`["T",{"op":"comment","comment":"x"},{"op":"insert","table":"A","row":{}},{"op":"comment","comment":"y"}]`: `[{},{"details":"insert operation not allowed when database server is in read only mode","error":"not allowed"},null]`,
		`["T",{"op":"delete","table":"A","where":[["zz","==",1]]}]`:                                                `[{"details":"No column zz in table A.","error":"unknown column","syntax":"[\"zz\",\"==\",1]"}]`,
		`["T",{"op":"commit","durable":true}]`:                                                                     `[{"details":"commit operation not allowed when database server is in read only mode","error":"not allowed"}]`,
		`["T",{"op":"select","table":"A","where":[]},{"op":"abort"}]`:                                              `[{"rows":[]},{"details":"aborted by request","error":"aborted"}]`,
	} {
		res := execute(t, s, params, Env{ReadOnly: true})
		if string(res.Reply) != want || res.Delta != nil || res.Next != s {
			t.Errorf("%s\ngot  %s\nwant %s", params, res.Reply, want)
		}
	}
}

func TestLock(t *testing.T) {
	s := newSnapshot(t)
	has := func(name string) bool { return name == "mine" }
	if res := execute(t, s, `["T",{"op":"assert","lock":"mine"}]`, Env{HasLock: has}); string(res.Reply) != "[{}]" {
		t.Errorf("%s", res.Reply)
	}
	if res := execute(t, s, `["T",{"op":"assert","lock":"theirs"}]`, Env{HasLock: has}); res.Err == nil || res.Err.Tag != dberr.NotOwner {
		t.Errorf("%s", res.Reply)
	}
}

func TestPermit(t *testing.T) {
	s := newSnapshot(t)
	s = execute(t, s, `["T",{"op":"insert","table":"A","row":{"name":"x"}}]`, Env{}).Next
	var asked []string
	env := Env{Permit: func(op string, tab *schema.Table, row *store.Row, cols []*schema.Column) *dberr.Error {
		for _, c := range cols {
			op += " " + c.Name
		}
		name := "any"
		if row != nil {
			name = row.Get(tab.Column("name")).Key(0).Str()
		}
		asked = append(asked, op+" "+name)
		if op == "delete" && row != nil {
			return dberr.New(dberr.PermissionError, "no")
		}
		return nil
	}}
	res := execute(t, s, `["T",{"op":"insert","table":"A","row":{"name":"y","i":1}},{"op":"update","table":"A","where":[["name","==","x"]],"row":{"b":true}},`+
		`{"op":"mutate","table":"A","where":[["name","==","x"]],"mutations":[["i","+=",2]]},{"op":"delete","table":"A","where":[["name","==","x"]]}]`, env)
	if got := strings.Join(asked, ", "); got != "insert y, update b any, update b x, mutate i any, mutate i x, delete any, delete x" {
		t.Error(got)
	}
	if res.Err == nil || res.Err.Tag != dberr.PermissionError || res.Next != s {
		t.Errorf("%s", res.Reply)
	}
}

// TestWait executes a transaction that has to wait: until the row is there, or
// the time is over.
func TestWait(t *testing.T) {
	s := newSnapshot(t)
	start := time.Unix(100, 0)
	const params = `["T",{"op":"insert","table":"A","row":{"name":"n","i":1}},{"op":"wait","table":"A","where":[["name","==","x"]],"columns":["b"],"until":"==","rows":[{"b":true}],"timeout":1000}]`
	res := execute(t, s, params, Env{Now: start, Started: start})
	if res.Wait == nil || res.Reply != nil || res.Delta != nil || !res.Wait.Deadline.Equal(start.Add(time.Second)) {
		t.Fatalf("%+v", res)
	}
	tab := s.Schema().Table("A")
	if res.Wait.Table != nil {
		t.Errorf("behind a write: %+v", res.Wait)
	}
	for _, c := range []struct {
		columns string
		want    int
	}{{`"b"`, 2}, {`"name"`, 1}, {`"_version"`, len(tab.Columns)}} {
		w := execute(t, s, `["T",{"op":"wait","table":"A","where":[["name","==","x"]],"columns":[`+c.columns+`],"until":"==","rows":[{}]}]`, Env{Now: start}).Wait
		if w == nil || w.Table != tab || !w.Columns.Has(tab.Column("name")) || w.Columns.Len() != c.want {
			t.Errorf("%s: %+v", c.columns, w)
		}
	}
	late := execute(t, s, params, Env{Now: start.Add(1234 * time.Millisecond), Started: start})
	if late.Err == nil || late.Err.Tag != dberr.TimedOut || late.Err.Details != `"wait" timed out after 1234 ms` {
		t.Errorf("%s", late.Reply)
	}
	s = execute(t, s, `["T",{"op":"insert","table":"A","row":{"name":"x","b":true}}]`, Env{}).Next
	res = execute(t, s, params, Env{Now: start.Add(time.Second / 2), Started: start})
	if res.Err != nil || res.Delta == nil || len(res.Delta.Tables) != 1 || len(res.Delta.Tables[0].Rows) != 1 {
		t.Errorf("%s", res.Reply)
	}
}

// TestDelta looks at what a transaction reports as changed.
func TestDelta(t *testing.T) {
	s := newSnapshot(t)
	s = execute(t, s, `["T",{"op":"insert","table":"A","row":{"name":"x","i":1,"ep":4,"child":["named-uuid","b"]}},{"op":"insert","table":"B","row":{"n":1},"uuid-name":"b"}]`, Env{}).Next
	check(t, s)
	if res := execute(t, s, `["T",{"op":"update","table":"A","where":[],"row":{"i":2}},{"op":"update","table":"A","where":[],"row":{"i":1}},{"op":"comment","comment":"a"},{"op":"comment","comment":"b"},{"op":"commit","durable":true}]`, Env{}); res.Delta != nil || res.Next != s || res.Comment != "a\nb" || !res.Durable {
		t.Errorf("a change that is none: %+v", res)
	}
	res := execute(t, s, `["T",{"op":"update","table":"A","where":[],"row":{"ep":5,"child":["set",[]]}}]`, Env{})
	if len(res.Delta.Tables) != 2 {
		t.Fatalf("%+v", res.Delta)
	}
	a, b := res.Delta.Tables[0], res.Delta.Tables[1]
	ca, cb := a.Rows[0], b.Rows[0]
	if ca.Changed.Len() != 2 || !ca.Changed.Has(a.Table.Column("ep")) || !ca.Changed.Has(a.Table.Column("child")) || ca.Old.Version == ca.New.Version {
		t.Errorf("%+v", ca)
	}
	if cb.New != nil || cb.Old == nil || cb.Changed.Len() != 1 {
		t.Errorf("%+v", cb)
	}
	check(t, res.Next)
	if s.Len(b.Table) != 1 || res.Next.Len(b.Table) != 0 {
		t.Error("the old version changed")
	}
}
