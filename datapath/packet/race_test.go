//go:build race

package packet

// raceEnabled says that sync.Pool drops at random, so that pools allocate.
const raceEnabled = true
