package backendtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

var ctx = context.Background()

// paging has Read change its pages.
func paging(change func(s *state, after seqnum.Num, p *lane.Page)) func(*hooks, *state) {
	return func(h *hooks, s *state) {
		h.read = func(arn, shard string, after seqnum.Num, n, bytes int) (lane.Page, error) {
			p, err := h.Backend.Read(ctx, arn, shard, after, n, bytes)
			p.Records = slices.Clone(p.Records)
			s.mu.Lock()
			defer s.mu.Unlock()
			change(s, after, &p)
			return p, err
		}
	}
}

// listing has Shards change its list.
func listing(change func(s *state, all []backend.Shard) []backend.Shard) func(*hooks, *state) {
	return func(h *hooks, s *state) {
		h.shards = func(arn string) ([]backend.Shard, error) {
			all, err := h.Backend.Shards(ctx, arn)
			return change(s, slices.Clone(all)), err
		}
	}
}

// beginning has CreateMapping return, but not store, other rows.
func beginning(change func(cp *lane.Checkpoint)) func(*hooks, *state) {
	return func(h *hooks, _ *state) {
		h.create = func(m mapping.Definition) (map[string]lane.Checkpoint, error) {
			rows, err := h.Backend.CreateMapping(ctx, m)
			for id, cp := range rows {
				change(&cp)
				rows[id] = cp
			}
			return rows, err
		}
	}
}

// committed has Commit store something else.
func committed(change func(rows []backend.Row, aside []backend.AsideRows) ([]backend.Row, []backend.AsideRows)) func(*hooks, *state) {
	return func(h *hooks, _ *state) {
		h.commit = func(rows []backend.Row, aside []backend.AsideRows) error {
			rows, aside = change(slices.Clone(rows), slices.Clone(aside))
			return h.Backend.Commit(ctx, rows, aside)
		}
	}
}

// asideRead has Aside return something else.
func asideRead(change func(rows []lane.SetAside) []lane.SetAside) func(*hooks, *state) {
	return func(h *hooks, _ *state) {
		h.aside = func(uuid string, from lane.AsideKey, limit, bytes int, heads bool) ([]lane.SetAside, error) {
			rows, err := h.Backend.Aside(ctx, uuid, from, limit, bytes, heads)
			return change(rows), err
		}
	}
}

func located(change func(at backend.Place, l *backend.Located)) func(*hooks, *state) {
	return func(h *hooks, _ *state) {
		h.locate = func(arn, shard string, at backend.Place) (backend.Located, error) {
			l, err := h.Backend.Locate(ctx, arn, shard, at)
			change(at, &l)
			return l, err
		}
	}
}

// otherHash is a record whose key's hash is its own.
type otherHash struct{ lane.Record }

func (r otherHash) KeyHash() uint64 { return r.Seq().Lo }

var bugs = []bug{
	{"a record after each page is lost", []string{"reading goes on behind any record", "a reader beside writers misses nothing", "records outlive a crash"},
		func(h *hooks, _ *state) {
			h.read = func(arn, shard string, after seqnum.Num, n, bytes int) (lane.Page, error) {
				if !after.IsZero() {
					after = after.Next()
				}
				return h.Backend.Read(ctx, arn, shard, after, n, bytes)
			}
		}},
	{"pages are backwards", []string{"records come in the order of the writes, all of them"},
		paging(func(_ *state, _ seqnum.Num, p *lane.Page) { slices.Reverse(p.Records) })},
	{"the number of records is not looked at", []string{"a page has as many records as asked for"}, func(h *hooks, _ *state) {
		h.read = func(arn, shard string, after seqnum.Num, _, bytes int) (lane.Page, error) {
			return h.Backend.Read(ctx, arn, shard, after, lots, bytes)
		}
	}},
	{"the size of records is not looked at", []string{"a page ends at the bound in bytes, but has a record"}, func(h *hooks, _ *state) {
		h.read = func(arn, shard string, after seqnum.Num, n, _ int) (lane.Page, error) {
			return h.Backend.Read(ctx, arn, shard, after, n, lots)
		}
	}},
	{"an empty page is the end", []string{"an open shard has no end", "what was passed is not missing"},
		paging(func(_ *state, _ seqnum.Num, p *lane.Page) { p.End = p.End || len(p.Records) == 0 })},
	{"the end is told with the first page", []string{"the end of a shard comes with its last record, or after it"},
		paging(func(_ *state, _ seqnum.Num, p *lane.Page) { p.End = true })},
	{"nothing ends", []string{"a closed shard without records has ended", "a shard that is not there has ended", "the end of a shard comes with its last record, or after it"},
		paging(func(_ *state, _ seqnum.Num, p *lane.Page) { p.End = false })},
	{"the hash is not the key's", []string{"records are events, with their sizes, times and keys"}, paging(func(_ *state, _ seqnum.Num, p *lane.Page) {
		for i := range p.Records {
			p.Records[i] = otherHash{p.Records[i]}
		}
	})},
	{"the newest record is seen late", []string{"a write is readable when it is answered", "LATEST is exact beside writers"}, paging(func(_ *state, _ seqnum.Num, p *lane.Page) {
		if n := len(p.Records); n > 0 {
			p.Records = p.Records[:n-1]
		}
	})},
	{"every fiftieth record is lost", []string{"a reader beside writers misses nothing"}, paging(func(s *state, _ seqnum.Num, p *lane.Page) {
		p.Records = slices.DeleteFunc(p.Records, func(r lane.Record) bool { return r.Ordinal()%50 == 0 })
	})},
	{"every stream is there", []string{"a stream that is not there"}, func(h *hooks, _ *state) {
		h.resolve = func(arn string) (backend.Stream, error) { return backend.Stream{ARN: arn}, nil }
	}},
	{"a stream has no table", []string{"a stream is resolved"}, func(h *hooks, _ *state) {
		h.resolve = func(arn string) (backend.Stream, error) {
			s, err := h.Backend.ResolveStream(ctx, arn)
			s.Table = ""
			return s, err
		}
	}},
	{"nobody is woken", []string{"who watches is woken by a write, until it stops", "who watches is woken by new shards, and by the stream's end"},
		func(h *hooks, _ *state) { h.watch = func(string, func()) func() { return func() {} } }},
	{"who has stopped is woken", []string{"who watches is woken by a write, until it stops"},
		func(h *hooks, _ *state) {
			h.watch = func(arn string, wake func()) func() { h.Backend.Watch(arn, wake); return func() {} }
		}},
	{"only the first shard is listed", []string{"an item's records lie in one of many shards", "children come after their parent, which is closed"},
		listing(func(_ *state, all []backend.Shard) []backend.Shard { return all[:1] })},
	{"children are listed first", []string{"children come after their parent, which is closed"},
		listing(func(_ *state, all []backend.Shard) []backend.Shard { slices.Reverse(all); return all })},
	{"a shard of a chain is not listed", []string{"order over a chain of splits beside writers"}, listing(func(_ *state, all []backend.Shard) []backend.Shard {
		if len(all) == 11 {
			return slices.Delete(all, 5, 6)
		}
		return all
	})},
	{"a shard counts a record too few", []string{"an item's records lie in one of many shards", "a write is readable when it is answered"},
		listing(func(_ *state, all []backend.Shard) []backend.Shard {
			for i := range all {
				all[i].Records = max(all[i].Records, 1) - 1
			}
			return all
		})},
	{"lost records are not told of", []string{"what is gone unread is told as a range", "a range is told once"},
		paging(func(_ *state, _ seqnum.Num, p *lane.Page) { p.Missed = nil })},
	{"lost records are told of again", []string{"a range is told once", "what was passed is not missing"}, paging(func(s *state, after seqnum.Num, p *lane.Page) {
		if p.Missed == nil {
			p.Missed = &lane.Missed{First: after, Last: after, Count: 1}
		}
	})},
	{"mappings come in another order", []string{"a mapping comes back as it was made, the oldest first"}, func(h *hooks, _ *state) {
		h.mappings = func() ([]backend.Stored, error) {
			all, err := h.Backend.Mappings(ctx)
			slices.Reverse(all)
			return all, err
		}
	}},
	{"a definition loses its tags", []string{"a mapping comes back as it was made, the oldest first"}, func(h *hooks, _ *state) {
		h.create = func(m mapping.Definition) (map[string]lane.Checkpoint, error) {
			m.Tags = nil
			return h.Backend.CreateMapping(ctx, m)
		}
	}},
	{"the first rows are not the stored ones", []string{"the rows of a new mapping are stored"}, func(h *hooks, _ *state) {
		h.mappings = func() ([]backend.Stored, error) {
			all, err := h.Backend.Mappings(ctx)
			for i := range all {
				all[i].Checkpoints = nil
			}
			return all, err
		}
	}},
	{"every mapping begins at the newest record", []string{"TRIM_HORIZON begins with the first record"}, func(h *hooks, _ *state) {
		h.create = func(m mapping.Definition) (map[string]lane.Checkpoint, error) {
			m.Start = mapping.StartLatest
			return h.Backend.CreateMapping(ctx, m)
		}
	}},
	{"every mapping begins with the first record", []string{"LATEST begins behind what was written", "LATEST has done with closed shards"}, func(h *hooks, _ *state) {
		h.create = func(m mapping.Definition) (map[string]lane.Checkpoint, error) {
			m.Start = mapping.StartTrimHorizon
			return h.Backend.CreateMapping(ctx, m)
		}
	}},
	{"LATEST begins a record too early", []string{"LATEST is exact beside writers", "LATEST begins behind what was written"},
		beginning(func(cp *lane.Checkpoint) { cp.Low, cp.Ordinal = cp.Low.Prev(), cp.Ordinal-1 })},
	{"LATEST begins a record too late", []string{"LATEST is exact beside writers", "LATEST begins behind what was written"},
		beginning(func(cp *lane.Checkpoint) { cp.Low, cp.Ordinal = cp.Low.Next(), cp.Ordinal+1 })},
	{"closed shards are not done", []string{"LATEST has done with closed shards"}, beginning(func(cp *lane.Checkpoint) { cp.Done = false })},
	{"the moment of the beginning is not looked at", []string{"a mapping begins at a moment"}, func(h *hooks, _ *state) {
		h.create = func(m mapping.Definition) (map[string]lane.Checkpoint, error) {
			m.StartAt = time.Time{}
			return h.Backend.CreateMapping(ctx, m)
		}
	}},
	{"an update begins anew", []string{"an update replaces the definition, and leaves the rows"}, func(h *hooks, _ *state) {
		h.update = func(m mapping.Definition) error {
			if err := h.Backend.DeleteMapping(ctx, m.UUID); err != nil {
				return err
			}
			_, err := h.Backend.CreateMapping(ctx, m)
			return err
		}
	}},
	{"an update makes what is not there", []string{"a mapping that is not there"}, func(h *hooks, _ *state) {
		h.update = func(m mapping.Definition) error {
			err := h.Backend.UpdateMapping(ctx, m)
			if errors.Is(err, backend.ErrNoMapping) {
				_, err = h.Backend.CreateMapping(ctx, m)
			}
			return err
		}
	}},
	{"nothing is deleted", []string{"a deleted mapping leaves nothing", "definitions and rows outlive a crash"},
		func(h *hooks, _ *state) { h.remove = func(string) error { return nil } }},
	{"a late row brings a mapping back", []string{"what is stored late does not bring a deleted mapping back"}, func(h *hooks, s *state) {
		h.commit = func(rows []backend.Row, aside []backend.AsideRows) error {
			err := h.Backend.Commit(ctx, rows, aside)
			if err != nil {
				s.kept = put(parked(1, 1))
			}
			return err
		}
		h.aside = func(uuid string, from lane.AsideKey, limit, bytes int, heads bool) ([]lane.SetAside, error) {
			rows, err := h.Backend.Aside(ctx, uuid, from, limit, bytes, heads)
			if s.kept != nil {
				rows = append(rows, parked(1, 1))
			}
			return rows, err
		}
	}},
	{"lanes ahead are not stored", []string{"a checkpoint comes back whole, with 64 lanes ahead"}, committed(func(rows []backend.Row, aside []backend.AsideRows) ([]backend.Row, []backend.AsideRows) {
		for i := range rows {
			rows[i].Ahead = nil
		}
		return rows, aside
	})},
	{"a window's state is cut", []string{"a window of a megabyte"}, committed(func(rows []backend.Row, aside []backend.AsideRows) ([]backend.Row, []backend.AsideRows) {
		for i := range rows {
			if w := rows[i].Window; w != nil && len(w.State) > 1000 {
				rows[i].Window = &lane.Window{Start: w.Start, End: w.End, State: w.State[:1000]}
			}
		}
		return rows, aside
	})},
	{"only shards that were there have rows", []string{"a row of a shard that was born later"}, committed(func(rows []backend.Row, aside []backend.AsideRows) ([]backend.Row, []backend.AsideRows) {
		return nil, aside
	})},
	{"only the first row is stored", []string{"rows of several mappings are stored together", "a commit is there whole or not at all after a crash"},
		committed(func(rows []backend.Row, aside []backend.AsideRows) ([]backend.Row, []backend.AsideRows) {
			return rows[:min(1, len(rows))], aside
		})},
	{"one of two commits at once is lost", []string{"commits at once do not disturb each other"}, func(h *hooks, s *state) {
		h.commit = func(rows []backend.Row, aside []backend.AsideRows) error {
			if !s.mu.TryLock() {
				return nil
			}
			defer s.mu.Unlock()
			for range 50 {
				runtime.Gosched()
			}
			return h.Backend.Commit(ctx, rows, aside)
		}
	}},
	{"a move stores no rows", []string{"a move is stored whole"}, func(h *hooks, _ *state) {
		h.reposition = func(r backend.Repositioned) error {
			r.Rows = nil
			return h.Backend.Reposition(ctx, r)
		}
	}},
	{"writes and messages are made without their position", []string{"writes of an answer are made with the position", "writes of an answer are there with their position or not at all after a crash",
		"messages of an answer are sent with the position", "messages of an answer are there with their position or not at all after a crash"},
		func(h *hooks, _ *state) {
			h.transact = func(t backend.Transaction) error {
				build := t.Build
				t.Build = func() ([]backend.Row, []backend.AsideRows, error) { _, _, err := build(); return nil, nil, err }
				return h.Backend.Transact(ctx, t)
			}
		}},
	{"a position is stored though its writes are refused", []string{"refused writes change nothing"}, func(h *hooks, _ *state) {
		h.transact = func(t backend.Transaction) error {
			err := h.Backend.Transact(ctx, t)
			if err != nil {
				rows, aside, _ := t.Build()
				_ = h.Backend.Commit(ctx, rows, aside)
			}
			return err
		}
	}},
	{"messages are sent though something else is refused", []string{"a refused message changes nothing, and refused writes send nothing"}, func(h *hooks, _ *state) {
		h.transact = func(t backend.Transaction) error {
			err := h.Backend.Transact(ctx, t)
			if err != nil {
				t.Items, t.Build = nil, func() ([]backend.Row, []backend.AsideRows, error) { return nil, nil, nil }
				_ = h.Backend.Transact(ctx, t)
			}
			return err
		}
	}},
	{"writes and messages are made though there is no position", []string{"no position, no writes", "no position, no messages"}, func(h *hooks, _ *state) {
		h.transact = func(t backend.Transaction) error {
			build := t.Build
			t.Build = func() ([]backend.Row, []backend.AsideRows, error) { rows, aside, _ := build(); return rows, aside, nil }
			return h.Backend.Transact(ctx, t)
		}
	}},
	{"applied is told before the position is built", []string{"writes of an answer are visible when it is applied"}, func(h *hooks, _ *state) {
		h.transact = func(t backend.Transaction) error {
			t.Applied()
			t.Applied = func() {}
			return h.Backend.Transact(ctx, t)
		}
	}},
	{"rows that are set aside come in another order", []string{"rows come back whole, in the order of their keys"},
		asideRead(func(rows []lane.SetAside) []lane.SetAside { slices.Reverse(rows); return rows })},
	{"the rows of a key come by their numbers", []string{"rows of a key are in the order of their shards, then of their numbers"}, asideRead(func(rows []lane.SetAside) []lane.SetAside {
		slices.SortStableFunc(rows, func(a, b lane.SetAside) int { return cmp.Or(cmp.Compare(a.Hash, b.Hash), a.Seq.Compare(b.Seq)) })
		return rows
	})},
	{"a page of rows begins behind the key", []string{"rows are read page by page, from any key on"}, func(h *hooks, _ *state) {
		h.aside = func(uuid string, from lane.AsideKey, limit, bytes int, heads bool) ([]lane.SetAside, error) {
			return h.Backend.Aside(ctx, uuid, from.After(), limit, bytes, heads)
		}
	}},
	{"heads have events", []string{"heads come without events"}, func(h *hooks, _ *state) {
		h.aside = func(uuid string, from lane.AsideKey, limit, _ int, _ bool) ([]lane.SetAside, error) {
			return h.Backend.Aside(ctx, uuid, from, limit, lots, false)
		}
	}},
	{"a new head loses its event", []string{"a head is replaced, and its event stays"}, committed(func(rows []backend.Row, aside []backend.AsideRows) ([]backend.Row, []backend.AsideRows) {
		for _, a := range aside {
			for _, c := range a.Changes {
				if c.Put != nil && c.Put.Event == nil {
					c.Put.Event = []byte{}
				}
			}
		}
		return rows, aside
	})},
	{"changes are made backwards", []string{"changes of one row are made in their order"}, committed(func(rows []backend.Row, aside []backend.AsideRows) ([]backend.Row, []backend.AsideRows) {
		for i := range aside {
			aside[i].Changes = slices.Clone(aside[i].Changes)
			slices.Reverse(aside[i].Changes)
		}
		return rows, aside
	})},
	{"an event is cut", []string{"an event of a megabyte"}, asideRead(func(rows []lane.SetAside) []lane.SetAside {
		for i := range rows {
			rows[i].Event = bytes.Clone(rows[i].Event[:min(len(rows[i].Event), 1000)])
		}
		return rows
	})},
	{"all mappings share what is set aside", []string{"what two mappings have set aside is apart"}, func(h *hooks, s *state) {
		first := func(uuid string) string {
			if s.kept == nil {
				s.kept = uuid
			}
			return s.kept.(string)
		}
		h.commit = func(rows []backend.Row, aside []backend.AsideRows) error {
			for i := range aside {
				aside[i].UUID = first(aside[i].UUID)
			}
			return h.Backend.Commit(ctx, rows, aside)
		}
		h.aside = func(uuid string, from lane.AsideKey, limit, bytes int, heads bool) ([]lane.SetAside, error) {
			return h.Backend.Aside(ctx, first(uuid), from, limit, bytes, heads)
		}
	}},
	{"a place is a record too far", []string{"the oldest and the newest place of a shard", "the oldest place of a shard that has lost records", "the place of a record", "the place of a moment"},
		located(func(_ backend.Place, l *backend.Located) { l.Low, l.Ordinal = l.Low.Next(), l.Ordinal+1 })},
	{"every record is here", []string{"the place of a record"}, located(func(_ backend.Place, l *backend.Located) { l.Here = true })},
	{"a shard that is gone has a place", []string{"a shard that is gone has no place"}, located(func(_ backend.Place, l *backend.Located) { l.Ordinal++ })},
	{"an item of a snapshot is lost", []string{"a mapping begins with the items there are"}, paging(func(_ *state, _ seqnum.Num, p *lane.Page) {
		if n := len(p.Records); n > 0 && p.End {
			p.Records = p.Records[:n-1]
		}
	})},
	{"an empty table has an item", []string{"a table without items"}, func(h *hooks, _ *state) {
		h.mappings = func() ([]backend.Stored, error) {
			all, err := h.Backend.Mappings(ctx)
			for i := range all {
				if s := all[i].Snapshot; s != nil {
					more := *s
					more.Items++
					all[i].Snapshot = &more
				}
			}
			return all, err
		}
	}},
	{"the stream goes on a record behind the items", []string{"the hand-over from items to stream beside writers"},
		beginning(func(cp *lane.Checkpoint) { cp.Low = cp.Low.Next() })},
	{"the stream goes on a record before the end of the items", []string{"the hand-over from items to stream beside writers"},
		beginning(func(cp *lane.Checkpoint) { cp.Low = cp.Low.Prev() })},
	{"a crash costs an item of a snapshot", []string{"the items stay those of that moment, also after a crash"}, paging(func(s *state, _ seqnum.Num, p *lane.Page) {
		if s.crashed && len(p.Records) > 0 && p.End {
			p.Records = p.Records[1:]
		}
	})},
	{"a crash costs the last record", []string{"records outlive a crash"}, paging(func(s *state, _ seqnum.Num, p *lane.Page) {
		if n := len(p.Records); s.crashed && n > 0 {
			p.Records = p.Records[:n-1]
		}
	})},
	{"a crash costs the newest shard", []string{"shards outlive a crash"}, listing(func(s *state, all []backend.Shard) []backend.Shard {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.crashed {
			return all[:len(all)-1]
		}
		return all
	})},
	{"a commit is stored with the next one", []string{"definitions and rows outlive a crash", "a commit is there whole or not at all after a crash"}, func(h *hooks, s *state) {
		h.commit = func(rows []backend.Row, aside []backend.AsideRows) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			later, _ := s.kept.(func() error)
			s.kept = func() error { return h.Backend.Commit(ctx, rows, aside) }
			if later != nil {
				return later()
			}
			return nil
		}
	}},
	{"a commit is stored in two steps", []string{"a commit is there whole or not at all after a crash"}, func(h *hooks, s *state) {
		h.commit = func(rows []backend.Row, aside []backend.AsideRows) error {
			if err := h.Backend.Commit(ctx, rows, nil); err != nil {
				return err
			}
			s.untilCrash()
			return h.Backend.Commit(ctx, nil, aside)
		}
	}},
	{"a move is stored in two steps", []string{"a move is there whole or not at all after a crash"}, func(h *hooks, s *state) {
		h.reposition = func(r backend.Repositioned) error {
			if err := h.Backend.UpdateMapping(ctx, r.Mapping); err != nil {
				return err
			}
			s.untilCrash()
			return h.Backend.Reposition(ctx, r)
		}
	}},
	{"writes or messages and their position are stored in two steps", []string{"writes of an answer are there with their position or not at all after a crash", "messages of an answer are there with their position or not at all after a crash"}, func(h *hooks, s *state) {
		h.transact = func(t backend.Transaction) error {
			var rows []backend.Row
			var aside []backend.AsideRows
			build := t.Build
			t.Build = func() (r []backend.Row, a []backend.AsideRows, err error) {
				rows, aside, err = build()
				return nil, nil, err
			}
			if err := h.Backend.Transact(ctx, t); err != nil {
				return err
			}
			s.untilCrash()
			return h.Backend.Commit(ctx, rows, aside)
		}
	}},
}
