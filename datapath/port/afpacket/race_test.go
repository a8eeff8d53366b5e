//go:build race

package afpacket

// raceEnabled says that sync.Pool drops at random, so that pools allocate.
const raceEnabled = true
