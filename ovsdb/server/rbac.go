package server

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"net"
	"strings"

	"govs/internal/dberr"
	"govs/ovsdb/store"
	"govs/ovsdb/txn"
	"govs/schema"
	"govs/schema/atom"
)

// rbac decides what a client may do in one transaction.
type rbac struct {
	snap  *store.Snapshot
	roles *schema.Table
	role  string
	id    string // of the client, "" where it has none
}

// permit makes the check for a session's transactions, nil where there is none
// to make: the session has no role, or the database has no roles.
func (db *Database) permit(snap *store.Snapshot, sess *session) func(string, *schema.Table, *store.Row, []*schema.Column) *dberr.Error {
	role := sess.role()
	if role == "" {
		return nil
	}
	t := db.schema.Table(txn.RoleTable)
	if t == nil {
		return nil
	}
	r := &rbac{snap: snap, roles: t, role: role, id: clientID(sess.conn)}
	return r.check
}

// role is the role of a session's remote, "" where it has none.
func (sess *session) role() string {
	if sess.remote == nil {
		return ""
	}
	return sess.remote.options().Role
}

// check is a txn.Env's Permit.
func (r *rbac) check(op string, t *schema.Table, row *store.Row, cols []*schema.Column) *dberr.Error {
	pt, perms := r.permissions(t)
	ok := r.id != "" && perms != nil
	if ok && row != nil {
		ok = r.authorized(pt, perms, t, row)
		switch op {
		case "insert", "delete":
			a, set := field(pt, perms, "insert_delete", atom.Boolean)
			ok = ok && set && a.Bool()
		default:
			ok = ok && updates(pt, perms, cols)
		}
	}
	if ok {
		return nil
	}
	return txn.Prohibited(r.id, r.role, op, t)
}

// permissions finds the row that says what the role may do with a table.
func (r *rbac) permissions(t *schema.Table) (*schema.Table, *store.Row) {
	c := r.roles.Column("permissions")
	if c == nil || !c.Type.Map() || c.Type.Key.Type != atom.String || c.Type.Value.RefTable == nil {
		return nil, nil
	}
	for row := range r.snap.Rows(r.roles) {
		if text(r.roles, row, "name") != r.role {
			continue
		}
		id, ok := row.Get(c).Get(atom.Str(t.Name))
		if !ok {
			return nil, nil
		}
		return c.Type.Value.RefTable, r.snap.Row(c.Type.Value.RefTable, id.UUID())
	}
	return nil, nil
}

// authorized reports whether the client is one that the row belongs to: a
// column, or a key of one, holds its id. An empty name stands for all clients.
func (r *rbac) authorized(pt *schema.Table, perms *store.Row, t *schema.Table, row *store.Row) bool {
	c := stringSet(pt, "authorization")
	if c == nil {
		return false
	}
	for a := range perms.Get(c).Keys() {
		name, key, keyed := strings.Cut(a.Str(), ":")
		switch {
		case a.Str() == "":
			return true
		case keyed:
			if m := t.Column(name); m != nil && m.Type.Map() && m.Type.Key.Type == atom.String && m.Type.Value.Type == atom.String {
				if v, ok := row.Get(m).Get(atom.Str(key)); ok && v.Str() == r.id {
					return true
				}
			}
		default:
			if v, ok := field(t, row, name, atom.String); ok && t.Column(name).Type.Max == 1 && v.Str() == r.id {
				return true
			}
		}
	}
	return false
}

// updates reports whether all columns are among those that may be changed. A
// column with a key allows nothing: so the C server has it.
func updates(pt *schema.Table, perms *store.Row, cols []*schema.Column) bool {
	c := stringSet(pt, "update")
	if c == nil {
		return false
	}
	for _, col := range cols {
		if _, ok := perms.Get(c).Find(atom.Str(col.Name)); !ok {
			return false
		}
	}
	return true
}

// stringSet finds a column that holds a set of strings.
func stringSet(t *schema.Table, name string) *schema.Column {
	c := t.Column(name)
	if c == nil || c.Type.Key.Type != atom.String || c.Type.Map() {
		return nil
	}
	return c
}

var commonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// clientID is the name in the certificate that a peer has shown, "" where there
// is none. Certificates are verified in the handshake.
func clientID(conn net.Conn) string {
	c, ok := conn.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return ""
	}
	chain := c.ConnectionState().PeerCertificates
	if len(chain) == 0 {
		return ""
	}
	return firstName(chain[0])
}

// firstName is a certificate's first common name: x509 keeps the last one.
func firstName(c *x509.Certificate) string {
	for _, n := range c.Subject.Names {
		if s, ok := n.Value.(string); ok && n.Type.Equal(commonName) {
			return s
		}
	}
	return ""
}
