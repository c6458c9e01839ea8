package item

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestDifferences: of any two items, what a difference makes of the first is the second, and an item that is alike takes few bytes.
func TestDifferences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := model{t: M, fields: drawFields(t, 4)}
		other := variation(t, m)
		if other.t != M {
			other = model{t: M, fields: drawFields(t, 4)}
		}
		from, to := read(t, []byte(m.fieldsJSON())), read(t, []byte(other.fieldsJSON()))
		prefix := []byte("before")
		d := AppendDifference(bytes.Clone(prefix), from, to)
		if !bytes.HasPrefix(d, prefix) || len(d) > len(prefix)+len(to)+8 {
			t.Fatalf("a difference of %d bytes for an item of %d", len(d), len(to))
		}
		got, fits := AppendPatched(bytes.Clone(prefix), from, d[len(prefix):])
		if !fits || !bytes.Equal(got, append(prefix, to...)) {
			t.Fatalf("%s\nmade into\n%s\nis\n%x, %v", from.AppendJSON(nil), to.AppendJSON(nil), got, fits)
		}
	})
}

// TestDifferencesAreSmall of what applications change in items.
func TestDifferencesAreSmall(t *testing.T) {
	long := strings.Repeat("lorem ipsum ", 80)
	for name, c := range map[string]struct {
		from, to string
		most     int
	}{
		"a number":                 {`{"pk":{"S":"k"},"text":{"S":"` + long + `"},"views":{"N":"41"}}`, `{"pk":{"S":"k"},"text":{"S":"` + long + `"},"views":{"N":"42"}}`, 24},
		"two, far from each other": {`{"a":{"N":"1"},"pk":{"S":"k"},"text":{"S":"` + long + `"},"z":{"N":"1"}}`, `{"a":{"N":"2"},"pk":{"S":"k"},"text":{"S":"` + long + `"},"z":{"N":"2"}}`, 32},
		"one is gone":              {`{"pk":{"S":"k"},"text":{"S":"` + long + `"},"until":{"N":"42"}}`, `{"pk":{"S":"k"},"text":{"S":"` + long + `"}}`, 28},
		"one is new":               {`{"pk":{"S":"k"},"text":{"S":"` + long + `"}}`, `{"pk":{"S":"k"},"text":{"S":"` + long + `"},"until":{"N":"42"}}`, 28},
		"a list that grows":        {`{"pk":{"S":"k"},"list":{"L":[{"S":"` + long + `"}]}}`, `{"pk":{"S":"k"},"list":{"L":[{"S":"` + long + `"},{"S":"more"}]}}`, 36},
		"a text that grows":        {`{"pk":{"S":"k"},"text":{"S":"` + long + `"}}`, `{"pk":{"S":"k"},"text":{"S":"` + long + `more"}}`, 32},
		"deep in a map":            {`{"pk":{"S":"k"},"m":{"M":{"a":{"S":"` + long + `"},"n":{"M":{"x":{"N":"1"}}},"z":{"S":"` + long + `"}}}}`, `{"pk":{"S":"k"},"m":{"M":{"a":{"S":"` + long + `"},"n":{"M":{"x":{"N":"2"}}},"z":{"S":"` + long + `"}}}}`, 40},
		"a word in the middle":     {`{"pk":{"S":"k"},"text":{"S":"` + long + `one` + long + `"}}`, `{"pk":{"S":"k"},"text":{"S":"` + long + `other` + long + `"}}`, 40},
		"another type":             {`{"pk":{"S":"k"},"text":{"S":"` + long + `"},"v":{"N":"42"}}`, `{"pk":{"S":"k"},"text":{"S":"` + long + `"},"v":{"S":"42"}}`, 28},
		"nothing":                  {`{"pk":{"S":"k"},"text":{"S":"` + long + `"}}`, `{"pk":{"S":"k"},"text":{"S":"` + long + `"}}`, 18},
	} {
		var r Reader
		of := func(text string) Item {
			r.Reset([]byte(text))
			it, invalid, err := r.Item()
			if invalid != nil || err != nil {
				t.Fatal(invalid, err)
			}
			return it
		}
		for from, to := range map[string]string{c.from: c.to, c.to: c.from} {
			d := AppendDifference(nil, of(from), of(to))
			if is, fits := AppendPatched(nil, of(from), d); !fits || !bytes.Equal(is, of(to)) {
				t.Errorf("%s: wrong", name)
			}
			if len(d) > c.most {
				t.Errorf("%s: %d bytes", name, len(d))
			}
		}
	}
}

// FuzzPatched: no bytes make it fail, or take more than they and the item have.
func FuzzPatched(f *testing.F) {
	f.Add([]byte("an item"), []byte{1, 2, 1, 'x'})
	f.Add([]byte("an item"), []byte{1, 200, 200, 200, 200, 200, 200, 200, 200, 200, 1, 0})
	f.Fuzz(func(t *testing.T, from, difference []byte) {
		if is, _ := AppendPatched(nil, from, difference); len(is) > len(from)+len(difference) {
			t.Fatalf("%d bytes", len(is))
		}
	})
}

func BenchmarkAppendDifference(b *testing.B) {
	var r Reader
	text := kilobyte(b)
	r.Reset(text)
	from, _, _ := r.Item()
	r.Reset(bytes.Replace(text, []byte("129.95"), []byte("130.95"), 1))
	to, _, _ := r.Item()
	var d []byte
	b.ReportAllocs()
	for b.Loop() {
		d = AppendDifference(d[:0], from, to)
	}
}
