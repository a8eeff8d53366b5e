// Package txn runs transactions (RFC 7047, section 4.1.3): it parses the ten
// operations, executes them against a snapshot, does the work of a commit
// (constraints, references, garbage collection of rows) and gives the reply, the
// new snapshot and the delta. One file holds one operation.
//
// Execution is pure: nothing is published, stored or sent here. The caller keeps
// the order: a transaction runs on the snapshot that the one before it gave.
//
//	t := txn.Parse(schema, params)        // once
//	res := t.Execute(snapshot, env)       // again after a wait
//	if res.Delta != nil { store res.Delta, publish res.Next }
//
// # Caveats
//
// A transaction is bound to the schema that it was parsed with; after a
// conversion it must be parsed anew. Rows of a select come in no order, unless
// its "sort" member, an extension that the C server has too, asks for one.
package txn

import (
	"time"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
)

// Env is what a transaction sees of the world.
type Env struct {
	Now      time.Time              // the time, for wait's timeout
	Started  time.Time              // when the transaction was first tried; zero: now
	ReadOnly bool                   // the database or the session is read-only
	Reserved string                 // the name of a database that only the server itself may change
	HasLock  func(name string) bool // whether the session owns a lock; nil: none
	NewUUID  func() atom.UUID       // ids of new rows and versions; nil: random

	// Orphan, where not nil, returns a row that an earlier transaction inserted
	// and that went because nothing referred to it (see Result.Orphans); nil
	// where there is none. A strong reference to it brings it back.
	Orphan func(t *schema.Table, id atom.UUID) *store.Row

	// Permit, where not nil, decides whether a role may do something: op is
	// "insert", "delete", "update" or "mutate"; row is the row before the change,
	// for "insert" the new one; cols are the columns that update or mutate name.
	// Operations but insert ask once with a nil row before they look for rows: is
	// there any for which it may be done? It returns nil or a permission error.
	Permit func(op string, t *schema.Table, row *store.Row, cols []*schema.Column) *dberr.Error
}

// Result is what an execution gives.
type Result struct {
	// Reply is the JSON array of results for the reply's "result" member; nil
	// where Wait is not.
	Reply []byte
	// Err is the first error that an operation or the commit met, or nil.
	Err *dberr.Error
	// Delta is what changed; nil where nothing did, or where there was an error.
	Delta *store.Delta
	// Next is the snapshot with the changes; the one that was executed on where
	// there are none.
	Next *store.Snapshot
	// Orphans are rows, with ids that the server chose, that the transaction
	// inserted and its commit collected, for nothing referred to them.
	Orphans []Orphan
	// Durable says that the client asked for a durable commit.
	Durable bool
	// Comment holds the comments, newline-separated.
	Comment string
	// Wait is not nil where a wait operation's condition does not hold yet. The
	// transaction is to be executed again when a table it names has changed, or
	// when its time is over.
	Wait *Wait
}

// Orphan is a row that was collected in the commit that would have inserted it.
type Orphan struct {
	Table *schema.Table
	Row   *store.Row
}

// Wait says what a blocked transaction waits for.
type Wait struct {
	Table    *schema.Table // nil: any change may end the wait
	Columns  store.Columns // the columns whose change may end the wait; row insertions and deletions may, too
	Deadline time.Time     // when it times out; zero: never
}

// Txn is a parsed transaction. It does not change, and may be executed any number
// of times.
type Txn struct {
	schema *schema.Schema
	ops    []operation
	total  int          // operations that were asked for
	broken *dberr.Error // why operation number len(ops) cannot be parsed, or nil
	names  map[string]*symbol
	writes bool
}

// operation is one parsed operation. execute appends the result object to x.out.
type operation interface {
	execute(x *execution) *dberr.Error
}

// symbol is a uuid-name.
type symbol struct {
	id      atom.UUID
	defined bool // by an insert that was parsed
}

// parser holds what parsing one transaction needs.
type parser struct {
	*Txn
	params json.Value
	judges bool       // there was an assert or a wait
	lax    bool       // columns that an insertion leaves out have their default, allowed or not
	op     json.Value // the operation at hand
	m      dberr.Members
}

// Parse parses a transaction from a transact request's params: the database's
// name, then operations. Faults are found here, but told by Execute, since the
// operations before them have results. The Txn keeps nothing of params.
func Parse(s *schema.Schema, params json.Value) *Txn {
	return (&parser{Txn: &Txn{schema: s}, params: params}).all()
}

// all parses all operations.
func (p *parser) all() *Txn {
	params := p.params
	first := true
	p.total = max(params.Len()-1, 0)
	p.ops = make([]operation, 0, p.total)
	for v := range params.Elems() {
		if first {
			first = false
			continue
		}
		op, err := p.parse(v)
		if err != nil {
			p.broken = err
			break
		}
		p.ops = append(p.ops, op)
	}
	return p.Txn
}

// Writes reports whether an operation may change the database: insert, update,
// mutate or delete.
func (t *Txn) Writes() bool { return t.writes }

// Len returns the number of operations.
func (t *Txn) Len() int { return t.total }

func (p *parser) parse(v json.Value) (operation, *dberr.Error) {
	p.op = v
	p.m.Init(v, "")
	what := func() *dberr.Error {
		err := p.m.Done()
		if err == nil {
			return nil
		}
		return p.located(err)
	}
	name := p.m.Get("op", dberr.WantID)
	if p.m.Err() != nil {
		return nil, what()
	}
	var op operation
	var err *dberr.Error
	switch string(name.Bytes()) {
	case "insert":
		op, err = p.insert()
	case "select":
		op, err = p.selectRows()
	case "update":
		op, err = p.update()
	case "mutate":
		op, err = p.mutate()
	case "delete":
		op, err = p.deleteRows()
	case "wait":
		op, err = p.wait()
	case "commit":
		op, err = p.commit()
	case "abort":
		op, err = p.abort()
	case "comment":
		op, err = p.comment()
	case "assert":
		op, err = p.assert()
	default:
		p.m.Fail("No operation \"%s\"", name.Str())
	}
	if fault := what(); fault != nil {
		return nil, fault
	}
	return op, err
}
