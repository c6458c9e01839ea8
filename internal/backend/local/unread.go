package local

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// The log is kept for mappings (stream.Readers), by the positions that are on the disk. What
// is removed before a mapping has read it is recorded in the batch that removes it:
// a row under
//
//	SpaceUnread, mapping id (16), shard id, first number (16)
//
// with: version, reason (1), last number (16), count (8), and when it was removed
// last, in ms since 1970 (8). Removals of one stretch, between which the mapping did
// not get on, share a row. A mapping keeps the newest maxUnread rows.
const (
	unreadVersion = 1
	unreadSize    = 2 + seqnum.Size + 8 + 8
	maxUnread     = 100
)

var unreadReasons = map[byte]stream.Why{'a': stream.AgeLoss, 'c': stream.CapLoss, 's': stream.StreamLoss, 'k': skippedBy}

func unreadPrefix(uuid [16]byte) []byte {
	return append([]byte{store.SpaceUnread}, uuid[:]...)
}

// Unread is a range of records of a shard that were removed before a mapping had read
// them. Those that it held in memory at that moment may have been processed after all.
type Unread struct {
	Shard       string
	First, Last seqnum.Num
	Count       uint64
	Why         stream.Why
	At          time.Time // when the last of them were removed
}

func (u *Unread) key(uuid [16]byte) []byte {
	return u.First.Append(append(unreadPrefix(uuid), u.Shard...))
}

func (u *Unread) value() []byte {
	v := []byte{unreadVersion, 0}
	for code, why := range unreadReasons {
		if why == u.Why {
			v[1] = code
		}
	}
	v = binary.BigEndian.AppendUint64(u.Last.Append(v), u.Count)
	return binary.BigEndian.AppendUint64(v, uint64(u.At.UnixMilli()))
}

func decodeUnread(k, v []byte) (Unread, error) {
	if len(k) <= seqnum.Size || len(v) != unreadSize || v[0] != unreadVersion {
		return Unread{}, errors.New("local: a row of unread records is damaged or was written by a newer release")
	}
	shard := k[:len(k)-seqnum.Size]
	rest := v[2+seqnum.Size:]
	return Unread{
		Shard: string(shard), First: seqnum.FromBytes(k[len(shard):]), Last: seqnum.FromBytes(v[2:]), Why: unreadReasons[v[1]],
		Count: binary.BigEndian.Uint64(rest), At: time.UnixMilli(int64(binary.BigEndian.Uint64(rest[8:]))),
	}, nil
}

// readers is what the retention has to know of all mappings. Positions are those that
// are durable: they lag behind the engine's, never the other way round.
type readers struct {
	mu   sync.Mutex // held over the first reading only, otherwise for moments
	byID map[[16]byte]*reader
}

type reader struct {
	uuid    string
	stream  string // its ARN
	enabled bool
	at      map[string]place // by shard; none: before its first record
	unread  []Unread         // oldest first
}

type place struct {
	generation uint64
	low        seqnum.Num
	done       bool
}

func placeOf(c *lane.Checkpoint) place { return place{c.Generation, c.Low, c.Done} }

// before reports whether p was stored before o, of the same shard: those who have stored may tell of it in another order.
func (p place) before(o place) bool {
	return p.generation < o.generation || p.generation == o.generation && (p.low.Less(o.low) || p.low == o.low && o.done && !p.done)
}

// get returns the readers, read from the disk at the first call. The caller holds mu.
func (r *readers) get(b *Backend) (map[[16]byte]*reader, error) {
	if r.byID != nil {
		return r.byID, nil
	}
	stored, err := b.Mappings(context.Background())
	if err != nil {
		return nil, err
	}
	all := map[[16]byte]*reader{}
	for i := range stored {
		uuid, err := id(stored[i].UUID)
		if err != nil {
			return nil, err
		}
		rd := newReader(&stored[i].Definition, stored[i].Checkpoints)
		prefix := unreadPrefix(uuid)
		err = b.store.Each(prefix, func(k, v []byte) error {
			u, err := decodeUnread(k[len(prefix):], v)
			rd.unread = append(rd.unread, u)
			return err
		})
		if err != nil {
			return nil, err
		}
		slices.SortStableFunc(rd.unread, func(a, b Unread) int { return a.At.Compare(b.At) })
		all[uuid] = rd
	}
	r.byID = all
	return all, nil
}

func newReader(m *mapping.Definition, rows map[string]lane.Checkpoint) *reader {
	rd := &reader{uuid: m.UUID, stream: m.StreamARN, enabled: m.Enabled, at: make(map[string]place, len(rows))}
	for shard, c := range rows {
		rd.at[shard] = placeOf(&c)
	}
	return rd
}

// What follows tells of changes that are durable. Before the first reading there is
// nothing to tell: it will find them on the disk.

func (r *readers) created(uuid [16]byte, m *mapping.Definition, rows map[string]lane.Checkpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID != nil {
		r.byID[uuid] = newReader(m, rows)
	}
}

func (r *readers) deleted(uuid [16]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byID, uuid)
}

func (r *readers) enable(uuid [16]byte, enabled bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rd := r.byID[uuid]; rd != nil {
		rd.enabled = enabled
	}
}

func (r *readers) advanced(rows []backend.Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		return
	}
	for i := range rows {
		uuid, err := id(rows[i].UUID)
		if err != nil {
			continue // it was stored, so it has a form
		}
		if rd := r.byID[uuid]; rd != nil {
			if at := placeOf(&rows[i].Checkpoint); !at.before(rd.at[rows[i].Shard]) {
				rd.at[rows[i].Shard] = at // of a shard that is gone: nobody asks
			}
		}
	}
}

// unreadAt is the position in a shard after which a mapping has still to read; ok is
// false when it has read it to its end, or reads another stream.
func (rd *reader) unreadAt(sh *stream.Shard) (low seqnum.Num, ok bool) {
	if rd.stream != sh.Stream().ARN {
		return seqnum.Num{}, false
	}
	p, found := rd.at[sh.ID]
	if !found {
		return sh.Start.Prev(), true
	}
	return p.low, !p.done
}

// Needed implements stream.Readers.
func (b *Backend) Needed(sh *stream.Shard) (after seqnum.Num, needed bool, err error) {
	b.readers.mu.Lock()
	defer b.readers.mu.Unlock()
	all, err := b.readers.get(b)
	if err != nil {
		return seqnum.Num{}, false, err
	}
	for _, rd := range all {
		if low, ok := rd.unreadAt(sh); ok && rd.enabled && (!needed || low.Less(after)) {
			after, needed = low, true
		}
	}
	return after, needed, nil
}

// Unread implements stream.Readers.
func (b *Backend) Unread(batch *store.Batch, sh *stream.Shard, from, to seqnum.Num, why stream.Why) ([]stream.Loss, error) {
	b.readers.mu.Lock()
	defer b.readers.mu.Unlock()
	all, err := b.readers.get(b)
	if err != nil {
		return nil, err
	}
	now, _ := b.streams.Clock().Now()
	var losses []stream.Loss
	for uuid, rd := range all {
		low, ok := rd.unreadAt(sh)
		if low.Less(from) {
			low = from
		}
		if !ok || !low.Less(to) || low.Lo >= to.Lo {
			continue
		}
		u := Unread{Shard: sh.ID, First: low.Next(), Last: to, Count: to.Lo - low.Lo, Why: why, At: now}
		losses = append(losses, stream.Loss{Reader: rd.uuid, Range: stream.Range{First: u.First, Last: u.Last, Count: u.Count}})
		rd.record(batch, uuid, u)
	}
	slices.SortFunc(losses, func(a, b stream.Loss) int { return cmp.Compare(a.Reader, b.Reader) })
	return losses, nil
}

// record adds a range, to the one before if that ends where it begins.
func (rd *reader) record(batch *store.Batch, uuid [16]byte, u Unread) {
	for i := range rd.unread {
		if old := &rd.unread[i]; old.Shard == u.Shard && old.Why == u.Why && old.Last.Lo+1 == u.First.Lo {
			u.First, u.Count = old.First, old.Count+u.Count
			rd.unread = slices.Delete(rd.unread, i, i+1)
			break
		}
	}
	rd.unread = append(rd.unread, u)
	batch.Set(u.key(uuid), u.value())
	if len(rd.unread) > maxUnread {
		batch.Delete(rd.unread[0].key(uuid))
		rd.unread = slices.Delete(rd.unread, 0, 1)
	}
}

// Dropped implements stream.Readers.
func (b *Backend) Dropped(batch *store.Batch, s *stream.Stream, shards []*stream.Shard) {
	// Rows are written with mu shared: those of who looked before the shards were off
	// their list have been applied by now, and who looks later writes none.
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers.mu.Lock()
	defer b.readers.mu.Unlock()
	for uuid, rd := range b.readers.byID { // it has been read: see Unread
		if rd.stream != s.ARN {
			continue
		}
		for _, sh := range shards {
			batch.Delete(append(checkpointPrefix(uuid), sh.ID...))
			batch.Delete(append(windowPrefix(uuid), sh.ID...))
			delete(rd.at, sh.ID)
		}
	}
}

// dropped reports whether a row would stay for ever, its shard being gone. The caller
// holds mu, at least shared.
func (b *Backend) dropped(uuid [16]byte, shard string) bool {
	if backend.IsSnapshot(shard) {
		return false
	}
	b.readers.mu.Lock()
	defer b.readers.mu.Unlock()
	rd := b.readers.byID[uuid]
	if rd == nil {
		return false
	}
	s := b.streams.Get(rd.stream)
	return s == nil || s.Removed() || s.Shard(shard) == nil
}

// UnreadOf returns the ranges of records that a mapping has lost, oldest first.
func (b *Backend) UnreadOf(uuid string) ([]Unread, error) {
	raw, err := id(uuid)
	if err != nil {
		return nil, err
	}
	b.readers.mu.Lock()
	defer b.readers.mu.Unlock()
	all, err := b.readers.get(b)
	if err != nil || all[raw] == nil {
		return nil, err
	}
	return slices.Clone(all[raw].unread), nil
}

var _ stream.Readers = (*Backend)(nil)
