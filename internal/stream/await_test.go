package stream

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/seqnum"
)

// Who waits for records is answered when one is durable, and not before; when the shard, the time, the caller or the server
// ends; and at once when there is something to tell already, or nobody more may wait.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.create(NewAndOldImages, 1)
		sh := root(s)
		iterator := func(kind request.IteratorType) *request.GetRecords {
			return &request.GetRecords{Iterator: w.iterator(s, sh, request.GetShardIterator{Type: kind}), Limit: 10}
		}
		// wait waits with an iterator; over reports whether that has ended, and what it returned.
		wait := func(ctx context.Context, r *request.GetRecords) (over func() (over, could bool)) {
			done := make(chan bool, 1)
			go func() {
				_, could := w.ss.Await(ctx, scope, r)
				done <- could
			}()
			return func() (bool, bool) {
				synctest.Wait()
				select {
				case could := <-done:
					return true, could
				default:
					return false, false
				}
			}
		}
		waits := func(what string, over func() (bool, bool)) {
			t.Helper()
			if o, _ := over(); o {
				t.Errorf("%s: it does not wait", what)
			}
		}
		ends := func(what string, over func() (bool, bool)) {
			t.Helper()
			if o, could := over(); !o || !could {
				t.Errorf("%s: over %v, could wait %v", what, o, could)
			}
		}

		horizon, latest := iterator(request.TrimHorizon), iterator(request.Latest)
		first := wait(t.Context(), horizon)
		waits("an empty shard", first)
		a := w.apply(sh, 1, 0)
		waits("a record that is not durable", first)
		a.durable()
		ends("a record", first)
		ends("a record that is there", wait(t.Context(), horizon))
		for want, r := range map[seqnum.Num]*request.GetRecords{sh.Horizon(): horizon, sh.Head(): iterator(request.Latest), {}: {Iterator: "x"}} {
			ctx, stop := context.WithCancel(t.Context())
			stop()
			if after, _ := w.ss.Await(ctx, scope, r); after != want {
				t.Errorf("GetRecords reads behind %s, and Await says %s", want, after)
			}
		}
		ends("a record above what was the newest", wait(t.Context(), latest))

		ends("an iterator that is none", wait(t.Context(), &request.GetRecords{Iterator: "x"}))

		left, leave := context.WithCancel(t.Context())
		gone := wait(left, iterator(request.Latest))
		waits("the newest record", gone)
		leave()
		ends("a caller that leaves", gone)

		late, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		timed := wait(late, iterator(request.Latest))
		waits("before its time", timed)
		time.Sleep(time.Second)
		ends("after its time", timed)

		all := make([]func() (bool, bool), maxAwaitingStream)
		for i := range all {
			all[i] = wait(t.Context(), iterator(request.Latest))
		}
		synctest.Wait()
		if over, could := wait(t.Context(), iterator(request.Latest))(); !over || could {
			t.Errorf("one more than may wait: over %v, could wait %v", over, could)
		}
		w.close(s)
		for _, over := range all {
			ends("the shard's end", over)
		}
		if n, m := w.ss.awaiting.Load(), s.awaiting.Load(); n != 0 || m != 0 {
			t.Errorf("%d and %d are counted still", n, m)
		}

		s = w.create(NewAndOldImages, 1)
		sh = root(s)
		last := wait(t.Context(), iterator(request.Latest))
		waits("another stream", last)
		resume := w.ss.EndWaits()
		ends("the server's end", last)
		resume()
		ctx, cancel := context.WithCancel(t.Context())
		last = wait(ctx, iterator(request.Latest))
		waits("the program goes on", last)
		cancel()
		ends("its end", last)
	})
}
