package model

import "time"

// Backoff tells how long to wait before the next attempt to connect: at once
// after a session that worked, then twice as long each time, from a tenth of a
// second to eight seconds. The zero value is ready.
type Backoff struct{ wait time.Duration }

// Next is the time to wait before the attempt that comes next.
func (b *Backoff) Next() time.Duration {
	wait := b.wait
	b.wait = min(max(2*b.wait, 100*time.Millisecond), 8*time.Second)
	return wait
}

// Reset is called when a session was established.
func (b *Backoff) Reset() { b.wait = 0 }
