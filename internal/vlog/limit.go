package vlog

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Limit returns a logger that passes at most burst messages at once and
// perMinute messages a minute on average. The first message that passes after
// some were dropped is preceded by a line that says how many. All loggers
// derived from the returned one share its budget. The verb
// vlog/disable-rate-limit lifts the limit for the module. A logger that is not
// of this package is limited, too, but by no verb.
func Limit(l *slog.Logger, perMinute, burst int) *slog.Logger {
	b := &bucket{rate: int64(max(perMinute, 0)), burst: int64(max(burst, 1)) * tokensPerMessage, now: time.Now}
	b.tokens = b.burst
	h := l.Handler()
	b.plain = h
	if v, ok := h.(*handler); ok {
		b.now = v.sys.now
		b.off = &v.mod.noRate
	}
	return slog.New(&limited{Handler: h, bucket: b})
}

// tokensPerMessage makes a token worth a millisecond at one message a minute.
const tokensPerMessage = 60_000

type bucket struct {
	rate, burst int64
	now         func() time.Time
	off         interface{ Load() bool }
	plain       slog.Handler // without the attributes of derived loggers

	mu          sync.Mutex
	tokens      int64
	filled      time.Time
	dropped     uint
	first, last time.Time
}

// take reports whether a message may pass now, and how many were dropped
// since the last that did, over what time.
func (b *bucket) take(now time.Time) (ok bool, dropped uint, span, recent time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.off != nil && b.off.Load() {
		return true, 0, 0, 0
	}
	if b.filled.IsZero() {
		b.filled = now
	}
	if ms := now.Sub(b.filled).Milliseconds(); ms > 0 {
		b.filled = b.filled.Add(time.Duration(ms) * time.Millisecond)
		if b.rate > 0 && ms > (b.burst-b.tokens)/b.rate {
			b.tokens = b.burst
		} else {
			b.tokens += ms * b.rate
		}
	}
	if b.tokens < tokensPerMessage {
		if b.dropped == 0 {
			b.first = now
		}
		b.last = now
		b.dropped++
		return false, 0, 0, 0
	}
	b.tokens -= tokensPerMessage
	dropped, span, recent = b.dropped, now.Sub(b.first), now.Sub(b.last)
	b.dropped = 0
	return true, dropped, span, recent
}

type limited struct {
	slog.Handler
	bucket *bucket
}

func (h *limited) Handle(ctx context.Context, r slog.Record) error {
	ok, dropped, span, recent := h.bucket.take(h.bucket.now())
	if !ok {
		return nil
	}
	if dropped > 0 {
		text := fmt.Sprintf("Dropped %d log messages in last %d seconds (most recently, %d seconds ago) due to excessive rate",
			dropped, int64(span.Seconds()), int64(recent.Seconds()))
		if err := h.bucket.plain.Handle(ctx, slog.NewRecord(r.Time, r.Level, text, r.PC)); err != nil {
			return err
		}
	}
	return h.Handler.Handle(ctx, r)
}

func (h *limited) WithAttrs(a []slog.Attr) slog.Handler {
	return &limited{h.Handler.WithAttrs(a), h.bucket}
}

func (h *limited) WithGroup(name string) slog.Handler {
	return &limited{h.Handler.WithGroup(name), h.bucket}
}
