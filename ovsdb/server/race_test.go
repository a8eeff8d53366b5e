//go:build race

package server_test

// The race detector makes looking at every byte some thirty times slower.
const hugeLine = 1 << 20
