// Command brcompat runs programs whose bridge ioctls ovs-brcompatd answers.
// Under the name brctl it is a wrapper of the real brctl. See package launch.
package main

import (
	"os"

	"govs/brcompat/launch"
)

func main() { os.Exit(launch.Main(os.Args, os.Stdout, os.Stderr)) }
