package differences

import (
	"fmt"
	"maps"
	"strings"
)

// expression gathers the placeholders of one request's expressions.
type expression struct {
	g      *gen
	names  object
	values object
}

func (g *gen) expressions() *expression {
	return &expression{g: g, names: object{}, values: object{}}
}

// into puts the maps of placeholders into a request, now and then broken.
func (x *expression) into(body object) {
	g := x.g
	if g.chance(2) {
		x.names["#unused"+pick(g, "", "2")] = "a"
	}
	if g.chance(2) {
		x.values[":unused"] = s("x")
	}
	if g.chance(1) && len(x.names) > 0 {
		delete(x.names, names(x.names)[0])
	}
	if g.chance(1) && len(x.values) > 0 {
		delete(x.values, names(x.values)[0])
	}
	if len(x.names) > 0 || g.chance(1) {
		body["ExpressionAttributeNames"] = maps.Clone(x.names)
	}
	if len(x.values) > 0 || g.chance(1) {
		body["ExpressionAttributeValues"] = maps.Clone(x.values)
	}
}

// name writes an attribute's name, as it is or as a placeholder.
func (x *expression) name(attribute string) string {
	plain := !isOdd(attribute)
	if plain && !x.g.chance(25) && attribute != "bin" && attribute != "nil" {
		return attribute
	}
	placeholder := "#" + strings.Map(func(r rune) rune {
		if r < 128 && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9') {
			return r
		}
		return '_'
	}, attribute)
	x.names[placeholder] = attribute
	return placeholder
}

func isOdd(attribute string) bool {
	for _, o := range odd {
		if o == attribute {
			return true
		}
	}
	return false
}

// value writes a placeholder of a value.
func (x *expression) value(v any) string {
	placeholder := fmt.Sprintf(":v%d", len(x.values))
	x.values[placeholder] = v
	return placeholder
}

// path writes a document path; base is the attribute it lies in.
func (x *expression) path() (text, base string) {
	g := x.g
	base = pick(g, attributes...)
	if g.chance(6) {
		base = pick(g, odd...)
	}
	if g.chance(5) {
		base = pick(g, "pk", "sk")
	}
	text = x.name(base)
	steps := 0
	switch base {
	case "l", "m":
		if g.chance(50) {
			steps = 1 + g.IntN(2)
		}
	case "a", "b":
		steps = g.IntN(6) / 4
	}
	for i := range steps {
		if i == 0 && base == "l" || g.chance(30) {
			text += fmt.Sprintf("[%d]", g.IntN(4))
		} else {
			text += "." + x.name(pick(g, "a", "b", "x", "y.z", "n"))
		}
	}
	return text, base
}

// operand writes one side of a comparison; base steers its type.
func (x *expression) operand(base string) string {
	g := x.g
	switch {
	case g.chance(70):
		return x.value(g.valueFor(base))
	case g.chance(60):
		p, _ := x.path()
		return p
	default:
		p, _ := x.path()
		return "size(" + p + ")"
	}
}

var comparators = []string{"=", "<>", "<", "<=", ">", ">="}

// condition writes a condition of a depth.
func (x *expression) condition(depth int) string {
	g := x.g
	if depth > 0 {
		switch g.IntN(6) {
		case 0:
			return x.condition(depth-1) + pick(g, " AND ", " and ") + x.condition(depth-1)
		case 1:
			return x.condition(depth-1) + pick(g, " OR ", " or ") + x.condition(depth-1)
		case 2:
			return pick(g, "NOT ", "not ") + x.condition(depth-1)
		case 3:
			return "(" + x.condition(depth-1) + ")"
		}
	}
	p, base := x.path()
	switch g.IntN(12) {
	case 0, 1:
		return "attribute_exists(" + p + ")"
	case 2:
		return "attribute_not_exists(" + p + ")"
	case 3:
		return "attribute_type(" + p + ", " + x.value(s(pick(g, "S", "N", "L", "M", "SS", "NS", "BS", "B", "BOOL", "NULL"))) + ")"
	case 4:
		return "begins_with(" + p + ", " + x.value(pick(g, s(g.text()), b(pick(g, byteStrings...)))) + ")"
	case 5:
		return "contains(" + p + ", " + x.value(g.value(pick(g, "S", "N", "B"), 0)) + ")"
	case 6:
		return "size(" + p + ") " + pick(g, comparators...) + " " + x.value(n(g.small()))
	case 7:
		lo, hi := g.bounds()
		return p + " BETWEEN " + x.value(lo) + " AND " + x.value(hi)
	case 8:
		in := []string{}
		for range 1 + g.IntN(3) {
			in = append(in, x.value(g.valueFor(base)))
		}
		return p + pick(g, " IN ", " in ") + "(" + strings.Join(in, pick(g, ",", ", ")) + ")"
	case 9:
		return x.value(g.valueFor(base)) + " " + pick(g, comparators...) + " " + p
	default:
		op := pick(g, "=", "=", "<>", "<", "<=", ">", ">=")
		return p + pick(g, op, " "+op+" ", " "+op+" ") + x.operand(base)
	}
}

// bounds makes the two values of a BETWEEN, mostly in order.
func (g *gen) bounds() (lo, hi object) {
	if g.chance(5) {
		return g.anyValue(1), g.anyValue(1)
	}
	switch g.IntN(3) {
	case 0:
		lo, hi = s(pick(g, "", "a", "b")), s(pick(g, "b", "c", "zz"))
	case 1:
		lo, hi = n(pick(g, "-2", "0", "1")), n(pick(g, "1", "3", "100"))
	default:
		lo, hi = b(pick(g, "", "\x00", "a")), b(pick(g, "a", "b", "\xff"))
	}
	if g.chance(5) {
		lo, hi = hi, lo
	}
	return lo, hi
}

// update writes an update expression.
func (x *expression) update() string {
	g := x.g
	var sets, removes, adds, deletes []string
	for range 1 + g.IntN(3) {
		p, base := x.path()
		switch g.IntN(8) {
		case 0, 1, 2, 3:
			sets = append(sets, p+" = "+x.setValue(p, base))
		case 4, 5:
			removes = append(removes, p)
		case 6:
			a := pick(g, "n", "ss", "ns", "bs", "a", "m.n")
			adds = append(adds, x.dotted(a)+" "+x.value(g.addValue(a)))
		default:
			a := pick(g, "ss", "ns", "bs", "a")
			deletes = append(deletes, x.dotted(a)+" "+x.value(g.value(pick(g, "SS", "NS", "BS"), 0)))
		}
	}
	var clauses []string
	for _, c := range []struct {
		word  string
		parts []string
	}{{"SET", sets}, {"REMOVE", removes}, {"ADD", adds}, {"DELETE", deletes}} {
		if len(c.parts) > 0 {
			word := c.word
			if g.chance(10) {
				word = strings.ToLower(word)
			}
			clauses = append(clauses, word+" "+strings.Join(c.parts, pick(g, ", ", ",")))
		}
	}
	g.Shuffle(len(clauses), func(i, j int) { clauses[i], clauses[j] = clauses[j], clauses[i] })
	return strings.Join(clauses, " ")
}

func (x *expression) dotted(path string) string {
	parts := strings.Split(path, ".")
	for i, p := range parts {
		parts[i] = x.name(p)
	}
	return strings.Join(parts, ".")
}

func (g *gen) addValue(attribute string) object {
	switch attribute {
	case "n", "m.n":
		return n(pick(g, g.small(), g.small(), g.number()))
	case "ss", "ns", "bs":
		return g.value(typed[attribute], 0)
	default:
		return g.value(pick(g, "N", "SS", "NS"), 0)
	}
}

func (x *expression) setValue(path, base string) string {
	g := x.g
	switch g.IntN(10) {
	case 0:
		return "if_not_exists(" + path + ", " + x.value(g.valueFor(base)) + ")"
	case 1:
		return x.name("n") + pick(g, " + ", " - ", "+", "-") + x.value(n(pick(g, g.small(), g.number())))
	case 2:
		return "list_append(" + x.name(pick(g, "l", "l", "a")) + ", " + x.value(g.value("L", 2)) + ")"
	case 3:
		return "list_append(" + x.value(g.value("L", 2)) + ", if_not_exists(" + x.name("l") + ", " + x.value(object{"L": list{}}) + "))"
	case 4:
		p, _ := x.path()
		return p
	case 5:
		return "if_not_exists(" + x.name("n") + ", " + x.value(n("0")) + ")" + pick(g, " + ", " - ") + x.value(n(g.small()))
	case 6:
		return "(" + x.value(g.valueFor(base)) + ")"
	default:
		return x.value(g.valueFor(base))
	}
}

// projection writes a projection expression.
func (x *expression) projection() string {
	g := x.g
	parts := []string{}
	used := map[string]bool{}
	for range 1 + g.IntN(4) {
		p, base := x.path()
		if used[base] && !g.chance(10) {
			continue
		}
		used[base] = true
		parts = append(parts, p)
	}
	return strings.Join(parts, pick(g, ", ", ",", " , "))
}

// keyCondition writes a key condition of the table or of an index.
func (x *expression) keyCondition(t *shape, ix *index) string {
	g := x.g
	hash, rng := t.keysOf(ix)
	text := x.name(hash) + " = " + x.value(g.keyFor(t, hash))
	if g.chance(5) {
		text = x.value(g.keyFor(t, hash)) + " = " + x.name(hash)
	}
	if rng == "" || g.chance(40) {
		return text
	}
	typ := t.typeOf(rng)
	var second string
	switch g.IntN(4) {
	case 0:
		lo, hi := g.keyFor(t, rng), g.keyFor(t, rng)
		second = x.name(rng) + " BETWEEN " + x.value(lo) + " AND " + x.value(hi)
	case 1:
		if typ != "N" || g.chance(5) {
			second = "begins_with(" + x.name(rng) + ", " + x.value(g.keyFor(t, rng)) + ")"
			break
		}
		fallthrough
	default:
		second = x.name(rng) + " " + pick(g, "=", "<", "<=", ">", ">=") + " " + x.value(g.keyFor(t, rng))
	}
	if g.chance(20) {
		second = "(" + second + ")"
	}
	if g.chance(20) {
		return second + " AND " + text
	}
	return text + pick(g, " AND ", " and ") + second
}

// keyFor makes a value for a key attribute of the table or an index.
func (g *gen) keyFor(t *shape, key string) object {
	if key == t.hash || key == t.rng {
		return g.keyValue(t.types[key])
	}
	return g.value(typed[key], 0)
}

// reservedSome are some of the words that cannot be names.
var reservedSome = []string{"size", "name", "Name", "status", "COUNT", "hash", "key", "value", "user", "order", "set", "add", "between", "date"}

// broken writes an expression with a fault that can be seen without an item. kind
// is condition, update, projection or keyCondition.
func (x *expression) broken(text string) string {
	g := x.g
	words := strings.Fields(text)
	if len(words) == 0 {
		return ""
	}
	i := g.IntN(len(words))
	switch g.IntN(12) {
	case 0: // drop a word
		words = append(words[:i:i], words[i+1:]...)
	case 1: // a word twice
		words = append(words[:i+1:i+1], words[i:]...)
	case 2: // swap
		j := g.IntN(len(words))
		words[i], words[j] = words[j], words[i]
	case 3:
		words[i] = pick(g, reservedSome...)
	case 4:
		words[i] = pick(g, "!", "@x", "$", "%", "&&", "||", "==", "!=", "*", "/", "{", "}", "\"a\"", "'a'", ";", "a..b", "a[", "a[x]", "a[-1]", "a[1.5]", "..", "#", ":", "_a", "1a", "12", "é")
	case 5:
		words[i] = pick(g, ":undefined", "#undefined", "#undefined.a", "a.#undefined")
	case 6:
		return text + pick(g, " AND", " OR", ",", " )", "(", " =", " junk", " SET", " a = b", ".")
	case 7:
		return "((" + text + "))"
	case 8:
		return "(" + text
	case 9:
		words[i] = pick(g, "foo("+words[i]+")", "SIZE(a)", "Contains(a, b)", "size(a, b)", "attribute_exists(a, b)", "contains(a)", "size()", "if_not_exists(a, b)", "list_append(a, b)", "attribute_exists(:v0)", "begins_with(a, b, c)", "size(size(a))")
	case 10:
		at := g.IntN(len(text) + 1)
		return text[:at] + pick(g, "(", ")", ",", "=", "<", ">", "[", "]", ".", " ", "+", "-", "!", "\x00", "\t") + text[at:]
	default:
		at := g.IntN(len(text))
		return text[:at] + text[at+1:]
	}
	return strings.Join(words, " ")
}
