package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Rows of definitions. Their versions are the definitions' revisions. A definition that was removed leaves a row that says so: a write
// that arrives late finds it, and brings nothing back.
const (
	definitionKey = backend.NodesDefinitions
	mappingPrefix = backend.NodesMapping
	pairKey       = "pair"
)

type definitionRow struct {
	Mapping *mapping.Definition `json:"mapping,omitempty"`
	Deleted bool                `json:"deleted,omitempty"`
	// Of one that was deleted: its stream, whose owner removes its positions, and whether that is done.
	Stream string `json:"stream,omitempty"`
	Swept  bool   `json:"swept,omitempty"`
}

// pairRow is the one mapping of a function and a stream; empty: there is none any more.
type pairRow struct {
	UUID string `json:"uuid,omitempty"`
}

func pairOf(m *mapping.Definition) string {
	sum := sha256.Sum256([]byte(m.FunctionARN + "\x00" + m.StreamARN))
	return hex.EncodeToString(sum[:16])
}

// Mappings implements backend.Backend.
func (b *Backend) Mappings(ctx context.Context) ([]backend.Stored, error) {
	rows, err := b.query(ctx, b.control, definitionKey, "")
	if err != nil {
		return nil, err
	}
	var all []backend.Stored
	for i := range rows {
		if !strings.HasPrefix(rows[i].S, mappingPrefix) {
			continue
		}
		m, err := definition(&rows[i])
		if err != nil {
			return nil, err
		}
		if m != nil {
			all = append(all, backend.Stored{Definition: *m})
		}
	}
	slices.SortFunc(all, func(a, b backend.Stored) int { return mapping.ByCreation(a.Definition, b.Definition) })
	return all, nil
}

// definition reads a row; nil when it says that the mapping was deleted.
func definition(r *Row) (*mapping.Definition, error) {
	var d definitionRow
	if err := decode(r, &d); err != nil || d.Deleted || d.Mapping == nil {
		return nil, err
	}
	d.Mapping.Revision = r.V
	return d.Mapping, nil
}

// follow tells of definitions that have changed, when there may be some; now and then all are read, for a change whose author has
// died before it could say so.
func (m *member) follow(ctx context.Context, revision uint64) error {
	const all = 4 * beatsPerLease
	if m.rounds++; m.loaded && revision == m.revision && m.rounds < all {
		return nil
	}
	b := m.b
	rows, err := b.query(ctx, b.control, definitionKey, "")
	if err != nil {
		return err
	}
	for i := range rows { // first: what mappings call
		r := &rows[i]
		if strings.HasPrefix(r.S, mappingPrefix) || m.known[r.S] >= r.V || b.o.Told == nil {
			continue
		}
		d, err := document(r)
		if err != nil {
			return err
		}
		b.o.Told(d)
		m.known[r.S] = r.V
	}
	there := map[string]bool{}
	for i := range rows {
		there[rows[i].S] = true
	}
	for s := range m.known { // deleted, and that a while ago
		if !strings.HasPrefix(s, mappingPrefix) && !there[s] && b.o.Told != nil {
			b.o.Told(Document{Key: s, Version: m.known[s], Gone: true})
			delete(m.known, s)
		}
		if uuid, ok := strings.CutPrefix(s, mappingPrefix); ok && !there[s] {
			m.node.Deleted(uuid)
			delete(m.known, s)
			delete(m.unswept, uuid)
			delete(m.reads, uuid)
		}
	}
	for i := range rows {
		r := &rows[i]
		uuid, ok := strings.CutPrefix(r.S, mappingPrefix)
		if !ok || m.known[r.S] >= r.V {
			continue
		}
		d, err := definition(r)
		if err != nil {
			return err
		}
		if delete(m.reads, uuid); d != nil {
			m.reads[uuid] = d.StreamARN
			m.node.Defined(*d)
		} else if err := m.deleted(uuid, r); err != nil {
			return err
		}
		m.known[r.S] = r.V
	}
	m.revision, m.rounds, m.loaded = revision, 0, true
	if b.applied.Swap(revision) != revision {
		select {
		case b.beatSoon <- struct{}{}: // somebody may wait for that
		default:
		}
	}
	return nil
}

// deleted tells of a mapping that is gone, and notes what is left of it.
func (m *member) deleted(uuid string, r *Row) error {
	var d definitionRow
	if err := decode(r, &d); err != nil {
		return err
	}
	m.node.Deleted(uuid)
	if delete(m.unswept, uuid); !d.Swept {
		m.unswept[uuid] = leftover{row: *r, stream: d.Stream}
	}
	return nil
}

// leftover is a mapping that was deleted and may have positions still.
type leftover struct {
	row    Row
	stream string
}

// sweep removes the positions of mappings that were deleted, as the owner of their streams: whoever deleted them may have died before, and
// only the owner makes new ones.
func (m *member) sweep(ctx context.Context, claims map[string]*claim) {
	for uuid, left := range m.unswept {
		c := claims[left.stream]
		if c == nil {
			continue
		}
		m.once("deleted "+uuid, func() {
			c.forget(uuid)
			if m.b.removeRows(ctx, uuid) != nil {
				return // at the next look
			}
			_, _ = m.b.put(ctx, m.b.control, Row{P: left.row.P, S: left.row.S, Data: encode(definitionRow{Deleted: true, Stream: left.stream, Swept: true}), Until: time.Now().Add(deletedFor).Unix()}, left.row.V)
			_ = m.b.announce(ctx) // or the next owner does it once more
		})
	}
}

// deletedFor is how long the row of a mapping is kept that was deleted and has nothing any more, and that of a stream without mappings.
const deletedFor = 24 * time.Hour

// streams keeps the rows of streams in line with the mappings that there are: one that has mappings has a row, and the owner of one that has none gives
// it up. The row stays for a while, so that epochs go on rising when the stream has a mapping again soon.
func (m *member) streams(ctx context.Context, rows []Row, claims map[string]*claim) (used map[string]bool, err error) {
	used = map[string]bool{}
	for _, stream := range m.reads {
		used[stream] = true
	}
	for _, left := range m.unswept {
		used[left.stream] = true // its owner sweeps
	}
	there := map[string]bool{}
	for _, r := range rows {
		stream := strings.TrimPrefix(r.S, slicePrefix)
		there[stream] = true
		if c := claims[stream]; c != nil && !used[stream] && r.V == c.version {
			m.once(stream, func() {
				m.end(c)
				given := Row{P: r.P, S: r.S, Data: encode(sliceRow{Epoch: c.epoch}), Until: time.Now().Add(deletedFor).Unix()}
				_, _ = m.b.put(c.ctx, m.b.control, given, r.V) // or the next owner gives it up
				c.lose()
			})
		}
	}
	for stream := range used {
		if !there[stream] {
			if err := m.b.makeSlice(ctx, stream); err != nil {
				return nil, err
			}
		}
	}
	return used, nil
}

// removeRows removes a mapping's positions, and what it has set aside.
func (b *Backend) removeRows(ctx context.Context, uuid string) error {
	rows, err := b.query(ctx, b.progress, checkpointKey(uuid), "")
	if err != nil {
		return err
	}
	if slices.ContainsFunc(rows, func(r Row) bool { return backend.IsSnapshot(r.S) }) {
		b.giveUpNow(ctx, uuid)
	}
	if err := each(rows, func(r Row) error { return b.remove(ctx, b.progress, r.P, r.S) }); err != nil {
		return err
	}
	return b.removeAll(ctx, uuid)
}

// announce raises the version of the row by which nodes see that definitions have changed.
func (b *Backend) announce(ctx context.Context) error {
	defer b.poke()
	for {
		r, err := b.get(ctx, b.bell, clusterKey, revisionKey)
		if err != nil {
			return err
		}
		var v uint64
		if r != nil {
			v = r.V
		}
		_, err = b.put(ctx, b.bell, Row{P: clusterKey, S: revisionKey, Data: "{}"}, v)
		if refused := (*Refused)(nil); !errors.As(err, &refused) {
			return err
		}
	}
}

// CreateMapping implements backend.Backend. The definition's row makes the mapping; what is written before is found by nobody without it.
func (b *Backend) CreateMapping(ctx context.Context, m mapping.Definition) (map[string]lane.Checkpoint, error) {
	find, open := b.places, false // whether the definition may be stored although nobody knows
	if m.Snapshot != nil {
		find = b.lend
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, makeWait)
		defer cancel()
		defer func() {
			if !open {
				b.giveUpNow(context.WithoutCancel(ctx), m.UUID)
			}
		}()
	}
	rows, err := find(ctx, &m)
	if err != nil {
		return nil, err
	}
	pair, err := b.pair(ctx, &m)
	if err != nil {
		return nil, err
	}
	shards := make([]string, 0, len(rows))
	for id := range rows {
		shards = append(shards, id)
	}
	if err := each(shards, func(id string) error {
		_, err := b.put(ctx, b.progress, Row{P: checkpointKey(m.UUID), S: id, Data: encode(stored(rows[id], 0))}, 0)
		return err
	}); err != nil {
		return nil, err
	}
	if err := b.makeSlice(ctx, m.StreamARN); err != nil {
		return nil, err
	}
	open = true
	_, err = b.put(ctx, b.control, Row{P: definitionKey, S: mappingPrefix + m.UUID, Data: encode(definitionRow{Mapping: &m})}, 0)
	if refused := (*Refused)(nil); errors.As(err, &refused) { // this caller was slow, and another has the pair: see pair
		taken := &backend.Taken{}
		if now, err := b.get(ctx, b.control, pairKey, pair); err == nil && now != nil {
			var holder pairRow
			if decode(now, &holder) == nil {
				taken.UUID = holder.UUID
			}
		}
		return nil, errors.Join(b.removeRows(ctx, m.UUID), taken)
	}
	if err != nil {
		return nil, err
	}
	return rows, b.announce(ctx)
}

// makeSlice makes the row of a stream, unless there is one. Its epoch is above those of an earlier row, which was removed. Who takes it keeps it for good.
func (b *Backend) makeSlice(ctx context.Context, stream string) error {
	_, err := b.put(ctx, b.control, Row{P: clusterKey, S: slicePrefix + stream, Data: encode(sliceRow{Epoch: uint64(time.Now().UnixMilli())}), Until: time.Now().Add(deletedFor).Unix()}, 0)
	if refused := (*Refused)(nil); errors.As(err, &refused) {
		return nil
	}
	return err
}

// pairGrace is how long a pair may be taken without a definition.
const pairGrace = 5 * time.Second

// pair takes the function and the stream for a mapping, and returns the row's second key. One that was taken by a caller who died before
// the mapping was made is free: a row that says that it was deleted takes the definition's place first, so a caller who was slow, and not dead, cannot
// make the mapping any more.
func (b *Backend) pair(ctx context.Context, m *mapping.Definition) (string, error) {
	r, v := Row{P: pairKey, S: pairOf(m), Data: encode(pairRow{UUID: m.UUID})}, uint64(0)
	for waited := false; ; {
		if v == 0 {
			r.V = 1 + rand.Uint64N(1<<50) // so that nothing that is on its way for an earlier row fits this one
		}
		_, err := b.put(ctx, b.control, r, v)
		if err == nil {
			return r.S, nil
		}
		refused, ok := errors.AsType[*Refused](err)
		if !ok {
			return "", err
		}
		if v = 0; refused.Now == nil {
			continue
		}
		var holder pairRow
		if err := decode(refused.Now, &holder); err != nil {
			return "", err
		}
		if holder.UUID == "" {
			v = refused.Now.V
			continue
		}
		d, err := b.get(ctx, b.control, definitionKey, mappingPrefix+holder.UUID)
		if err != nil {
			return "", err
		}
		if d == nil {
			if !waited {
				waited = true
				b.sleep(ctx, pairGrace, nil)
				continue
			}
			gone := definitionRow{Deleted: true, Stream: m.StreamARN}
			_, err := b.put(ctx, b.control, Row{P: definitionKey, S: mappingPrefix + holder.UUID, Data: encode(gone)}, 0)
			if refused := (*Refused)(nil); err != nil && !errors.As(err, &refused) {
				return "", err
			}
			continue // look again
		}
		def, err := definition(d)
		if err != nil {
			return "", err
		}
		if def != nil {
			return "", &backend.Taken{UUID: holder.UUID}
		}
		v = refused.Now.V
	}
}

// places finds where a new mapping begins in every shard.
func (b *Backend) places(ctx context.Context, m *mapping.Definition) (map[string]lane.Checkpoint, error) {
	d, err := b.describe(ctx, m.StreamARN)
	if errors.Is(err, ErrGone) {
		err = backend.ErrNoStream
	}
	if err != nil {
		return nil, err
	}
	at := TrimHorizon
	switch {
	case !m.StartAt.IsZero():
		at = atTime(m.StartAt.UnixMilli())
	case m.Start == mapping.StartLatest:
		at = Latest
	}
	lows, err := b.beginAt(ctx, m.StreamARN, d.Shards, at)
	if err != nil {
		return nil, err
	}
	rows := map[string]lane.Checkpoint{}
	for i, s := range d.Shards {
		rows[s.ID] = lane.Checkpoint{Generation: m.Generation, Low: lows[i], Ordinal: b.countUpTo(m.StreamARN, s.ID, lows[i]), Done: s.Closed && at == Latest}
	}
	return rows, nil
}

// UpdateMapping implements backend.Backend.
func (b *Backend) UpdateMapping(ctx context.Context, m mapping.Definition) error {
	_, err := b.put(ctx, b.control, Row{P: definitionKey, S: mappingPrefix + m.UUID, Data: encode(definitionRow{Mapping: &m})}, m.Revision)
	if refused, ok := errors.AsType[*Refused](err); ok {
		if refused.Now != nil {
			d, err := definition(refused.Now)
			if err != nil {
				return err
			}
			if d != nil {
				b.poke()
				return backend.ErrStale
			}
		}
		return backend.ErrNoMapping
	}
	if err != nil {
		return err
	}
	return b.announce(ctx)
}

// DeleteMapping implements backend.Backend. From the definition's row on nobody begins with the mapping; its owner stops when it is told, or when a
// position is refused.
func (b *Backend) DeleteMapping(ctx context.Context, uuid string) error {
	r, err := b.get(ctx, b.control, definitionKey, mappingPrefix+uuid)
	if err != nil {
		return err
	}
	if r == nil {
		return backend.ErrNoMapping
	}
	m, err := definition(r)
	if err != nil {
		return err
	}
	if m == nil {
		return backend.ErrNoMapping
	}
	_, err = b.put(ctx, b.control, Row{P: r.P, S: r.S, Data: encode(definitionRow{Deleted: true, Stream: m.StreamARN})}, r.V)
	if refused := (*Refused)(nil); errors.As(err, &refused) {
		return backend.ErrStale
	}
	if err != nil {
		return err
	}
	pair, err := b.get(ctx, b.control, pairKey, pairOf(m))
	if err == nil && pair != nil {
		var holder pairRow
		if err = decode(pair, &holder); err == nil && holder.UUID == uuid {
			err = b.removeAt(ctx, b.control, pair)
		}
	}
	if refused := (*Refused)(nil); err != nil && !errors.As(err, &refused) {
		return err
	}
	if err := b.announce(ctx); err != nil {
		return err
	}
	if c := b.claimOn(m.StreamARN); c != nil {
		c.forget(uuid)
	}
	return b.removeRows(ctx, uuid) // what its owner still writes goes when that sweeps
}
