// Package vswitch holds the schema of the Open_vSwitch database, and a Go
// struct for each of its tables.
//
// The schema lies in vswitch.ovsschema, in this project's own layout (tables
// and columns in alphabetical order, one column a line); its tables, columns,
// types and constraints are those that every client of Open vSwitch expects.
// The structs and the function FullDatabaseModel are generated from it by
// libovsdb's modelgen, for clients that use libovsdb's cache; run go generate
// after a change of the schema. A test keeps both up to date.
//
// # Caveats
//
// The cksum member of the schema is the one that goes with this version of the
// schema wherever it is installed. Clients compare it as text; it is not the
// checksum of this file's layout.
package vswitch

import _ "embed"

//go:generate go tool modelgen -extended -p vswitch -o . vswitch.ovsschema

// Name is the name of the database.
const Name = "Open_vSwitch"

//go:embed vswitch.ovsschema
var schemaJSON []byte

// JSON returns the text of the schema, as the file vswitch.ovsschema holds it.
func JSON() []byte { return append([]byte(nil), schemaJSON...) }
