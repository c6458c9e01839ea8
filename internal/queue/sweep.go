package queue

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/millstreamdb/millstream/internal/store"
)

// age is what is known of when messages were sent. Messages that are moved to a standard queue keep their time.
type age struct {
	oldest int64 // no message was sent before, in ms
	added  int64 // nor one of those that were added since the last sweep began
	newest int64 // what was added since was sent until then
	rising bool  // who follows another was not sent before it, but for sweepSlack
}

func (a *age) add(sent int64) {
	a.oldest, a.added = min(a.oldest, sent), min(a.added, sent)
	a.rising = a.rising && sent+sweepSlack >= a.newest
	a.newest = max(a.newest, sent)
}

// expiry is when the oldest message is to be removed, in ms since 1970; false: there is none.
func (q *Queue) expiry() (int64, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.total == 0 && !q.stale {
		return 0, false
	}
	return q.age.oldest + int64(q.def.settings.retention)*1000, true
}

const (
	sweepPiece = 500     // expired messages that are removed in one batch
	sweepMost  = 100_000 // that are looked for at once
	sweepSlack = 60_000  // ms; between two sweeps
)

// expired is a message that is to be removed.
type expired struct {
	seq   uint64
	due   int64 // at first
	group string
}

// sweep removes what is older than the queue keeps messages.
func (q *Queue) sweep() error {
	for {
		wall, ageing := q.s.clock.Now()
		at, some := q.expiry()
		if !ageing || !some || wall.UnixMilli() < at {
			return nil
		}
		all, err := q.lookForExpired(wall.UnixMilli())
		if err != nil || len(all) == 0 {
			return err
		}
		for len(all) > 0 {
			n := min(len(all), sweepPiece)
			if err := q.sweepPiece(all[:n]); err != nil {
				return err
			}
			all = all[n:]
		}
	}
}

// lookForExpired finds messages that are to be removed, and notes how old the others are. The lock is not held while it reads.
func (q *Queue) lookForExpired(wall int64) ([]expired, error) {
	q.mu.Lock()
	limit := wall - int64(q.def.settings.retention)*1000
	whole := !q.age.rising
	q.age.added = math.MaxInt64
	if whole {
		q.age.rising, q.age.newest = true, 0
	}
	q.mu.Unlock()
	found := age{oldest: math.MaxInt64, rising: true}
	var all []expired
	err := q.s.each(q.key(rowMessage), func(rest, row []byte) error {
		sent, due, group, err := heading(row)
		switch {
		case err != nil:
			return err
		case len(rest) != 8:
			return errMessageRow
		case sent < limit && len(all) < sweepMost:
			all = append(all, expired{binary.BigEndian.Uint64(rest), due, group})
			return nil
		}
		found.add(sent)
		if !whole || sent < limit {
			return errEnough
		}
		return nil
	})
	cut := errors.Is(err, errEnough)
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil && !cut {
		q.age.oldest, q.age.rising = 0, false
		return nil, err
	}
	q.age.oldest = min(found.oldest, q.age.added)
	if whole {
		q.age.rising = q.age.rising && found.rising && !cut && q.age.added >= found.newest
	}
	q.age.newest = max(q.age.newest, found.newest)
	return all, nil
}

var errEnough = errors.New("enough was read")

// sweepPiece removes those of all that are still there.
func (q *Queue) sweepPiece(all []expired) error {
	b := q.s.store.NewBatch()
	defer b.Close()
	n := 0
	c, err := q.update(func() (c *store.Commit, err error) {
		c, n, err = q.sweepLocked(b, all)
		return c, err
	})
	switch {
	case err != nil && q.gone():
		return nil
	case err != nil || c == nil:
		return err
	}
	q.s.log.Info("messages were older than their queue keeps them", "queue", q.ARN(), "messages", n)
	return q.s.store.Sync(c)
}

func (q *Queue) sweepLocked(b *store.Batch, all []expired) (c *store.Commit, n int, err error) {
	now := q.s.now()
	q.flights.expire(now)
	removed := map[uint64]bool{}
	groups := map[string]bool{}
	for _, e := range all {
		there, err := q.has(e)
		if err != nil {
			return nil, 0, err
		}
		if !there {
			continue
		}
		if err := q.remove(b, e.seq, e.due, e.group, removed, groups); err != nil {
			return nil, 0, err
		}
	}
	if len(removed) == 0 {
		return nil, 0, nil
	}
	for group := range groups {
		if err := q.regroup(b, group, now, removed); err != nil {
			return nil, 0, err
		}
	}
	if c, err = q.apply(b); err == nil {
		q.rouse(now)
	}
	return c, len(removed), err
}

// has says whether a message is still there, by the small rows that each has.
func (q *Queue) has(e expired) (bool, error) {
	keys := [][]byte{q.numbered(rowState, e.seq), q.timed(rowReady, e.due, e.seq), q.timed(rowDelayed, e.due, e.seq)}
	if q.def.settings.fifo {
		keys = [][]byte{q.ordered(e.group, e.seq)}
	}
	for _, k := range keys {
		if _, found, err := q.s.store.Probe(nil, k); err != nil || found {
			return found, err
		}
	}
	return false, nil
}
