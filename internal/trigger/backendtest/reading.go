package backendtest

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

var reading = []Case{
	{Name: "records come in the order of the writes, all of them", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2, 1, 3, 1, 2, 9, 1, 1, 2, 3)
		got, end := read(t, w, arn, only(t, w, arn).ID, seqnum.Num{})
		rising(t, got)
		equal(t, "records", itemsOf(w, got), []write{{1, 1}, {2, 1}, {1, 2}, {3, 1}, {1, 3}, {2, 2}, {9, 1}, {1, 4}, {1, 5}, {2, 3}, {3, 2}})
		if end || len(got) > 0 && got[0].Ordinal() != 1 {
			t.Errorf("end %t, first ordinal %d", end, got[0].Ordinal())
		}
	}},
	{Name: "a page has as many records as asked for", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2, 3, 4, 5)
		sh := only(t, w, arn).ID
		for n := 1; n <= 6; n++ {
			if p := page(t, w, arn, sh, seqnum.Num{}, n, lots); len(p.Records) != min(n, 5) {
				t.Errorf("%d records for %d", len(p.Records), n)
			}
		}
	}},
	{Name: "a page ends at the bound in bytes, but has a record", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2, 3, 4, 5)
		sh := only(t, w, arn).ID
		p := page(t, w, arn, sh, seqnum.Num{}, 10, 1)
		if len(p.Records) != 1 {
			t.Fatalf("%d records in a byte", len(p.Records))
		}
		if p = page(t, w, arn, sh, seqnum.Num{}, 10, 2*p.Records[0].EventSize()+1); len(p.Records) > 2 {
			t.Errorf("%d records where two have room", len(p.Records))
		}
	}},
	{Name: "reading goes on behind any record", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2, 3, 1, 2, 3)
		sh := only(t, w, arn).ID
		all, _ := read(t, w, arn, sh, seqnum.Num{})
		for i, r := range all {
			rest, _ := read(t, w, arn, sh, r.Seq())
			equal(t, "the rest", itemsOf(w, rest), itemsOf(w, all[i+1:]))
			// A position may be a number that is no record's.
			if rest, _ = read(t, w, arn, sh, r.Seq().Prev()); len(rest) != len(all)-i {
				t.Errorf("%d records behind the number before record %d", len(rest), i+1)
			}
		}
	}},
	{Name: "an open shard has no end", Run: func(t T, w World) {
		arn := w.Stream(1)
		sh := only(t, w, arn)
		if p := page(t, w, arn, sh.ID, sh.Head, 10, lots); p.End || len(p.Records) > 0 || p.Missed != nil {
			t.Errorf("of an empty shard: %+v", p)
		}
		w.Write(arn, 1)
		sh = only(t, w, arn)
		if p := page(t, w, arn, sh.ID, sh.Head, 10, lots); p.End || len(p.Records) > 0 {
			t.Errorf("at the head: %+v", p)
		}
	}},
	{Name: "records are events, with their sizes, times and keys", Run: func(t T, w World) {
		arn := w.Stream(1)
		before := time.Now().UnixMilli()
		w.Write(arn, 1, 2, 1)
		got, _ := read(t, w, arn, only(t, w, arn).ID, seqnum.Num{})
		if len(got) != 3 {
			t.Fatalf("%d records", len(got))
		}
		for _, r := range got {
			if !json.Valid(r.Event()) || r.EventSize() < len(r.Event()) || r.Time() < before || r.Time() > time.Now().UnixMilli() || r.Cause() != 0 {
				t.Errorf("record %s: %s, size %d, time %d, cause %d", r.Seq(), r.Event(), r.EventSize(), r.Time(), r.Cause())
			}
		}
		if got[0].KeyHash() != got[2].KeyHash() || got[0].KeyHash() == got[1].KeyHash() {
			t.Errorf("hashes %x, %x, %x", got[0].KeyHash(), got[1].KeyHash(), got[2].KeyHash())
		}
	}},
	{Name: "a reader beside writers misses nothing", Run: func(t T, w World) {
		arn := w.Stream(1)
		sh := only(t, w, arn).ID
		stop := writers(w, arn, 8, someWrites)
		defer stop()
		var all []lane.Record
		var after seqnum.Num
		for len(all) < 400 {
			p := page(t, w, arn, sh, after, 50, lots)
			if len(p.Records) > 0 {
				all = append(all, p.Records...)
				after = p.Records[len(p.Records)-1].Seq()
			}
		}
		stop()
		rest, _ := read(t, w, arn, sh, after)
		all = append(all, rest...)
		rising(t, all)
		if all[0].Ordinal() != 1 || uint64(len(all)) != only(t, w, arn).Records {
			t.Errorf("%d records from ordinal %d, the shard counts %d", len(all), all[0].Ordinal(), only(t, w, arn).Records)
		}
		inOrder(t, itemsOf(w, all), map[int]int{})
	}},
	{Name: "a write is readable when it is answered", Run: func(t T, w World) {
		arn := w.Stream(1)
		sh := only(t, w, arn).ID
		for n := range 20 {
			w.Write(arn, n%3)
			if got, _ := read(t, w, arn, sh, seqnum.Num{}); len(got) != n+1 {
				t.Fatalf("%d records after %d writes", len(got), n+1)
			}
			if s := only(t, w, arn); s.Records != uint64(n+1) {
				t.Fatalf("a count of %d after %d writes", s.Records, n+1)
			}
		}
	}},
	{Name: "a stream that is not there", Run: func(t T, w World) {
		arn := w.Stream(1)
		none := arn + "9"
		b := w.Backend()
		if _, err := b.ResolveStream(t.Context(), none); !errors.Is(err, backend.ErrNoStream) {
			t.Errorf("resolved: %v", err)
		}
		if _, err := b.Shards(t.Context(), none); !errors.Is(err, backend.ErrNoStream) {
			t.Errorf("listed: %v", err)
		}
		m := define(t, w, arn, mapping.StartLatest)
		m.StreamARN = none
		if _, err := b.CreateMapping(t.Context(), m); !errors.Is(err, backend.ErrNoStream) || stored(t, w, m.UUID) != nil {
			t.Errorf("a mapping was made: %v", err)
		}
		b.Watch(none, func() {})()
	}},
	{Name: "a stream is resolved", Run: func(t T, w World) {
		arn := w.Stream(1)
		s, err := w.Backend().ResolveStream(t.Context(), arn)
		check(t, err)
		if s.ARN != arn || s.Table == "" || s.Scope.StreamARN(s.Table, arn[len(arn)-23:]) != arn {
			t.Errorf("%+v", s)
		}
	}},
	{Name: "who watches is woken by a write, until it stops", Sleeps: true, Run: func(t T, w World) {
		arn := w.Stream(1)
		woken := make(chan struct{}, 1000)
		stop := w.Backend().Watch(arn, func() { woken <- struct{}{} })
		w.Write(arn, 1)
		settled(t, woken, true, "by a write")
		stop()
		w.Write(arn, 1)
		settled(t, woken, false, "after it had stopped")
	}},
	{Name: "who watches is woken by new shards, and by the stream's end", Sleeps: true, Run: func(t T, w World) {
		arn := w.Stream(1)
		woken := make(chan struct{}, 1000)
		defer w.Backend().Watch(arn, func() { woken <- struct{}{} })()
		w.Split(arn, only(t, w, arn).ID)
		settled(t, woken, true, "by a split")
		w.SwitchOff(arn)
		settled(t, woken, true, "by the end")
	}},
}

// inOrder checks that the writes of each item come in their order, without a gap, from what was before.
func inOrder(t T, got []write, before map[int]int) {
	t.Helper()
	for _, g := range got {
		if g.nth != before[g.key]+1 {
			t.Fatalf("of item %d write %d comes after write %d", g.key, g.nth, before[g.key])
		}
		before[g.key] = g.nth
	}
}

// settled checks whether somebody was woken, when all has come to rest.
func settled(t T, woken chan struct{}, want bool, when string) {
	t.Helper()
	time.Sleep(time.Second) // of the bubble
	got := len(woken) > 0
	for len(woken) > 0 {
		<-woken
	}
	if got != want {
		t.Errorf("woken %s: %t", when, got)
	}
}

var shards = []Case{
	{Name: "the end of a shard comes with its last record, or after it", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2, 3)
		sh := only(t, w, arn).ID
		w.SwitchOff(arn)
		for n := 1; n <= 4; n++ {
			var after seqnum.Num
			seen := 0
			for end := false; !end; {
				p := page(t, w, arn, sh, after, n, lots)
				if seen += len(p.Records); p.End && seen < 3 {
					t.Fatalf("an end after %d of 3 records, %d at a time", seen, n)
				}
				if end = p.End; !end && len(p.Records) == 0 {
					t.Fatalf("no end after %d records, %d at a time", seen, n)
				}
				if len(p.Records) > 0 {
					after = p.Records[len(p.Records)-1].Seq()
				}
			}
			if seen != 3 {
				t.Errorf("%d records", seen)
			}
		}
	}},
	{Name: "a closed shard without records has ended", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.SwitchOff(arn)
		sh := only(t, w, arn)
		if p := page(t, w, arn, sh.ID, seqnum.Num{}, 5, lots); !p.End || len(p.Records) > 0 || !sh.Closed {
			t.Errorf("%+v, %+v", p, sh)
		}
	}},
	{Name: "a shard that is not there has ended", Run: func(t T, w World) {
		arn := w.Stream(1)
		if p := page(t, w, arn, "shardId-gone", seqnum.Num{}, 5, lots); !p.End || len(p.Records) > 0 {
			t.Errorf("%+v", p)
		}
	}},
	{Name: "an item's records lie in one of many shards", Run: func(t T, w World) {
		arn := w.Stream(4)
		var keys []int
		for n := range 120 {
			keys = append(keys, n%40)
		}
		w.Write(arn, keys...)
		home, total := map[int]string{}, 0
		for _, sh := range shardsOf(t, w, arn) {
			got, _ := read(t, w, arn, sh.ID, seqnum.Num{})
			rising(t, got)
			inOrder(t, itemsOf(w, got), map[int]int{})
			for _, g := range itemsOf(w, got) {
				if other := home[g.key]; other != "" && other != sh.ID {
					t.Fatalf("item %d is in %s and in %s", g.key, other, sh.ID)
				}
				home[g.key] = sh.ID
			}
			if total += len(got); sh.Records != uint64(len(got)) || len(got) > 0 && sh.Head != got[len(got)-1].Seq() {
				t.Errorf("%s has %d records, and says %d up to %s", sh.ID, len(got), sh.Records, sh.Head)
			}
		}
		if total != 120 || len(home) != 40 {
			t.Errorf("%d records of %d items", total, len(home))
		}
	}},
	{Name: "children come after their parent, which is closed", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2, 3, 4, 5, 6, 7, 8)
		old := only(t, w, arn)
		w.Split(arn, old.ID)
		all := shardsOf(t, w, arn)
		if len(all) != 3 || all[0].ID != old.ID || !all[0].Closed || all[0].Head != old.Head || all[0].Records != 8 {
			t.Fatalf("%+v", all)
		}
		for _, child := range all[1:] {
			if child.Parent != old.ID || child.Closed {
				t.Errorf("%+v", child)
			}
		}
		w.Write(arn, 1, 2, 3, 4, 5, 6, 7, 8)
		if got, end := read(t, w, arn, old.ID, seqnum.Num{}); len(got) != 8 || !end {
			t.Errorf("the parent has %d records, end %t", len(got), end)
		}
		after := 0
		for _, child := range shardsOf(t, w, arn)[1:] {
			got, end := read(t, w, arn, child.ID, seqnum.Num{})
			if child.Records-child.Before != uint64(len(got)) || len(got) > 0 && got[0].Ordinal() != child.Before+1 {
				t.Errorf("%d records, counted from %d to %d", len(got), child.Before, child.Records)
			}
			if after += len(got); end {
				t.Errorf("an open child has ended")
			}
			for _, g := range itemsOf(w, got) {
				if g.nth != 2 {
					t.Errorf("the child has write %d of item %d", g.nth, g.key)
				}
			}
		}
		if after != 8 {
			t.Errorf("the children have %d records", after)
		}
	}},
	{Name: "order over a chain of splits beside writers", Run: func(t T, w World) {
		arn := w.Stream(1)
		stop := writers(w, arn, 6, math.MaxInt)
		defer stop()
		for range 5 {
			all := shardsOf(t, w, arn)
			i := slices.IndexFunc(all, func(s backend.Shard) bool { return !s.Closed })
			for shardsOf(t, w, arn)[i].Records < all[i].Records+3 { // some writes to the shard, or to a sibling
				if open := shardsOf(t, w, arn); total(open) > total(all)+30 {
					break
				}
			}
			w.Split(arn, all[i].ID)
		}
		stop()
		all := shardsOf(t, w, arn)
		known, nth, count := map[string]bool{}, map[int]int{}, 0
		for _, sh := range all {
			if sh.Parent != "" && !known[sh.Parent] {
				t.Fatalf("%s comes before its parent %s", sh.ID, sh.Parent)
			}
			known[sh.ID] = true
			got, end := read(t, w, arn, sh.ID, seqnum.Num{})
			if end != sh.Closed {
				t.Errorf("%s: end %t, closed %t", sh.ID, end, sh.Closed)
			}
			count += len(got)
			inOrder(t, itemsOf(w, got), nth)
		}
		for key, n := range nth {
			if s := w.Stored(arn, key); s != n {
				t.Errorf("item %d: %d records, %d writes", key, n, s)
			}
		}
		if count == 0 || len(all) != 11 {
			t.Errorf("%d records, %d shards", count, len(all))
		}
	}},
}

// total is a count over shards; a child goes on where its parent has ended.
func total(all []backend.Shard) (n uint64) {
	for _, s := range all {
		if !s.Closed {
			n += s.Records
		}
	}
	return n
}

var trimming = []Case{
	{Name: "what is gone unread is told as a range", Sleeps: true, Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2, 3, 4, 5)
		sh := only(t, w, arn).ID
		all, _ := read(t, w, arn, sh, seqnum.Num{})
		w.Age(arn)
		w.Write(arn, 6)
		for i := range all {
			p := page(t, w, arn, sh, all[i].Seq(), 10, lots)
			want := uint64(len(all) - i - 1)
			switch {
			case want == 0 && p.Missed != nil:
				t.Errorf("nothing is missing behind the last record, but %+v", *p.Missed)
			case want > 0 && (p.Missed == nil || p.Missed.Count != want || p.Missed.First != all[i].Seq().Next() || p.Missed.Last != all[4].Seq()):
				t.Errorf("behind record %d: %+v, want %d up to %s", i+1, p.Missed, want, all[4].Seq())
			}
			equal(t, "what is left", itemsOf(w, p.Records), []write{{6, 1}})
		}
	}},
	{Name: "what was passed is not missing", Sleeps: true, Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2, 3)
		sh := only(t, w, arn)
		w.Age(arn)
		if p := page(t, w, arn, sh.ID, sh.Head, 10, lots); p.Missed != nil || len(p.Records) > 0 || p.End {
			t.Errorf("%+v", p)
		}
		w.Write(arn, 1)
		if s := only(t, w, arn); s.Records != 4 || s.Head.Compare(sh.Head) <= 0 {
			t.Errorf("%+v after %+v", s, sh)
		}
	}},
	{Name: "a range is told once", Sleeps: true, Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2, 3)
		sh := only(t, w, arn).ID
		first := page(t, w, arn, sh, seqnum.Num{}, 1, lots).Records[0].Seq()
		w.Age(arn)
		p := page(t, w, arn, sh, first, 10, lots)
		if p.Missed == nil || p.Missed.Count != 2 {
			t.Fatalf("%+v", p)
		}
		if p = page(t, w, arn, sh, p.Missed.Last, 10, lots); p.Missed != nil {
			t.Errorf("told again: %+v", *p.Missed)
		}
	}},
}
