// Command ovsdb-client talks to a database server; see ovsdb-client(1).
package main

import (
	"os"

	"govs/ctl/dbclient"
	"govs/internal/daemon"
)

func main() { os.Exit(daemon.Main(dbclient.New())) }
