package table

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// A table at a moment is made of two things that are frozen together: its items, and its recovery log (recovery.go). The rows after
// the moment are read, the newest first, and what they undo is put into a space of its own under the item's key: the oldest of each
// item comes last, and stays. Then both are read side by side in the order of keys. So it takes no memory but for a piece, and
// nobody has to wait, whatever is written, trimmed, turned off or deleted meanwhile. What it takes on the disk is
// bounded by the items that changed, however often they did: what is more is folded (fold.go).

// Freeze keeps the items of a table as they are at some moment of the call in the store, under a name that is none yet, with
// every write that was acknowledged before. shown is how an error names the table. A table of whose items damage has
// taken some is refused, with an error over store.ErrDamaged: what came of it would be short.
func (db *DB) Freeze(ctx context.Context, scope schema.Scope, name, shown, as string) (*Saved, error) {
	t := db.find(scope, name)
	if t == nil {
		return nil, db.whenDurable(ctx, awserr.TableNotThere(shown))
	}
	if t.desc.Load().def.creating(db.now().UnixMilli()) {
		return nil, db.whenDurable(ctx, awserr.TableNotThere(shown)) // as AWS answers
	}
	return db.freeze(ctx, t, shown, as, false)
}

// FreezePast is Freeze for what a table was at a moment. choose is told which moments there are, returns the one that is wanted,
// zero for the latest, and checks what else is to be checked. from is an earlier one from which on all changes are wanted; zero: there is none. What
// is returned is the moment, in ms since 1970.
func (db *DB) FreezePast(ctx context.Context, scope schema.Scope, name, shown, as string, choose func(*ContinuousBackups) (from, at time.Time, err error)) (*Saved, int64, error) {
	t, e := db.recoverable(scope, name, shown)
	if e != nil {
		return nil, 0, db.whenDurable(ctx, e)
	}
	r := t.desc.Load().def.Recovery
	if r == nil {
		return nil, 0, db.whenDurable(ctx, awserr.PointInTimeUnavailable(name))
	}
	from, want, err := choose(db.describeRecovery(r))
	if e, ok := errors.AsType[*awserr.Error](err); ok {
		return nil, 0, db.whenDurable(ctx, e)
	}
	if err != nil {
		return nil, 0, err
	}
	// Whoever has a moment up to the one that is wanted has been applied once the table was held: so the same moment is the same
	// table, whenever it is asked for.
	t.lockExclusive()
	at := db.present()
	t.mu.Unlock()
	if !want.IsZero() {
		at = min(at, want.UnixMilli())
	}
	first := at // of what the log must still have
	if !from.IsZero() {
		first = min(at, from.UnixMilli())
	}
	if err := db.keepTold(time.UnixMilli(at)); err != nil {
		return nil, 0, err
	}
	s, err := db.freeze(ctx, t, shown, as, true)
	if err != nil {
		return nil, 0, err
	}
	t.mu.RLock() // whoever takes rows from the log, or changes it, holds the table
	now := t.desc.Load()
	t.mu.RUnlock()
	switch {
	case now.dropped:
		e = awserr.TableNotThere(shown)
	case now.def.Recovery == nil || now.def.Recovery.ID != r.ID || first < now.def.Recovery.FromMS:
		e = awserr.PointInTimeUnavailable(name)
	}
	if e != nil {
		return nil, 0, errors.Join(e, db.store.Thaw(as))
	}
	return s, at, nil
}

// FreezeAgain is for what FreezePast has kept and is not there, as in a folder that was restored from elsewhere: it keeps the table as it is now with its log,
// when that still reaches back to the moment.
func (db *DB) FreezeAgain(ctx context.Context, s *Saved, at int64, as string) error {
	_, d, err := s.parse()
	if err != nil {
		return err
	}
	t := db.find(d.def.Scope, d.def.Name)
	reaches := func() bool {
		if t == nil {
			return false
		}
		now, was := t.desc.Load(), d.def.Recovery
		return !now.dropped && t.id == d.def.ID && now.def.Recovery != nil && was != nil && now.def.Recovery.ID == was.ID && at >= now.def.Recovery.FromMS
	}
	gone := fmt.Errorf("what was kept of the table %s for this work is not in this data folder, which was restored or promoted meanwhile, and its recovery log does not reach back to the moment any more; begin again with another moment, or on the server that has the table", d.def.Name)
	if !reaches() {
		return gone
	}
	if _, err := db.freeze(ctx, t, d.def.Name, as, true); err != nil {
		return err
	}
	t.mu.RLock() // see FreezePast
	defer t.mu.RUnlock()
	if !reaches() {
		return errors.Join(gone, db.store.Thaw(as))
	}
	return nil
}

// freeze keeps the items of a table, and with past its recovery log.
func (db *DB) freeze(ctx context.Context, t *Table, shown, as string, past bool) (*Saved, error) {
	d := t.desc.Load()
	lower, upper := t.itemBounds()
	spans := []store.Span{{Lower: lower, Upper: upper}}
	if r := d.def.Recovery; past && r != nil {
		spans = append(spans, store.Span{Lower: r.prefix(), Upper: store.PrefixEnd(r.prefix())})
	}
	for _, q := range db.store.Quarantine() {
		for _, x := range spans {
			if bytes.Compare(q.From, x.Upper) < 0 && bytes.Compare(q.To, x.Lower) > 0 {
				return nil, fmt.Errorf("%w: items of the table %s were lost to damage of %s and are in quarantine, so no copy of it would be whole", store.ErrDamaged, d.def.Name, q.File)
			}
		}
	}
	if err := db.admit(false); err != nil {
		return nil, err
	}
	t.mu.RLock()
	s, err := t.saved(d)
	t.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	err = db.store.Flush()
	if err == nil {
		err = db.store.Freeze(as, spans...)
	}
	if err == nil {
		err = db.store.Barrier(ctx) // what was frozen must not be ahead of what a crash leaves
	}
	if err == nil && t.ending.Load() {
		err = awserr.TableNotThere(shown)
	}
	if err != nil {
		return nil, errors.Join(err, db.store.Thaw(as))
	}
	return s, nil
}

// Source is where the items of a saved table are: what was frozen, or, of a table that is gone, the store.
type Source interface {
	NewIter(lower, upper []byte) (*store.Iter, error)
}

// Each calls f with each item of a saved table, in the order of keys, until it returns an error. An item holds until f returns.
func (s *Saved) Each(ctx context.Context, from Source, f func(item.Item) error) error {
	lower, upper, err := s.Bounds()
	if err != nil {
		return err
	}
	return eachRow(ctx, from, lower, upper, f)
}

func eachRow(ctx context.Context, from Source, lower, upper []byte, f func(item.Item) error) error {
	rows := &rows{from: from, lower: lower, upper: upper}
	for {
		_, v, ok, err := rows.next()
		if err = errors.Join(err, ctx.Err()); err != nil || !ok {
			return err
		}
		if err := f(item.Item(v)); err != nil {
			return err
		}
		rows.step()
	}
}

// Lost is a range of a table's items that was lost to damage: keys behind the table's id, From included and To not; no To: up to the end.
type Lost struct {
	From []byte `json:"from,omitempty"`
	To   []byte `json:"to,omitempty"`
	File string `json:"file"` // the damaged one
}

// EachLeft is Each of a table that lies in the store, without what is in quarantine, which it returns.
func (s *Saved) EachLeft(ctx context.Context, from *store.Store, f func(item.Item) error) (lost []Lost, err error) {
	lower, upper, err := s.Bounds()
	if err != nil {
		return nil, err
	}
	list := from.Quarantine()
	slices.SortFunc(list, func(a, b store.Quarantined) int { return bytes.Compare(a.From, b.From) })
	read := func(to []byte) error {
		if bytes.Compare(lower, to) >= 0 {
			return nil
		}
		return eachRow(ctx, from, lower, to, f)
	}
	for _, q := range list {
		if bytes.Compare(q.To, lower) <= 0 || bytes.Compare(q.From, upper) >= 0 {
			continue
		}
		l := Lost{File: q.File}
		if bytes.Compare(q.From, lower) > 0 {
			if err := read(q.From); err != nil {
				return nil, err
			}
			l.From = bytes.Clone(q.From[itemPrefix:])
		} else {
			l.From = bytes.Clone(lower[itemPrefix:])
		}
		if bytes.Compare(q.To, upper) < 0 {
			l.To = bytes.Clone(q.To[itemPrefix:])
		}
		lost = append(lost, l)
		if lower = q.To; l.To == nil {
			return lost, nil
		}
	}
	return lost, read(upper)
}

// Lose has the keys of a range, which was lost where the items come from, answered with an error, and not as absent.
func (l *Loader) Lose(lost []Lost) error {
	lower, upper := l.t.itemBounds()
	for _, x := range lost {
		from, to := append(bytes.Clone(lower[:itemPrefix]), x.From...), upper
		if x.To != nil {
			to = append(bytes.Clone(lower[:itemPrefix]), x.To...)
		}
		if err := l.db.store.Enclose(from, to, x.File); err != nil {
			return err
		}
	}
	return nil
}

// pastPiece is how much of what is undone is written at once.
const pastPiece = 4 << 20

// undoneRow is what a row of it takes beside its key and item.
const undoneRow = 64

// EachAt is Saved.Each for the table as it was at a moment, of what FreezePast has kept. work is a name that no other work under way has.
func (db *DB) EachAt(ctx context.Context, s *Saved, from Source, at int64, work string, f func(item.Item) error) (err error) {
	t, d, err := s.parse()
	if err != nil {
		return err
	}
	if d.def.Recovery == nil {
		return errors.New("table: what was kept has no recovery log")
	}
	space := append([]byte{store.SpacePast}, work...)
	if err := db.clearPast(space); err != nil { // of a try before
		return err
	}
	defer func() {
		if db.store.Err() == nil {
			err = errors.Join(err, db.clearPast(space))
		}
	}()
	lower, upper := t.itemBounds()
	now := func() lookup { return itemsOf(from, lower, upper) }
	if err := db.undo(ctx, d.def.Recovery, from, at, space, now); err != nil {
		return err
	}
	is, was := &rows{from: from, lower: lower, upper: upper}, db.undoneIn(space)
	for {
		key, now, more, err := is.next()
		tail, _, changed, e := was.next()
		if err = errors.Join(err, e, ctx.Err()); err != nil || !more && !changed {
			return err
		}
		order := -1
		switch {
		case more && changed:
			order = bytes.Compare(key[itemPrefix:], tail)
		case changed:
			order = 1
		}
		var it item.Item
		if order <= 0 {
			it = now
			is.step()
		}
		if order >= 0 {
			if it, err = was.undo(ctx, tail, it); err != nil {
				return err
			}
		}
		if it != nil {
			if err := f(it); err != nil {
				return err
			}
		}
	}
}

// undo puts what changed after a moment into a space of its own. now begins to look up what items are now.
func (db *DB) undo(ctx context.Context, r *recovery, from Source, at int64, space []byte, now func() lookup) (err error) {
	return db.replay(ctx, from, r.from(at+1), store.PrefixEnd(r.prefix()), space, now)
}

// pieceSize is that of a piece's number.
const pieceSize = 4

// replay puts a part of a recovery log, the newest first, into a space of its own, by items: under the item's key after its table's id, and the number of the piece (4), are
// the moment of its newest change in the piece (8) and what is to be undone in turn: version, length, what the row has. No key of an item begins another's.
// base begins to look up what items are before any of it is undone.
func (db *DB) replay(ctx context.Context, from Source, lower, upper, space []byte, base func() lookup) (err error) {
	it, err := from.NewIter(lower, upper)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	// What is undone before an item is whole again need not be: an item that changes all the time is written once a piece, or its differences are.
	piece, size, number := map[string][]byte{}, 0, uint32(0)
	held, most := 0, db.foldFrom // bytes of all pieces
	b := db.store.NewBatch()
	defer b.Close()
	write := func() error {
		if err := errors.Join(db.store.Admit(), ctx.Err()); err != nil || len(piece) == 0 {
			return err
		}
		for tail, value := range piece {
			b.Set(binary.BigEndian.AppendUint32(append(space, tail...), number), value)
		}
		err := db.store.Write(b)
		b.Reset()
		clear(piece)
		held, size = held+size, 0
		number++
		if err == nil && held >= most {
			held, err = db.fold(ctx, space, base())
			most = max(db.foldFrom, 2*held)
		}
		return err
	}
	space = slices.Clip(space)
	for n, ok := 0, it.Last(); ok; n, ok = n+1, it.Prev() {
		v, err := it.Value()
		if err != nil {
			return err
		}
		tail, was, err := parseUndo(v)
		if err != nil {
			return err
		}
		steps, again := piece[string(tail)]
		before := len(steps)
		switch {
		case !again:
			size += len(tail) + undoneRow
			steps = bytes.Clone(it.Key()[undoPrefix : undoPrefix+momentSize])
		case was.version == undoWhole:
			steps = steps[:momentSize]
		}
		if need := len(steps) + stepHead + len(was.body); cap(steps) > 2*need { // the room of a large image that went is not counted, and must go too
			steps = append(make([]byte, 0, need), steps...)
		}
		steps = binary.AppendUvarint(append(steps, was.version), uint64(len(was.body)))
		steps = append(steps, was.body...)
		piece[string(tail)] = steps
		if size += len(steps) - before; size >= pastPiece {
			err = write()
		} else if n%1000 == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	return write()
}

const momentSize = 8

// stepHead is the most that stands before what a row has: its version and length.
const stepHead = 1 + binary.MaxVarintLen64

// undoneRows reads what replay has put.
type undoneRows struct {
	rows  rows
	space int       // length of what its keys begin with
	made  [2][]byte // what was made of differences last
}

func (db *DB) undoneIn(space []byte) *undoneRows {
	return &undoneRows{rows: rows{from: db.store, lower: space, upper: store.PrefixEnd(space)}, space: len(space)}
}

// next returns the item's key at hand, and the moment of its newest change; ok is false at the end.
func (u *undoneRows) next() (tail []byte, moment int64, ok bool, err error) {
	key, value, ok, err := u.rows.next()
	return u.take(key, value, ok, err)
}

func (u *undoneRows) take(key, value []byte, ok bool, err error) ([]byte, int64, bool, error) {
	if err != nil || !ok {
		return nil, 0, false, err
	}
	if len(key) < u.space+pieceSize || len(value) < momentSize {
		return nil, 0, false, errUndo
	}
	return key[u.space : len(key)-pieceSize], int64(binary.BigEndian.Uint64(value)), true, nil
}

// seek moves on to an item, and reports whether it is there. Keys rise from call to call.
func (u *undoneRows) seek(space, tail []byte) (there bool, err error) {
	is, _, ok, err := u.take(u.rows.seek(append(bytes.Clone(space), tail...)))
	if there = ok && bytes.Equal(is, tail); there {
		u.rows.found++
	}
	return there, err
}

// undoTurn is how many bytes of items are made before undo looks whether it is to end.
const undoTurn = 4 << 20

// undo returns what an item was when it is now after all of its changes, and moves on behind them. The item holds until the next call.
// A difference that does not fit is no failure when an older row has all of the item: nothing came of it then.
func (u *undoneRows) undo(ctx context.Context, tail []byte, now item.Item) (item.Item, error) {
	var unfit error
	for made, turn := 0, 0; ; u.rows.step() {
		is, _, ok, err := u.next()
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
		if !ok || !bytes.Equal(is, tail) {
			if unfit != nil {
				unfit = fmt.Errorf("%w (under %x)", unfit, tail)
			}
			return now, unfit
		}
		for steps := u.rows.values[u.rows.at][momentSize:]; len(steps) > 0; {
			was, rest, err := cutStep(steps)
			if err != nil {
				return nil, err
			}
			steps = rest
			if unfit != nil && was.version == undoPart {
				continue
			}
			now, err = was.of(u.made[made], now)
			if unfit = nil; errors.Is(err, errUnfit) {
				unfit = err
				continue
			}
			if err != nil {
				return nil, err
			}
			if was.version == undoPart {
				u.made[made] = now
				made = 1 - made
			}
			if turn += len(now); turn >= undoTurn {
				if turn = 0; ctx.Err() != nil {
					return nil, ctx.Err()
				}
			}
		}
	}
}

// ItemChange is what became of an item in a stretch of time: what it was before and after, none where there was none, and when it was written last.
type ItemChange struct {
	Keys     []string // names of the key attributes
	Old, New item.Item
	AtMS     int64
}

// Item is one of the two, which has the keys.
func (c *ItemChange) Item() item.Item {
	if c.New != nil {
		return c.New
	}
	return c.Old
}

// EachChange calls f with each item that was changed at a moment from fromMS on and before toMS, of what FreezePast has kept at toMS or later, in the
// order of keys. Items that were made and removed in that time are none. work is a name that no other work under way has.
func (db *DB) EachChange(ctx context.Context, s *Saved, from Source, fromMS, toMS int64, work string, f func(*ItemChange) error) (err error) {
	t, d, err := s.parse()
	if err != nil {
		return err
	}
	r := d.def.Recovery
	if r == nil {
		return errors.New("table: what was kept has no recovery log")
	}
	space := append([]byte{store.SpacePast}, work...)
	if err := db.clearPast(space); err != nil { // of a try before
		return err
	}
	defer func() {
		if db.store.Err() == nil {
			err = errors.Join(err, db.clearPast(space))
		}
	}()
	part := func(kind byte) []byte { return append(bytes.Clone(space), kind) }
	after, before := part('a'), part('b')
	lower, upper := t.itemBounds()
	now := func() lookup { return itemsOf(from, lower, upper) }
	then := func() lookup { return db.undoing(after, now()) }
	err = db.replay(ctx, from, r.from(toMS), store.PrefixEnd(r.prefix()), after, now) // what changed later
	if err == nil {
		err = db.replay(ctx, from, r.from(fromMS), r.from(toMS), before, then)
	}
	if err != nil {
		return err
	}
	is, was := then(), db.undoneIn(before)
	c := &ItemChange{Keys: []string{d.def.Keys.Hash.Name}}
	if d.def.Keys.HasRange() {
		c.Keys = append(c.Keys, d.def.Keys.Range.Name)
	}
	for {
		tail, moment, more, err := was.next()
		if err = errors.Join(err, ctx.Err()); err != nil || !more {
			return err
		}
		c.Old, c.AtMS = nil, moment
		if c.New, err = is(ctx, tail); err != nil {
			return err
		}
		if c.Old, err = was.undo(ctx, tail, c.New); err != nil {
			return err
		}
		if c.Old != nil || c.New != nil {
			if err := f(c); err != nil {
				return err
			}
		}
	}
}

// seekPiece is how many rows are read at first where keys are looked for.
const seekPiece = 8

// seek moves on to the first row whose key is not below one. Keys rise from call to call. Pieces become smaller where most of their rows are passed over, and
// larger where most are wanted: the caller counts those in found.
func (r *rows) seek(to []byte) (key, value []byte, ok bool, err error) {
	for r.at < len(r.keys) && bytes.Compare(r.keys[r.at], to) < 0 {
		r.at++
	}
	if r.at == len(r.keys) && !r.ended {
		switch {
		case r.most == 0:
			r.most = seekPiece
		case 2*r.found >= len(r.keys):
			r.most = min(2*r.most, rowsPiece)
		default:
			r.most = max(r.most/2, 1)
		}
		r.found = 0
		if bytes.Compare(r.lower, to) < 0 {
			r.lower = bytes.Clone(to)
		}
	}
	return r.next()
}

func (db *DB) clearPast(space []byte) error {
	it, err := db.store.NewIter(space, store.PrefixEnd(space))
	some := false
	if err == nil {
		some = it.First()
		err = it.Close()
	}
	if errors.Is(err, store.ErrDamaged) { // nobody needs what is there
		some, err = true, nil
	}
	if err != nil || !some {
		return err
	}
	b := db.store.NewBatch()
	defer b.Close()
	b.DeleteRange(space, store.PrefixEnd(space))
	return db.store.Write(b)
}

// rows reads a range piece by piece, so that no iterator is kept while a reader works.
type rows struct {
	from         Source
	lower, upper []byte
	keys, values [][]byte // of the piece
	at           int
	ended        bool
	most, found  int // of seek: rows of the next piece, zero for rowsPiece, and how many of this one were looked for
}

const rowsPiece, rowsPieceBytes = 500, 1 << 20

// next returns the row at hand; ok is false at the end.
func (r *rows) next() (key, value []byte, ok bool, err error) {
	if r.at == len(r.keys) && !r.ended {
		if err := r.read(); err != nil {
			return nil, nil, false, err
		}
	}
	if r.at == len(r.keys) {
		return nil, nil, false, nil
	}
	return r.keys[r.at], r.values[r.at], true, nil
}

func (r *rows) step() { r.at++ }

func (r *rows) read() (err error) {
	it, err := r.from.NewIter(r.lower, r.upper)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	clear(r.values)
	r.keys, r.values, r.at = r.keys[:0], r.values[:0], 0
	size, most := 0, cmp.Or(r.most, rowsPiece)
	ok := it.First()
	for ; ok && len(r.keys) < most && size < rowsPieceBytes; ok = it.Next() {
		v, err := it.Value()
		if err != nil {
			return err
		}
		r.keys, r.values = append(r.keys, bytes.Clone(it.Key())), append(r.values, bytes.Clone(v))
		size += len(v)
	}
	if r.ended = !ok; len(r.keys) > 0 {
		r.lower = append(r.keys[len(r.keys)-1], 0)
		r.keys[len(r.keys)-1] = r.lower[:len(r.lower)-1]
	}
	return nil
}

// SweepPast removes what a server that ended has left of work under way: it begins anew.
func (db *DB) SweepPast() error { return db.clearPast([]byte{store.SpacePast}) }
