package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
)

// Range deletes are made in pieces of at least trimPiece records or trimWait of
// time, whichever comes first: many small ones would slow every read.
const (
	trimEvery = time.Minute
	trimPiece = 1 << 16
	trimWait  = time.Hour
)

// Retain is the worker that removes records past the retention which no reader
// needs (see Retaining), and streams that were disabled or lost their table that long
// ago. It returns when ctx is done or the store has failed, and runs once at a time.
func (ss *Streams) Retain(ctx context.Context, o Retaining) error {
	ss.retaining = o
	told := false
	last := map[*Shard]time.Time{}
	return ss.clock.Every(ctx, trimEvery, nil, func() error {
		now, trusted := ss.clock.Now()
		if !trusted {
			return nil
		}
		return store.Spare(o.Log, &told, "no record is removed by age from shards that cannot be read", ss.trim(now, last))
	})
}

// trim hides what is past the retention as of now, and removes it unless it is still
// needed and there is room for it. last holds, for each shard, when it was last
// trimmed or first seen.
func (ss *Streams) trim(now time.Time, last map[*Shard]time.Time) error {
	var all []backlog
	var damaged error // of one shard: the others are trimmed
	for _, s := range ss.All() {
		at, disabled := s.Disabled()
		over := disabled && now.Sub(at) >= s.Retention
		if over {
			s.hidden.Store(true)
		}
		needed := false // of a stream that is over
		for _, sh := range s.Shards() {
			old, err := sh.Before(now.Add(-s.Retention).UnixMilli())
			if errors.Is(err, store.ErrDamaged) {
				damaged, needed = err, true
				continue
			}
			if err != nil {
				return err
			}
			if over {
				old = sh.Head() // whatever the clock was when it was written
			}
			sh.hide(old)
			cut := old
			after, found, err := ss.needed(sh)
			if err != nil {
				return err
			}
			if found && after.Less(old) && sh.kept().Less(old) {
				cut, needed = after, true
				all = append(all, backlog{sh, old})
			}
			since, seen := last[sh]
			if !seen {
				last[sh], since = now, now
			}
			switch kept := sh.kept(); {
			case over: // goes with the stream
			case !kept.Less(cut):
				last[sh] = now
			case now.Sub(since) >= trimWait || cut.Lo-kept.Lo >= trimPiece:
				if err := sh.trimTo(cut, AgeLoss); errors.Is(err, store.ErrDamaged) {
					damaged = err
					continue
				} else if err != nil {
					return err
				}
				last[sh] = now
			}
		}
		gone := s.Shards()
		if over && !needed {
			if err := ss.remove(s); err != nil {
				return err
			}
		} else {
			var err error
			if gone, err = s.dropFinished(now); err != nil {
				return err
			}
		}
		for _, sh := range gone {
			delete(last, sh)
		}
	}
	return errors.Join(ss.limit(all), damaged)
}

func (sh *Shard) key(n seqnum.Num) []byte {
	return n.Append(append([]byte(nil), sh.prefix...))
}

// trimTo removes every record up to cut, in one batch with the head row from
// which the shard goes on should its whole log be gone, and with what readers keep of
// those that they have not read.
func (sh *Shard) trimTo(cut seqnum.Num, why Why) error {
	last, err := sh.newest()
	if err != nil || last == nil {
		return err
	}
	b := sh.stream.streams.store.NewBatch()
	defer b.Close()
	if err := sh.stream.streams.unread(b, sh, cut, why); err != nil {
		return err
	}
	b.DeleteRange(sh.key(sh.kept().Next()), sh.key(cut.Next())) // from the last trim on
	row := cut.Append([]byte{headVersion})
	row = last.seq.Append(row)
	row = binary.BigEndian.AppendUint64(row, uint64(last.Time()))
	items, bytes := last.totals()
	row = binary.BigEndian.AppendUint64(row, uint64(items))
	row = binary.BigEndian.AppendUint64(row, uint64(bytes))
	b.Set(sh.headKey(), row)
	sh.trimmed.Store(&cut) // first: see Trimmed
	return sh.stream.streams.store.Write(b)
}

// dropFinished takes closed shards off the list when all of their records are
// gone and they were closed as long ago as the retention: until then who reads one
// is told of its end, not that it is unknown. A stream keeps its newest shards for
// as long as it lives.
func (s *Stream) dropFinished(now time.Time) (drop []*Shard, err error) {
	b := s.streams.store.NewBatch()
	defer b.Close()
	c := s.streams.store.Begin()
	if drop, err = s.applyDrop(b, c, now); err != nil || len(drop) == 0 {
		return nil, err
	}
	if err := s.streams.store.Sync(c); err != nil {
		return nil, err
	}
	s.wake()
	return drop, nil
}

func (s *Stream) applyDrop(b *store.Batch, c *store.Commit, now time.Time) (drop []*Shard, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending != nil {
		return nil, nil // the next round will do
	}
	ch := s.change()
	old := ch.shards
	var keep []*Shard
	for _, sh := range old {
		end := sh.end.Load()
		if end != nil && now.Sub(time.UnixMilli(end.atMS)) >= s.Retention && !sh.kept().Less(sh.Head()) && s.hasChild(sh.ID) {
			drop = append(drop, sh)
		} else {
			keep = append(keep, sh)
		}
	}
	if len(drop) == 0 {
		return nil, nil
	}
	ch.shards = keep
	s.shown = ch.no
	s.shards.Store(&keep)
	if err := s.put(b, ch); err != nil {
		return nil, err
	}
	for _, sh := range drop {
		b.Delete(sh.headKey())
	}
	if r := s.streams.retaining.Readers; r != nil {
		r.Dropped(b, s, drop)
	}
	return drop, s.streams.store.Apply(c, b)
}

func (s *Stream) hasChild(id string) bool {
	for _, sh := range s.Shards() {
		if sh.Parent == id {
			return true
		}
	}
	return false
}

// remove deletes a stream with all its records.
func (ss *Streams) remove(s *Stream) error {
	b := ss.store.NewBatch()
	defer b.Close()
	b.Delete(definitionKey(s.ID))
	s.removed.Store(true)
	for _, sh := range s.Shards() {
		head := sh.Head()
		if err := ss.unread(b, sh, head, StreamLoss); err != nil {
			return err
		}
		sh.trimmed.Store(&head) // first: see Trimmed
	}
	if ss.retaining.Readers != nil {
		ss.retaining.Readers.Dropped(b, s, s.Shards())
	}
	for _, space := range []byte{store.SpaceLog, store.SpaceHead} {
		lower := binary.BigEndian.AppendUint64([]byte{space}, s.ID)
		b.DeleteRange(lower, store.PrefixEnd(lower))
	}
	if err := ss.store.Write(b); err != nil {
		return err
	}
	ss.mu.Lock()
	delete(ss.byARN, s.ARN)
	ss.mu.Unlock()
	for _, sh := range s.Shards() {
		ss.tails.Add(-int64(sh.tail.bytes)) // a closed shard has no writer
	}
	s.wake()
	return nil
}
