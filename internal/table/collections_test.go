package table

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/item"
)

// TestCollectionSize: once items are in files, the estimate is of one partition key's
// items and their entries in local indexes. What does not compress takes its size.
func TestCollectionSize(t *testing.T) {
	w := newWorld(t)
	w.must(t, "CreateTable", `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"sk","AttributeType":"N"},{"AttributeName":"l","AttributeType":"N"}],
		"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}],
		"LocalSecondaryIndexes":[{"IndexName":"loc","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"l","KeyType":"RANGE"}],"Projection":{"ProjectionType":"ALL"}}]}`)
	noise := uint64(1)
	for i := range 400 {
		var text strings.Builder
		for range 1000 { // xorshift: 16 hexadecimal digits that do not compress below half
			noise ^= noise << 13
			noise ^= noise >> 7
			noise ^= noise << 17
			fmt.Fprintf(&text, "%016x", noise)
		}
		w.must(t, "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"%c"},"sk":{"N":"%d"},"l":{"N":"%d"},"v":{"S":%q}}}`, "ab"[i%2], i, i, text.String()))
	}
	w.reopen(t) // flushes
	tab := w.db.find(scope, "tab")
	size := func(pk string) int64 {
		n, err := w.db.collectionSize(tab, tab.desc.Load(), item.NewItem([]item.Entry{{Name: "pk", Value: item.String(pk)}}))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	const each = 200 * 16_000 // bytes of items; as many again in the index
	if n := size("a"); n < each*2/2 || n > each*2*5/4 {
		t.Errorf("a collection of %d bytes is estimated as %d", each*2, n)
	}
	if n := size("c"); n > each/4 {
		t.Errorf("a collection that is not there is estimated as %d", n)
	}
	for n, want := range map[int64]float64{0: 0, gigabyte - 1: 0, gigabyte: 1, 7*gigabyte + 5: 7} {
		if lower, upper := sizeRange(n); lower != want || upper != want+1 {
			t.Errorf("%d bytes are %v to %v GB", n, lower, upper)
		}
	}
}
