package table

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
)

// Point-in-time recovery is a log of what items were: each change of an item puts a row with the item as it was before into
// the change's own batch, so the log is exactly what happened.
//
//	SpaceUndo, log id (8), moment in ms (8), incarnation and count (16): the item's key and what it was
//
// A table at a moment is the table as it is, with every later change undone, the newest first (past.go). So where a change leaves most of an item
// as it was, the row has only what makes of the item after it the one before it, with the sum of that.
//
// # Moments
//
// A moment never falls, over all tables and restarts, and all that one transaction changes has one. It is taken under the
// locks of the partitions. So what was acknowledged before a change began has no later moment than it, and every moment is a
// cut between whole transactions: what has a moment up to it is a prefix of each item's changes. The moment is the time as far as it is
// known (worker.Clock.Believed): a clock that jumps does not take the log along.

// recovery is the enabled point-in-time recovery of a table. Each enabling has a log of its own.
type recovery struct {
	ID   uint64 `json:"id"`
	Days int    `json:"days"`
	// FromMS is the first moment that can be restored: the log has every change after it.
	FromMS int64 `json:"fromMs"`
}

const (
	undoPrefix = 1 + 8 // SpaceUndo, log id
	day        = 24 * time.Hour
)

// Versions of rows.
const (
	undoWhole = 1 // what the item was, nothing for none
	undoPart  = 2 // a difference from what it became, then the xxhash64 of what it was (8)
)

// undoLeast is how large an item must be for less than all of it to be in a row.
const undoLeast = 64

func (r *recovery) prefix() []byte {
	return binary.BigEndian.AppendUint64([]byte{store.SpaceUndo}, r.ID)
}

// from is where the rows of a moment and later begin.
func (r *recovery) from(ms int64) []byte {
	return binary.BigEndian.AppendUint64(r.prefix(), uint64(ms))
}

func (r *recovery) drop(b *store.Batch) {
	b.DeleteRange(r.prefix(), store.PrefixEnd(r.prefix()))
}

// earliest is the first moment that may be restored as of now.
func (r *recovery) earliest(now int64) int64 {
	return max(r.FromMS, now-int64(r.Days)*day.Milliseconds())
}

// moments gives out moments. It holds twice the last one, plus one when that was told to somebody: later changes have a later one then, so
// that a moment that was told is the same cut whenever it is asked for, of all tables.
type moments struct{ atomic.Int64 }

func (m *moments) last() int64 { return m.Load() >> 1 }

// tell returns the present moment, after which no change is given it.
func (m *moments) tell(now int64) int64 {
	for {
		v := m.Load()
		at := max(now, v>>1)
		if v == at<<1|1 || m.CompareAndSwap(v, at<<1|1) {
			return at
		}
	}
}

// take returns the moment of a change.
func (m *moments) take(now int64) int64 {
	for {
		v := m.Load()
		at := max(now, (v+1)>>1)
		if v == at<<1 || m.CompareAndSwap(v, at<<1) {
			return at
		}
	}
}

// moment returns the moment of a change: the time, none before any that it has returned, and later than all that were told.
func (db *DB) moment() int64 { return db.moments.take(db.streams.Clock().Believed()) }

// present is the moment that is told of now.
func (db *DB) present() int64 { return db.moments.tell(db.streams.Clock().Believed()) }

const toldVersion = 1

// keepTold stores a moment before it is told: after a restart with a clock that was set back, changes are given none up to it.
func (db *DB) keepTold(at time.Time) error {
	db.telling.Lock()
	defer db.telling.Unlock()
	if at.UnixMilli() <= db.toldKept {
		return nil
	}
	b := db.store.NewBatch()
	defer b.Close()
	b.Set([]byte{store.SpaceControl, controlTold}, binary.BigEndian.AppendUint64([]byte{toldVersion}, uint64(at.UnixMilli())))
	err := db.store.Write(b)
	if err == nil {
		db.toldKept = at.UnixMilli()
	}
	return err
}

// told returns the newest moment that was told; 0: none.
func (db *DB) told() (int64, error) {
	v, found, err := db.store.Get(nil, []byte{store.SpaceControl, controlTold})
	if err != nil || !found {
		return 0, err
	}
	if len(v) != 9 || v[0] != toldVersion {
		return 0, errUndo
	}
	return int64(binary.BigEndian.Uint64(v[1:])), nil
}

// MomentsAhead is by how much the moments of changes are ahead of the time as far as it is known: until that has reached them all changes have
// nearly the same one, and cannot be told apart.
func (db *DB) MomentsAhead() time.Duration {
	return max(0, time.Duration(db.moments.last()-db.streams.Clock().Believed())*time.Millisecond)
}

// deriveUndo makes the value of the row of an item that changes, but for the item itself. Its key, which has the moment, is made under the partitions' locks.
func (tx *Tx) deriveUndo(i int) {
	o, tail := &tx.ops[i], tx.key(i)[itemPrefix:]
	o.undo = len(tx.undo)
	head := func(version byte) {
		tx.undo = binary.AppendUvarint(append(tx.undo[:o.undo], version), uint64(len(tail)))
		tx.undo = append(tx.undo, tail...)
	}
	if o.new != nil && len(o.old) >= undoLeast {
		head(undoPart)
		before := len(tx.undo)
		tx.undo = item.AppendDifference(tx.undo, o.new, o.old)
		if 4*(len(tx.undo)-before) <= 3*len(o.old) {
			tx.undo = binary.BigEndian.AppendUint64(tx.undo, xxhash.Sum64(o.old))
			o.undoEnd = len(tx.undo)
			return
		}
	}
	head(undoWhole)
	o.undoEnd, o.undoWhole = len(tx.undo), true
}

// putUndo puts the row of an item that changes into a batch.
func (tx *Tx) putUndo(b *store.Batch, r *recovery, moment int64, o *op) {
	var buf [undoPrefix + 8 + seqnum.Size]byte
	row := binary.BigEndian.AppendUint64(append(buf[:0], store.SpaceUndo), r.ID)
	row = binary.BigEndian.AppendUint64(row, uint64(moment))
	row = seqnum.Num{Hi: tx.db.store.Incarnation(), Lo: tx.db.undone.Add(1)}.Append(row)
	var whole item.Item
	if o.undoWhole {
		whole = o.old
	}
	b.SetJoined(row, tx.undo[o.undo:o.undoEnd], whole)
}

// errUndo is told of a row that cannot be read.
var errUndo = fmt.Errorf("%w: a row of the recovery log is damaged, or was written by a newer release", store.ErrDamaged)

// errUnfit is told where a difference is of another item than the one that is there.
var errUnfit = fmt.Errorf("%w: a row of the recovery log does not fit the item that came of the change: one of both is damaged", store.ErrDamaged)

// NotUndone reports whether an error is of a change that cannot be undone: it is in the table's own recovery log, and so in each copy of it.
func NotUndone(err error) bool { return errors.Is(err, errUnfit) || errors.Is(err, errUndo) }

// undone is what a row has of an item.
type undone struct {
	version byte
	body    []byte
}

// parseUndo takes a row's value apart: the item's key after its table's id, and what it was.
func parseUndo(value []byte) (tail []byte, u undone, err error) {
	if len(value) == 0 || value[0] != undoWhole && value[0] != undoPart {
		return nil, undone{}, errUndo
	}
	n, size := binary.Uvarint(value[1:])
	if size <= 0 || n > uint64(len(value)-1-size) {
		return nil, undone{}, errUndo
	}
	tail, u = value[1+size:][:n], undone{value[0], value[1+size:][n:]}
	if u.version == undoPart && len(u.body) < 8 {
		return nil, undone{}, errUndo
	}
	return tail, u, nil
}

// of returns what the item was before the change when it is now after it; nil for none. What is made of a difference is put into dst.
func (u undone) of(dst []byte, now item.Item) (item.Item, error) {
	if u.version == undoWhole {
		if len(u.body) == 0 {
			return nil, nil
		}
		return item.Item(u.body), nil
	}
	n := len(u.body) - 8
	if u.version != undoPart || n < 0 {
		return nil, errUndo
	}
	old, fits := item.AppendPatched(dst[:0], now, u.body[:n])
	if !fits || xxhash.Sum64(old) != binary.BigEndian.Uint64(u.body[n:]) {
		return nil, errUnfit
	}
	return old, nil
}

// resumeMoments has moments go on after those of the logs.
func (db *DB) resumeMoments() error {
	last, told, any := int64(0), int64(0), false
	var err error
	if told, err = db.told(); err != nil {
		return err
	}
	for _, t := range *db.tables.Load() {
		r := t.desc.Load().def.Recovery
		if r == nil {
			continue
		}
		any = true
		last = max(last, r.FromMS)
		it, err := db.store.NewIter(r.prefix(), store.PrefixEnd(r.prefix()))
		if err != nil {
			return err
		}
		if it.Last() {
			last = max(last, int64(binary.BigEndian.Uint64(it.Key()[undoPrefix:])))
		}
		if err := it.Close(); errors.Is(err, store.ErrDamaged) {
			db.log.Warn("the end of a recovery log cannot be read", "table", t.desc.Load().def.Name, "error", err)
		} else if err != nil {
			return err
		}
	}
	switch {
	case any:
		last = max(last, told)
		db.toldKept = told
	case told != 0: // of logs that are gone
		b := db.store.NewBatch()
		defer b.Close()
		b.Delete([]byte{store.SpaceControl, controlTold})
		if err := db.store.Write(b); err != nil {
			return err
		}
	}
	db.moments.tell(last)
	if ahead := db.MomentsAhead(); ahead > time.Minute {
		db.log.Warn("the clock is behind the recovery logs: until it has reached them, all changes count as made at their end", "ahead", ahead.String())
	}
	return nil
}

// ContinuousBackups is what there is of a table's point-in-time recovery.
type ContinuousBackups struct {
	Enabled          bool
	Earliest, Latest time.Time // that can be restored
	Days             int
}

func (db *DB) describeRecovery(r *recovery) *ContinuousBackups {
	if r == nil {
		return &ContinuousBackups{}
	}
	now := db.present()
	return &ContinuousBackups{Enabled: true, Earliest: time.UnixMilli(r.earliest(now)), Latest: time.UnixMilli(now), Days: r.Days}
}

// recoverable finds a table whose recovery may be asked about or changed. AWS does not find one that is being made.
func (db *DB) recoverable(scope schema.Scope, name, shown string) (*Table, *awserr.Error) {
	t := db.find(scope, name)
	if t == nil || t.desc.Load().def.creating(db.now().UnixMilli()) {
		return nil, awserr.TableNotThere(shown)
	}
	return t, nil
}

// DescribeContinuousBackups shows whether a table's past can be restored, and which.
func (db *DB) DescribeContinuousBackups(ctx context.Context, scope schema.Scope, r *request.DescribeContinuousBackups) (*ContinuousBackups, error) {
	t, e := db.recoverable(scope, r.TableName, r.TableName)
	if e != nil {
		return nil, db.whenDurable(ctx, e)
	}
	shown := db.describeRecovery(t.desc.Load().def.Recovery)
	if shown.Enabled {
		if err := db.keepTold(shown.Latest); err != nil {
			return nil, err
		}
	}
	return shown, db.store.Barrier(ctx)
}

// UpdateContinuousBackups turns a table's point-in-time recovery on or off, or changes for how long its past is kept.
func (db *DB) UpdateContinuousBackups(ctx context.Context, scope schema.Scope, r *request.UpdateContinuousBackups) (*ContinuousBackups, error) {
	var shown *ContinuousBackups
	err := db.admit(false)
	if !r.Enabled { // the log may be what the disk is full of
		err = awserr.WhenFull(db.store.AdmitRelief(), store.ErrDiskFull, awserr.Internal().Code)
	}
	if err != nil {
		return nil, err
	}
	err = db.changeAdmitted(ctx, func(b *store.Batch, _ *store.Commit) (func(bool), error) {
		t, e := db.recoverable(scope, r.TableName, r.TableName)
		if e != nil {
			return nil, e
		}
		next := *t.desc.Load()
		was := next.def.Recovery
		next.def.Recovery = nil
		if r.Enabled {
			next.def.Recovery = &recovery{Days: r.Days}
			if was != nil {
				next.def.Recovery.ID, next.def.Recovery.FromMS = was.ID, was.FromMS
			} else {
				next.def.Recovery.ID = db.takeID(b)
			}
		} else if was != nil {
			was.drop(b)
		}
		// From here until the swap no write may run: one that loaded the old descriptor would be missing in the log, or put a row
		// into a log that is gone.
		t.lockExclusive()
		if r.Enabled && was == nil {
			next.def.Recovery.FromMS = db.present()
		}
		if err := putDefinition(b, &next.def); err != nil {
			t.mu.Unlock()
			return nil, err
		}
		return func(applied bool) {
			defer t.mu.Unlock()
			if applied {
				t.desc.Store(&next)
				shown = db.describeRecovery(next.def.Recovery)
			}
		}, nil
	})
	if err == nil && shown.Enabled {
		err = db.keepTold(shown.Latest)
	}
	return shown, err
}

// Rows of the logs are removed in pieces of at least undoPiece of time, or what passes the limit: many small range deletes would slow every read.
const (
	undoEvery = time.Minute
	undoPiece = time.Hour
)

// Recovering is what RetainRecovery needs.
type Recovering struct {
	Limit int64        // bytes of the logs on the disk, over all tables; 0: none
	Log   *slog.Logger // required
	// Each is called each round in which the clock may be relied on; nil: nothing is.
	Each func(ctx context.Context) error
}

// RetainRecovery is the worker that removes what is older than the logs are to be kept, and the oldest of what passes the
// limit. While the clock is not to be relied on it removes nothing. It returns when ctx is done or the store has failed.
func (db *DB) RetainRecovery(ctx context.Context, o Recovering) error {
	return db.streams.Clock().Every(ctx, undoEvery, nil, func() error {
		now, ageing := db.streams.Clock().Now()
		if !ageing {
			return nil
		}
		err := db.retain(ctx, now.UnixMilli(), o)
		if o.Each != nil && ctx.Err() == nil {
			err = errors.Join(err, o.Each(ctx)) // none waits for the other
		}
		if db.store.Err() == nil && ctx.Err() != nil {
			return nil
		}
		if db.store.Err() == nil && err != nil {
			o.Log.Warn("what is too old cannot be removed from the recovery logs or of the system's backups; trying again", "error", err)
			return nil
		}
		return err
	})
}

func (db *DB) retain(ctx context.Context, now int64, o Recovering) error {
	var logs []*Table
	for _, t := range *db.tables.Load() {
		r := t.desc.Load().def.Recovery
		if r == nil {
			continue
		}
		logs = append(logs, t)
		if cut := r.earliest(now); cut-r.FromMS >= undoPiece.Milliseconds() {
			if err := db.forgetUndo(ctx, t, r.ID, cut); err != nil {
				return err
			}
		}
	}
	return db.limitUndo(ctx, logs, now, o)
}

// limitUndo removes the oldest of the largest log while all of them have more than the limit: then a tenth more than what passes it, so that it is not done
// again each round.
func (db *DB) limitUndo(ctx context.Context, logs []*Table, now int64, o Recovering) error {
	for o.Limit > 0 && ctx.Err() == nil {
		total, most := int64(0), int64(0)
		var largest *Table
		for _, t := range logs {
			d := t.desc.Load()
			r := d.def.Recovery
			if r == nil || d.dropped { // what is dropped counts until the engine gets round to it
				continue
			}
			n, err := db.store.DiskUsage(r.from(r.FromMS), r.from(now+1))
			if err != nil {
				return err
			}
			if total += n; n > most {
				largest, most = t, n
			}
		}
		if total <= o.Limit || largest == nil {
			return nil
		}
		// The first moment behind which little enough is left, by halves.
		def := largest.desc.Load().def
		r, left := def.Recovery, max(0, most-(total-o.Limit+o.Limit/10))
		from, to := r.FromMS, now
		for to-from > 1 {
			middle := from + (to-from)/2
			n, err := db.store.DiskUsage(r.from(middle), r.from(now+1))
			if err != nil {
				return err
			}
			if n > left {
				from = middle
			} else {
				to = middle
			}
		}
		if to <= r.FromMS+1 {
			return nil // nothing is left of it but what the estimate takes for more
		}
		o.Log.Warn("a recovery log has no room for all days that it was to keep, and the table's oldest moments cannot be restored any more",
			"table", def.Name, "earliest", time.UnixMilli(to).UTC().Format(time.RFC3339), "days", r.Days, "limit", o.Limit)
		if err := db.forgetUndo(ctx, largest, r.ID, to); err != nil {
			return err
		}
		if now := largest.desc.Load().def.Recovery; now != nil && now.ID == r.ID && now.FromMS == r.FromMS {
			return nil // the table went meanwhile
		}
	}
	return ctx.Err()
}

// forgetUndo removes the rows before a moment, which is then the first that can be restored.
func (db *DB) forgetUndo(ctx context.Context, t *Table, log uint64, cut int64) error {
	if err := db.store.AdmitDelete(); err != nil {
		return err
	}
	return db.changeAdmitted(ctx, func(b *store.Batch, _ *store.Commit) (func(bool), error) {
		next := *t.desc.Load()
		r := next.def.Recovery
		if next.dropped || r == nil || r.ID != log || r.FromMS >= cut {
			return func(bool) {}, nil
		}
		b.DeleteRange(r.from(r.FromMS), r.from(cut))
		less := *r
		less.FromMS = cut
		next.def.Recovery = &less
		if err := putDefinition(b, &next.def); err != nil {
			return nil, err
		}
		t.lockExclusive() // see FreezePast
		return func(applied bool) {
			defer t.mu.Unlock()
			if applied {
				t.desc.Store(&next)
			}
		}, nil
	})
}
