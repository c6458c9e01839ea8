package item

import (
	"slices"
	"strings"
	"testing"
)

// The order that AWS was seen to give, in October 2026 [9.05 C DX 10 M].
func TestNumbersInJavasOrder(t *testing.T) {
	nines, tiny := strings.Repeat("9", 38), "0."+strings.Repeat("0", 129)+"1"
	for _, want := range [][]string{
		{
			"0", tiny, "-" + tiny, "25", nines, "2.5", "10000000000", "9", "-0.5", "-0.00001", "5", "0.5", "1000",
			"100", "-1", "10", "-10",
		},
		{"3", "2", "1"},
	} {
		elements := make([]Value, len(want))
		for i, text := range want {
			elements[i] = Number(text)
		}
		it := NewItem([]Entry{{Name: "a", Value: List(Map(Entry{Name: "b", Value: Set(NS, elements...)}))}})
		if got := string(it.AppendHashedJSON(nil)); got != `{"a":{"L":[{"M":{"b":{"NS":["`+strings.Join(want, `","`)+`"]}}}]}}` {
			t.Errorf("got %s", got)
		}
		byValue := slices.SortedFunc(slices.Values(elements), Compare)
		if got := string(it.Map().AppendJSON(nil)); !strings.Contains(got, `["`+string(byValue[0].AppendNumberText(nil))+`"`) {
			t.Errorf("by value: got %s", got)
		}
		if it.JSONSize() != len(it.AppendHashedJSON(nil)) {
			t.Errorf("the size of %s is %d", it.AppendHashedJSON(nil), it.JSONSize())
		}
	}
}
