package server_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"govs/ovsdb/storage/memory"
)

func convertTo(version int) string {
	return fmt.Sprintf(`{"name":"conv","version":"%d.0.0","tables":{"a":{"columns":{"i":{"type":"integer"},"v%d":{"type":"integer"}},"isRoot":true}}}`, version, version)
}

// TestConvertUnderLoad converts a database again and again while clients write
// and monitor it: what was acknowledged is there at the end, and who hears that
// a monitor is over can have a new one.
func TestConvertUnderLoad(t *testing.T) {
	f := start(t, memory.New([]byte(convertTo(0))))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var kept atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	const writers, conversions = 4, 30
	for range writers {
		c, notes := f.dial(t)
		if _, err := c.Call(ctx, "set_db_change_aware", []byte(`[true]`)); err != nil {
			t.Fatal(err)
		}
		wg.Add(2)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-notes:
				case <-stop:
					return
				}
			}
		}()
		go func() {
			defer wg.Done()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				reply, err := c.Call(ctx, "transact", []byte(`["conv",{"op":"insert","table":"a","row":{"i":1}}]`))
				switch {
				case err == nil && strings.Contains(string(reply), `"uuid"`):
					kept.Add(1)
				case err != nil && err.Error() == `"canceled"`:
				default:
					t.Errorf("transact: %s, %v", reply, err)
					return
				}
				reply, err = c.Call(ctx, "monitor_cond", fmt.Appendf(nil, `["conv",%d,{"a":{"columns":["i"]}}]`, n))
				if err != nil && err.Error() != `"canceled"` {
					t.Errorf("monitor: %s, %v", reply, err)
					return
				}
				// It is known, or was canceled.
				if reply, err = c.Call(ctx, "monitor_cancel", fmt.Appendf(nil, `[%d]`, n)); err != nil && err.Error() != `"unknown monitor"` {
					t.Errorf("monitor_cancel: %s, %v", reply, err)
					return
				}
			}
		}()
	}
	c, _ := f.dial(t)
	if _, err := c.Call(ctx, "set_db_change_aware", []byte(`[true]`)); err != nil {
		t.Fatal(err)
	}
	for i := range conversions {
		if reply, err := c.Call(ctx, "convert", []byte(`["conv",`+convertTo(i+1)+`]`)); err != nil {
			t.Fatalf("convert: %s, %v", reply, err)
		}
	}
	close(stop)
	wg.Wait()
	db := f.Database("conv")
	tab := db.Snapshot().Schema().Table("a")
	if n := int64(db.Snapshot().Len(tab)); n != kept.Load() {
		t.Errorf("%d rows of %d that were acknowledged", n, kept.Load())
	}
	if tab.Column(fmt.Sprintf("v%d", conversions)) == nil {
		t.Error("the schema is not the last one")
	}
}
