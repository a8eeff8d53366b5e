// Command govs is all programs of the project in one: "govs PROGRAM ARG..." is
// that program, and so is a link to govs with the program's name. "govs up"
// runs database and switch together. See packages multicall and up.
package main

import (
	"os"

	"govs/tools/govs/multicall"
)

func main() { os.Exit(multicall.Main(os.Args, os.Stdout, os.Stderr)) }
