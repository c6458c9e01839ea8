package table

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/store"
)

// TestLoadTheSameKeys: of items with the same key the last stays, however far apart they come, and counts and indexes are those of what stays. What was
// there before a Clear is gone; without one it counts.
func TestLoadTheSameKeys(t *testing.T) {
	for _, clear := range []bool{true, false} {
		w := newWorld(t)
		r, e := request.DecodeCreateTable([]byte(`{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],
			"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"by","AttributeType":"S"}],
			"GlobalSecondaryIndexes":[{"IndexName":"by-it","KeySchema":[{"AttributeName":"by","KeyType":"HASH"}],"Projection":{"ProjectionType":"ALL"}}]}`))
		if e != nil {
			t.Fatal(e)
		}
		d, err := w.db.CreateToLoad(t.Context(), scope, r, LoadOptions{With: func(*store.Batch, string) error { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(1, 1))
		last, indexed := map[string]item.Item{}, 0
		piece := func(l *Loader, n int) {
			t.Helper()
			var items []item.Item
			for range n {
				it := item.NewItem([]item.Entry{{Name: "pk", Value: item.String(fmt.Sprint(random.IntN(2000)))}, {Name: "text", Value: item.String(strings.Repeat("x", random.IntN(50)))}})
				if random.IntN(2) == 0 {
					it = item.NewItem([]item.Entry{{Name: "by", Value: item.String(fmt.Sprint(random.IntN(5)))}, {Name: "pk", Value: it.Get("pk")}, {Name: "text", Value: it.Get("text")}})
				}
				items = append(items, it)
				last[it.Get("pk").Text()] = it
			}
			if err := l.Put(items); err != nil {
				t.Fatal(err)
			}
		}
		l := w.db.Loader(scope, "tab", d.ID)
		piece(l, 300)
		l = w.db.Loader(scope, "tab", d.ID) // as after a start
		if clear {
			if err := l.Clear(t.Context()); err != nil {
				t.Fatal(err)
			}
			last = map[string]item.Item{}
		}
		for range 20 {
			piece(l, 100)
		}
		if err := l.Done(t.Context(), func(*store.Batch) error { return nil }); err != nil {
			t.Fatal(err)
		}
		bytes := 0
		for _, it := range last {
			if bytes += it.Size(); it.Get("by") != nil {
				indexed++
			}
		}
		q, e := request.DecodeDescribeTable([]byte(`{"TableName":"tab"}`))
		if e != nil {
			t.Fatal(e)
		}
		d, err = w.db.DescribeTable(t.Context(), scope, q)
		if err != nil || d.ItemCount != int64(len(last)) || d.SizeBytes != int64(bytes) || d.Global[0].ItemCount != int64(indexed) {
			t.Errorf("%+v, %v, want %d items of %d bytes, and %d in the index", d, err, len(last), bytes, indexed)
		}
	}
}

// TestPutKeys: a key that was added is never taken for one that was not, and few are taken for one that was.
func TestPutKeys(t *testing.T) {
	p, random, wrong := new(putKeys), rand.New(rand.NewPCG(1, 1)), 0
	for range 1_000_000 {
		if p.add(random.Uint64()) {
			wrong++
		}
	}
	if wrong > 1000 {
		t.Errorf("%d of a million were taken for others", wrong)
	}
	random = rand.New(rand.NewPCG(1, 1))
	for range 1_000_000 {
		if !p.add(random.Uint64()) {
			t.Fatal("a key is lost")
		}
	}
}
