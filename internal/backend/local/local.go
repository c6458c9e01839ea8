// Package local is the trigger engine's backend over this process's own streams
// and store.
package local

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/queue"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/table"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Backend implements backend.Backend. Safe for concurrent use.
type Backend struct {
	store   *store.Store
	streams *stream.Streams
	tables  *table.DB      // nil: functions' writes are refused
	queues  *queue.Service // nil: their messages are

	// mu guards known. A row or a definition of a mapping is written only while the
	// mapping is known, and mu is held, shared for rows, from that look until the
	// batch has been applied: so nothing comes after a deletion. Not held over a sync.
	mu sync.RWMutex
	// known has the definition key of every stored mapping; nil until first needed.
	known map[[16]byte][]byte

	readers readers
	frozen  frozen
	lent    lent
}

var _ backend.Backend = (*Backend)(nil)

// Open returns a backend over a store, its streams, and the tables and queues that functions may
// write and send to with their answers; nil when there are none. Snapshots that nobody reads any
// more are removed.
func Open(st *store.Store, streams *stream.Streams, tables *table.DB, queues *queue.Service, log *slog.Logger) (*Backend, error) {
	b := &Backend{store: st, streams: streams, tables: tables, queues: queues}
	if err := b.sweep(log); err != nil {
		return nil, err
	}
	return b, b.findLent()
}

// ResolveStream implements backend.Backend.
func (b *Backend) ResolveStream(ctx context.Context, arn string) (backend.Stream, error) {
	s := b.streams.Get(arn)
	if err := b.store.Barrier(ctx); err != nil {
		return backend.Stream{}, err
	}
	if s == nil || s.Hidden() {
		return backend.Stream{}, backend.ErrNoStream
	}
	return backend.Stream{ARN: s.ARN, Table: s.Table, Scope: s.Scope}, nil
}

// Shards implements backend.Backend.
func (b *Backend) Shards(_ context.Context, arn string) ([]backend.Shard, error) {
	s := b.streams.Get(arn)
	if s == nil {
		return nil, backend.ErrNoStream
	}
	shards := s.Shards()
	out := make([]backend.Shard, len(shards))
	for i, sh := range shards {
		_, closed := sh.End()
		head := sh.Head()
		out[i] = backend.Shard{ID: sh.ID, Parent: sh.Parent, Closed: closed, Head: head, Records: head.Lo, Before: sh.Start.Lo - 1}
	}
	return out, nil
}

// Read implements backend.Backend.
func (b *Backend) Read(_ context.Context, arn, shard string, after seqnum.Num, maxRecords, maxBytes int) (lane.Page, error) {
	s := b.streams.Get(arn)
	if s == nil {
		return lane.Page{}, backend.ErrNoStream
	}
	if uuid, ok := backend.SnapshotOf(shard); ok {
		return b.readSnapshot(s, uuid, after, maxRecords, maxBytes)
	}
	sh := s.Shard(shard)
	if sh == nil {
		return lane.Page{End: true}, nil // all of it is past the retention
	}
	page, err := sh.ReadEvents(after, maxRecords, maxBytes)
	if err != nil {
		return lane.Page{}, err
	}
	out := lane.Page{Records: make([]lane.Record, len(page.Records)), End: page.End, Coming: page.Coming}
	for i, r := range page.Records {
		out.Records[i] = r
	}
	if m := page.Missed; m != nil {
		out.Missed = &lane.Missed{First: m.First, Last: m.Last, Count: m.Count}
	}
	return out, nil
}

// Watch implements backend.Backend.
func (b *Backend) Watch(arn string, wake func()) (stop func()) {
	if s := b.streams.Get(arn); s != nil {
		return s.Watch(wake)
	}
	return func() {}
}

// Stored forms: a definition is a version byte and JSON under
//
//	SpaceControl, 'm', creation time in ns (8), mapping id (16)
//
// (so that listing is in creation order), a checkpoint is a row under
//
//	SpaceCheckpoint, mapping id (16), shard id
//
// with: version, flags (bit 0: done), generation (8), low-water mark (16), its
// ordinal (8) and time in ms (8), expired records (8), then for each virtual lane
// that is ahead its number (1) and position (16). The tumbling window of a position is a
// row of its own (see window.go).
const (
	controlMapping    = 'm'
	definitionKeySize = 2 + 8 + 16
	mappingVersion    = 1
	checkpointVersion = 1
	checkpointSize    = 2 + 8 + seqnum.Size + 3*8
	laneSize          = 1 + seqnum.Size
	flagDone          = 1
)

func id(uuid string) ([16]byte, error) {
	var b [16]byte
	raw, err := hex.DecodeString(strings.ReplaceAll(uuid, "-", ""))
	if err != nil || len(raw) != len(b) {
		return b, fmt.Errorf("local: %q is no mapping id", uuid)
	}
	copy(b[:], raw)
	return b, nil
}

func definitionKey(uuid [16]byte, created time.Time) []byte {
	k := make([]byte, 0, definitionKeySize)
	k = binary.BigEndian.AppendUint64(append(k, store.SpaceControl, controlMapping), uint64(created.UnixNano()))
	return append(k, uuid[:]...)
}

func checkpointPrefix(uuid [16]byte) []byte {
	return append([]byte{store.SpaceCheckpoint}, uuid[:]...)
}

// Mappings implements backend.Backend.
func (b *Backend) Mappings(context.Context) ([]backend.Stored, error) {
	var out []backend.Stored
	prefix := []byte{store.SpaceControl, controlMapping}
	err := b.store.Each(prefix, func(_, v []byte) error {
		if len(v) == 0 || v[0] != mappingVersion {
			return errors.New("local: a mapping was written by a newer release; open the data with that release")
		}
		m := backend.Stored{Checkpoints: map[string]lane.Checkpoint{}}
		if err := json.Unmarshal(v[1:], &m.Definition); err != nil {
			return fmt.Errorf("local: a mapping is damaged: %w", err)
		}
		out = append(out, m)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		uuid, err := id(out[i].UUID)
		if err != nil {
			return nil, err
		}
		rows := checkpointPrefix(uuid)
		err = b.store.Each(rows, func(k, v []byte) error {
			c, err := decodeCheckpoint(v)
			out[i].Checkpoints[string(k[len(rows):])] = c
			return err
		})
		if err != nil {
			return nil, err
		}
		if err := b.readWindows(uuid, out[i].Checkpoints); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// CreateMapping implements backend.Backend. A mapping gets a row for every
// present shard, so that a missing row always means "from the first record": of
// a shard that was born later.
func (b *Backend) CreateMapping(_ context.Context, m mapping.Definition) (_ map[string]lane.Checkpoint, err error) {
	s := b.streams.Get(m.StreamARN)
	if s == nil || s.Hidden() {
		return nil, backend.ErrNoStream
	}
	uuid, err := id(m.UUID)
	if err != nil {
		return nil, err
	}
	if err := awserr.WhenFull(b.store.Admit(), store.ErrDiskFull, awserr.LambdaService().Code); err != nil {
		return nil, err
	}
	rows := map[string]lane.Checkpoint{}
	if m.Snapshot != nil {
		if rows, err = b.freeze(&m, s, func([]byte) (string, error) { return frozenName(uuid), nil }); err != nil {
			return nil, errors.Join(err, b.thaw(uuid))
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, b.thaw(uuid))
			}
		}()
	}
	batch := b.store.NewBatch()
	defer batch.Close()
	key, err := putDefinition(batch, uuid, &m)
	if err != nil {
		return nil, err
	}
	for _, sh := range s.Shards() {
		if m.Snapshot != nil {
			if c, known := rows[sh.ID]; known { // one that was born since is read from its beginning
				putCheckpoint(batch, uuid, sh.ID, &c)
			}
			continue
		}
		c := lane.Checkpoint{Generation: m.Generation, Low: sh.Horizon()}
		if m.Start == mapping.StartLatest && m.StartAt.IsZero() {
			_, c.Done = sh.End()
			c.Low = sh.Head()
		}
		if !m.StartAt.IsZero() {
			if c.Low, err = sh.Before(m.StartAt.UnixMilli()); err != nil {
				return nil, err
			}
		}
		c.Ordinal = c.Low.Lo
		putCheckpoint(batch, uuid, sh.ID, &c)
		rows[sh.ID] = c
	}
	err = b.change(batch, func() error {
		b.known[uuid] = key
		return nil
	})
	if err == nil {
		b.readers.created(uuid, &m, rows)
	}
	return rows, err
}

// change applies a change of a definition, unless admit, called under mu, returns
// an error. admit may add to the batch. It returns after the sync; the answer that
// there is no mapping waits until that is durable.
func (b *Backend) change(batch *store.Batch, admit func() error) error {
	c := b.store.Begin()
	err := func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if err := b.load(); err != nil {
			return err
		}
		if err := admit(); err != nil {
			return err
		}
		return b.store.Apply(c, batch)
	}()
	if err != nil {
		b.store.Abandon(c)
		if err == backend.ErrNoMapping {
			err = cmp.Or(b.store.Barrier(context.Background()), err)
		}
		return err
	}
	return b.store.Sync(c)
}

// load fills known. The caller holds mu.
func (b *Backend) load() error {
	if b.known != nil {
		return nil
	}
	known := map[[16]byte][]byte{}
	err := b.store.Each([]byte{store.SpaceControl, controlMapping}, func(k, _ []byte) error {
		if len(k) != definitionKeySize {
			return errors.New("local: the key of a mapping is damaged")
		}
		known[[16]byte(k[2+8:])] = bytes.Clone(k)
		return nil
	})
	if err == nil {
		b.known = known
	}
	return err
}

func putDefinition(batch *store.Batch, uuid [16]byte, m *mapping.Definition) (key []byte, err error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	key = definitionKey(uuid, m.Created)
	batch.Set(key, append([]byte{mappingVersion}, body...))
	return key, nil
}

// UpdateMapping implements backend.Backend. It is ErrNoMapping that there is none:
// a late update does not bring a deleted mapping back.
func (b *Backend) UpdateMapping(_ context.Context, m mapping.Definition) error {
	uuid, err := id(m.UUID)
	if err != nil {
		return err
	}
	batch := b.store.NewBatch()
	defer batch.Close()
	key, err := putDefinition(batch, uuid, &m)
	if err != nil {
		return err
	}
	if m.Enabled {
		b.readers.enable(uuid, true) // before it can be answered, and go by what is kept
	}
	err = b.change(batch, func() error {
		if !bytes.Equal(b.known[uuid], key) {
			return backend.ErrNoMapping
		}
		return nil
	})
	if err == nil {
		b.readers.enable(uuid, m.Enabled)
	}
	return err
}

// DeleteMapping implements backend.Backend.
func (b *Backend) DeleteMapping(_ context.Context, uuid string) (err error) {
	raw, err := id(uuid)
	if err != nil {
		return err
	}
	rows := checkpointPrefix(raw)
	batch := b.store.NewBatch()
	defer batch.Close()
	defer b.readers.deleted(raw)
	defer func() {
		if err == nil {
			_ = b.thaw(raw) // the mapping is gone; what is left of its files the next Sweep removes
		}
	}()
	return b.change(batch, func() error {
		key, found := b.known[raw]
		if !found {
			return backend.ErrNoMapping
		}
		batch.Delete(key)
		batch.DeleteRange(rows, store.PrefixEnd(rows))
		windows := windowPrefix(raw)
		batch.DeleteRange(windows, store.PrefixEnd(windows))
		aside := asidePrefix(raw)
		batch.DeleteRange(aside, store.PrefixEnd(aside))
		unread := unreadPrefix(raw)
		batch.DeleteRange(unread, store.PrefixEnd(unread))
		delete(b.known, raw)
		return nil
	})
}

// Commit implements backend.Backend. Rows of a mapping that has been deleted are
// left out: nobody would ever remove them.
func (b *Backend) Commit(_ context.Context, rows []backend.Row, aside []backend.AsideRows) error {
	batch := b.store.NewBatch()
	defer batch.Close()
	c := b.store.Begin()
	if err := b.applyRows(c, batch, rows, aside); err != nil {
		b.store.Abandon(c)
		return err
	}
	if err := b.store.Sync(c); err != nil {
		return err
	}
	b.stored(rows)
	return nil
}

// stored tells of positions that are durable now: what lies behind them is needed no more.
func (b *Backend) stored(rows []backend.Row) {
	b.readers.advanced(rows)
	b.thawRead(rows)
}

func (b *Backend) applyRows(c *store.Commit, batch *store.Batch, rows []backend.Row, aside []backend.AsideRows) error {
	if err := b.ensureLoaded(); err != nil {
		return err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if err := b.putRows(batch, rows, aside); err != nil {
		return err
	}
	return b.store.Apply(c, batch)
}

// putRows puts the rows of mappings that are there. The caller holds mu.
func (b *Backend) putRows(batch *store.Batch, rows []backend.Row, aside []backend.AsideRows) error {
	for i := range rows {
		uuid, err := id(rows[i].UUID)
		if err != nil {
			return err
		}
		if _, found := b.known[uuid]; found && !b.dropped(uuid, rows[i].Shard) {
			putCheckpoint(batch, uuid, rows[i].Shard, &rows[i].Checkpoint)
			putWindow(batch, uuid, &rows[i])
		}
	}
	for i := range aside {
		uuid, err := id(aside[i].UUID)
		if err != nil {
			return err
		}
		if _, found := b.known[uuid]; found {
			putAside(batch, uuid, aside[i].Changes)
		}
	}
	return nil
}

func (b *Backend) ensureLoaded() error {
	b.mu.RLock()
	loaded := b.known != nil
	b.mu.RUnlock()
	if loaded {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.load()
}

func putCheckpoint(batch *store.Batch, uuid [16]byte, shard string, c *lane.Checkpoint) {
	key := append(checkpointPrefix(uuid), shard...)
	batch.Set(key, appendCheckpoint(make([]byte, 0, checkpointSize+len(c.Ahead)*laneSize), c))
}

func appendCheckpoint(dst []byte, c *lane.Checkpoint) []byte {
	flags := byte(0)
	if c.Done {
		flags |= flagDone
	}
	dst = append(dst, checkpointVersion, flags)
	dst = binary.BigEndian.AppendUint64(dst, c.Generation)
	dst = c.Low.Append(dst)
	dst = binary.BigEndian.AppendUint64(dst, c.Ordinal)
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.Time))
	dst = binary.BigEndian.AppendUint64(dst, c.Expired)
	for _, l := range c.Ahead {
		dst = l.Seq.Append(append(dst, l.Lane))
	}
	return dst
}

func decodeCheckpoint(v []byte) (lane.Checkpoint, error) {
	if len(v) < checkpointSize || v[0] != checkpointVersion || (len(v)-checkpointSize)%laneSize != 0 {
		return lane.Checkpoint{}, errors.New("local: a checkpoint is damaged or was written by a newer release")
	}
	c := lane.Checkpoint{Done: v[1]&flagDone != 0, Generation: binary.BigEndian.Uint64(v[2:]), Low: seqnum.FromBytes(v[10:])}
	rest := v[10+seqnum.Size:]
	c.Ordinal = binary.BigEndian.Uint64(rest)
	c.Time = int64(binary.BigEndian.Uint64(rest[8:]))
	c.Expired = binary.BigEndian.Uint64(rest[16:])
	for v = v[checkpointSize:]; len(v) > 0; v = v[laneSize:] {
		c.Ahead = append(c.Ahead, lane.LanePosition{Lane: v[0], Seq: seqnum.FromBytes(v[1:])})
	}
	return c, nil
}
