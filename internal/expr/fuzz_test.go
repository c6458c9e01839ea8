package expr

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/item"
)

// fuzzItems are what parsed expressions are tried on.
func fuzzItems(t testing.TB) []item.Item {
	n := item.NumberFromInt
	list := item.List(item.String("x"), item.List(n(1)), item.Map(item.Entry{Name: "a", Value: n(2)}))
	return []item.Item{
		nil,
		item.NewItem(nil),
		item.NewItem([]item.Entry{
			{Name: "a", Value: item.Map(item.Entry{Name: "a", Value: list}, item.Entry{Name: "b", Value: item.Set(item.SS, item.String("a"))})},
			{Name: "b", Value: list},
			{Name: "c", Value: n(5)},
			{Name: "l", Value: item.List()},
			{Name: "m", Value: item.Map()},
			{Name: "n", Value: n(-1)},
			{Name: "s", Value: item.String("abc")},
			{Name: "ss", Value: item.Set(item.SS, item.String("abc"), item.String("x"))},
		}),
	}
}

// fuzzParams defines what the seeds use.
func fuzzParams(t testing.TB) *Params {
	n := item.NumberFromInt
	p, err := NewParams(
		[]Name{{Key: "#a", Attribute: "a"}, {Key: "#m", Attribute: "m"}, {Key: "#dot", Attribute: "a.b"}},
		[]item.Entry{
			{Name: ":s", Value: item.String("abc")}, {Name: ":n", Value: n(3)}, {Name: ":m", Value: n(5)},
			{Name: ":b", Value: item.Binary([]byte("ab"))}, {Name: ":bool", Value: item.Bool(true)},
			{Name: ":ss", Value: item.Set(item.SS, item.String("abc"))}, {Name: ":ns", Value: item.Set(item.NS, n(1))},
			{Name: ":l", Value: item.List(n(1))}, {Name: ":map", Value: item.Map()}, {Name: ":type", Value: item.String("SS")},
		})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// addSeeds adds every expression of the scenario files, and hostile ones.
func addSeeds(f *testing.F) {
	files, err := filepath.Glob("testdata/scenarios/*")
	if err != nil || len(files) == 0 {
		f.Fatal("no scenario files", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, scenario := range strings.Split(string(text), "\n\n") {
			lines := strings.SplitN(scenario, "\n", 3)
			if len(lines) == 3 {
				f.Add(strings.Trim(lines[1], "|"))
			}
		}
	}
	for _, hostile := range hostileExpressions() {
		f.Add(hostile)
	}
}

// hostileExpressions are as deep or as long as 4096 bytes allow.
func hostileExpressions() map[string]string {
	return map[string]string{
		"open parentheses": strings.Repeat("(", maxExpression),
		"parentheses":      strings.Repeat("(", 2000) + "a=:s" + strings.Repeat(")", 2000),
		"alternating":      strings.Repeat("(a=:s AND ", 290) + "a=:s" + strings.Repeat(")", 290),
		"NOT":              strings.Repeat("NOT ", 1000) + "a=:s",
		"functions":        strings.Repeat("size(", 800) + "a",
		"SET parentheses":  "SET a = " + strings.Repeat("(", 4000),
		"SET functions":    "SET a = " + strings.Repeat("if_not_exists(b,", 200) + ":s" + strings.Repeat(")", 200),
		"path":             "a" + strings.Repeat("[0]", 1300),
		"list of paths":    strings.TrimSuffix(strings.Repeat("a,", 2047), ","),
		"REMOVE distinct":  "REMOVE " + manyPaths(),
		"illegal":          strings.Repeat("\xff", maxExpression),
	}
}

// manyPaths fits as many distinct paths as it can below 4000 bytes, in an order
// that is bad for sorted insertion.
func manyPaths() string {
	var b strings.Builder
	for c := 'z'; c >= 'a'; c-- {
		for d := 'z'; d >= 'a' && b.Len() < 4000; d-- {
			b.WriteString(string(c) + string(c) + string(d) + "x[0],")
		}
	}
	return strings.TrimSuffix(b.String(), ",")
}

// FuzzParse takes one text for every kind of expression. Nothing may panic, and
// what parses must work on any item.
func FuzzParse(f *testing.F) {
	addSeeds(f)
	items := fuzzItems(f)
	key := item.NewItem([]item.Entry{{Name: "pk", Value: item.String("k")}})
	f.Fuzz(func(t *testing.T, src string) {
		p := fuzzParams(t)
		if c, err := ParseCondition(ConditionExpression, src, p); err == nil {
			c.Attributes()
			for _, it := range items {
				if _, err := c.Eval(it); err != nil {
					t.Fatal(err)
				}
			}
		}
		if pr, err := ParseProjection(src, p); err == nil {
			pr.Attributes()
			for _, it := range items {
				kept := pr.Apply(it)
				if it == nil {
					if kept != nil {
						t.Fatalf("%s of nothing", kept.AppendJSON(nil))
					}
					continue
				}
				if err := kept.Validate(); err != nil {
					t.Fatal(err)
				}
				if again := pr.Apply(it); !bytes.Equal(kept, again) {
					t.Fatal("projecting twice differs")
				}
			}
		}
		if u, err := ParseUpdate(src, p); err == nil {
			u.Attributes()
			for _, it := range items {
				new, err := u.Apply(it, key)
				if err != nil {
					continue
				}
				if err := new.Validate(); err != nil {
					t.Fatal(err)
				}
				u.UpdatedOld(it)
				u.UpdatedNew(it, new)
			}
		}
		if kc, err := ParseKeyCondition(src, p, MaxIndexKeyConditions); err == nil {
			if n := len(kc.Conditions); n < 1 || n > MaxIndexKeyConditions {
				t.Fatalf("%d key conditions", n)
			}
			for _, term := range kc.Conditions {
				values := 1
				if term.Op == KeyBetween {
					values = 2
				}
				if term.Attribute == "" || len(term.Values) != values {
					t.Fatalf("%+v", term)
				}
			}
		}
	})
}
