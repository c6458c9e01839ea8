package queue

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/store"
)

// full goes on with a disk that has so many bytes free.
func (w *world) full(free uint64) {
	w.close()
	w.disk.Mem().TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: free, TotalBytes: 1 << 40})
	w.open()
}

// On a disk that is nearly full nothing is sent, and what frees space goes on: receives, deletes, and what is told of what ends with it,
// until what deletes may take of the reserve is gone as well.
func TestNearlyFullDisk(t *testing.T) {
	w := openWorld(t)
	w.put(w.create("q", nil), "", "a", "b")
	w.full(200 << 20) // under the reserve
	q := w.queue("q")
	body := "c"
	_, err := q.Send(testScope.Account, false, []Entry{{Body: &body}})
	var e *awserr.Error
	if !errors.As(err, &e) || e.Code != "InternalFailure" || e.HTTPStatus() != 500 || !strings.Contains(e.Message, "nearly full") {
		t.Fatalf("a message was sent: %v", err)
	}
	if n := w.s.RefusedSends(); n != 1 {
		t.Errorf("%d sends were refused", n)
	}
	got, bodies := w.take(q, 1, 30)
	if bodies != "a" {
		t.Fatal(bodies)
	}
	_, err = q.Delete([]string{got[0].Handle})
	w.must(err)
	tell := func(want error) {
		t.Helper()
		b := w.store.NewBatch()
		defer b.Close()
		if err := w.s.Tell(b, w.queue("q").ARN(), "told", "", nil); !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
	tell(nil)
	w.full(100 << 20)
	tell(store.ErrDiskFull)
	w.counted(t, w.queue("q"), Counts{Visible: 2})
}

// A task that moves messages waits while the disk is nearly full, and ends afterwards.
func TestMoveWaitsForTheDisk(t *testing.T) {
	w := openWorld(t)
	dead := w.create("dead", nil)
	w.create("q", redrive("dead", 1))
	w.create("to", nil)
	w.put(dead, "", "a", "b")
	w.full(200 << 20) // under the reserve
	moves := func() Task {
		t.Helper()
		all, err := w.s.Moves(testScope.QueueARN("dead"), 1)
		w.must(err)
		return all[0]
	}
	_, err := w.s.StartMove(testScope.QueueARN("dead"), testScope.QueueARN("to"), nil)
	w.must(err)
	w.sleep(time.Minute)
	if m := moves(); m.Status != taskRunning || m.Moved != 0 {
		t.Fatalf("on a full disk the task is %+v", m)
	}
	w.full(1 << 39)
	w.s.tasks.wait()
	if m := moves(); m.Status != taskCompleted || m.Moved != 2 {
		t.Fatalf("with room on the disk the task is %+v", m)
	}
	w.counted(t, w.queue("to"), Counts{Visible: 2})
}
