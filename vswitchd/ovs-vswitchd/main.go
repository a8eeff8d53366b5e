// Command ovs-vswitchd is the switch: it takes its configuration from an OVSDB
// server and moves packets between ports. See ovs-vswitchd(8).
package main

import (
	"os"

	"govs/internal/daemon"
	vswitchd "govs/vswitchd/daemon"
)

func main() { os.Exit(daemon.Main(vswitchd.Command())) }
