package item

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/millstreamdb/millstream/internal/awserr"
)

func reader(text string) *Reader {
	r := new(Reader)
	r.Reset([]byte(text))
	return r
}

// serialization returns the text of a SerializationException.
func serialization(t *testing.T, err error) string {
	t.Helper()
	var e *awserr.Error
	if !errors.As(err, &e) || e.Code != "SerializationException" {
		t.Fatalf("%v, want a SerializationException", err)
	}
	return e.Message
}

func TestTypedReadersNameWhatCame(t *testing.T) {
	readers := map[string]func(r *Reader) error{
		"String":      func(r *Reader) error { _, err := r.String(); return err },
		"Boolean":     func(r *Reader) error { _, err := r.Bool(); return err },
		"Integer":     func(r *Reader) error { _, err := r.Integer(); return err },
		"Long":        func(r *Reader) error { _, err := r.Long(); return err },
		"Double":      func(r *Reader) error { _, err := r.Double(); return err },
		"list":        func(r *Reader) error { return r.Array(func(int) error { return r.Skip() }) },
		"object":      func(r *Reader) error { return r.Object(func([]byte) error { return r.Skip() }) },
		"member":      func(r *Reader) error { return r.Structure("Tag", func([]byte) error { return r.Skip() }) },
		"element":     func(r *Reader) error { return r.StructureIn("Tag", func([]byte) error { return r.Skip() }) },
		"map":         func(r *Reader) error { return r.Map("Tag", func([]byte) error { return r.Skip() }) },
		"names":       func(r *Reader) error { return r.Map("java.lang.String", func([]byte) error { return r.Skip() }) },
		"Item":        func(r *Reader) error { _, _, err := r.Item(); return err },
		"Value":       func(r *Reader) error { _, _, err := r.Value(); return err },
		"ValueMember": func(r *Reader) error { _, _, err := r.ValueMember(); return err },
	}
	const (
		structure = "Start of structure or map found where not expected"
		field     = "Unexpected field type"
		value     = "Unexpected value type in payload"
	)
	for _, c := range []struct{ kind, text, want string }{
		{"String", "true", "TRUE_VALUE cannot be converted to String"},
		{"String", "false", "FALSE_VALUE cannot be converted to String"},
		{"String", "23", "NUMBER_VALUE cannot be converted to String"},
		{"String", "-2.5", "DECIMAL_VALUE cannot be converted to String"},
		{"String", "[]", "Unrecognized collection type class java.lang.String"},
		{"String", "{}", structure},
		{"Boolean", `"a"`, "Unexpected token received from parser"},
		{"Boolean", "2", "NUMBER_VALUE cannot be converted to Boolean"},
		{"Boolean", "2.5", "DECIMAL_VALUE cannot be converted to Boolean"},
		{"Boolean", "[]", "Unrecognized collection type class java.lang.Boolean"},
		{"Boolean", "{}", structure},
		{"Integer", `"1"`, "STRING_VALUE cannot be converted to Integer"},
		{"Integer", "true", "TRUE_VALUE cannot be converted to Integer"},
		{"Integer", "false", "FALSE_VALUE cannot be converted to Integer"},
		{"Integer", "[]", "Unrecognized collection type class java.lang.Integer"},
		{"Integer", "{}", structure},
		{"Long", `"1"`, "STRING_VALUE cannot be converted to Long"},
		{"Long", "true", "TRUE_VALUE cannot be converted to Long"},
		{"Long", "[]", "Unrecognized collection type class java.lang.Long"},
		{"Long", "9223372036854775808", "NUMBER_VALUE cannot be converted to Long"},
		{"Long", "1e400", "DECIMAL_VALUE cannot be converted to Long"},
		{"Double", `"1"`, "STRING_VALUE cannot be converted to Double"},
		{"list", "1", field},
		{"list", `""`, field},
		{"list", "{}", structure},
		{"object", "1", field},
		{"member", `"a"`, field},
		{"member", "[]", "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.Tag"},
		{"element", "true", value},
		{"element", "[]", "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.Tag"},
		{"map", "false", field},
		{"map", "[]", "Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.Tag>"},
		{"names", "[]", "Unrecognized collection type java.util.Map<java.lang.String, java.lang.String>"},
		{"Item", "1", field},
		{"Item", "[]", "Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>"},
		{"Value", "1", value},
		{"Value", `"a"`, value},
		{"Value", "[]", "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue"},
		{"ValueMember", "1", field},
		{"ValueMember", "[]", "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue"},
	} {
		if got := serialization(t, readers[c.kind](reader(c.text))); got != c.want {
			t.Errorf("%s of %s: %q, want %q", c.kind, c.text, got, c.want)
		}
	}
	for kind, read := range readers {
		for _, text := range []string{"", " ", "nul", "x", "]", ",", ":"} {
			if err := read(reader(text)); err != error(ErrSyntax) {
				t.Errorf("%s of %q: %v", kind, text, err)
			}
		}
		if err := read(reader(" null")); err != nil {
			t.Errorf("%s of null: %v", kind, err)
		}
	}
}

func TestTypedReadersRead(t *testing.T) {
	for text, want := range map[string]string{
		`"a\"\\\/\b\f\n\r\tA\u00e9\u4e16\ud83d\ude00"`: "a\"\\/\b\f\n\r\tAé世😀",
		`"\ud83d"`: "?", `"\ude00x"`: "?x", `"\ud83dA"`: "?A", `"\ud83d\ud83d\ude00"`: "?😀",
		`"\u0000"`: "\x00", `"世😀"`: "世😀", `""`: "",
	} {
		if got, err := reader(text).String(); got != want || err != nil {
			t.Errorf("%s is %q, %v; want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]bool{"true": true, "false": false, `"TRUE"`: true, `"yes"`: true, `"1"`: true, `"T"`: true, `"y"`: true,
		`"False"`: false, `"NO"`: false, `"0"`: false, `"f"`: false, `"N"`: false} {
		if got, err := reader(text).Bool(); got != want || err != nil {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]int64{"0": 0, "-7": -7, "2147483647": math.MaxInt32, "2.9": 2, "-2.1": -2, "1e3": 1000, "2147483647.5": math.MaxInt32,
		"2147483648": math.MaxInt32, "-1e99": math.MinInt32, "1e999": math.MaxInt32} {
		if got, err := reader(text).Integer(); got != want || err != nil {
			t.Errorf("Integer %s is %d, %v", text, got, err)
		}
	}
	for text, want := range map[string]int64{"9223372036854775807": math.MaxInt64, "-9223372036854775808": math.MinInt64, "1.5e10": 15e9} {
		if got, err := reader(text).Long(); got != want || err != nil {
			t.Errorf("Long %s is %d, %v", text, got, err)
		}
	}
	if got, err := reader("1728400000.123").Double(); got != 1728400000.123 || err != nil {
		t.Errorf("Double is %v, %v", got, err)
	}
}

func TestObjectAndArrayVisitInOrder(t *testing.T) {
	r := reader(` {"\u0061" : [1, {"\u0062":[]} ], "c":null , "\u0064":{} } `)
	var got []string
	err := r.Object(func(name []byte) error {
		outer := string(name)
		defer func() {
			if string(name) != outer { // names stay valid over what is read inside
				t.Errorf("name %q became %q", outer, name)
			}
		}()
		got = append(got, outer)
		if r.Null() {
			return nil
		}
		if r.Kind() == KindObject {
			return r.Skip()
		}
		return r.Array(func(i int) error {
			got = append(got, fmt.Sprint(i))
			if r.Kind() == KindNumber {
				return r.Skip()
			}
			return r.Object(func(name []byte) error {
				got = append(got, string(name))
				return r.Skip()
			})
		})
	})
	if err != nil || r.End() != nil || strings.Join(got, " ") != "a 0 1 b c d" {
		t.Fatalf("%v, %v", got, err)
	}
}

func TestSyntaxIsJSONs(t *testing.T) {
	for _, text := range []string{
		"", " ", "{", "}", "[", "]", `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{a:1}`, `{"a":1 "b":2}`, "[1,]", "[,1]", "[1 2]", "[1]]", "1 2",
		"01", "-", "+1", "1.", ".5", "1e", "1e+", "0x1", "NaN", "tru", "nulll", "True", `"`, `"\`, `"\x"`, `"\u12"`, `"\u12g4"`, "\"\x01\"", "\"\n\"",
		"\"\xff\"", "\"longer than a word \x85 and on\"", "\"\xc3\"", "\"\xed\xa0\x80\"", "{\"\xff\":1}", "\"\\n\xff\"", "\ufeff{}", "// c", "{}\x00", "\x00",
		"0", "-0", "-0.5e-10", "1E+2", `"\u0000\ud800"`, "[]", "{}", `{"a":[1,2,{"b":null}],"a":true}`, "\t\r\n 1 ", `"é"`,
	} {
		// encoding/json lets broken UTF-8 pass; the services behind AWS do not.
		want := json.Valid([]byte(text)) && utf8.ValidString(text)
		if got := Valid([]byte(text)); got != want {
			t.Errorf("Valid(%q) = %v", text, got)
		}
	}
}

func TestAnyBytesAsJSONString(t *testing.T) {
	for in, want := range map[string]string{
		"longer than a word \x85 and on": "\"longer than a word \uFFFD and on\"",
		"\xff\xc3":                       "\"\uFFFD\uFFFD\"",
		"\uFFFD":                         "\"\uFFFD\"",
		"é\x00\"\\\n\r\t\x7f/":           "\"é\\u0000\\\"\\\\\\n\\r\\t\x7f/\"",
	} {
		if got := string(AppendJSONString(nil, []byte(in))); got != want || jsonStringSize([]byte(in)) != len(want) {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
	}
}

func TestDeepNestingIsSyntaxError(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	if !Valid([]byte(nested(maxNesting))) || Valid([]byte(nested(maxNesting+1))) {
		t.Error("the bound is elsewhere")
	}
	for _, unit := range []string{"[", `{"a":`, `{"L":[`, `{"M":{"a":`, `[{"":`} {
		text := strings.Repeat(unit, (16<<20)/len(unit))
		if Valid([]byte(text)) {
			t.Errorf("%s... is valid", unit)
		}
		if _, _, err := reader(text).Value(); err == nil {
			t.Errorf("%s... is a value", unit)
		}
		if _, _, err := reader(`{"x":` + text).Item(); err == nil {
			t.Errorf("%s... is in an item", unit)
		}
	}
}

func FuzzValid(f *testing.F) {
	f.Add([]byte(`{"a":[1,-2.5e3,"\u00e9\ud83d\ude00",null,true]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		want := json.Valid(text) && utf8.Valid(text)
		if got := Valid(text); got != want && !(want && strings.Count(string(text), "[")+strings.Count(string(text), "{") > maxNesting) {
			t.Fatalf("Valid(%q) = %v", text, got)
		}
		if !want || len(text) == 0 || text[0] != '"' {
			return
		}
		var std string
		if err := json.Unmarshal(text, &std); err != nil {
			t.Fatal(err)
		}
		got, err := reader(string(text)).String()
		// Half a surrogate pair is U+FFFD to encoding/json and ? to Java.
		if err != nil || strings.ReplaceAll(std, "\uFFFD", "?") != strings.ReplaceAll(got, "\uFFFD", "?") {
			t.Fatalf("%s is %q, %v; want %q", text, got, err, std)
		}
		if back := AppendJSONString(nil, []byte(got)); !Valid(back) || len(back) != jsonStringSize([]byte(got)) {
			t.Fatalf("%q becomes %s", got, back)
		}
	})
}
