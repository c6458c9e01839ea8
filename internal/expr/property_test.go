package expr

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/millstreamdb/millstream/internal/item"
)

// drawValue draws a value of at most depth levels below it.
func drawValue(t *rapid.T, depth int) item.Value {
	kind := rapid.SampledFrom([]int{0, 1, 1, 2, 3, 4, 5, 5, 6, 7, 8, 8, 8, 9, 9, 9}) // containers more often
	if depth == 0 {
		kind = rapid.IntRange(0, 7)
	}
	text := func() string { return rapid.StringMatching(`[ab]{0,2}`).Draw(t, "text") }
	switch kind.Draw(t, "kind") {
	case 0:
		return item.String(text())
	case 1:
		return item.NumberFromInt(rapid.Int64Range(-2, 3).Draw(t, "number"))
	case 2:
		return item.Binary([]byte(text()))
	case 3:
		return item.Bool(rapid.Bool().Draw(t, "bool"))
	case 4:
		return item.Null()
	case 5:
		return item.Set(item.SS, item.String(text()), item.String(text()))
	case 6:
		return item.Set(item.NS, item.NumberFromInt(rapid.Int64Range(0, 3).Draw(t, "n")), item.NumberFromInt(1))
	case 7:
		return item.Set(item.BS, item.Binary([]byte(text())))
	case 8:
		var elems []item.Value
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			elems = append(elems, drawValue(t, depth-1))
		}
		return item.List(elems...)
	}
	var entries []item.Entry
	for range rapid.IntRange(0, 3).Draw(t, "entries") {
		entries = append(entries, item.Entry{Name: drawName(t), Value: drawValue(t, depth-1)})
	}
	return item.Map(entries...)
}

func drawName(t *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name")
}

func drawItem(t *rapid.T) item.Item {
	var entries []item.Entry
	for _, name := range []string{"a", "b", "c", "d", "pk"} {
		if rapid.IntRange(0, 3).Draw(t, name) > 0 {
			entries = append(entries, item.Entry{Name: name, Value: drawValue(t, 2)})
		}
	}
	return item.NewItem(entries)
}

func drawPath(t *rapid.T) string {
	p := drawName(t)
	for range rapid.IntRange(0, 2).Draw(t, "steps") {
		if rapid.Bool().Draw(t, "index") {
			p += fmt.Sprintf("[%d]", rapid.IntRange(0, 4).Draw(t, "at"))
		} else {
			p += "." + drawName(t)
		}
	}
	return p
}

// TestConditionsAgainstModel draws trees of AND, OR and NOT over one comparison
// each, writes them with no more parentheses than precedence asks for, and
// compares with evaluating the tree.
func TestConditionsAgainstModel(t *testing.T) {
	type tree struct {
		src   string
		level int // 0: primary, 1: NOT, 2: AND, 3: OR
		holds bool
	}
	bracket := func(x tree, level int) string {
		if x.level > level {
			return "(" + x.src + ")"
		}
		return x.src
	}
	rapid.Check(t, func(t *rapid.T) {
		truth := map[string]bool{}
		var entries []item.Entry
		for _, name := range []string{"a", "b", "c", "d"} {
			truth[name] = rapid.Bool().Draw(t, name)
			entries = append(entries, item.Entry{Name: name, Value: item.Bool(truth[name])})
		}
		var draw func(depth int) tree
		draw = func(depth int) tree {
			k := rapid.IntRange(0, 3).Draw(t, "node")
			if depth == 0 {
				k = 0
			}
			switch k {
			case 1:
				x := draw(depth - 1)
				return tree{"NOT " + bracket(x, 1), 1, !x.holds}
			case 2:
				x, y := draw(depth-1), draw(depth-1)
				return tree{bracket(x, 2) + " AND " + bracket(y, 1), 2, x.holds && y.holds}
			case 3:
				x, y := draw(depth-1), draw(depth-1)
				return tree{bracket(x, 3) + " OR " + bracket(y, 2), 3, x.holds || y.holds}
			}
			name := drawName(t)
			return tree{name + " = :true", 0, truth[name]}
		}
		x := draw(5)
		p, err := NewParams(nil, []item.Entry{{Name: ":true", Value: item.Bool(true)}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseCondition(ConditionExpression, x.src, p)
		if err != nil {
			t.Fatalf("%s: %v", x.src, err)
		}
		if got, _ := c.Eval(item.NewItem(entries)); got != x.holds {
			t.Fatalf("%s with %v is %v", x.src, truth, got)
		}
	})
}

// TestComparisonsAgreeWithEachOther checks on any two values, present or not,
// that the comparators say the same about them.
func TestComparisonsAgreeWithEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		it := drawItem(t)
		x, y := drawPath(t), drawPath(t)
		if x == y {
			return
		}
		holds := func(format string) bool {
			src := strings.NewReplacer("X", x, "Y", y).Replace(format)
			c, err := ParseCondition(FilterExpression, src, nil)
			if err != nil {
				t.Fatalf("%s: %v", src, err)
			}
			ok, err := c.Eval(it)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		for _, law := range [][2]string{
			{"X <> Y", "NOT X = Y"},
			{"X = Y", "Y = X"},
			{"X < Y", "Y > X"},
			{"X <= Y", "Y >= X"},
			{"X <= Y AND NOT X < Y", "X = Y AND X <= Y"},
			{"X IN (Y)", "X = Y"},
			{"X BETWEEN Y AND Y", "X >= Y AND X <= Y"},
			{"attribute_not_exists(X)", "NOT attribute_exists(X)"},
		} {
			if l, r := holds(law[0]), holds(law[1]); l != r {
				t.Fatalf("X %s, Y %s on %s: %s is %v, %s is %v", x, y, show(it), law[0], l, law[1], r)
			}
		}
	})
}

// drawUpdate draws an update of a few actions whose paths do not meet.
func drawUpdate(t *rapid.T) (src string, paths []string, values []item.Entry) {
	clauses := make([][]string, clauseCount)
	for i := range rapid.IntRange(1, 4).Draw(t, "actions") {
		path := drawPath(t)
		value := fmt.Sprintf(":v%d", i)
		switch c := rapid.IntRange(0, 3).Draw(t, "clause"); clause(c) {
		case clauseSet:
			right := rapid.SampledFrom([]string{value, "b", "a.b", "if_not_exists(c, " + value + ")", "if_not_exists(d[0], a)"}).Draw(t, "right")
			clauses[c] = append(clauses[c], path+" = "+right)
			values = append(values, item.Entry{Name: value, Value: drawValue(t, 2)})
		case clauseRemove:
			clauses[c] = append(clauses[c], path)
		default:
			clauses[c] = append(clauses[c], path+" "+value)
			v := item.Set(item.SS, item.String("a"), item.String("b"))
			if clause(c) == clauseAdd && rapid.Bool().Draw(t, "number") {
				v = item.NumberFromInt(2)
			}
			values = append(values, item.Entry{Name: value, Value: v})
		}
		paths = append(paths, path)
	}
	var parts []string
	for c, actions := range clauses {
		if len(actions) > 0 {
			parts = append(parts, clauseNames[c]+" "+strings.Join(actions, ", "))
		}
	}
	return strings.Join(parts, " "), paths, values
}

// TestUpdateThenProject checks on random updates that the new item is
// canonical, that what no action touches stays byte for byte, that the old item
// is not changed, and that UPDATED_OLD and UPDATED_NEW are what projecting the
// touched paths gives.
func TestUpdateThenProject(t *testing.T) {
	applied := 0
	rapid.Check(t, func(t *rapid.T) {
		for range 16 { // most that is drawn does not fit
			if updateThenProject(t) {
				applied++
			}
		}
	})
	if applied == 0 {
		t.Error("no update applied: the generator is of no use")
	}
}

// updateThenProject plays one such update and reports whether it applied.
func updateThenProject(t *rapid.T) bool {
	old := drawItem(t)
	before := bytes.Clone(old)
	src, paths, values := drawUpdate(t)
	p, err := NewParams(nil, values)
	if err != nil {
		t.Fatal(err)
	}
	u, err := ParseUpdate(src, p)
	if err != nil {
		return false // the paths meet, or do not fit the item
	}
	new, err := u.Apply(old, nil)
	if !bytes.Equal(old, before) {
		t.Fatalf("%s changed the old item", src)
	}
	if err != nil {
		return false // the paths meet, or do not fit the item
	}
	if err := new.Validate(); err != nil {
		t.Fatalf("%s of %s: %v", src, show(old), err)
	}
	var targets []string
	for _, target := range u.Attributes() {
		targets = append(targets, target.Attribute)
	}
	for _, name := range []string{"a", "b", "c", "d", "pk"} {
		if !slices.Contains(targets, name) && !item.Equal(old.Get(name), new.Get(name)) {
			t.Fatalf("%s of %s touched %s", src, show(old), name)
		}
	}
	pr, err := ParseProjection(strings.Join(paths, ", "), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, updated := range [][2]item.Item{{u.UpdatedOld(old), pr.Apply(old)}, {u.UpdatedNew(old, new), pr.Apply(new)}} {
		if got, want := updated[0], updated[1]; !bytes.Equal(got, want) && (got != nil || want.Len() > 0) {
			t.Fatalf("%s of %s: %s, not %s", src, show(old), show(got), show(want))
		}
	}
	if u.RemovesOnly() && new.Size() > old.Size() {
		t.Fatalf("%s of %s only removes and gave %s", src, show(old), show(new))
	}
	return true
}

// TestSetThenRead checks that what SET wrote is what its path reads after, where
// the path was there or its parent a map.
func TestSetThenRead(t *testing.T) {
	read := 0
	rapid.Check(t, func(t *rapid.T) {
		old, src, v := drawItem(t), drawPath(t), drawValue(t, 2)
		p, err := NewParams(nil, []item.Entry{{Name: ":v", Value: v}})
		if err != nil {
			t.Fatal(err)
		}
		u, err := ParseUpdate("SET "+src+" = :v", p)
		if err != nil {
			t.Fatal(err)
		}
		new, err := u.Apply(old, nil)
		target := u.paths.paths[0]
		if err != nil || target.resolve(old) == nil && target[len(target)-1].name == "" {
			return
		}
		read++
		c, err := ParseCondition(ConditionExpression, src+" = :v", p)
		if err != nil {
			t.Fatal(err)
		}
		if ok, _ := c.Eval(new); !ok {
			t.Fatalf("SET %s = %s of %s gave %s", src, v.AppendJSON(nil), show(old), show(new))
		}
		u, err = ParseUpdate("REMOVE "+src, p)
		if err != nil {
			t.Fatal(err)
		}
		removed, err := u.Apply(new, nil)
		if err != nil {
			t.Fatal(err)
		}
		if target.resolve(old) == nil && !bytes.Equal(removed, old) {
			t.Fatalf("SET and REMOVE of %s turned %s into %s", src, show(old), show(removed))
		}
	})
	if read == 0 {
		t.Error("no path was there: the generator is of no use")
	}
}

// TestSetsAgainstModel compares ADD and DELETE of sets with Go maps.
func TestSetsAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) []int64 {
			return rapid.SliceOfNDistinct(rapid.Int64Range(0, 12), 1, 8, rapid.ID).Draw(t, label)
		}
		set := func(ints []int64) item.Value {
			var elems []item.Value
			for _, i := range ints {
				elems = append(elems, item.NumberFromInt(i))
			}
			return item.Set(item.NS, elems...)
		}
		a, b := draw("a"), draw("b")
		var both, left []int64
		both = append(append(both, a...), b...)
		for _, i := range a {
			if !slices.Contains(b, i) {
				left = append(left, i)
			}
		}
		if got, want := union(set(a), set(b)), set(both); !item.Equal(got, want) {
			t.Fatalf("union of %v and %v is %s", a, b, got.AppendJSON(nil))
		}
		got := difference(set(a), set(b))
		if len(left) == 0 {
			if got != nil {
				t.Fatalf("%v without %v is %s", a, b, got.AppendJSON(nil))
			}
		} else if !item.Equal(got, set(left)) {
			t.Fatalf("%v without %v is %s", a, b, got.AppendJSON(nil))
		}
	})
}
