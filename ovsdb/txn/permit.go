package txn

import (
	"govs/internal/dberr"
	"govs/schema"
)

// RoleTable holds the roles of a database that has role-based access control
// (ovsdb-server(7), sections 3.2 and 4.1.3). Databases without it have none.
const RoleTable = "RBAC_Role"

// Prohibited is the error of an Env's Permit: what a role does not allow a client
// to do with a table. The client is "" where it has no name.
func Prohibited(client, role, op string, t *schema.Table) *dberr.Error {
	what := map[string]string{
		"insert": "row insertion into", "delete": "row deletion from", "update": "modification of", "mutate": "mutate operation on",
	}[op]
	return dberr.New(dberr.PermissionError, "RBAC rules for client \"%s\" role \"%s\" prohibit %s table \"%s\".", ClientText(client), role, what, t.Name)
}

// ClientText is how a client's name stands in errors: as the C server prints none.
func ClientText(client string) string {
	if client == "" {
		return "(null)"
	}
	return client
}
