package stream

import (
	"testing"
	"time"
)

// TestLateShowing: changes of shards may be shown in any order; a later one shows
// those before it, an earlier one takes nothing back, and a record in a child that
// readers do not know shows the child.
func TestLateShowing(t *testing.T) {
	w := newWorld(t)
	s := w.create(KeysOnly, 1)
	w.write(root(s), 1)
	step := func(of *Shard, partitions ...uint32) (*Reshaping, []*Shard) {
		b := w.store.NewBatch()
		defer b.Close()
		c, children, err := s.Succeed(b, []Succession{{of, partitions}})
		w.check(err)
		w.check(w.store.Write(b))
		return c, children
	}
	first, children := step(root(s), 0, 1)
	second, grandchildren := step(children[0], 0)
	if len(s.Shards()) != 1 || s.Shard(children[0].ID) != nil {
		t.Fatal("children are shown before they are durable")
	}
	if _, closed := root(s).End(); closed {
		t.Fatal("the end is shown before it is durable")
	}
	second.Durable()
	first.Durable()
	if len(s.Shards()) != 4 {
		t.Fatalf("%d shards", len(s.Shards()))
	}
	if _, closed := children[0].End(); !closed {
		t.Error("an earlier change took the later one back")
	}
	if g := grandchildren[0]; !(root(s).Start.Less(children[0].Start)) || !children[0].Start.Less(g.Start) {
		t.Error("numbers do not rise along the lineage")
	}

	_, children = step(grandchildren[0], 0)
	w.write(children[0], 1)
	if s.Shard(children[0].ID) == nil {
		t.Error("a record is told of, and its shard is not")
	}
	again := w.reopen(s)
	if len(again.Shards()) != 5 {
		t.Errorf("%d shards after a restart", len(again.Shards()))
	}
}

// TestTimeOverLineage: the time of records never falls along the lineage, also
// when the clock was set back and the database opened again in between.
func TestTimeOverLineage(t *testing.T) {
	w := newWorld(t)
	s := w.create(KeysOnly, 1)
	w.write(root(s), 1)
	at := w.ms.Load()
	b := w.store.NewBatch()
	defer b.Close()
	c, _, err := s.Succeed(b, []Succession{{root(s), []uint32{0}}})
	w.check(err)
	w.check(w.store.Write(b))
	c.Durable()
	w.advance(-time.Hour)
	s = w.reopen(s)
	child := s.Shards()[1]
	w.write(child, 1)
	p, err := child.Read(child.Horizon(), 1, 1, one)
	if err != nil || len(p.Records) != 1 || p.Records[0].Time() < at {
		t.Errorf("%+v %v", p, err)
	}
}

// TestLongRetention: a stream made with another retention keeps its records and,
// when it has ended, itself that long, also over a restart.
func TestLongRetention(t *testing.T) {
	w := newWorld(t)
	b := w.store.NewBatch()
	s, err := w.ss.Create(b, 7, scope, "tab", keys, KeysOnly, 1, 48)
	w.check(err)
	w.check(w.store.Write(b))
	b.Close()
	w.ss.Publish(s)
	w.write(root(s), 3)
	w.close(s)
	last := map[*Shard]time.Time{}
	trim := func(after time.Duration) {
		w.advance(after)
		w.check(w.ss.trim(w.now(), last))
		w.check(w.ss.trim(w.now().Add(trimWait), last))
	}
	trim(46 * time.Hour)
	s = w.reopen(s)
	if s == nil || s.Retention != 48*time.Hour {
		t.Fatal("the stream has gone, or its retention")
	}
	if got, _, _ := w.readAll(root(s), root(s).Horizon(), 10); len(got) != 3 {
		t.Error("left are", got)
	}
	last = map[*Shard]time.Time{}
	trim(3 * time.Hour)
	if w.ss.Get(s.ARN) != nil {
		t.Error("the stream is still there")
	}
}
