package remote

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
)

// Document is a definition that is not a mapping's, such as a function's: the backend knows its key and nothing of its body.
type Document struct {
	Key     string
	Body    []byte // JSON; nil: there is none, and there may have been
	Version uint64 // of the row
	Gone    bool   // there is no row any more: it was removed a day ago, in this version. The next one has a version above those of this one
}

type documentRow struct {
	Body    json.RawMessage `json:"body,omitempty"`
	Deleted bool            `json:"deleted,omitempty"`
}

func document(r *Row) (Document, error) {
	var d documentRow
	err := decode(r, &d)
	return Document{Key: r.S, Body: d.Body, Version: r.V}, err
}

// Documents returns all documents, also those that were removed: their versions count on.
func (b *Backend) Documents(ctx context.Context) (all []Document, err error) {
	rows, err := b.query(ctx, b.control, definitionKey, "")
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if strings.HasPrefix(rows[i].S, mappingPrefix) {
			continue
		}
		d, err := document(&rows[i])
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// PutDocument stores a document in the place of the one with its version (0: where there is none), and tells the other nodes. A nil body
// removes it: what is left says so for a day, so that a write that arrives late brings nothing back, and each node learns of it. It returns the new version, or
// backend.ErrStale.
func (b *Backend) PutDocument(ctx context.Context, d Document) (uint64, error) {
	row := Row{P: definitionKey, S: d.Key, Data: encode(documentRow{Body: d.Body, Deleted: d.Body == nil})}
	if d.Body == nil {
		row.Until = time.Now().Add(deletedFor).Unix()
	}
	if d.Version == 0 {
		row.V = uint64(time.Now().UnixMilli()) // above all that a row of this key had: a change takes longer than a millisecond
	}
	r, err := b.put(ctx, b.control, row, d.Version)
	if refused := (*Refused)(nil); errors.As(err, &refused) {
		b.poke()
		return 0, backend.ErrStale
	}
	if err != nil {
		return 0, err
	}
	return r.V, b.announce(ctx)
}

// agreeWait bounds Agree. A node that was killed counts as one that lives for a lease.
const agreeWait = 5 * time.Second

// Agree returns when every other node that lives has applied all that was changed before, or after five seconds.
func (b *Backend) Agree(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, agreeWait)
	defer cancel()
	r, err := b.get(ctx, b.bell, clusterKey, revisionKey)
	if err != nil || r == nil {
		return
	}
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		nodes, err := b.Nodes(ctx)
		if err != nil {
			return
		}
		behind := false
		for _, n := range nodes {
			behind = behind || n.Lives && !n.Here && n.Revision < r.V
		}
		if !behind {
			return
		}
		b.sleep(ctx, wait, nil)
		if ctx.Err() != nil {
			b.o.Log.Warn("a change was answered before every node had it: one of them is slow or gone", "after", agreeWait)
			return
		}
	}
}
