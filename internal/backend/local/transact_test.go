package local

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/queue"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
	"github.com/millstreamdb/millstream/internal/worker"
)

// withQueues gives the world's backend queues.
func (w *world) withQueues() *queue.Service {
	w.t.Helper()
	queues, err := queue.Open(queue.Options{Store: w.store, Clock: worker.NewManualClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))})
	w.check(err)
	w.t.Cleanup(queues.Close)
	w.b, err = Open(w.store, w.streams, nil, queues, slog.New(slog.DiscardHandler))
	w.check(err)
	return queues
}

// sending is a transaction that sends one message to a queue.
func sending(q *queue.Queue, rows ...backend.Row) backend.Transaction {
	return backend.Transaction{
		Scope:    arn.Scope(scope),
		Messages: fmt.Appendf(nil, `[{"QueueUrl":"http://127.0.0.1:8000/%s/%s","MessageBody":"m"}]`, scope.Account, q.Name()),
		Build:    func() ([]backend.Row, []backend.AsideRows, error) { return rows, nil, nil },
		Applied:  func() {},
	}
}

// While the disk is nearly full, a function's messages wait as its writes to tables do; what a queue is told of records that are given up still
// goes, since they end with it.
func TestMessagesOnNearlyFullDisk(t *testing.T) {
	disk := crashtest.New()
	w := newWorld(t, disk)
	q, err := w.withQueues().Create(arn.Scope(scope), "q", nil, nil)
	w.check(err)
	w.check(w.b.Transact(t.Context(), sending(q)))
	disk.Mem().TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 200 << 20, TotalBytes: 1 << 40})
	w.reopen() // asks for the space
	queues := w.withQueues()
	if err := w.b.Transact(t.Context(), sending(q)); !errors.Is(err, backend.ErrConflict) {
		t.Errorf("got %v", err)
	}
	notice := sending(q)
	notice.Messages, notice.Notice = nil, &backend.Notice{Queue: q.ARN(), Document: []byte("{}")}
	w.check(w.b.Transact(t.Context(), notice))
	if c, err := queues.FindARN(q.ARN()).Counts(); err != nil || c.Visible != 2 {
		t.Errorf("%+v %v", c, err)
	}
}

// What a function sends with its answer does not go once its mapping was deleted, and a transaction that was refused holds nothing.
func TestMessagesOfDeletedMapping(t *testing.T) {
	w := newWorld(t, crashtest.New())
	s := w.create(1)
	q, err := w.withQueues().Create(arn.Scope(scope), "q", nil, nil)
	w.check(err)
	m := w.mapping(s, mapping.StartTrimHorizon)
	_, err = w.b.CreateMapping(t.Context(), m)
	w.check(err)
	row := backend.Row{UUID: m.UUID, Shard: s.Shards()[0].ID, Checkpoint: lane.Checkpoint{Generation: 4}}
	w.check(w.b.Transact(t.Context(), sending(q, row)))
	w.check(w.b.DeleteMapping(t.Context(), m.UUID))
	if err := w.b.Transact(t.Context(), sending(q, row)); !errors.Is(err, backend.ErrNoMapping) {
		t.Errorf("got %v", err)
	}
	// What a build that fails has locked is free when it returns.
	tr := sending(q, row)
	c := &combined{b: w.b, t: &tr}
	w.check(c.messages())
	batch := w.store.NewBatch()
	defer batch.Close()
	if err := c.build(batch); err == nil || c.locked {
		t.Errorf("%v, locked %v", err, c.locked)
	}
	if n, err := q.Counts(); err != nil || n.Visible != 1 {
		t.Errorf("%+v %v", n, err)
	}
}
