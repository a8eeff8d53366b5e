package daemon

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"govs/internal/stream"
	"govs/vswitchd/model"
)

// sessions opens one session with the database after the other: the next one
// when the last one ended. The channel closes when the context has ended.
func (s *Switch) sessions(ctx context.Context) <-chan *model.DB {
	out := make(chan *model.DB)
	go func() {
		defer close(out)
		var backoff model.Backoff
		for ctx.Err() == nil {
			db := s.connect(ctx, &backoff)
			if db == nil {
				continue
			}
			select {
			case out <- db:
			case <-ctx.Done():
				db.Close()
				return
			}
			since := time.Now()
			select {
			case <-db.Done():
			case <-ctx.Done():
			}
			if time.Since(since) > time.Second {
				backoff.Reset()
			}
		}
	}()
	return out
}

// connect makes one attempt; it returns nil when that failed.
func (s *Switch) connect(ctx context.Context, backoff *model.Backoff) *model.DB {
	log := s.o.Log("reconnect")
	if wait := backoff.Next(); wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
	log.Info(s.o.Remote + ": connecting...")
	db, err := model.Open(ctx, model.Options{
		Remote: s.o.Remote,
		RunDir: s.o.RunDir,
		Dial: func(ctx context.Context, remote string) (net.Conn, error) {
			return stream.Options{RunDir: s.o.RunDir}.Dial(ctx, remote, s.o.TLS)
		},
		Log: log,
	}, func() {
		s.log.Error(fmt.Sprintf("another ovs-vswitchd process is running, disabling this process (pid %d) until it goes away", os.Getpid()))
		select {
		case s.yield <- struct{}{}:
		case <-ctx.Done():
		}
	})
	if err != nil {
		if ctx.Err() == nil {
			log.Info(err.Error())
		}
		return nil
	}
	log.Info(db.Remote() + ": connected")
	return db
}
