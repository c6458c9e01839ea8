package expr

import (
	"strconv"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// TestLimits tries each limit at its last allowed value and one beyond.
func TestLimits(t *testing.T) {
	longName, longValue := "#"+strings.Repeat("a", 254), ":"+strings.Repeat("v", 254)
	repeat := func(n int, one, join string) string { return strings.TrimSuffix(strings.Repeat(one+join, n), join) }
	for _, c := range []struct{ name, src, want string }{
		{"size", strings.Repeat("a", 4091) + " = :v", ""},
		{"size", strings.Repeat("a", 4092) + " = :v", "Expression size has exceeded the maximum allowed size; expression size: 4097"},
		{"size before syntax", strings.Repeat("!", 5000), "Expression size has exceeded the maximum allowed size; expression size: 5000"},
		{"operators", repeat(150, "a=:v", " OR ") + " OR NOT attribute_exists(b)", "The expression contains too many operators; operator count: 301"},
		{"operators", repeat(150, "a=:v", " OR ") + " OR attribute_exists(b)", ""},
		{"operators", strings.Repeat("NOT ", 299) + "a=:v", ""},
		{"operators", strings.Repeat("NOT ", 300) + "a=:v", "The expression contains too many operators; operator count: 301"},
		{"operators come last", strings.Repeat("NOT ", 300) + "a=:x", "An expression attribute value used in expression is not defined; attribute value: :x"},
		{"IN", "a IN (" + repeat(99, ":v", ",") + ")", ""},
		{"IN", "a IN (" + repeat(100, ":v", ",") + ")", "The IN operator is provided with too many operands; number of operands: 101"},
		{"path", repeat(32, "a", ".") + " = :v", ""},
		{"path", repeat(33, "a", ".") + " = :v", "The document path has too many nesting levels; nesting levels: 33"},
		{"path", "a" + strings.Repeat("[0]", 32) + " = :v", "The document path has too many nesting levels; nesting levels: 33"},
		{"placeholders", longName + " = " + longValue, ""},
		{"parentheses", strings.Repeat("(", 2040) + "a=:v" + strings.Repeat(")", 2040), "The expression has redundant parentheses;"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := NewParams([]Name{{Key: longName, Attribute: "a"}}, []item.Entry{{Name: ":v", Value: item.String("x")}, {Name: longValue, Value: item.String("x")}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = ParseCondition(ConditionExpression, c.src, p)
			wantError(t, err, c.want)
		})
	}

	adds := make([]string, 301)
	for i := range adds {
		adds[i] = "a" + strconv.Itoa(i) + "=b-c"
	}
	_, err := ParseUpdate("SET "+strings.Join(adds[:300], ","), nil)
	wantError(t, err, "")
	_, err = ParseUpdate("SET "+strings.Join(adds, ","), nil)
	wantError(t, err, "Invalid UpdateExpression: The expression contains too many operators; operator count: 301")

	_, err = NewParams([]Name{{Key: longName + "a", Attribute: "x"}}, nil)
	wantError(t, err, "ExpressionAttributeNames contains invalid key: The expression attribute map contains a key that is too long; size of key: 256")
	_, err = NewParams([]Name{{Key: "#a", Attribute: ""}}, nil)
	wantError(t, err, "ExpressionAttributeNames contains invalid value: Empty attribute name for key #a")
	_, err = NewParams([]Name{{Key: "#a", Attribute: strings.Repeat("x", 65535)}}, nil)
	wantError(t, err, "")
	_, err = NewParams([]Name{{Key: "#a", Attribute: strings.Repeat("x", 65536)}}, nil)
	wantError(t, err, "ExpressionAttributeNames contains invalid value: Attribute name is too large, must be less than 65536 bytes for key #a")
}

func wantError(t *testing.T, err *awserr.Error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got %v", err)
	case want != "" && (err == nil || !strings.HasSuffix(err.Message, want)):
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestUpdateNesting checks that an update cannot build what no item may hold:
// more than 32 levels.
func TestUpdateNesting(t *testing.T) {
	nested := func(levels int) item.Value {
		v := item.String("x")
		for range levels - 1 {
			v = item.List(v)
		}
		return v
	}
	old := item.NewItem([]item.Entry{{Name: "m", Value: item.Map(item.Entry{Name: "x", Value: item.String("y")})}})
	for levels, want := range map[int]string{
		31: "",
		32: "Nesting Levels have exceeded supported limits",
	} {
		p, err := NewParams(nil, []item.Entry{{Name: ":v", Value: nested(levels)}})
		if err != nil {
			t.Fatal(err)
		}
		u, err := ParseUpdate("SET m.x = :v", p)
		if err != nil {
			t.Fatal(err)
		}
		_, err = u.Apply(old, nil)
		wantError(t, err, want)
	}
}

// TestManyPlaceholders checks that the index of large maps finds what the
// search of small ones does, and that the last of two equal keys counts.
func TestManyPlaceholders(t *testing.T) {
	for _, n := range []int{1, indexFrom - 1, indexFrom, indexFrom + 1, 1000} {
		var values []item.Entry
		for i := range n {
			values = append(values, item.Entry{Name: ":" + strconv.Itoa(i), Value: item.NumberFromInt(-1)})
		}
		for i := range n {
			values = append(values, item.Entry{Name: ":" + strconv.Itoa(i), Value: item.NumberFromInt(int64(i))})
		}
		p, err := NewParams(nil, values)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			v, ok := p.values.use(":" + strconv.Itoa(i))
			if got, _ := v.Int64(); !ok || got != int64(i) {
				t.Fatalf("%d placeholders: :%d is %d, %v", n, i, got, ok)
			}
		}
		if err := p.Unused(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAttributes checks what callers learn about an expression.
func TestAttributes(t *testing.T) {
	p, err := NewParams([]Name{{Key: "#b", Attribute: "b.c"}}, []item.Entry{{Name: ":v", Value: item.String("x")}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCondition(FilterExpression, "a.x = :v OR NOT (size(#b) IN (c, a) AND begins_with(d[1], e)) AND a = :v", p)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.Attributes(), " "); got != "a b.c c d e" {
		t.Errorf("condition reads %s", got)
	}
	pr, err := ParseProjection("z.a, #b[0], z.b, a", p)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(pr.Attributes(), " "); got != "z b.c a" {
		t.Errorf("projection keeps %s", got)
	}
	var none *Condition
	if ok, _ := none.Eval(nil); !ok || none.Attributes() != nil {
		t.Error("no condition does not hold")
	}
	var all *Projection
	it := item.NewItem([]item.Entry{{Name: "a", Value: item.String("x")}})
	if got := all.Apply(it); string(got) != string(it) || all.Attributes() != nil {
		t.Error("no projection does not keep all")
	}
}

// TestReservedWords checks both ends of the list and its size.
func TestReservedWords(t *testing.T) {
	if n := len(reservedWords); n != 573 {
		t.Errorf("%d reserved words", n)
	}
	longest := 0
	for w := range reservedWords {
		longest = max(longest, len(w))
	}
	if longest != reservedWordMax {
		t.Errorf("the longest has %d letters", longest)
	}
	for word, want := range map[string]bool{"abort": true, "ZONE": true, "Name": true, "sTaTuS": true, "nam": false, "names_": false, "CURRENT_TIMESTAMP_X": false, "": false} {
		if isReserved(word) != want {
			t.Errorf("%q reserved: %v", word, !want)
		}
	}
}
