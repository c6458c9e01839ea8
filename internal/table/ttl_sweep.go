package table

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/millstreamdb/millstream/internal/store"
)

const (
	sweepEvery = time.Second
	sweepPiece = 100
	// sweepBack is how long after its time an item is still deleted. AWS takes an
	// older time for a mistake.
	sweepBack = 5 * 365 * 24 * time.Hour
)

// SweepTimeToLive is the worker that deletes expired items, a second or two after
// their time. While the clock is not to be relied on it deletes nothing. It returns
// when ctx is done or the store has failed.
func (db *DB) SweepTimeToLive(ctx context.Context, log *slog.Logger) error {
	told := false
	return db.streams.Clock().Every(ctx, sweepEvery, db.nextExpiry, func() error {
		now, ageing := db.streams.Clock().Now()
		if !ageing {
			return nil
		}
		var damaged error // of one table: the others are swept
		for _, t := range *db.tables.Load() {
			if err := db.sweep(ctx, t, now); errors.Is(err, store.ErrDamaged) {
				damaged = err
			} else if err != nil {
				return err
			}
		}
		return store.Spare(log, &told, "items of a table do not all expire", damaged)
	})
}

// nextExpiry is the first moment at which some item will be found to have expired;
// false when none will as the tables are, or when that cannot be read: then the next sweep meets it.
func (db *DB) nextExpiry() (first time.Time, some bool) {
	oldest := db.now().Add(-sweepBack)
	for _, t := range *db.tables.Load() {
		ttl := t.desc.Load().def.TTL
		if ttl == nil {
			continue
		}
		keys, err := db.rangeKeys(ttl.from(oldest), store.PrefixEnd(ttl.prefix()), 1)
		if err != nil {
			return db.now(), true
		}
		if len(keys) == 0 {
			continue
		}
		at := time.Unix(int64(min(ttl.second(keys[0]), 1<<40))+1, 0)
		if !some || at.Before(first) {
			first, some = at, true
		}
	}
	return first, some
}

// sweep deletes the items of a table that had expired before the second of now.
func (db *DB) sweep(ctx context.Context, t *Table, now time.Time) error {
	ttl := t.desc.Load().def.TTL
	if ttl == nil {
		return nil
	}
	lower, upper := ttl.from(now.Add(-sweepBack)), ttl.from(now)
	for ctx.Err() == nil {
		if db.store.AdmitDelete() != nil && db.store.Err() == nil {
			return nil // without room for more writes, time to live waits
		}
		keys, err := db.rangeKeys(lower, upper, sweepPiece)
		if err != nil || len(keys) == 0 {
			return err
		}
		if on, err := db.expire(t, ttl, keys); err != nil || !on {
			return err
		}
		lower = append(keys[len(keys)-1], 0)
	}
	return nil
}

// expire deletes the items of entries, unless they ask for another second by
// now. It reports false when time to live has been turned off.
func (db *DB) expire(t *Table, ttl *timeToLive, entries [][]byte) (on bool, err error) {
	tx := db.begin()
	d := tx.join(t)
	if d == nil || d.def.TTL == nil || d.def.TTL.ID != ttl.ID {
		return false, tx.release()
	}
	tx.expired = true
	for _, key := range entries {
		tx.addStored(t, d, key[expiryPrefix:])
	}
	tx.lock()
	for i, key := range entries {
		old, err := tx.load(i, false)
		if err != nil {
			_ = tx.release()
			return false, err
		}
		second, expires := ttl.expiry(old)
		if expires && bytes.Equal(ttl.appendExpiryKey(nil, second, tx.key(i)), key) {
			tx.put(i, nil)
		}
	}
	return true, tx.commit()
}
