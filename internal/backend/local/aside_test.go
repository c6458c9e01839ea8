package local

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// What is set aside comes back as it was stored, in the order of its keys, page by page; heads
// change alone; it goes with its mapping, and no other's does.
func TestAside(t *testing.T) {
	w := newWorld(t, crashtest.New())
	s := w.create(1)
	m, other := w.mapping(s, mapping.StartTrimHorizon), w.mapping(s, mapping.StartTrimHorizon)
	for _, m := range []mapping.Definition{m, other} {
		_, err := w.b.CreateMapping(t.Context(), m)
		w.check(err)
	}
	var rows []lane.SetAside // in the order of their keys
	for i := range 12 {
		event := fmt.Sprintf(`{"n":%d}`, i)
		rows = append(rows, lane.SetAside{
			AsideKey: lane.AsideKey{Hash: uint64(i / 6), Shard: fmt.Sprint("shard-", i/3), Seq: seqnum.Num{Hi: 1 << 60, Lo: uint64(i)}},
			Kind:     lane.AsideKind(1 + i%3), Since: 1_700_000_000_000 + int64(i), Attempts: i, Error: "boom",
			Reason: lane.RecordAgeExceeded, RequestID: "id", Version: "3", Unhandled: i%2 == 0, Function: "arn", Time: 5, Ordinal: uint64(i),
			Cause: i, Group: seqnum.Num{Hi: 7, Lo: uint64(i)}, Keys: `{"pk":{"S":"a"}}`, Trace: []string{"", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"}[i%2], Size: len(event), Event: []byte(event),
		})
	}
	var changes []lane.AsideChange
	for i := len(rows) - 1; i >= 0; i-- {
		r := rows[i]
		changes = append(changes, lane.AsideChange{Key: r.AsideKey, Put: &r})
	}
	w.check(w.b.Commit(t.Context(), nil, []backend.AsideRows{{UUID: m.UUID, Changes: changes}, {UUID: other.UUID, Changes: changes[:1]}}))
	w.reopen()

	all := func(limit int, heads bool) (out []lane.SetAside) {
		from := lane.AsideKey{}
		for {
			page, err := w.b.Aside(t.Context(), m.UUID, from, limit, 1<<20, heads)
			w.check(err)
			if len(page) == 0 {
				return out
			}
			out = append(out, page...)
			from = page[len(page)-1].AsideKey
			from.Seq = from.Seq.Next()
		}
	}
	same := func(what string, got []lane.SetAside) {
		t.Helper()
		if !reflect.DeepEqual(got, rows) {
			t.Errorf("%s: read back\n%+v, want\n%+v", what, got, rows)
		}
	}
	same("whole", all(100, false))
	same("in pages", all(5, false))
	if page, err := w.b.Aside(t.Context(), m.UUID, lane.AsideKey{}, 100, 1, false); err != nil || len(page) != 1 {
		t.Errorf("%d rows in a byte: %v", len(page), err)
	}
	for _, r := range all(100, true) {
		if r.Event != nil {
			t.Errorf("an event beside a head: %s", r.Event)
		}
	}

	// Events were once kept beside their heads.
	raw, err := id(m.UUID)
	w.check(err)
	old := w.store.NewBatch()
	old.Set(asideKey(raw, asideOldEvent, rows[4].AsideKey), append([]byte{asideVersion}, rows[4].Event...))
	old.Delete(asideKey(raw, asideEvent, rows[4].AsideKey))
	c := w.store.Begin()
	w.check(w.store.Apply(c, old))
	w.check(w.store.Sync(c))
	old.Close()
	same("as it once was", all(100, false))
	gone := rows[4].AsideKey
	w.check(w.b.Commit(t.Context(), nil, []backend.AsideRows{{UUID: m.UUID, Changes: []lane.AsideChange{{Key: gone}}}}))
	rows = append(rows[:4:4], rows[5:]...)
	if _, found, err := w.store.Get(nil, asideKey(raw, asideOldEvent, gone)); err != nil || found {
		t.Errorf("an event stays in its old place: %t, %v", found, err)
	}

	head := rows[2]
	head.Event, head.Attempts, head.Kind = nil, 77, lane.Parked
	w.check(w.b.Commit(t.Context(), nil, []backend.AsideRows{{UUID: m.UUID, Changes: []lane.AsideChange{
		{Key: head.AsideKey, Put: &head}, {Key: rows[3].AsideKey},
	}}}))
	rows[2].Attempts, rows[2].Kind = 77, lane.Parked
	rows = append(rows[:3], rows[4:]...)
	same("changed", all(100, false))

	w.check(w.b.DeleteMapping(t.Context(), m.UUID))
	w.check(w.b.Commit(t.Context(), nil, []backend.AsideRows{{UUID: m.UUID, Changes: changes}}))
	if n := w.rows(store.SpaceAside); n != 2 {
		t.Errorf("%d rows are left, want the two of the other mapping", n)
	}
}
