// Command ovs-vsctl queries and configures ovs-vswitchd; see ovs-vsctl(8).
package main

import (
	"os"
	"runtime/debug"

	"govs/ctl/vsctl"
)

func main() {
	debug.SetGCPercent(400) // it is over before much is garbage
	os.Exit(vsctl.Main(os.Args, os.Stdout, os.Stderr))
}
