//go:build !race

package server_test

// hugeLine is the length of the line in TestHugeLine.
const hugeLine = 100 << 20
