package item

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const (
	textNone      = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
	textSeveral   = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
	textParameter = "One or more parameter values were invalid: "
	textNesting   = "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
)

func nestedList(levels int) string {
	return strings.Repeat(`{"L":[`, levels-1) + `{"S":""}` + strings.Repeat(`]}`, levels-1)
}

func nestedMap(levels int) string {
	return strings.Repeat(`{"M":{"a":`, levels-1) + `{"NULL":true}` + strings.Repeat(`}}`, levels-1)
}

func TestInvalidValues(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{}`, textNone},
		{`null`, textNone},
		{`{"dog":"x"}`, textNone},
		{`{"s":"x"}`, textNone},
		{`{"S":null}`, textNone},
		{`{"M":{"a":{}}}`, textNone},
		{`{"M":{"a":null}}`, textNone},
		{`{"L":[{"S":"a"},null]}`, textNone},
		{`{"S":"a","N":"1"}`, textSeveral},
		{`{"S":"a","N":"x"}`, textEmpty + ": x"},
		{`{"SS":["a"],"SS":[],"N":"1"}`, textParameter + "An string set  may not be empty"},
		{`{"N":""}`, textEmpty},
		{`{"N":"b"}`, textEmpty + ": b"},
		{`{"N":"1e126"}`, textOverflow},
		{`{"N":"1e-131"}`, textUnderflow},
		{`{"N":"` + strings.Repeat("1", 39) + `"}`, textPrecision},
		{`{"NULL":false}`, textParameter + "Null attribute value types must have the value of true"},
		{`{"NULL":"no"}`, textParameter + "Null attribute value types must have the value of true"},
		{`{"SS":[]}`, textParameter + "An string set  may not be empty"},
		{`{"NS":[]}`, textParameter + "An number set  may not be empty"},
		{`{"BS":[]}`, textParameter + "Binary sets should not be empty"},
		{`{"SS":["a",null]}`, textParameter + "An string set may not have a null string as a member"},
		{`{"NS":[null]}`, textEmpty},
		{`{"BS":[null]}`, textParameter + "Binary sets may not contain null or empty values"},
		{`{"NS":["1","x"]}`, textEmpty + ": x"},
		{`{"SS":["a","a"]}`, textParameter + "Input collection [a, a] contains duplicates."},
		{`{"SS":["b","a","c","b"]}`, textParameter + "Input collection [b, a, c, b] contains duplicates."},
		{`{"NS":["1","2","1.0"]}`, "Input collection contains duplicates"},
		{`{"BS":["Yg==","Yg=="]}`, textParameter + "Input collection [Yg==, Yg==]of type BS contains duplicates."},
		{nestedList(34), textNesting},
		{nestedMap(34), textNesting},
		{nestedList(100), textNesting},
		{`{"M":{"":{"S":"a"}}}`, "Empty attribute name"},
		{`{"M":{"` + strings.Repeat("n", 65536) + `":{"S":"a"}}}`, textParameter + "Attribute name is too large, must be less than 65536 bytes"},
		// The first in document order.
		{`{"L":[{"N":"x"},{"SS":[]}]}`, textEmpty + ": x"},
		{`{"L":[{"SS":[]},{"N":"x"}]}`, textParameter + "An string set  may not be empty"},
		{`{"M":{"b":{"N":"x"},"a":{}}}`, textEmpty + ": x"},
		{`{"SS":["b","a"],"L":[{}]}`, textNone},
		// Of one value's members.
		{`{"NULL":false,"N":"x","SS":[]}`, textParameter + "An string set  may not be empty"},
		{`{"NULL":false,"N":"x"}`, textEmpty + ": x"},
		{`{"S":"a","NULL":false}`, textParameter + "Null attribute value types must have the value of true"},
	} {
		r := reader(c.text)
		v, invalid, err := r.Value()
		if err != nil || v != nil || message(invalid) != c.want || invalid.Code != "ValidationException" {
			t.Errorf("%.60s: %x, %v, %v; want %s", c.text, v, invalid, err, c.want)
		}
		if r.End() != nil {
			t.Errorf("%.60s: reading stopped at %d", c.text, r.pos)
		}
		if c.text == "null" {
			continue
		}
		r = reader(`{"ok":{"S":"a"},"bad":` + c.text + `,"later":{"N":"junk"}}`)
		it, invalid, err := r.Item()
		if err != nil || it != nil || message(invalid) != c.want || r.End() != nil {
			t.Errorf("%.60s in an item: %x, %v, %v; want %s", c.text, it, invalid, err, c.want)
		}
	}
}

func TestWrongKindsInsideValues(t *testing.T) {
	const structure = "Start of structure or map found where not expected"
	for text, want := range map[string]string{
		`{"S":1}`:              "NUMBER_VALUE cannot be converted to String",
		`{"S":[]}`:             "Unrecognized collection type class java.lang.String",
		`{"N":3}`:              "NUMBER_VALUE cannot be converted to String",
		`{"N":3.5}`:            "DECIMAL_VALUE cannot be converted to String",
		`{"N":{}}`:             structure,
		`{"B":1}`:              "only base-64-encoded strings are convertible to bytes",
		`{"B":true}`:           "only base-64-encoded strings are convertible to bytes",
		`{"B":[]}`:             "Unrecognized collection type class java.nio.ByteBuffer",
		`{"B":{}}`:             structure,
		`{"B":"a"}`:            "Base64 encoded length is expected a multiple of 4 bytes but found: 1",
		`{"B":"YWJj\n"}`:       "Base64 encoded length is expected a multiple of 4 bytes but found: 5",
		`{"B":"YWJj\n\n\n\n"}`: "Invalid last non-pad Base64 character dectected",
		`{"B":"YWJ\n"}`:        "Invalid last non-pad Base64 character dectected",
		`{"B":"YR=="}`:         "Invalid last non-pad Base64 character dectected",
		`{"B":"===="}`:         "Invalid last non-pad Base64 character dectected",
		`{"B":"a==="}`:         "Invalid last non-pad Base64 character dectected",
		`{"B":"YQ==YQ=="}`:     "Invalid last non-pad Base64 character dectected",
		`{"B":"_-_-"}`:         "Invalid last non-pad Base64 character dectected",
		`{"BOOL":1}`:           "NUMBER_VALUE cannot be converted to Boolean",
		`{"BOOL":"x"}`:         "Unexpected token received from parser",
		`{"NULL":[]}`:          "",
		`{"SS":"a"}`:           "Unexpected field type",
		`{"SS":{}}`:            structure,
		`{"SS":[1]}`:           "NUMBER_VALUE cannot be converted to String",
		`{"SS":[["a"]]}`:       "Unrecognized collection type class java.lang.String",
		`{"NS":[1]}`:           "NUMBER_VALUE cannot be converted to String",
		`{"BS":[1]}`:           "only base-64-encoded strings are convertible to bytes",
		`{"BS":["ab"]}`:        "Base64 encoded length is expected a multiple of 4 bytes but found: 2",
		`{"L":1}`:              "Unexpected field type",
		`{"L":{}}`:             structure,
		`{"L":["a"]}`:          "Unexpected value type in payload",
		`{"L":[[]]}`:           "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue",
		`{"M":1}`:              "Unexpected field type",
		`{"M":[]}`:             "Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>",
		`{"M":{"a":"b"}}`:      "Unexpected value type in payload",
		// Kinds come before values in AWS's order of checks.
		`{"L":[{"SS":[]},{"S":1}]}`:       "NUMBER_VALUE cannot be converted to String",
		nestedList(33)[:32*6] + `{"N":1}`: "NUMBER_VALUE cannot be converted to String",
		`{"S":"a"`:                        "",
		`{"S":"a",}`:                      "",
		`{"L":[{}`:                        "",
		`{"dog":[}}`:                      "",
		`{"SS":["a" 1]}`:                  "",
	} {
		v, invalid, err := reader(text).Value()
		if got := serialization(t, err); got != want || v != nil || invalid != nil {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestLegalValuesAtTheLimits(t *testing.T) {
	for text, want := range map[string]string{
		`{"S":""}`:                      `{"S":""}`,
		`{"B":""}`:                      `{"B":""}`,
		`{"SS":[""]}`:                   `{"SS":[""]}`,
		`{"L":[]}`:                      `{"L":[]}`,
		`{"M":{}}`:                      `{"M":{}}`,
		`{"BOOL":"yes"}`:                `{"BOOL":true}`,
		`{"NULL":true}`:                 `{"NULL":true}`,
		`{"S":"a","N":null,"dog":[{}]}`: `{"S":"a"}`,
		`{"S":"a","S":"b"}`:             `{"S":"b"}`,
		`{"\u0053":"a"}`:                `{"S":"a"}`,
		`{"NS":["3","-1","2e0"]}`:       `{"NS":["-1","2","3"]}`,
		`{"BS":["Yg==","YQ==",""]}`:     `{"BS":["","YQ==","Yg=="]}`,
		`{"S":"\ud800<\u0007\u2028"}`:   "{\"S\":\"?<\\u0007\u2028\"}",
		nestedList(32):                  nestedList(32),
		nestedMap(32):                   nestedMap(32),
	} {
		v, invalid, err := reader(text).Value()
		if invalid != nil || err != nil {
			t.Errorf("%.60s: %v, %v", text, invalid, err)
			continue
		}
		if got := string(v.AppendJSON(nil)); got != want || v.Validate() != nil || v.JSONSize() != len(got) {
			t.Errorf("%.60s is %s (%v)", text, got, v.Validate())
		}
	}
	name := strings.Repeat("é", 32767) + "x"
	it := read(t, []byte(`{"`+name+`":{"BOOL":true}}`))
	if !it.Get(name).Bool() || it.Validate() != nil {
		t.Error("a name of 65535 bytes is lost")
	}
}

func TestOfEntriesWithOneNameTheLastCounts(t *testing.T) {
	it := read(t, []byte(`{"b":{"S":"1"},"a":{"S":"2"},"b":{"N":"3"},"\u0061":{"M":{"x":{"S":"4"},"x":{"S":"5"}}}}`))
	if got, want := string(it.AppendJSON(nil)), `{"a":{"M":{"x":{"S":"5"}}},"b":{"N":"3"}}`; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	built := NewItem([]Entry{{"b", String("1")}, {"a", Null()}, {"c", Null()}, {"b", Number("3")}, {"c", nil}})
	if got, want := string(built.AppendJSON(nil)), `{"a":{"NULL":true},"b":{"N":"3"}}`; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
}

func TestItemsOwnTheirBytes(t *testing.T) {
	text := []byte(`{"b":{"S":"text"},"a":{"B":"YWJj"}}`)
	var r Reader
	r.Reset(text)
	it, _, _ := r.Item()
	want := bytes.Clone(it)
	clear(text)
	r.Reset([]byte(`{"x":{"S":"other"},"y":{"S":"other"}}`))
	r.Item()
	if !bytes.Equal(it, want) {
		t.Fatal("the item changed with the text or the reader")
	}
}

func TestManyEntriesInAnyOrder(t *testing.T) {
	const n = 100_000
	var m, s strings.Builder
	for i := range n {
		fmt.Fprintf(&m, `,"k%d":{"N":"%d"}`, (i*7919)%n, i)
		fmt.Fprintf(&s, `,"%d"`, (i*7919)%n)
	}
	it := read(t, []byte(`{"m":{"M":{`+m.String()[1:]+`}},"s":{"NS":[`+s.String()[1:]+`]}}`))
	if err := it.Validate(); err != nil {
		t.Fatal(err)
	}
	if it.Get("m").Len() != n || it.Get("s").Len() != n || it.Get("m").Field("k7919").Type() != N {
		t.Fatal("entries are lost")
	}
}

func TestWhatValidateRefuses(t *testing.T) {
	// What an item of one attribute "a" may not hold.
	value := func(b ...byte) Item {
		length := 1 + 2 + len(b)
		return append(Item{ItemVersion, byte(M), byte(length), 1, 1, 'a'}, b...)
	}
	if err := value(byte(S), 1, 'x').Validate(); err != nil {
		t.Fatal(err)
	}
	for name, it := range map[string]Item{
		"nothing":            {},
		"version":            {2, byte(M), 1, 0},
		"no map":             {ItemVersion, byte(L), 1, 0},
		"only the version":   {ItemVersion},
		"bytes after":        {ItemVersion, byte(M), 1, 0, 0},
		"no count":           {ItemVersion, byte(M), 0},
		"long varint":        {ItemVersion, byte(M), 0x81, 0, 0},
		"count too large":    {ItemVersion, byte(M), 1, 1},
		"count too small":    {ItemVersion, byte(M), 4, 0, 1, 'a', byte(NULL)},
		"no name":            {ItemVersion, byte(M), 3, 1, 0, byte(NULL)},
		"name past the end":  {ItemVersion, byte(M), 3, 1, 9, byte(NULL)},
		"name without value": {ItemVersion, byte(M), 3, 1, 1, 'a'},
		"name not UTF-8":     {ItemVersion, byte(M), 4, 1, 1, 0xFF, byte(NULL)},
		"names twice":        {ItemVersion, byte(M), 7, 2, 1, 'a', byte(NULL), 1, 'a', byte(NULL)},
		"names not in order": {ItemVersion, byte(M), 7, 2, 1, 'b', byte(NULL), 1, 'a', byte(NULL)},
		"tag 0":              value(0),
		"tag 11":             value(11),
		"S past the end":     value(byte(S), 2, 'x'),
		"S without length":   value(byte(S)),
		"S not UTF-8":        value(byte(S), 1, 0x80),
		"huge length":        value(byte(B), 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F),
		"BOOL 2":             value(byte(BOOL), 2),
		"BOOL cut":           value(byte(BOOL)),
		"empty set":          value(byte(SS), 1, 0),
		"set of lists":       value(byte(SS), 4, 1, byte(L), 1, 0),
		"set not in order":   value(byte(BS), 7, 2, byte(B), 1, 2, byte(B), 1, 1),
		"set with doubles":   value(byte(BS), 7, 2, byte(B), 1, 1, byte(B), 1, 1),
		"N cut":              value(byte(N), 0xC1),
		"N without end":      value(byte(N), 0xC1, 2),
		"N without digits":   value(byte(N), 0xC1, 0),
		"N with a digit 100": value(byte(N), 0xC1, 101, 0),
		"N with a leading 0": value(byte(N), 0xC1, 1, 2, 0),
		"N with a last 0":    value(byte(N), 0xC1, 2, 1, 0),
		"N of 39 digits":     value(append(append([]byte{byte(N), 0xD0, 2}, bytes.Repeat([]byte{12}, 19)...), 0)...),
		"N of 21 pairs":      value(append(append([]byte{byte(N), 0xD0}, bytes.Repeat([]byte{12}, 21)...), 0)...),
		"too deep":           deepItem(33),
		"negative zero":      value(byte(N), 0x7F, 0xFF),
	} {
		if err := it.Validate(); err == nil {
			t.Errorf("%s: %x is valid", name, []byte(it))
		}
	}
	if err := deepItem(32).Validate(); err != nil {
		t.Error(err)
	}
}

func deepItem(levels int) Item {
	v := Null()
	for range levels - 1 {
		v = List(v)
	}
	return NewItem([]Entry{{"a", v}})
}

func FuzzReaderItem(f *testing.F) {
	f.Add([]byte(`{"pk":{"S":"a\ud800"},"n":{"N":"-1.50e3"},"b":{"B":"YQ=="},"t":{"BOOL":true},"z":{"NULL":true}}`))
	f.Add([]byte(`{"b":{"SS":["b","a"]},"a":{"NS":["2","1"]},"c":{"BS":["YQ==",""]},"a":{"L":[{"M":{"x":{"S":""}}}]}}`))
	f.Add([]byte(`{"a":{"S":"a","N":"1"}}`))
	f.Add([]byte(nestedMap(34)))
	var r Reader
	f.Fuzz(func(t *testing.T, text []byte) {
		r.Reset(text)
		it, invalid, err := r.Item()
		if (it != nil) && (invalid != nil || err != nil) {
			t.Fatalf("%s is an item and not: %v, %v", text, invalid, err)
		}
		if it == nil {
			return
		}
		if err := it.Validate(); err != nil {
			t.Fatalf("%s is %x: %v", text, []byte(it), err)
		}
		if r.End() == nil && !json.Valid(text) {
			t.Fatalf("%s is not JSON", text)
		}
		out := it.AppendJSON(nil)
		if !json.Valid(out) || len(out) != it.JSONSize() {
			t.Fatalf("%s is %s", text, out)
		}
		if again := read(t, out); !bytes.Equal(again, it) {
			t.Fatalf("%s is %x, again %x", text, []byte(it), []byte(again))
		}
		if it.Size() < 0 || it.Map().Depth() > 1+MaxDepth {
			t.Fatalf("%s has size %d, depth %d", text, it.Size(), it.Map().Depth())
		}
	})
}

// FuzzValidate: accessors do not panic on what Validate lets pass, and what
// passes is the form that the builders give.
func FuzzValidate(f *testing.F) {
	f.Add([]byte{ItemVersion, byte(M), 1, 0})
	f.Add([]byte(deepItem(5)))
	f.Add([]byte(NewItem([]Entry{{"a", Number("-1.5")}, {"b", Set(NS, Number("1"), Number("2"))}, {"c", Map(Entry{"x", Bool(true)})}})))
	f.Fuzz(func(t *testing.T, b []byte) {
		it := Item(b)
		if it.Validate() != nil {
			return
		}
		text := it.AppendJSON(nil)
		if again := read(t, text); !bytes.Equal(again, it) {
			t.Fatalf("%x is %s is %x", b, text, []byte(again))
		}
		it.Size()
		it.Get("a").Len()
	})
}

func FuzzDecodeKey(f *testing.F) {
	f.Add([]byte("a\x00\xff\x00\x01rest"), byte(S))
	f.Add([]byte{0xC1, 2, 0}, byte(N))
	f.Fuzz(func(t *testing.T, b []byte, kind byte) {
		v, rest, err := DecodeKey(b, Type(kind))
		if err != nil {
			return
		}
		if got := append(AppendKey(nil, v), rest...); !bytes.Equal(got, b) {
			t.Fatalf("%x is %x and %x", b, v, rest)
		}
	})
}
