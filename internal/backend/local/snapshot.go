package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/table"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// A mapping that starts with a snapshot reads a shard of its own before the others (backend.SnapshotShard): the items
// as they were between two writes. The table's part of the database is frozen under the mapping's id at that moment, so the
// snapshot is the same after a restart, and what came later is in the stream, from the position that the mapping was
// given in the same moment.

// frozen are the snapshots that are being read.
type frozen struct {
	mu   sync.Mutex
	open map[[16]byte]*snapshot
}

// snapshot reads the items of one. Records are numbered in the order of their keys.
type snapshot struct {
	mu     sync.Mutex
	frozen *store.Frozen
	stream *stream.Stream
	of     mapping.Snapshot
	it     *store.Iter // at the record at+1, when not nil
	at     uint64
	marks  [][]byte // the key of each record whose number is 1 more than a multiple of markEvery
}

const markEvery = 1024

// freeze freezes a table for a mapping that is being made, and returns its positions. It fills the mapping's Snapshot in. name is told where the items begin.
func (b *Backend) freeze(m *mapping.Definition, s *stream.Stream, name func(lower []byte) (string, error)) (map[string]lane.Checkpoint, error) {
	if b.tables == nil {
		return nil, errors.New("local: snapshots are not to be had here")
	}
	if err := b.store.Flush(); err != nil {
		return nil, err
	}
	rows := map[string]lane.Checkpoint{}
	err := b.tables.Hold(s.ARN, func(now table.Moment) error {
		for _, sh := range s.Shards() {
			c := lane.Checkpoint{Generation: m.Generation}
			if low, open := now.Heads[sh]; open {
				c.Low = low
			} else {
				c.Low, c.Done = sh.Head(), true
			}
			c.Ordinal = c.Low.Lo
			rows[sh.ID] = c
		}
		at, _ := b.streams.Clock().Now()
		items := uint64(max(0, now.Items))
		*m.Snapshot = mapping.Snapshot{
			Items: items, Last: stream.SnapshotNumber(items), AtMS: at.UnixMilli(), Lower: now.Lower, Upper: now.Upper,
		}
		as, err := name(now.Lower)
		if err != nil {
			return err
		}
		return b.store.Freeze(as, store.Span{Lower: now.Lower, Upper: now.Upper})
	})
	if errors.Is(err, table.ErrNotEnabled) {
		err = backend.ErrNoSnapshot
	}
	return rows, err
}

func frozenName(uuid [16]byte) string { return fmt.Sprintf("%x", uuid) }

// readSnapshot is Read for a mapping's snapshot.
func (b *Backend) readSnapshot(s *stream.Stream, uuid string, after seqnum.Num, maxRecords, maxBytes int) (lane.Page, error) {
	raw, err := id(uuid)
	if err != nil {
		return lane.Page{}, err
	}
	sn, err := b.snapshot(raw, s)
	if err != nil || sn == nil {
		return lane.Page{End: err == nil}, err
	}
	return sn.read(after.Lo, maxRecords, maxBytes)
}

// snapshot returns a mapping's, opened when it is not yet; nil when there is none (any more).
func (b *Backend) snapshot(uuid [16]byte, s *stream.Stream) (*snapshot, error) {
	b.frozen.mu.Lock()
	defer b.frozen.mu.Unlock()
	if sn := b.frozen.open[uuid]; sn != nil {
		return sn, nil
	}
	of, err := b.snapshotOf(uuid)
	if of == nil {
		return nil, err // an error must not look like the end of the items
	}
	f, err := b.store.OpenFrozen(frozenName(uuid))
	if err != nil {
		return nil, err
	}
	sn := &snapshot{frozen: f, stream: s, of: *of}
	if b.frozen.open == nil {
		b.frozen.open = map[[16]byte]*snapshot{}
	}
	b.frozen.open[uuid] = sn
	return sn, nil
}

// snapshotOf is what a stored mapping knows of its snapshot; nil when there is no such mapping, or it has none.
func (b *Backend) snapshotOf(uuid [16]byte) (*mapping.Snapshot, error) {
	stored, err := b.Mappings(context.Background())
	if err != nil {
		return nil, err
	}
	for i := range stored {
		if raw, err := id(stored[i].UUID); err == nil && raw == uuid {
			return stored[i].Snapshot, nil
		}
	}
	return nil, nil
}

func (sn *snapshot) read(after uint64, maxRecords, maxBytes int) (p lane.Page, err error) {
	sn.mu.Lock()
	defer sn.mu.Unlock()
	if sn.frozen == nil {
		return lane.Page{End: true}, nil
	}
	if sn.it == nil || sn.at != after {
		if err := sn.seek(after); err != nil {
			return p, err
		}
	}
	size := 0
	for sn.it.Valid() {
		r, err := sn.record()
		if err != nil {
			return p, errors.Join(err, sn.rest())
		}
		if n := len(p.Records); n > 0 && (n >= maxRecords || size+r.EventSize() > maxBytes) {
			return p, nil
		}
		size += r.EventSize()
		p.Records = append(p.Records, r)
		sn.move()
	}
	p.End = true
	return p, sn.rest() // an iterator that failed looks as if it were at its end
}

// seek goes to the record after the nth.
func (sn *snapshot) seek(n uint64) error {
	if err := sn.rest(); err != nil {
		return err
	}
	it, err := sn.frozen.NewIter(sn.of.Lower, sn.of.Upper)
	if err != nil {
		return err
	}
	sn.it, sn.at = it, 0
	if mark := min(n/markEvery, uint64(len(sn.marks))); mark > 0 && len(sn.marks) > 0 {
		mark = min(mark, uint64(len(sn.marks)-1))
		sn.at = mark * markEvery
		it.SeekGE(sn.marks[mark])
	} else {
		it.First()
	}
	for sn.at < n && it.Valid() {
		sn.move()
	}
	return nil
}

// move goes one record on.
func (sn *snapshot) move() {
	if sn.at%markEvery == 0 && sn.at/markEvery == uint64(len(sn.marks)) {
		sn.marks = append(sn.marks, append([]byte(nil), sn.it.Key()...))
	}
	sn.at++
	sn.it.Next()
}

func (sn *snapshot) record() (*stream.Record, error) {
	v, err := sn.it.Value()
	if err != nil {
		return nil, err
	}
	return sn.stream.Snapshot(sn.at+1, item.Item(append([]byte(nil), v...)), xxhash.Sum64(sn.it.Key()), sn.of.AtMS), nil
}

// rest lets go of the iterator.
func (sn *snapshot) rest() error {
	it := sn.it
	sn.it = nil
	if it == nil {
		return nil
	}
	return it.Close()
}

func (sn *snapshot) close() error {
	sn.mu.Lock()
	defer sn.mu.Unlock()
	if sn.frozen == nil {
		return nil
	}
	err := errors.Join(sn.rest(), sn.frozen.Close())
	sn.frozen = nil
	return err
}

// thaw gives a mapping's snapshot up: it has been read, or the mapping is gone.
func (b *Backend) thaw(uuid [16]byte) error {
	b.frozen.mu.Lock()
	defer b.frozen.mu.Unlock()
	sn := b.frozen.open[uuid]
	delete(b.frozen.open, uuid)
	var err error
	if sn != nil {
		err = sn.close()
	}
	return errors.Join(err, b.store.Thaw(frozenName(uuid)))
}

// thawRead gives up the snapshots that rows, which are stored, say have been read. A failure leaves files for the next
// Sweep.
func (b *Backend) thawRead(rows []backend.Row) {
	for i := range rows {
		if rows[i].Done && backend.IsSnapshot(rows[i].Shard) {
			if raw, err := id(rows[i].UUID); err == nil {
				_ = b.thaw(raw)
			}
		}
	}
}

// sweep removes snapshots that nobody reads (any more): of a mapping that a crash kept from being made, and the like.
func (b *Backend) sweep(log *slog.Logger) error {
	names, err := b.store.FrozenNames()
	if err != nil || len(names) == 0 {
		return err
	}
	stored, err := b.Mappings(context.Background())
	if err != nil {
		return err
	}
	read := map[string]bool{}
	for i := range stored {
		m := &stored[i]
		raw, err := id(m.UUID)
		if err == nil && m.Snapshot != nil && !m.Checkpoints[backend.SnapshotShard(m.UUID)].Done {
			read[frozenName(raw)] = true
		}
	}
	for _, name := range names {
		if !read[name] && !strings.HasPrefix(name, store.FrozenTable) && !strings.HasPrefix(name, lentPrefix) {
			log.Info("removing a snapshot that has been read", "name", name)
			if err := b.store.ThawStray(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close lets go of open snapshots. The engine has ended before, and the store is closed after it.
func (b *Backend) Close() error {
	b.frozen.mu.Lock()
	defer b.frozen.mu.Unlock()
	var err error
	for _, sn := range b.frozen.open {
		err = errors.Join(err, sn.close())
	}
	b.frozen.open = nil
	return errors.Join(err, b.lent.close())
}
