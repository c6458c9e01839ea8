package remote

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// A mapping may begin with the items that its table has. The tables' server keeps them, as they are at one moment, and tells where the stream goes on behind them. They are
// a closed shard of the mapping's own, with a row like those of the stream's shards: so whoever takes the stream over goes on where the one before was. The stream's
// shards begin once it is stored that this one has ended. Nobody reads ahead of the mapping here, so a page is what there is.

// Lender is an Endpoint that keeps items: a Millstream.
type Lender interface {
	// Lend keeps the items that a stream's table has now, until EndLent, or until the control table has no row of the mapping. It does so once for a mapping.
	// ErrGone, backend.ErrNoSnapshot, backend.ErrLacks.
	Lend(ctx context.Context, uuid, stream, control string) (Lent, error)
	// Items returns items behind the after-th, at most limit. ErrGone: there is no such stream any more. ErrNotKept.
	Items(ctx context.Context, uuid, stream string, after uint64, limit int) (Items, error)
	// EndLent gives the items up, if there are some.
	EndLent(ctx context.Context, uuid string) error
}

// Lent are items that are kept.
type Lent struct {
	Items uint64
	Last  seqnum.Num // the number of the last one
	AtMS  int64
	// Places are where the stream's shards go on.
	Places map[string]LentPlace
}

// LentPlace is behind a number, or nowhere, since the shard had ended.
type LentPlace struct {
	After seqnum.Num
	Done  bool
}

// Items are one page of them, as records of GetRecords.
type Items struct {
	Records []json.RawMessage
	End     bool
}

// ErrNotKept: the items are not at the tables' server. It was restored from a copy that has not got them, or another has taken its place.
var ErrNotKept = errors.New("remote: the tables' server does not have the items any more that the trigger began with: delete it, and make it anew")

// Bounds of a mapping's making: the server gives items up that have no mapping after an hour.
const (
	lendWait = time.Minute
	makeWait = 20 * time.Minute
)

// lends returns the endpoint, if it keeps items.
func (b *Backend) lends() (Lender, bool) {
	l, ok := b.o.Endpoint.(Lender)
	return l, ok && !b.o.Polled
}

// knows is what a node's release can work with beyond what the first one could. It is in the node's row.
//
//	1: mappings that begin with items
//	2: the list of packages of code, of which those that nobody names are removed
const knows = 2

// lend has the items kept for a mapping that is being made, and returns where it begins in every shard.
func (b *Backend) lend(ctx context.Context, m *mapping.Definition) (map[string]lane.Checkpoint, error) {
	l, ok := b.lends()
	if !ok {
		return nil, backend.ErrLacks
	}
	// A node of an earlier release takes the shard of items for one of the stream's.
	nodes, err := b.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		if n.Lives && n.Knows < 1 {
			return nil, &backend.Lacking{Why: "A trigger cannot begin with the items that there are while the node " + n.Name + " runs an earlier release: bring all nodes to this one first"}
		}
	}
	try, cancel := context.WithTimeout(ctx, lendWait)
	defer cancel()
	lent, err := l.Lend(try, m.UUID, m.StreamARN, b.control) // once: of a try that is not answered nobody knows from which moment its items are
	if errors.Is(err, ErrGone) {
		err = backend.ErrNoStream
	}
	if err != nil {
		return nil, err
	}
	*m.Snapshot = mapping.Snapshot{Items: lent.Items, Last: lent.Last, AtMS: lent.AtMS}
	rows := map[string]lane.Checkpoint{backend.SnapshotShard(m.UUID): {Generation: m.Generation}}
	for shard, p := range lent.Places {
		rows[shard] = lane.Checkpoint{Generation: m.Generation, Low: p.After, Ordinal: b.countUpTo(m.StreamARN, shard, p.After), Done: p.Done}
	}
	return rows, nil
}

// items is Read for a mapping's items.
func (b *Backend) items(ctx context.Context, stream, uuid string, after seqnum.Num, maxRecords, maxBytes int) (page lane.Page, err error) {
	l, ok := b.lends()
	if !ok {
		return page, backend.ErrLacks
	}
	try, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	got, err := l.Items(try, uuid, stream, after.Lo, min(maxRecords, pageSize))
	if errors.Is(err, ErrGone) { // and with it everything that the mapping had to read
		return lane.Page{End: true, Missed: &lane.Missed{First: after.Next(), Last: after.Next(), Unknown: true}}, nil
	}
	if err != nil {
		return page, err
	}
	size := 0
	for i, text := range got.Records {
		r, err := newRecord(text, stream)
		if err != nil {
			return page, err
		}
		if size += r.EventSize(); size > maxBytes && i > 0 {
			return page, nil
		}
		page.Records = append(page.Records, r)
	}
	page.End = got.End
	return page, nil
}

// giveUp has the server give a mapping's items up, now or when it answers again, while the claim lasts. The next owner does it once more.
func (c *claim) giveUp(uuid string) {
	l, ok := c.b.lends()
	if !ok {
		return
	}
	c.b.work.Go(func() {
		for pause := minPause; ; {
			try, cancel := context.WithTimeout(c.ctx, tryFor)
			err := l.EndLent(try, uuid)
			cancel()
			if err == nil || c.b.pause(c.ctx, &pause, "the end of items that have been read", err) != nil {
				return
			}
		}
	})
}

// giveUpNow tries that once, for a mapping that is not there. Else the server finds that out by itself.
func (b *Backend) giveUpNow(ctx context.Context, uuid string) {
	if l, ok := b.lends(); ok {
		try, cancel := context.WithTimeout(ctx, tryFor)
		defer cancel()
		_ = l.EndLent(try, uuid)
	}
}
