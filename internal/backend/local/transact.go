package local

import (
	"context"
	"errors"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/table"
)

// rider collects rows that are committed with a transaction. A row is set or removed once.
type rider struct {
	rows    []table.Row
	removed [][]byte
}

func (r *rider) Set(key, value []byte) { r.rows = append(r.rows, table.Row{Key: key, Value: value}) }
func (r *rider) Delete(key []byte)     { r.removed = append(r.removed, key) }

// maxDepth is what the log has room for.
const maxDepth = 255

// Transact implements backend.Backend. Nothing comes after a deletion of the mapping,
// because mu is held from the building of the rows until the batch has been applied.
func (b *Backend) Transact(ctx context.Context, t backend.Transaction) error {
	if b.tables == nil {
		return &backend.Refused{Why: "the writes of functions are not to be had here"}
	}
	body := append(append([]byte(`{"TransactItems":`), t.Items...), '}')
	op, err := request.DecodeTransactWriteItems(body)
	if err != nil {
		return refused(err)
	}
	if err := b.ensureLoaded(); err != nil {
		return err
	}
	held := false
	unlock := func() {
		if held {
			held = false
			b.mu.RUnlock()
		}
	}
	defer unlock()
	_, err = b.tables.TransactWith(ctx, t.Scope, op, &table.Rider{
		Cause: uint8(min(t.Cause, maxDepth)),
		Build: func() ([]table.Row, [][]byte, error) {
			rows, aside, err := t.Build()
			if err != nil {
				return nil, nil, err
			}
			b.mu.RLock()
			held = true
			var r rider
			err = b.putRows(&r, rows, aside)
			return r.rows, r.removed, err
		},
		Applied: func() {
			unlock()
			t.Applied()
		},
	})
	return refused(err)
}

// refused tells errors that are the function's from others.
func refused(err error) error {
	var e *awserr.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case "TransactionInProgressException", "ThrottlingException", "ProvisionedThroughputExceededException", "InternalServerError":
		return errors.Join(backend.ErrConflict, err)
	}
	return &backend.Refused{Why: "transactItems: " + e.Code + ": " + e.Message}
}
