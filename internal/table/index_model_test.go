package table

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/store"
)

// The detector of this file computes each index anew from the items of its table,
// by rules written here again, and compares entries, what they hold, where they
// lie, and the counts.

var errIndex = errors.New("an index is not what its table makes")

// judgeIndexes compares all indexes of a table, which must be at rest. Of an index
// that is back-filled, entries may be missing.
func (w *world) judgeIndexes(name string) error {
	t := w.db.find(scope, name)
	d := t.desc.Load()
	items, err := w.values(t.itemPrefix())
	if err != nil {
		return err
	}
	desc := &Description{}
	describeIndexes(t, d, desc, view{now: time.Now().UnixMilli()})
	shown := map[string]IndexDescription{}
	for _, x := range append(desc.Local, desc.Global...) {
		shown[x.Name] = x
	}
	for i := range d.def.Indexes {
		x := &d.def.Indexes[i]
		want := map[string]item.Item{}
		size := 0
		for _, it := range items {
			if entry := expectedEntry(d, x, it); entry != nil {
				want[string(d.def.Keys.AppendKey(nil, it))] = entry
				size += entry.Size()
			}
		}
		entries, err := w.values(indexPrefix(nil, t.id, x.ID))
		if err != nil {
			return err
		}
		filled := 0
		for _, e := range entries {
			key := string(d.def.Keys.AppendKey(nil, e))
			if !item.Equal(item.Value(want[key]), item.Value(e)) {
				return fmt.Errorf("%w: %s holds %s, want %s", errIndex, x.Name, jsonOf(e), jsonOf(want[key]))
			}
			filled += e.Size()
			delete(want, key)
		}
		if len(want) > 0 && !x.Backfilling {
			return fmt.Errorf("%w: %s lacks %d of its entries", errIndex, x.Name, len(want))
		}
		if got := shown[x.Name]; got.ItemCount != int64(len(entries)) || got.SizeBytes != int64(filled) {
			return fmt.Errorf("%w: %s counts %d entries of %d bytes, there are %d of %d", errIndex, x.Name, got.ItemCount, got.SizeBytes, len(entries), filled)
		}
		if !slices.IsSortedFunc(entries, func(a, b item.Item) int { return compareEntries(x, a, b) }) {
			return fmt.Errorf("%w: %s is out of order", errIndex, x.Name)
		}
		if !x.Backfilling && filled != size {
			return fmt.Errorf("%w: %s holds %d bytes, want %d", errIndex, x.Name, filled, size)
		}
	}
	// Nothing lies where no index is.
	all, err := w.keysUnder(indexPrefix(nil, t.id))
	if err != nil {
		return err
	}
	for _, key := range all {
		if !slices.ContainsFunc(d.def.Indexes, func(x index) bool { return bytes.HasPrefix(key, indexPrefix(nil, t.id, x.ID)) }) {
			return fmt.Errorf("%w: an entry of a dropped index is left", errIndex)
		}
	}
	return nil
}

// expectedEntry is what an index holds of an item, nil for nothing.
func expectedEntry(d *descriptor, x *index, it item.Item) item.Item {
	keep := map[string]bool{d.def.Keys.Hash.Name: true}
	if d.def.Keys.HasRange() {
		keep[d.def.Keys.Range.Name] = true
	}
	for _, list := range [][]string{attributeNames(x, true), attributeNames(x, false)} {
		total := 0
		for _, name := range list {
			keep[name] = true
			v := it.Get(name)
			want := x.At(slices.Index(slices.Concat(attributeNames(x, true), attributeNames(x, false)), name)).Type
			if v == nil || v.Type() != want || v.Type() != item.N && v.Len() == 0 {
				return nil
			}
			if v.Type() != item.N {
				total += v.Len()
			}
		}
		if total > 2048 {
			return nil
		}
	}
	for _, name := range x.NonKey {
		keep[name] = true
	}
	var entries []item.Entry
	for name, v := range it.Fields() {
		if x.Projection == "ALL" || keep[string(name)] {
			entries = append(entries, item.Entry{Name: string(name), Value: v})
		}
	}
	return item.NewItem(entries)
}

func attributeNames(x *index, hash bool) []string {
	list := x.Range
	if hash {
		list = x.Hash
	}
	var names []string
	for _, a := range list {
		names = append(names, a.Name)
	}
	return names
}

// compareEntries orders entries of one partition key by the sort key; those of
// different partition keys are in any order.
func compareEntries(x *index, a, b item.Item) int {
	for _, attr := range x.Hash {
		if !item.Equal(a.Get(attr.Name), b.Get(attr.Name)) {
			return 0
		}
	}
	for _, attr := range x.Range {
		if c := item.Compare(a.Get(attr.Name), b.Get(attr.Name)); c != 0 {
			return c
		}
	}
	return 0
}

// values reads all values under a prefix, in order.
func (w *world) values(prefix []byte) ([]item.Item, error) {
	var list []item.Item
	err := w.walk(prefix, func(_, v []byte) { list = append(list, bytes.Clone(v)) })
	return list, err
}

func (w *world) keysUnder(prefix []byte) ([][]byte, error) {
	var list [][]byte
	err := w.walk(prefix, func(k, _ []byte) { list = append(list, bytes.Clone(k)) })
	return list, err
}

func (w *world) walk(prefix []byte, do func(k, v []byte)) error {
	it, err := w.store.NewIter(prefix, store.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.Value()
		if err != nil {
			return err
		}
		do(it.Key(), v)
	}
	return it.Close()
}

const indexedTable = `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST",
"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"sk","AttributeType":"N"},
 {"AttributeName":"a","AttributeType":"S"},{"AttributeName":"b","AttributeType":"N"},{"AttributeName":"c","AttributeType":"B"}],
"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}],
"LocalSecondaryIndexes":[
 {"IndexName":"loc","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"b","KeyType":"RANGE"}],"Projection":{"ProjectionType":"INCLUDE","NonKeyAttributes":["v"]}}],
"GlobalSecondaryIndexes":[
 {"IndexName":"all","KeySchema":[{"AttributeName":"a","KeyType":"HASH"},{"AttributeName":"b","KeyType":"RANGE"}],"Projection":{"ProjectionType":"ALL"}},
 {"IndexName":"keys","KeySchema":[{"AttributeName":"b","KeyType":"HASH"}],"Projection":{"ProjectionType":"KEYS_ONLY"}},
 {"IndexName":"multi","KeySchema":[{"AttributeName":"a","KeyType":"HASH"},{"AttributeName":"c","KeyType":"HASH"},{"AttributeName":"b","KeyType":"RANGE"},{"AttributeName":"sk","KeyType":"RANGE"}],
  "Projection":{"ProjectionType":"INCLUDE","NonKeyAttributes":["w"]}}],
"Tags":[{"Key":"millstream:shards","Value":"2"}]%s}`

// indexedWrite is a random write of few keys, whose index keys come and go.
func indexedWrite(rng *rand.Rand) (op, body string) {
	key := func() string { return fmt.Sprintf(`"pk":{"S":"p%d"},"sk":{"N":"%d"}`, rng.IntN(3), rng.IntN(4)) }
	attrs := func() string {
		s := fmt.Sprintf(`,"v":{"S":"v%d"},"w":{"N":"%d"}`, rng.IntN(3), rng.IntN(3))
		if rng.IntN(3) > 0 {
			s += fmt.Sprintf(`,"a":{"S":"%s"}`, []string{"x", "xx", "\\u0000", "y"}[rng.IntN(4)])
		}
		if rng.IntN(3) > 0 {
			s += fmt.Sprintf(`,"b":{"N":"%s"}`, []string{"1", "1.0", "-3", "0", "10"}[rng.IntN(5)])
		}
		if rng.IntN(2) > 0 {
			s += fmt.Sprintf(`,"c":{"B":"%s"}`, []string{"AA==", "AAE=", "/w=="}[rng.IntN(3)])
		}
		return s
	}
	switch rng.IntN(7) {
	case 0, 1:
		return "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{%s%s}}`, key(), attrs())
	case 2:
		return "DeleteItem", fmt.Sprintf(`{"TableName":"tab","Key":{%s}}`, key())
	case 3:
		return "UpdateItem", fmt.Sprintf(`{"TableName":"tab","Key":{%s},"UpdateExpression":"SET b = :b, w = :w REMOVE a","ExpressionAttributeValues":{":b":{"N":"%d"},":w":{"N":"%d"}}}`,
			key(), rng.IntN(3), rng.IntN(3))
	case 4:
		return "UpdateItem", fmt.Sprintf(`{"TableName":"tab","Key":{%s},"UpdateExpression":"SET a = :a ADD w :w","ExpressionAttributeValues":{":a":{"S":"a%d"},":w":{"N":"1"}}}`, key(), rng.IntN(3))
	case 5:
		return "BatchWriteItem", fmt.Sprintf(`{"RequestItems":{"tab":[{"PutRequest":{"Item":{"pk":{"S":"p0"},"sk":{"N":"%d"}%s}}},{"DeleteRequest":{"Key":{"pk":{"S":"p1"},"sk":{"N":"%d"}}}}]}}`,
			rng.IntN(4), attrs(), rng.IntN(4))
	}
	return "TransactWriteItems", fmt.Sprintf(`{"TransactItems":[{"Put":{"TableName":"tab","Item":{"pk":{"S":"p0"},"sk":{"N":"%d"}%s}}},
		{"Put":{"TableName":"tab","Item":{"pk":{"S":"p2"},"sk":{"N":"%d"}%s}}},{"Delete":{"TableName":"tab","Key":{"pk":{"S":"p1"},"sk":{"N":"%d"}}}}]}`,
		rng.IntN(4), attrs(), rng.IntN(4), attrs(), rng.IntN(4))
}

// writers runs n goroutines of random writes until stop is closed, or each has
// made its number; the first failure is returned.
func (w *world) writers(seed uint64, n, writes int, stop <-chan struct{}) error {
	var wg sync.WaitGroup
	failures := make(chan error, n)
	for g := range n {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(g)))
			for range writes {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := w.call(indexedWrite(rng)); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failures:
		return err
	default:
		return nil
	}
}

// TestIndexesEqualTheirTable: whatever is written, by many at once and in any way,
// each index is exactly what the table's items make, also after a restart.
func TestIndexesEqualTheirTable(t *testing.T) {
	for _, stream := range []string{"", `,"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"}`} {
		w := newWorld(t)
		w.must(t, "CreateTable", fmt.Sprintf(indexedTable, stream))
		for round := range uint64(3) {
			if err := w.writers(round, 6, 100, nil); err != nil {
				t.Fatal(err)
			}
			if err := w.judgeIndexes("tab"); err != nil {
				t.Fatal(err)
			}
			w.reopen(t)
			if err := w.judgeIndexes("tab"); err != nil {
				t.Fatal("after a restart: ", err)
			}
		}
	}
}
