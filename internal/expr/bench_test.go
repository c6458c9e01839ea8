package expr

import (
	"testing"

	"github.com/millstreamdb/millstream/internal/item"
)

func benchParams(b *testing.B) *Params {
	p, err := NewParams([]Name{{Key: "#pk", Attribute: "pk"}}, []item.Entry{
		{Name: ":v", Value: item.NumberFromInt(7)}, {Name: ":one", Value: item.NumberFromInt(1)}, {Name: ":s", Value: item.String("done")},
	})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// benchItem has about 1 KiB in ten attributes.
func benchItem() item.Item {
	text := make([]byte, 120)
	for i := range text {
		text[i] = 'x'
	}
	entries := []item.Entry{{Name: "pk", Value: item.String("user#1")}, {Name: "version", Value: item.NumberFromInt(7)}, {Name: "phase", Value: item.String("done")}}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		entries = append(entries, item.Entry{Name: name, Value: item.String(string(text))})
	}
	return item.NewItem(entries)
}

var benchConditions = []struct{ name, src string }{
	{"absent", "attribute_not_exists(#pk)"},
	{"equal", "version = :v"},
	{"optimistic", "attribute_exists(#pk) AND version = :v AND NOT phase IN (:s, :v)"},
}

func BenchmarkParseCondition(b *testing.B) {
	for _, c := range benchConditions {
		b.Run(c.name, func(b *testing.B) {
			p := benchParams(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseCondition(ConditionExpression, c.src, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEval(b *testing.B) {
	for _, c := range benchConditions {
		b.Run(c.name, func(b *testing.B) {
			cond, err := ParseCondition(ConditionExpression, c.src, benchParams(b))
			if err != nil {
				b.Fatal(err)
			}
			it := benchItem()
			b.ReportAllocs()
			for b.Loop() {
				cond.Eval(it)
			}
		})
	}
}

const benchUpdate = "SET version = version + :one, phase = :s"

func BenchmarkParseUpdate(b *testing.B) {
	p := benchParams(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseUpdate(benchUpdate, p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApply(b *testing.B) {
	u, err := ParseUpdate(benchUpdate, benchParams(b))
	if err != nil {
		b.Fatal(err)
	}
	it := benchItem()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := u.Apply(it, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProject(b *testing.B) {
	pr, err := ParseProjection("#pk, version, phase", benchParams(b))
	if err != nil {
		b.Fatal(err)
	}
	it := benchItem()
	b.ReportAllocs()
	for b.Loop() {
		pr.Apply(it)
	}
}

// BenchmarkHostile shows what the worst sources cost.
func BenchmarkHostile(b *testing.B) {
	for name, src := range hostileExpressions() {
		b.Run(name, func(b *testing.B) {
			p := fuzzParams(b)
			for b.Loop() {
				ParseCondition(ConditionExpression, src, p)
				ParseUpdate(src, p)
				ParseProjection(src, p)
			}
		})
	}
}
