// Package builtin holds the schemas of databases that belong to ovsdb-server
// itself: _Server, which every server has and which tells of its databases
// (ovsdb-server(5)), and Local_Config, an optional one with the server's own
// connections (ovsdb.local-config(5)).
//
// # Caveats
//
// The cksum members are those that clients know these versions of the schemas
// by; they are not checksums of the files' layout here.
package builtin

import _ "embed"

// Names of the databases.
const (
	Server      = "_Server"
	LocalConfig = "Local_Config"
)

//go:embed server.ovsschema
var server []byte

//go:embed local-config.ovsschema
var localConfig []byte

// ServerJSON returns the text of the schema of _Server.
func ServerJSON() []byte { return append([]byte(nil), server...) }

// LocalConfigJSON returns the text of the schema of Local_Config.
func LocalConfigJSON() []byte { return append([]byte(nil), localConfig...) }
