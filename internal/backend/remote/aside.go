package remote

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// What a mapping has set aside is a row for each record, in the table of progress. There is no batch that stores such a row and the position
// behind its record at once, so a row counts only by a position:
//
//   - A row has the epoch of the claim that has put it, and a number that rises with each put of that claim. It counts if and only if
//     the position of its shard says so: up to Up for the present epoch, up to what is sealed for an earlier one.
//   - All rows are stored before the position that counts them. So a crash in between leaves rows that count for nothing, and so does what
//     the owner of an earlier claim still puts. The next claim removes them.
//   - What has ended leaves a stone: a copy of the put that arrives late finds it, and brings nothing back.
//   - Changes are made by whoever has the newest claim, and are followed by the write of a position, which tells whether the claim held.

// asideRow is a record that is set aside. Its event is the row's body, or if it is large in pieces.
type asideRow struct {
	Epoch uint64 `json:"e"`
	N     uint64 `json:"n"`
	By    uint64 `json:"by"`             // the epoch that has written last
	Gone  bool   `json:"gone,omitempty"` // a stone

	Kind      lane.AsideKind  `json:"kind,omitempty"`
	Since     int64           `json:"since,omitempty"`
	Attempts  int             `json:"attempts,omitempty"`
	Error     string          `json:"error,omitempty"`
	Reason    lane.DropReason `json:"reason,omitempty"`
	RequestID string          `json:"requestId,omitempty"`
	Version   string          `json:"version,omitempty"`
	Unhandled bool            `json:"unhandled,omitempty"`
	Group     string          `json:"group,omitempty"`
	Function  string          `json:"function,omitempty"`
	Time      int64           `json:"time,omitempty"`
	Ordinal   uint64          `json:"ord,omitempty"`
	Cause     int             `json:"cause,omitempty"`
	Keys      string          `json:"keys,omitempty"`
	Trace     string          `json:"trace,omitempty"`
	Size      int             `json:"size,omitempty"`

	Pieces int    `json:"pieces,omitempty"`
	Under  string `json:"under,omitempty"` // begins the keys of the pieces
}

const (
	// An item has 400 KB at most.
	asideInline = 300_000
	asidePiece  = 350_000
	// stoneFor is how long a stone is kept: no request arrives that late.
	stoneFor = 15 * time.Minute
)

func asidePartition(uuid string) string { return "a#" + uuid }
func piecePartition(uuid string) string { return "b#" + uuid }

// asideSort is the second key of a row. Texts are in the order of AsideKey.
func asideSort(k lane.AsideKey) string {
	seq := k.Seq.String()
	return fmt.Sprintf("%016x#%s#%s%s", k.Hash, k.Shard, strings.Repeat("0", max(0, seqDigits-len(seq))), seq)
}

const seqDigits = 40

func asideKeyOf(s string) (k lane.AsideKey, err error) {
	bad := fmt.Errorf("remote: %q is not the key of a record that is set aside", s)
	if len(s) < 16+1+1+seqDigits || s[16] != '#' || s[len(s)-seqDigits-1] != '#' {
		return k, bad
	}
	if k.Hash, err = strconv.ParseUint(s[:16], 16, 64); err != nil {
		return k, bad
	}
	k.Shard = s[17 : len(s)-seqDigits-1]
	k.Seq, err = number(strings.TrimLeft(s[len(s)-seqDigits:len(s)-1], "0") + s[len(s)-1:])
	return k, err
}

func asideOf(r *lane.SetAside) asideRow {
	a := asideRow{
		Kind: r.Kind, Since: r.Since, Attempts: r.Attempts, Error: r.Error, Reason: r.Reason, RequestID: r.RequestID, Version: r.Version, Unhandled: r.Unhandled,
		Function: r.Function, Time: r.Time, Ordinal: r.Ordinal, Cause: r.Cause, Keys: r.Keys, Trace: r.Trace, Size: r.Size,
	}
	if !r.Group.IsZero() {
		a.Group = r.Group.String()
	}
	return a
}

func (a *asideRow) lane(key lane.AsideKey) (r lane.SetAside, err error) {
	r = lane.SetAside{
		AsideKey: key, Kind: a.Kind, Since: a.Since, Attempts: a.Attempts, Error: a.Error, Reason: a.Reason, RequestID: a.RequestID, Version: a.Version, Unhandled: a.Unhandled,
		Function: a.Function, Time: a.Time, Ordinal: a.Ordinal, Cause: a.Cause, Keys: a.Keys, Trace: a.Trace, Size: a.Size,
	}
	if a.Group != "" {
		r.Group, err = number(a.Group)
	}
	return r, err
}

// counts reports whether a row is set aside, by the position of its shard.
func (a *asideRow) counts(at checkpoint) bool {
	switch {
	case a.Gone:
		return false
	case a.Epoch == at.Epoch:
		return a.N <= at.Up
	}
	return a.N <= at.Sealed[strconv.FormatUint(a.Epoch, 10)]
}

// counted is counts, or what a broken rule makes of it.
func (b *Backend) counted(a *asideRow, k lane.AsideKey, at checkpoint) bool {
	if cp, err := at.lane(); b.bugs.unsealed && err == nil {
		return !a.Gone && cp.Covers(k.Hash, k.Seq)
	}
	return a.counts(at)
}

// number draws the numbers of rows that are put, the highest of each shard.
func (c *claim) number(changes []lane.AsideChange) (up map[string]uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range changes {
		if ch := &changes[i]; ch.Put != nil && ch.Put.Event != nil {
			if up == nil {
				up = map[string]uint64{}
			}
			c.puts++
			up[ch.Key.Shard] = c.puts
		}
	}
	return up
}

// changeAside makes changes of what is set aside: those of one record in their order, of several at once.
func (c *claim) changeAside(uuid string, changes []lane.AsideChange, up map[string]uint64) error {
	byKey := map[lane.AsideKey][]lane.AsideChange{}
	var keys []lane.AsideKey
	for _, ch := range changes {
		if byKey[ch.Key] == nil {
			keys = append(keys, ch.Key)
		}
		byKey[ch.Key] = append(byKey[ch.Key], ch)
	}
	return each(keys, func(k lane.AsideKey) error {
		for _, ch := range byKey[k] {
			if err := c.changeOne(uuid, ch, up[k.Shard]); err != nil {
				return c.orLost(err)
			}
		}
		return nil
	})
}

func (c *claim) changeOne(uuid string, ch lane.AsideChange, n uint64) error {
	key := Row{P: asidePartition(uuid), S: asideSort(ch.Key)}
	switch {
	case ch.Put == nil:
		return c.endAside(key)
	case ch.Put.Event == nil:
		return c.replaceHead(key, ch.Put)
	}
	row := asideOf(ch.Put)
	row.Epoch, row.N, row.By = c.epoch, n, c.epoch
	key.V = 1 + rand.Uint64N(1<<50) // so that nothing that is on its way for an earlier row of this key fits this one
	if len(ch.Put.Event) <= asideInline {
		key.Body = string(ch.Put.Event)
	} else if err := c.putPieces(uuid, &row, key.S, string(ch.Put.Event)); err != nil {
		return err
	}
	key.Data = encode(row)
	for old := (*Row)(nil); ; {
		var err error
		if old == nil {
			_, err = c.b.put(c.ctx, c.b.progress, key, 0)
		} else {
			_, err = c.b.put(c.ctx, c.b.progress, key, old.V)
		}
		if err == nil {
			if old != nil {
				c.removePieces(uuid, old)
			}
			return nil
		}
		refused, ok := errors.AsType[*Refused](err)
		if !ok {
			return err
		}
		if old = refused.Now; old != nil {
			was, err := c.mine(old)
			if err != nil {
				return err
			}
			if o, err := c.owns(uuid, ch.Key.Shard); err != nil {
				return err
			} else if was.counts(o.at) { // the mapping was set back, and the record is set aside still: it must not be missed meanwhile
				row.Epoch, row.N = was.Epoch, was.N
				key.Data = encode(row)
			}
		}
	}
}

// mine reads a row that this claim is about to change. One that a later claim has written is not its own any more.
func (c *claim) mine(r *Row) (a asideRow, err error) {
	if err := decode(r, &a); err != nil {
		return a, err
	}
	if a.By > c.epoch {
		c.lose()
		return a, backend.ErrLost
	}
	return a, nil
}

// change changes a row that is set aside, unless it has ended by now.
func (c *claim) change(key Row, change func(now Row, a *asideRow) Row) error {
	now, err := c.b.head(c.ctx, c.b.progress, key.P, key.S)
	for err == nil && now != nil {
		var a asideRow
		if a, err = c.mine(now); err != nil || a.Gone {
			return err
		}
		a.By = c.epoch
		_, err = c.b.put(c.ctx, c.b.progress, change(*now, &a), now.V)
		if err == nil {
			return nil
		}
		if refused, ok := errors.AsType[*Refused](err); ok {
			now, err = refused.Now, nil
		}
	}
	return err
}

func (c *claim) replaceHead(key Row, head *lane.SetAside) error {
	return c.change(key, func(now Row, a *asideRow) Row {
		next := asideOf(head)
		next.Epoch, next.N, next.By, next.Pieces, next.Under = a.Epoch, a.N, a.By, a.Pieces, a.Under
		return Row{P: key.P, S: key.S, Data: encode(next), KeepBody: true}
	})
}

// endAside puts a stone in the place of a row.
func (c *claim) endAside(key Row) error {
	if c.b.bugs.forgets {
		now, err := c.b.get(c.ctx, c.b.progress, key.P, key.S)
		if err == nil && now != nil {
			err = c.b.removeAt(c.ctx, c.b.progress, now)
		}
		return err
	}
	var old Row
	err := c.change(key, func(now Row, a *asideRow) Row {
		old = now
		return Row{P: key.P, S: key.S, Data: encode(stoneOf(a)), Until: time.Now().Add(stoneFor).Unix()}
	})
	if err == nil && old.P != "" {
		c.removePieces(strings.TrimPrefix(key.P, "a#"), &old)
	}
	return err
}

func stoneOf(a *asideRow) asideRow { return asideRow{Epoch: a.Epoch, N: a.N, By: a.By, Gone: true} }

// putPieces stores a large event beside its row, and before it.
func (c *claim) putPieces(uuid string, row *asideRow, sort, event string) error {
	row.Under = fmt.Sprintf("%s#%d#%s", sort, c.epoch, nonce())
	pieces := cut(event, asidePiece)
	row.Pieces = len(pieces)
	return each(numbersTo(len(pieces)), func(i int) error {
		_, err := c.b.put(c.ctx, c.b.progress, Row{P: piecePartition(uuid), S: pieceSort(row.Under, i), Body: pieces[i]}, 0)
		return err
	})
}

func pieceSort(under string, i int) string { return under + "#" + pieceKey(i) }

// pieceOf takes the key of a piece apart. later: a later claim than this one has put it. This one is over then, and knows nothing of what has it.
func (c *claim) pieceOf(sort string) (under string, later bool) {
	parts := strings.Split(sort, "#") // ..., epoch, nonce, number
	if len(parts) < 4 {
		return "", false
	}
	epoch, err := strconv.ParseUint(parts[len(parts)-3], 10, 64)
	return sort[:strings.LastIndexByte(sort, '#')], err == nil && epoch > c.epoch
}

func numbersTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// cut cuts a text into pieces of whole characters.
func cut(text string, size int) (pieces []string) {
	for len(text) > size {
		n := size
		for n > size-4 && text[n]&0xc0 == 0x80 {
			n--
		}
		pieces, text = append(pieces, text[:n]), text[n:]
	}
	return append(pieces, text)
}

// removePieces removes the event of a row that is not there any more. What is left over of it goes with a later claim.
func (c *claim) removePieces(uuid string, r *Row) {
	var a asideRow
	if decode(r, &a) != nil {
		return
	}
	for i := range a.Pieces {
		_ = c.b.remove(c.ctx, c.b.progress, piecePartition(uuid), pieceSort(a.Under, i))
	}
}

// takeAside looks at what is set aside, once the positions are this claim's. It removes what does not count, and returns the shards that
// have rows that do.
func (c *claim) takeAside(uuid string, taken map[string]owned) (kept map[string]bool, err error) {
	kept = map[string]bool{}
	sealed := map[string]map[string]uint64{} // as far as it is needed
	under := map[string]bool{}
	err = c.b.eachRow(c.ctx, c.b.progress, asidePartition(uuid), func(rows []Row) error {
		var garbage []Row
		for i := range rows {
			r := &rows[i]
			k, err := asideKeyOf(r.S)
			if err != nil {
				return err
			}
			a, err := c.mine(r)
			if err != nil {
				return err
			}
			o, there := taken[k.Shard] // the position of a shard past its retention goes before the last stone of its records
			at, covers := o.at, false
			if there {
				cp, err := at.lane()
				if err != nil {
					return err
				}
				covers = cp.Covers(k.Hash, k.Seq)
			}
			switch {
			case there && !a.Gone && a.Kind == lane.Held && !covers && c.b.counted(&a, k, at): // the mapping was set back, by somebody who died before it was removed: it comes again
				if err := c.endAside(Row{P: r.P, S: r.S}); err != nil {
					return err
				}
			case c.b.counted(&a, k, at):
				kept[k.Shard], under[a.Under] = true, true
				if e := strconv.FormatUint(a.Epoch, 10); a.Epoch != c.epoch {
					if sealed[k.Shard] == nil {
						sealed[k.Shard] = map[string]uint64{}
					}
					sealed[k.Shard][e] = at.Sealed[e]
				}
			case !a.Gone:
				garbage = append(garbage, *r)
			}
		}
		return each(garbage, func(r Row) error {
			c.removePieces(uuid, &r)
			return c.b.removeAt(c.ctx, c.b.progress, &r)
		})
	})
	if err != nil {
		return nil, err
	}
	for shard, o := range taken {
		o.at.Sealed = sealed[shard]
		taken[shard] = o
	}
	return kept, c.b.eachRow(c.ctx, c.b.progress, piecePartition(uuid), func(rows []Row) error {
		return each(rows, func(r Row) error {
			if of, later := c.pieceOf(r.S); of == "" || under[of] || later {
				return nil
			}
			return c.b.removeAt(c.ctx, c.b.progress, &r)
		})
	})
}

// Aside implements backend.Backend, at any node.
func (b *Backend) Aside(ctx context.Context, uuid string, from lane.AsideKey, limit, maxBytes int, heads bool) (out []lane.SetAside, err error) {
	at, err := b.positionsOf(ctx, uuid)
	if err != nil {
		return nil, err
	}
	size := 0
	for place := asideSort(from); ; {
		rows, next, err := b.part(ctx, b.progress, asidePartition(uuid), place, min(max(limit-len(out), 1), pageSize), heads)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			if len(out) == limit {
				return out, nil
			}
			k, err := asideKeyOf(rows[i].S)
			if err != nil {
				return nil, err
			}
			var a asideRow
			if err := decode(&rows[i], &a); err != nil {
				return nil, err
			}
			if !b.counted(&a, k, at(k.Shard)) {
				continue
			}
			r, err := a.lane(k)
			if err != nil {
				return nil, err
			}
			if !heads {
				if size += r.Size; len(out) > 0 && size > maxBytes {
					return out, nil
				}
				event, found, err := b.eventOf(ctx, uuid, &rows[i], &a)
				if err != nil {
					return nil, err
				}
				if !found {
					continue // removed meanwhile
				}
				r.Event = event
			}
			out = append(out, r)
		}
		if next == "" || len(out) == limit {
			return out, nil
		}
		place = next
	}
}

func (b *Backend) eventOf(ctx context.Context, uuid string, r *Row, a *asideRow) (event []byte, found bool, err error) {
	if a.Pieces == 0 {
		return []byte(r.Body), true, nil
	}
	pieces := make([]string, a.Pieces)
	gone := false
	err = each(numbersTo(a.Pieces), func(i int) error {
		p, err := b.get(ctx, b.progress, piecePartition(uuid), pieceSort(a.Under, i))
		if err == nil && p == nil {
			gone = true
		} else if err == nil {
			pieces[i] = p.Body
		}
		return err
	})
	return []byte(strings.Join(pieces, "")), !gone, err
}

// positionsOf are a mapping's positions: those that this node's claim has written, else what is stored.
func (b *Backend) positionsOf(ctx context.Context, uuid string) (func(shard string) checkpoint, error) {
	_, claims := b.holds()
	for _, c := range claims {
		c.mu.Lock()
		loaded := c.rows[uuid] != nil
		c.mu.Unlock()
		if loaded {
			return func(shard string) checkpoint {
				c.mu.Lock()
				defer c.mu.Unlock()
				return c.rows[uuid][shard].at
			}, nil
		}
	}
	rows, err := b.query(ctx, b.progress, checkpointKey(uuid), "")
	if err != nil {
		return nil, err
	}
	all := map[string]checkpoint{}
	for i := range rows {
		var at checkpoint
		if err := decode(&rows[i], &at); err != nil {
			return nil, err
		}
		all[rows[i].S] = at
	}
	return func(shard string) checkpoint { return all[shard] }, nil
}

// removeAll removes what a mapping has beside its positions.
func (b *Backend) removeAll(ctx context.Context, uuid string) error {
	for _, p := range []string{asidePartition(uuid), piecePartition(uuid), windowPartition(uuid)} {
		if err := b.eachRow(ctx, b.progress, p, func(rows []Row) error {
			return each(rows, func(r Row) error { return b.remove(ctx, b.progress, r.P, r.S) })
		}); err != nil {
			return err
		}
	}
	return nil
}
