package table

import (
	"fmt"
	"testing"
)

// TestPutsKnowWhatTheyMeet: puts of new items, and those of items that are there, each soon look in the way that is cheaper for them; they find what is there in both.
func TestPutsKnowWhatTheyMeet(t *testing.T) {
	w := newWorld(t)
	w.createTable(t, "tab", 2, "")
	tab := w.db.find(scope, "tab")
	put := func(from, to int) {
		for i := from; i < to; i++ {
			w.must(t, "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"k%d"}}}`, i))
		}
	}
	put(0, 100)
	if tab.replacing.likely() {
		t.Error("puts of new items expect to find one")
	}
	put(0, 30)
	if !tab.replacing.likely() {
		t.Error("puts that replace items expect to find none")
	}
	put(100, 130)
	if tab.replacing.likely() {
		t.Error("puts of new items still expect to find one")
	}
	for i := range 200 {
		if res := w.must(t, "GetItem", fmt.Sprintf(`{"TableName":"tab","ConsistentRead":true,"Key":{"pk":{"S":"k%d"}}}`, i)).(*GetResult); res.Found != (i < 130) {
			t.Errorf("k%d is there: %v", i, res.Found)
		}
	}
}
