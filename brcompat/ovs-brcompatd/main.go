// Command ovs-brcompatd answers the bridge ioctls of brctl and its like from
// the configuration database of the switch. See package brcompatd.
package main

import (
	"os"

	"govs/brcompat/brcompatd"
	"govs/internal/daemon"
)

func main() { os.Exit(daemon.Main(brcompatd.Command())) }
