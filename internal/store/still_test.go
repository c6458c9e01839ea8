package store_test

import (
	"bytes"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// TestStill: what was applied before it is durable and can be taken; who writes meanwhile waits, and is refused when the store ends in between, though
// it had begun before.
func TestStill(t *testing.T) {
	for _, d := range []store.Durability{store.Sync, store.Periodic} {
		disk := crashtest.New()
		s := open(t, store.Options{FS: disk.FS(), Dir: "data", Durability: d, SyncInterval: time.Hour, Changes: 1 << 20})
		put(t, s, "before", "v")
		before := s.Changes().Applied()
		put(t, s, "last", "v")
		release, err := s.Still()
		if err != nil {
			t.Fatal(err)
		}
		all := taken(t, s, nil)
		s.Changes().Settled()
		if len(all) == 0 || s.Changes().OldestMS() != 0 || s.Changes().Applied() == before {
			t.Errorf("not all can be taken: %d", len(all))
		}
		held := make(chan error)
		go func() {
			b := s.NewBatch()
			b.Set([]byte("held"), []byte("v"))
			held <- s.Write(b)
		}()
		for stacks := make([]byte, 1<<20); !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("store.(*Store).Apply(")); { // it has been let in
			runtime.Gosched()
		}
		end := errors.New("the end")
		s.End(end)
		release()
		if err := <-held; !errors.Is(err, end) {
			t.Errorf("a write is answered after the end: %v", err)
		}
		if _, err := s.Still(); !errors.Is(err, end) {
			t.Errorf("after the end: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		again := open(t, store.Options{FS: disk.FS(), Dir: "data"})
		if v, _ := get(t, again, "held"); v != "" {
			t.Error("it is there, and nobody was handed it")
		}
		closeStore(t, again)
	}
}
