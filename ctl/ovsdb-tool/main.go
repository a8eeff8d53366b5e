// Command ovsdb-tool manages database files; see ovsdb-tool(1).
package main

import (
	"os"

	"govs/ctl/dbtool"
	"govs/internal/daemon"
)

func main() { os.Exit(daemon.Main(dbtool.New())) }
