package item

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// model is an attribute value as plain Go data: what the binary form is held
// against.
type model struct {
	t      Type
	text   string           // S and B; N as it was drawn, not canonical
	truth  bool             // BOOL
	elems  []model          // sets (without doubles) and L
	fields map[string]model // M
}

func (m model) number() *big.Rat {
	r, ok := new(big.Rat).SetString(m.text)
	if !ok {
		panic("model: " + m.text)
	}
	return r
}

func (m model) equal(o model) bool {
	if m.t != o.t {
		return false
	}
	switch m.t {
	case S, B:
		return m.text == o.text
	case N:
		return m.number().Cmp(o.number()) == 0
	case BOOL:
		return m.truth == o.truth
	case L:
		return slices.EqualFunc(m.elems, o.elems, model.equal)
	case SS, NS, BS:
		return len(m.elems) == len(o.elems) && !slices.ContainsFunc(m.elems, func(e model) bool { return !o.has(e) })
	case M:
		return maps.EqualFunc(m.fields, o.fields, model.equal)
	}
	return true
}

func (m model) has(e model) bool { return slices.ContainsFunc(m.elems, e.equal) }

// size follows DynamoDB's rules from the decimal text.
func (m model) size() int {
	size := 0
	switch m.t {
	case S, B:
		return len(m.text)
	case N:
		return m.numberSize()
	case BOOL, NULL:
		return 1
	case SS, NS, BS:
		for _, e := range m.elems {
			size += e.size()
		}
	case L:
		size = 3
		for _, e := range m.elems {
			size += 1 + e.size()
		}
	case M:
		size = 3
		for name, e := range m.fields {
			size += 1 + len(name) + e.size()
		}
	}
	return size
}

func (m model) numberSize() int {
	r := m.number()
	if r.Sign() == 0 {
		return 1
	}
	size := 1
	if r.Sign() < 0 {
		size++
	}
	whole, fraction, _ := strings.Cut(new(big.Rat).Abs(r).FloatString(200), ".")
	if len(whole)%2 == 1 {
		whole = "0" + whole
	}
	pairs := whole + fraction
	for strings.HasPrefix(pairs, "00") {
		pairs = pairs[2:]
	}
	for strings.HasSuffix(pairs, "00") {
		pairs = pairs[:len(pairs)-2]
	}
	return size + len(pairs)/2
}

func (m model) depth() int {
	deepest := 0
	if m.t == L {
		for _, e := range m.elems {
			deepest = max(deepest, e.depth())
		}
	}
	for _, e := range m.fields {
		deepest = max(deepest, e.depth())
	}
	return deepest + 1
}

// build encodes with the Append functions.
func (m model) build() Value {
	switch m.t {
	case S:
		return String(m.text)
	case N:
		return Number(m.text)
	case B:
		return Binary([]byte(m.text))
	case BOOL:
		return Bool(m.truth)
	case NULL:
		return Null()
	case M:
		return Map(m.entries()...)
	}
	var elems []Value
	for _, e := range m.elems {
		elems = append(elems, e.build())
	}
	if m.t == L {
		return List(elems...)
	}
	return Set(m.t, elems...)
}

func (m model) entries() []Entry {
	var entries []Entry
	for name, e := range m.fields { // in any order
		entries = append(entries, Entry{name, e.build()})
	}
	return entries
}

// json writes the wire form with the standard library, in any order of members.
func (m model) json() string {
	quote := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			panic(err)
		}
		return string(b)
	}
	scalar := func(e model) string {
		if e.t == B {
			return quote(base64.StdEncoding.EncodeToString([]byte(e.text)))
		}
		return quote(e.text)
	}
	var content string
	switch m.t {
	case S, N, B:
		content = scalar(m)
	case BOOL:
		content = "false"
		if m.truth {
			content = "true"
		}
	case NULL:
		content = "true"
	case M:
		content = m.fieldsJSON()
	default:
		var parts []string
		for _, e := range m.elems {
			if m.t == L {
				parts = append(parts, e.json())
			} else {
				parts = append(parts, scalar(e))
			}
		}
		content = "[" + strings.Join(parts, " , ") + "]"
	}
	return `{"` + m.t.String() + `": ` + content + ` }`
}

func (m model) fieldsJSON() string {
	var parts []string
	for name, e := range m.fields {
		b, err := json.Marshal(name)
		if err != nil {
			panic(err)
		}
		parts = append(parts, string(b)+" : "+e.json())
	}
	return "{ " + strings.Join(parts, ",\n\t") + "}"
}

// drawNumber draws a number in one of its spellings, often a small one.
func drawNumber(t *rapid.T) model {
	text := rapid.OneOf(
		rapid.StringMatching(`[+-]?(0|1|10|100|99|1\.0|\.5|0\.50|1e1|1E-1|5\.)`),
		rapid.StringMatching(`[+-]?[0-9]{1,19}\.[0-9]{0,19}`),
		rapid.StringMatching(`[+-]?0{0,3}[1-9][0-9]{0,37}0{0,3}[eE]([+]?[0-7][0-9]|-[0-9][0-9])`),
		rapid.StringMatching(`-?[1-9](\.[0-9]{0,37})?e(12[0-5]|-1[0-2][0-9]|-130)`),
	).Draw(t, "number")
	return model{t: N, text: text}
}

func drawText(t *rapid.T) string {
	return rapid.OneOf(
		rapid.StringMatching(`[ab]{0,2}`),
		rapid.StringOf(rapid.RuneFrom([]rune{0, 1, 'a', '"', '\\', '/', '\n', '\x1f', '<', 0x7f, 'é', '\u2028', '世', '😀', 0xFFFD})),
		rapid.StringN(0, 200, 400),
	).Draw(t, "text")
}

func drawScalar(t *rapid.T, kind Type) model {
	switch kind {
	case N:
		return drawNumber(t)
	case B:
		return model{t: B, text: string(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes"))}
	default:
		return model{t: S, text: drawText(t)}
	}
}

func drawValue(t *rapid.T, levels int) model {
	most := int(M)
	if levels <= 1 {
		most = int(BS)
	}
	kind := Type(rapid.IntRange(int(S), most).Draw(t, "type"))
	m := model{t: kind}
	switch kind {
	case S, N, B:
		return drawScalar(t, kind)
	case BOOL:
		m.truth = rapid.Bool().Draw(t, "truth")
	case SS, NS, BS:
		for range rapid.IntRange(1, 5).Draw(t, "elements") {
			if e := drawScalar(t, kind.Element()); !m.has(e) {
				m.elems = append(m.elems, e)
			}
		}
	case L:
		for range rapid.IntRange(0, 4).Draw(t, "elements") {
			m.elems = append(m.elems, drawValue(t, levels-1))
		}
	case M:
		m.fields = drawFields(t, levels-1)
	}
	return m
}

func drawFields(t *rapid.T, levels int) map[string]model {
	fields := map[string]model{}
	for range rapid.IntRange(0, 6).Draw(t, "entries") {
		if name := drawText(t); name != "" {
			fields[name] = drawValue(t, levels)
		}
	}
	return fields
}

// variation returns m with another order of set elements, or changed in one
// place; so that pairs are often equal or nearly so.
func variation(t *rapid.T, m model) model {
	switch rapid.IntRange(0, 3).Draw(t, "variation") {
	case 0:
		return drawValue(t, 3)
	case 1:
		return m
	}
	v := m
	switch m.t {
	case N:
		v.text = strings.NewReplacer("+", "", "E", "e").Replace(m.text)
		if !strings.ContainsAny(v.text, ".e") {
			v.text += ".0"
		}
	case SS, NS, BS:
		v.elems = slices.Clone(m.elems)
		slices.Reverse(v.elems)
	case L:
		v.elems = slices.Clone(m.elems)
		if len(v.elems) > 0 {
			i := rapid.IntRange(0, len(v.elems)-1).Draw(t, "at")
			v.elems[i] = variation(t, v.elems[i])
		}
	case M:
		v.fields = maps.Clone(m.fields)
		for name := range v.fields {
			v.fields[name] = variation(t, v.fields[name])
			break
		}
	}
	return v
}

// read decodes text, which must be a legal item.
func read(t interface{ Fatalf(string, ...any) }, text []byte) Item {
	var r Reader
	r.Reset(text)
	it, invalid, err := r.Item()
	if invalid != nil || err != nil {
		t.Fatalf("Item(%s) = %v, %v", text, invalid, err)
	}
	if err := r.End(); err != nil {
		t.Fatalf("Item(%s) leaves %q", text, r.text[r.pos:])
	}
	return it
}

func TestBinaryFormAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := model{t: M, fields: drawFields(t, 4)}
		it := read(t, []byte(m.fieldsJSON()))
		if err := it.Validate(); err != nil {
			t.Fatalf("%x: %v", it, err)
		}
		if built := NewItem(m.entries()); !bytes.Equal(built, it) {
			t.Fatalf("built %x, read %x", built, it)
		}
		checkAgainst(t, it.Map(), m)
		if want := m.size() - 3 - len(m.fields); it.Size() != want {
			t.Fatalf("size %d, want %d", it.Size(), want)
		}
		text := it.AppendJSON([]byte("x"))[1:]
		if !json.Valid(text) || it.JSONSize() != len(text) {
			t.Fatalf("JSONSize is %d of %s (%d)", it.JSONSize(), text, len(text))
		}
		if again := read(t, text); !bytes.Equal(again, it) {
			t.Fatalf("%x through %s is %x", it, text, again)
		}
	})
}

// checkAgainst holds every accessor against the model.
func checkAgainst(t *rapid.T, v Value, m model) {
	if v.Type() != m.t || v.Size() != m.size() || v.Depth() != m.depth() {
		t.Fatalf("%x: %s of size %d, depth %d; want %s, %d, %d", v, v.Type(), v.Size(), v.Depth(), m.t, m.size(), m.depth())
	}
	if err := v.Validate(); err != nil {
		t.Fatalf("%x: %v", v, err)
	}
	if !bytes.Equal(v, m.build()) {
		t.Fatalf("%x is built as %x", v, m.build())
	}
	switch m.t {
	case S, B:
		if string(v.Bytes()) != m.text || v.Len() != len(m.text) || m.t == S && v.Text() != m.text {
			t.Fatalf("%q, want %q", v.Bytes(), m.text)
		}
	case N:
		back := model{t: N, text: string(v.AppendNumberText(nil))}
		if !back.equal(m) {
			t.Fatalf("%s, want %s", back.text, m.text)
		}
	case BOOL:
		if v.Bool() != m.truth {
			t.Fatalf("%x, want %v", v, m.truth)
		}
	case SS, NS, BS, L:
		if v.Len() != len(m.elems) {
			t.Fatalf("%d elements, want %d", v.Len(), len(m.elems))
		}
		i := 0
		var previous Value
		for e := range v.Elements() {
			if !v.Contains(e) {
				t.Fatalf("%x does not contain %x", v, e)
			}
			if m.t == L {
				if !Equal(v.Index(i), e) {
					t.Fatalf("Index(%d) is %x, want %x", i, v.Index(i), e)
				}
				checkAgainst(t, e, m.elems[i])
			} else if i > 0 && Compare(previous, e) >= 0 {
				t.Fatalf("%x is not in order", v)
			}
			previous = e
			i++
		}
		for _, e := range m.elems {
			if !v.Contains(e.build()) {
				t.Fatalf("%x does not contain %v", v, e)
			}
		}
		if v.Index(i) != nil || v.Index(-1) != nil || v.Contains(String("no such")) || v.Contains(nil) {
			t.Fatalf("%x has more than its elements", v)
		}
	case M:
		if v.Len() != len(m.fields) {
			t.Fatalf("%d entries, want %d", v.Len(), len(m.fields))
		}
		previous := ""
		for name, e := range v.Fields() {
			if string(name) <= previous {
				t.Fatalf("%q after %q", name, previous)
			}
			previous = string(name)
			if !Equal(v.Field(string(name)), e) {
				t.Fatalf("Field(%q) is %x, want %x", name, v.Field(string(name)), e)
			}
			checkAgainst(t, e, m.fields[string(name)])
			if absent := string(name) + "\x00"; m.fields[absent].t == None && v.Field(absent) != nil {
				t.Fatalf("Field(%q) is there", absent)
			}
		}
	}
}

func TestEqualBytesIfAndOnlyIfEqualValues(t *testing.T) {
	equal, different := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		a := drawValue(t, 3)
		b := variation(t, a)
		want := a.equal(b)
		if Equal(a.build(), b.build()) != want {
			t.Fatalf("%s and %s: %x, %x; equal: %v", a.json(), b.json(), a.build(), b.build(), want)
		}
		if want {
			equal++
		} else {
			different++
		}
	})
	if equal == 0 || different == 0 {
		t.Fatalf("%d pairs were equal, %d different", equal, different)
	}
}

func TestKeyOrderIsValueOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]Type{S, N, B}).Draw(t, "type")
		a, b := drawScalar(t, kind), drawScalar(t, kind)
		want := strings.Compare(a.text, b.text)
		if kind == N {
			want = a.number().Cmp(b.number())
		}
		va, vb := a.build(), b.build()
		if got := Compare(va, vb); got != want {
			t.Fatalf("Compare(%q, %q) = %d, want %d", a.text, b.text, got, want)
		}
		rest := func(label string) []byte { return rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, label) }
		ra, rb := rest("after a"), rest("after b")
		ka, kb := append(AppendKey(nil, va), ra...), append(AppendKey(nil, vb), rb...)
		if want == 0 {
			want = bytes.Compare(ra, rb)
		}
		if got := bytes.Compare(ka, kb); got != want {
			t.Fatalf("keys of %q, %q: %x, %x order %d, want %d", a.text, b.text, ka, kb, got, want)
		}
		back, left, err := DecodeKey(ka, kind)
		if err != nil || !Equal(back, va) || !bytes.Equal(left, ra) {
			t.Fatalf("DecodeKey(%x) = %x, %x, %v; want %x, %x", ka, back, left, err, va, ra)
		}
		if kind != N {
			prefixed := bytes.HasPrefix(AppendKey(nil, va), AppendKeyPrefix(nil, vb))
			if want := strings.HasPrefix(a.text, b.text); prefixed != want {
				t.Fatalf("%q begins with %q: %v by key", a.text, b.text, prefixed)
			}
		}
	})
}
