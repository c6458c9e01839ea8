package schema

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/millstreamdb/millstream/internal/item"
)

func text(s string) item.Value { return item.AppendString(nil, s) }
func blob(s string) item.Value { return item.AppendBinary(nil, []byte(s)) }

func number(t interface{ Fatal(...any) }, s string) item.Value {
	v, e := item.AppendNumber(nil, []byte(s))
	if e != nil {
		t.Fatal(e)
	}
	return v
}

func of(pairs ...any) item.Item {
	var entries []item.Entry
	for i := 0; i < len(pairs); i += 2 {
		entries = append(entries, item.Entry{Name: pairs[i].(string), Value: pairs[i+1].(item.Value)})
	}
	return item.NewItem(entries)
}

// Lengths of keys count bytes; the limits are 1 to 2048 and 1 to 1024, in keys and in
// items; numbers have none.
func TestKeyLengths(t *testing.T) {
	const (
		hashTooLarge  = "ValidationException: One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes"
		rangeTooLarge = "ValidationException: One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
		empty         = "ValidationException: One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "
	)
	texts := Keys{Hash: Attribute{"pk", item.S}, Range: Attribute{"sk", item.S}}
	bins := Keys{Hash: Attribute{"pk", item.B}, Range: Attribute{"sk", item.B}}
	for _, c := range []struct {
		keys *Keys
		key  item.Item
		want string
	}{
		{keys: &texts, key: of("pk", text(strings.Repeat("x", 2048)), "sk", text(strings.Repeat("x", 1024)))},
		{keys: &texts, key: of("pk", text(strings.Repeat("é", 1024)), "sk", text(strings.Repeat("é", 512)))},
		{keys: &texts, key: of("pk", text(strings.Repeat("é", 1024)+"x"), "sk", text("x")), want: hashTooLarge},
		{keys: &texts, key: of("pk", text("x"), "sk", text(strings.Repeat("é", 512)+"x")), want: rangeTooLarge},
		{keys: &texts, key: of("pk", text(strings.Repeat("x", 2049)), "sk", text("")), want: empty + "string value. Key: sk"},
		{keys: &texts, key: of("pk", text(""), "sk", text("")), want: empty + "string value. Key: pk"},
		{keys: &bins, key: of("pk", blob(strings.Repeat("\xff", 2048)), "sk", blob(strings.Repeat("\x00", 1024)))},
		{keys: &bins, key: of("pk", blob(strings.Repeat("\xff", 2049)), "sk", blob("x")), want: hashTooLarge},
		{keys: &bins, key: of("pk", blob("x"), "sk", blob("")), want: empty + "binary value. Key: sk"},
	} {
		for name, e := range map[string]error{"key": orNil(c.keys.CheckKey(c.key)), "item": orNil(c.keys.CheckItem(c.key))} {
			got := ""
			if e != nil {
				got = e.Error()
			}
			if got != c.want {
				t.Errorf("%s of %d and %d bytes: %q, want %q", name, c.key.Get("pk").Len(), c.key.Get("sk").Len(), got, c.want)
			}
		}
	}
}

func orNil[E interface {
	error
	comparable
}](e E) error {
	var none E
	if e == none {
		return nil
	}
	return e
}

// Equal numbers are one key, whatever their spelling, and different keys are never
// one.
func TestStoredKeysAreEqualWhenTheirKeysAre(t *testing.T) {
	k := Keys{Hash: Attribute{"pk", item.N}, Range: Attribute{"sk", item.B}}
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SampledFrom([]string{"1", "1.0", "10e-1", "-1", "0", "-0", "1e5", "100000", "0.5", ".5"})
		bins := rapid.StringN(1, 3, 6)
		na, nb, sa, sb := numbers.Draw(t, "a"), numbers.Draw(t, "b"), bins.Draw(t, "sa"), bins.Draw(t, "sb")
		va, vb := number(t, na), number(t, nb)
		a := k.AppendKey(nil, of("pk", va, "sk", blob(sa)))
		b := k.AppendKey(nil, of("pk", vb, "sk", blob(sb)))
		if same := item.Equal(va, vb) && sa == sb; bytes.Equal(a, b) != same {
			t.Fatalf("%s %q and %s %q: the same key %v, stored the same %v", na, sa, nb, sb, same, !same)
		}
		if !bytes.HasPrefix(a, k.AppendPartition(nil, va)) {
			t.Fatal("a key does not begin with its partition")
		}
		if bytes.HasPrefix(a, b) && !bytes.Equal(a, b) {
			t.Fatal("a key begins another")
		}
	})
}

func TestCapacityUnits(t *testing.T) {
	for _, c := range []struct {
		size       int
		consistent bool
		want       float64
	}{{0, true, 1}, {0, false, 0.5}, {4096, true, 1}, {4097, true, 2}, {8192, false, 1}, {8193, false, 1.5}, {MaxItemSize, true, 100}} {
		if got := ReadUnits(c.size, c.consistent); got != c.want {
			t.Errorf("reading %d bytes, consistent %v: %v units, want %v", c.size, c.consistent, got, c.want)
		}
	}
	for _, c := range []struct {
		old, new int
		want     float64
	}{{0, 0, 1}, {0, 1024, 1}, {0, 1025, 2}, {5000, 10, 5}, {10, 5121, 6}, {1, 0, 1}} {
		if got := WriteUnits(c.old, c.new); got != c.want {
			t.Errorf("from %d to %d bytes: %v units, want %v", c.old, c.new, got, c.want)
		}
	}
}
