package pattern_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/pattern"
)

// The plain matcher: the semantics written down as simply as they can be, over
// decoded JSON, for valid patterns of the operators that AWS lists.

// fact is a leaf of the event: its path, and for each array on the way the element.
type fact struct {
	path  string
	value any
	in    map[int]int
}

func flatten(path string, v any, in map[int]int, arrays *int, out *[]fact) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			at := k
			if path != "" {
				at = path + "." + k
			}
			flatten(at, e, in, arrays, out)
		}
	case []any:
		*arrays++
		id := *arrays
		for i, e := range v {
			next := map[int]int{id: i}
			for k, n := range in {
				next[k] = n
			}
			flatten(path, e, next, arrays, out)
		}
	default:
		*out = append(*out, fact{path, v, in})
	}
}

type pair struct {
	key   string
	value any // []pair, []any, string, json.Number, bool, nil
}

func ordered(dec *json.Decoder) any {
	t, err := dec.Token()
	if err != nil {
		panic(err)
	}
	switch t {
	case json.Delim('{'):
		out := []pair{}
		for dec.More() {
			k, _ := dec.Token()
			out = append(out, pair{k.(string), ordered(dec)})
		}
		_, _ = dec.Token()
		return out
	case json.Delim('['):
		out := []any{}
		for dec.More() {
			out = append(out, ordered(dec))
		}
		_, _ = dec.Token()
		return out
	}
	return t
}

type asked struct {
	path string
	any  []any
}

func expand(rules [][]asked, path string, obj []pair) [][]asked {
	for _, p := range obj {
		at := p.key
		if path != "" {
			at = path + "." + p.key
		}
		list, isList := p.value.([]any)
		or := p.key == "$or" && isList && len(list) > 1
		for _, e := range list {
			branch, ok := e.([]pair)
			or = or && ok && slices.ContainsFunc(branch, func(p pair) bool {
				return !slices.Contains([]string{"exists", "prefix", "suffix", "equals-ignore-case", "anything-but", "numeric", "wildcard", "cidr"}, p.key)
			})
		}
		switch {
		case or:
			var all [][]asked
			for _, e := range list {
				var from [][]asked
				for _, r := range rules {
					from = append(from, slices.Clone(r))
				}
				all = append(all, expand(from, path, e.([]pair))...)
			}
			rules = all
		case isList:
			for i, r := range rules {
				r = slices.DeleteFunc(slices.Clone(r), func(a asked) bool { return a.path == at })
				rules[i] = append(r, asked{at, list})
			}
		default:
			rules = expand(rules, at, p.value.([]pair))
		}
	}
	return rules
}

func plainMatch(text string, event map[string]any) bool {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var facts []fact
	arrays := 0
	flatten("", event, nil, &arrays, &facts)
	for _, rule := range expand([][]asked{nil}, "", ordered(dec).([]pair)) {
		if choose(rule, facts, map[int]int{}) {
			return true
		}
	}
	return false
}

// choose finds a fact for everything asked, all in the same elements of arrays.
func choose(rule []asked, facts []fact, in map[int]int) bool {
	if len(rule) == 0 {
		return true
	}
	a := rule[0]
	present := slices.ContainsFunc(facts, func(f fact) bool { return f.path == a.path })
	for _, m := range a.any {
		if obj, ok := m.([]pair); ok && obj[0].key == "exists" && obj[0].value == false && !present {
			return choose(rule[1:], facts, in)
		}
	}
	for _, f := range facts {
		if f.path != a.path || !slices.ContainsFunc(a.any, func(m any) bool { return plainOne(m, f.value) }) {
			continue
		}
		next, fits := map[int]int{}, true
		for k, n := range in {
			next[k] = n
		}
		for k, n := range f.in {
			if o, ok := next[k]; ok && o != n {
				fits = false
			}
			next[k] = n
		}
		if fits && choose(rule[1:], facts, next) {
			return true
		}
	}
	return false
}

func plainOne(m, v any) bool {
	text, isText := v.(string)
	number, isNumber := v.(json.Number)
	same := func(a any) bool {
		n, ok := a.(json.Number)
		if !ok || !isNumber {
			return a == v
		}
		x, _ := n.Float64()
		y, _ := number.Float64()
		return x == y
	}
	obj, ok := m.([]pair)
	if !ok {
		return same(m)
	}
	arg := obj[0].value
	switch obj[0].key {
	case "exists":
		return arg == true
	case "prefix", "suffix":
		has := strings.HasPrefix
		if obj[0].key == "suffix" {
			has = strings.HasSuffix
		}
		if fold, ok := arg.([]pair); ok {
			return isText && has(strings.ToLower(text), strings.ToLower(fold[0].value.(string)))
		}
		return isText && has(text, arg.(string))
	case "equals-ignore-case":
		return isText && strings.EqualFold(text, arg.(string))
	case "anything-but":
		switch arg := arg.(type) {
		case []any:
			return !slices.ContainsFunc(arg, same)
		case []pair:
			args, ok := arg[0].value.([]any)
			if !ok {
				args = []any{arg[0].value}
			}
			return !slices.ContainsFunc(args, func(a any) bool { return plainOne([]pair{{arg[0].key, a}}, v) })
		}
		return !same(arg)
	case "numeric":
		if !isNumber {
			return false
		}
		n, _ := number.Float64()
		list := arg.([]any)
		for i := 0; i < len(list); i += 2 {
			b, _ := list[i+1].(json.Number).Float64()
			if !map[any]bool{"=": n == b, "<": n < b, "<=": n <= b, ">": n > b, ">=": n >= b}[list[i]] {
				return false
			}
		}
		return true
	case "wildcard":
		return isText && plainWildcard(arg.(string), text)
	}
	panic("not in the plain matcher: " + obj[0].key)
}

func plainWildcard(w, s string) bool {
	switch {
	case w == "":
		return s == ""
	case w[0] == '*':
		return plainWildcard(w[1:], s) || s != "" && plainWildcard(w, s[1:])
	case w[0] == '\\':
		w = w[1:]
	}
	return s != "" && s[0] == w[0] && plainWildcard(w[1:], s[1:])
}

// FuzzPattern: no text does harm, and what is a pattern matches as the plain
// matcher says.
func FuzzPattern(f *testing.F) {
	image := `{"id":{"S":"a"},"n":{"N":"42"},"b":{"B":"Zm9v"},"t":{"BOOL":true},"z":{"NULL":true},"ss":{"SS":["x","y"]},` +
		`"l":{"L":[{"M":{"a":{"S":"1"},"b":{"S":"2"}}},{"M":{"a":{"S":"3"},"b":{"S":"4"}}},{"S":"x"}]},"m":{"M":{"k":{"M":{"j":{"S":"deep"}}}}}}`
	for _, p := range []string{
		`{"eventName":["INSERT"]}`, `{"dynamodb":{"NewImage":{"n":{"N":[{"anything-but":"41"}]},"$or":[{"id":{"S":["a"]}},{"x":{"S":[{"exists":false}]}}]}}}`,
		`{"dynamodb":{"NewImage":{"l":{"L":{"M":{"a":{"S":["1"]},"b":{"S":["4"]}}}}}}}`, `{"dynamodb":{"SizeBytes":[{"numeric":[">",5,"<=",24]}]}}`,
		`{"dynamodb":{"NewImage":{"m.M.k":{"M":{"j":{"S":[{"wildcard":"d*p"}]}}}}}}`, `{"dynamodb":{"NewImage":{"id":{"S":[{"prefix":{"equals-ignore-case":"A"}}]}}}}`,
	} {
		f.Add(p, image)
	}
	f.Fuzz(func(t *testing.T, text, image string) {
		p, err := pattern.Parse(text)
		if err != nil {
			return
		}
		p.Warnings()
		if len(image) > 2000 || !validImage(image) {
			return
		}
		r := newRecord(t, "INSERT", `{"id":{"S":"a"}}`, image, "")
		got := p.Match(r)
		if strings.Contains(text, "cidr") || len(text) > 600 || hasNonASCII(text+image) || strings.Contains(text, `""`) {
			return // not in the plain matcher, or too much for it
		}
		want := plainMatch(text, r.event())
		if dotted := strings.Contains(image, ".") || strings.Contains(image, `\`); got != want && (!dotted || want) {
			t.Errorf("%s on %s: %v, want %v", text, image, got, want)
		}
	})
}

func hasNonASCII(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 128 })
}

func validImage(text string) bool {
	var rd item.Reader
	rd.Reset([]byte(text))
	_, invalid, err := rd.Item()
	return err == nil && invalid == nil && rd.End() == nil
}

func BenchmarkMatch(b *testing.B) {
	image := `{"id":{"S":"order-1"},"status":{"S":"paid"},"total":{"N":"42.50"},"customer":{"M":{"name":{"S":"Ada"},"city":{"S":"London"}}},` +
		`"note":{"S":"` + strings.Repeat("x", 800) + `"}}`
	r := newRecord(b, "INSERT", `{"id":{"S":"order-1"}}`, image, "")
	for name, text := range map[string]string{
		"one": `{"dynamodb":{"NewImage":{"status":{"S":["paid"]}}}}`,
		"three": `{"eventName":["INSERT","MODIFY"],"dynamodb":{"NewImage":{"status":{"S":["paid"]},"customer":{"M":{"city":{"S":[{"prefix":"Lon"}]}}}},` +
			`"OldImage":{"status":{"S":[{"exists":false}]}}}}`,
	} {
		p, err := pattern.Parse(text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !p.Match(r) {
					b.Fatal("no match")
				}
			}
		})
	}
}
