package storm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func eventOf(key string, numbers ...int) []byte {
	var records []string
	for _, n := range numbers {
		records = append(records, fmt.Sprintf(`{"dynamodb":{"NewImage":{"pk":{"S":"%s"},"n":{"N":"%d"}}}}`, key, n))
	}
	return []byte(`{"Records":[` + strings.Join(records, ",") + `]}`)
}

// What is lost, what is out of order and what comes again are told apart.
func TestFunctionJudges(t *testing.T) {
	f := &Function{Fault: Faulty, Loose: true}
	call := func(key string, numbers ...int) error {
		_, err := f.Call(1, eventOf(key, numbers...))
		return err
	}
	for _, err := range []error{call("1", 1, 2), call("1", 2, 3), call("2", 1, 3), call("2", 2), call("3", 1)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if call("21", 1) == nil {
		t.Error("an item that fails does not")
	}
	f.Mend()
	for _, n := range []int{2, 1, 3} { // of parked ones, whose order is nobody's
		if err := call("21", n); err != nil {
			t.Error(err)
		}
	}
	got := f.Judge(map[string]int{"1": 3, "2": 3, "3": 2, "21": 3, "4": 1})
	slices.Sort(got)
	want := []string{"1 of the item 4 has not come", "2 of the item 2 came after a later one", "2 of the item 3 has not come"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if seen, again, by := f.Look(); seen != 10 || again != 1 || by != 1 {
		t.Errorf("%d records, %d again, by %d", seen, again, by)
	}
	if call("1") != nil || call("1", 0) == nil {
		t.Error("a record that is none is taken for one")
	}
}

// What exactly-once writes count is what the event has.
func TestCounts(t *testing.T) {
	s := New(Options{Counted: func(context.Context, string) (int, error) { return 0, nil }})
	answer, err := s.Call(Counts, 1, eventOf("13", 1, 2, 3), "counters")
	want := `{"transactItems":[{"Update":{"ExpressionAttributeValues":{":n":{"N":"3"}},"Key":{"pk":{"S":"3"}},"TableName":"counters","UpdateExpression":"ADD n :n"}}]}`
	if err != nil || string(answer) != want {
		t.Errorf("%s, %v", answer, err)
	}
}
