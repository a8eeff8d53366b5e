// Command ovs-appctl controls running Open vSwitch daemons.
package main

import (
	"os"

	"govs/ctl/appctl"
	"govs/internal/daemon"
)

func main() { os.Exit(daemon.Main(appctl.New())) }
