package local

import (
	"context"
	"errors"
	"slices"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/queue"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/table"
)

// maxDepth is what the log has room for.
const maxDepth = 255

// Transact implements backend.Backend. Nothing comes after a deletion of the mapping,
// because mu is held from the building of the rows until the batch has been applied.
func (b *Backend) Transact(ctx context.Context, t backend.Transaction) error {
	if err := b.ensureLoaded(); err != nil {
		return err
	}
	c := &combined{b: b, t: &t}
	defer c.takeBack()
	if err := c.messages(); err != nil {
		return err
	}
	if err := c.run(ctx); err != nil {
		return err
	}
	b.stored(c.rows)
	return nil
}

// run makes the transaction durable.
func (c *combined) run(ctx context.Context) error {
	b, t := c.b, c.t
	if t.Items == nil {
		return c.commit()
	}
	if b.tables == nil {
		return &backend.Refused{Why: "the writes of functions are not to be had here"}
	}
	body := append(append([]byte(`{"TransactItems":`), t.Items...), '}')
	op, err := request.DecodeTransactWriteItems(body)
	if err != nil {
		return refused("transactItems", err)
	}
	_, err = b.tables.TransactWith(ctx, t.Scope, op, &table.Rider{Cause: uint8(min(t.Cause, maxDepth)), Build: c.build, Applied: c.applied})
	return refused("transactItems", err)
}

// combined is a transaction under way.
type combined struct {
	b      *Backend
	t      *backend.Transaction
	outbox *queue.Outbox // nil: no messages
	locked bool          // mu of the backend
	rows   []backend.Row // of the newest build
}

// messages makes the transaction's messages ready.
func (c *combined) messages() (err error) {
	switch n := c.t.Notice; {
	case n == nil && c.t.Messages == nil:
		return nil
	case c.b.queues == nil:
		return &backend.Refused{Why: "queues are not to be had here"}
	}
	// What a notice is about is given up by it, so that it takes little room.
	admit := c.b.store.Admit
	if c.t.Notice != nil {
		admit = c.b.store.AdmitDelete
	}
	if err := admit(); err != nil {
		return errors.Join(backend.ErrConflict, err)
	}
	switch n := c.t.Notice; {
	case n != nil:
		c.outbox, err = c.b.queues.Notice(n.Queue, string(n.Document), "", nil)
	default:
		c.outbox, err = c.b.queues.Answered(c.t.Scope, c.t.Messages)
	}
	return refused(c.sent(), err)
}

// build puts the rows of mappings and the messages into a batch. The queues come last: nothing waits for anything while they
// are locked.
func (c *combined) build(batch *store.Batch) error {
	err := c.fill(batch)
	if err != nil {
		c.takeBack() // now: the caller may wait for the disk before it returns
	}
	return err
}

func (c *combined) fill(batch *store.Batch) error {
	rows, aside, err := c.t.Build()
	if err != nil {
		return err
	}
	c.rows = rows
	c.b.mu.RLock()
	c.locked = true
	if !c.b.knows(rows, aside) {
		return backend.ErrNoMapping
	}
	if err := c.b.putRows(batch, rows, aside); err != nil || c.outbox == nil {
		return err
	}
	if err := c.outbox.Fill(batch); err != nil {
		return refused(c.sent(), err)
	}
	return nil
}

// sent is what the messages are called to the function's author: those of its answer, or the queue that is told of a loss.
func (c *combined) sent() string {
	if c.t.Notice != nil {
		return c.t.Notice.Queue
	}
	return "sendMessages"
}

// knows reports whether the mappings of rows are there. mu is held. An id that is none is putRows's matter.
func (b *Backend) knows(rows []backend.Row, aside []backend.AsideRows) bool {
	known := func(text string) bool {
		uuid, err := id(text)
		_, found := b.known[uuid]
		return found || err != nil
	}
	return !slices.ContainsFunc(rows, func(r backend.Row) bool { return !known(r.UUID) }) &&
		!slices.ContainsFunc(aside, func(r backend.AsideRows) bool { return !known(r.UUID) })
}

func (c *combined) applied(commit *store.Commit) {
	if c.outbox != nil {
		c.outbox.Applied(commit)
	}
	c.unlock()
	c.t.Applied()
}

// commit is for a transaction without items.
func (c *combined) commit() error {
	batch := c.b.store.NewBatch()
	defer batch.Close()
	if err := c.build(batch); err != nil {
		return err
	}
	commit := c.b.store.Begin()
	err := c.b.store.Apply(commit, batch)
	c.applied(commit)
	if err != nil {
		return err
	}
	return c.b.store.Sync(commit)
}

// takeBack undoes a build that was not applied.
func (c *combined) takeBack() {
	if c.outbox != nil {
		c.outbox.TakeBack()
	}
	c.unlock()
}

func (c *combined) unlock() {
	if c.locked {
		c.locked = false
		c.b.mu.RUnlock()
	}
}

// refused tells errors that are the function's from others; what is the member of its answer that they are about.
func refused(what string, err error) error {
	var e *awserr.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case "TransactionInProgressException", "ThrottlingException", "ProvisionedThroughputExceededException", "InternalServerError":
		return errors.Join(backend.ErrConflict, err)
	}
	return &backend.Refused{Why: what + ": " + e.Code + ": " + e.Message}
}
