// Command ovsdb-server serves OVSDB databases; see ovsdb-server(1).
package main

import (
	"os"

	"govs/internal/daemon"
	"govs/ovsdb/server/command"
)

func main() { os.Exit(daemon.Main(command.New())) }
