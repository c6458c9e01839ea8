package differences

import (
	"encoding/base64"
	"math/rand/v2"
	"strconv"
	"strings"
)

// gen makes the requests of one episode. Everything it does follows from its source
// of randomness.
type gen struct {
	*rand.Rand
	features Features
	episode  int
	tables   []*shape
	made     int // tables made so far, for their names
}

func newGen(seed uint64, episode int, features Features) *gen {
	return &gen{Rand: rand.New(rand.NewPCG(seed, uint64(episode))), features: features, episode: episode}
}

func (g *gen) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g *gen, of ...T) T { return of[g.IntN(len(of))] }

func s(text string) object { return object{"S": text} }
func n(text string) object { return object{"N": text} }
func b(bytes string) object {
	return object{"B": base64.StdEncoding.EncodeToString([]byte(bytes))}
}

// The attributes of items. Most keep one type, so that expressions find what they
// ask for; a, b and c take any.
var typed = map[string]string{
	"n": "N", "s": "S", "bin": "B", "l": "L", "m": "M", "ss": "SS", "ns": "NS", "bs": "BS", "flag": "BOOL", "nil": "NULL",
	"g1": "S", "g2": "N", "l1": "N", "expires": "N",
}

var attributes = []string{"a", "b", "c", "n", "s", "bin", "l", "m", "ss", "ns", "bs", "flag", "nil", "g1", "g2", "l1", "expires"}

// odd are attribute names that expressions can only write as placeholders.
var odd = []string{"x.y", "a-b", "naïve", "size", "Name", "_u", "1st", " "}

var numbers = []string{
	"0", "1", "2", "3", "-1", "-2", "10", "3.5", "0.5", "100", "1.0", "1e0", "+1", "007", "-0", "0.0",
	"99999999999999999999999999999999999999", "-99999999999999999999999999999999999999",
	"9.9999999999999999999999999999999999999E125", "-9.9999999999999999999999999999999999999E125",
	"1E-130", "-1E-130", "1E125", "0.1e126", "1234567890.0987654321", "1e3", "1000", "5.", ".5",
}

// badNumbers are refused, each with its text.
var badNumbers = []string{
	"", "abc", "1 ", " 1", "NaN", "Infinity", "0x10", "1_0", "1+2", "1.2.3", "1e", "e1", "--1", "١",
	"999999999999999999999999999999999999999", "1.00000000000000000000000000000000000001", "1E126", "-1E126", "1E-131", "-1E-131", "1e999", "1e-999",
	"12345678901234567890123456789012345678.9",
}

var words = []string{"", "a", "b", "c", "ab", "abc", "B", "é", "日本", "😀", "x y", "quo\"te", "it's", "new\nline", "zz"}

var byteStrings = []string{"", "a", "b", "ab", "\x00", "\xff", "\x00\x01", "abc"}

func (g *gen) text() string   { return pick(g, words...) }
func (g *gen) number() string { return pick(g, numbers...) }

// small is a number that sums stay exact with.
func (g *gen) small() string { return strconv.Itoa(g.IntN(7) - 2) }

// value makes an attribute value of a type; depth bounds what lies inside.
func (g *gen) value(typ string, depth int) object {
	switch typ {
	case "S":
		return s(g.text())
	case "N":
		if g.chance(70) {
			return n(g.small())
		}
		return n(g.number())
	case "B":
		return b(pick(g, byteStrings...))
	case "BOOL":
		return object{"BOOL": g.chance(50)}
	case "NULL":
		return object{"NULL": true}
	case "SS":
		return object{"SS": g.some(words, func(t string) any { return t })}
	case "NS":
		return object{"NS": g.some([]string{"0", "1", "2", "3.5", "-1", "1e2", "5.00"}, func(t string) any { return t })}
	case "BS":
		return object{"BS": g.some(byteStrings, func(t string) any { return b(t)["B"] })}
	case "L":
		out := list{}
		for range g.IntN(4) {
			out = append(out, g.anyValue(depth-1))
		}
		return object{"L": out}
	default:
		out := object{}
		for range g.IntN(4) {
			out[pick(g, "a", "b", "x", "y.z", "n")] = g.anyValue(depth - 1)
		}
		return object{"M": out}
	}
}

// some picks one to four different elements.
func (g *gen) some(of []string, make func(string) any) list {
	out := list{}
	for _, i := range g.Perm(len(of))[:1+g.IntN(min(4, len(of)))] {
		out = append(out, make(of[i]))
	}
	return out
}

var scalarTypes = []string{"S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS"}

func (g *gen) anyValue(depth int) object {
	if depth > 0 && g.chance(35) {
		return g.value(pick(g, "L", "M"), depth)
	}
	return g.value(pick(g, scalarTypes...), depth)
}

// valueFor makes a value that attribute may well have.
func (g *gen) valueFor(attribute string) object {
	if typ, ok := typed[attribute]; ok && g.chance(92) {
		return g.value(typ, 2)
	}
	return g.anyValue(3)
}

// keyValue picks from a few values of a key, so that requests meet.
func (g *gen) keyValue(typ string) object {
	switch typ {
	case "N":
		return n(pick(g, "0", "1", "2", "-1", "1.0", "10", "2.5", "1e1", "-1E-130", "99999999999999999999999999999999999999"))
	case "B":
		return b(pick(g, "a", "b", "\x00", "\xff", "ab"))
	default:
		return s(pick(g, "a", "b", "ab", "c", "é", "zz"))
	}
}

// badValue makes an attribute value that is refused; many rules of its inside are
// tested by themselves.
func (g *gen) badValue() any {
	return pick(g,
		func() any { return object{} },
		func() any { return object{"dog": "x"} },
		func() any { return object{"S": "a", "N": "1"} },
		func() any { return object{"S": "a", "N": "abc"} },
		func() any { return object{"NULL": false} },
		func() any { return object{"SS": list{}} },
		func() any { return object{"NS": list{}} },
		func() any { return object{"BS": list{}} },
		func() any { return object{"SS": list{"a", "b", "a"}} },
		func() any { return object{"NS": list{"1", "1.0"}} },
		func() any { return object{"BS": list{"Yg==", "YQ==", "Yg=="}} },
		func() any { return object{"NS": list{"1", pick(g, badNumbers...)}} },
		func() any { return n(pick(g, badNumbers...)) },
		func() any { return n(pick(g, badNumbers...)) },
		func() any { return object{"L": list{object{"N": pick(g, badNumbers...)}}} },
		func() any { return object{"M": object{"k": object{"NULL": false}}} },
		func() any { return object{"M": object{"": object{"S": "x"}}} },
		func() any { return object{"L": list{object{}}} },
		func() any { return nested(33) },
		func() any { return nested(40) },
	)()
}

// mistyped makes JSON that is of a wrong kind for an attribute value or a part of it.
func (g *gen) mistyped() any {
	return pick(g,
		func() any { return "text" },
		func() any { return 3 },
		func() any { return true },
		func() any { return list{} },
		func() any { return object{"S": 3} },
		func() any { return object{"S": 3.5} },
		func() any { return object{"S": true} },
		func() any { return object{"S": false} },
		func() any { return object{"S": list{}} },
		func() any { return object{"S": object{}} },
		func() any { return object{"N": 3} },
		func() any { return object{"N": list{"1"}} },
		func() any { return object{"B": 3} },
		func() any { return object{"B": true} },
		func() any { return object{"B": list{}} },
		func() any { return object{"B": object{}} },
		func() any { return object{"B": "abc"} },
		func() any { return object{"B": "ab=="} },
		func() any { return object{"B": "!!!!"} },
		func() any { return object{"BOOL": "maybe"} },
		func() any { return object{"BOOL": 1} },
		func() any { return object{"BOOL": 1.5} },
		func() any { return object{"BOOL": list{}} },
		func() any { return object{"BOOL": object{}} },
		func() any { return object{"BOOL": "true"} },
		func() any { return object{"NULL": "no"} },
		func() any { return object{"SS": "a"} },
		func() any { return object{"SS": object{}} },
		func() any { return object{"SS": list{1}} },
		func() any { return object{"NS": list{1}} },
		func() any { return object{"BS": list{"a"}} },
		func() any { return object{"BS": 3} },
		func() any { return object{"L": "a"} },
		func() any { return object{"L": object{}} },
		func() any { return object{"L": list{"a"}} },
		func() any { return object{"L": list{list{}}} },
		func() any { return object{"M": "a"} },
		func() any { return object{"M": list{}} },
		func() any { return object{"M": object{"k": 3}} },
		func() any { return object{"M": object{"k": list{}}} },
	)()
}

// nested returns a value that nests so many levels.
func nested(levels int) object {
	v := s("x")
	for range levels - 1 {
		v = object{"L": list{v}}
	}
	return v
}

// big returns a text of a length near a limit.
func (g *gen) big(limit int) string { return strings.Repeat("x", limit+g.IntN(3)-1) }

// item makes an item of a table, with whole keys.
func (g *gen) item(t *shape) object {
	it := g.key(t)
	for range g.IntN(7) {
		name := pick(g, attributes...)
		it[name] = g.valueFor(name)
	}
	if g.chance(10) {
		it[pick(g, odd...)] = g.anyValue(2)
	}
	if g.chance(85) { // an index key of a wrong type is refused
		for name, typ := range t.indexKeys() {
			if v, has := it[name]; has {
				if _, right := v.(object)[typ]; !right {
					delete(it, name)
				}
			}
		}
	}
	if g.chance(1) {
		it["big"] = s(strings.Repeat("y", pick(g, 1000, 4000, 30_000, 350_000)))
	}
	return it
}

func (g *gen) key(t *shape) object {
	k := object{t.hash: g.keyValue(t.types[t.hash])}
	if t.rng != "" {
		k[t.rng] = g.keyValue(t.types[t.rng])
	}
	return k
}

// badKey makes a key that does not fit the table.
func (g *gen) badKey(t *shape) object {
	k := g.key(t)
	name := t.hash
	if t.rng != "" && g.chance(50) {
		name = t.rng
	}
	switch g.IntN(9) {
	case 0:
		delete(k, name)
	case 1:
		k["extra"] = s("x")
	case 2:
		k[name] = g.value(pick(g, scalarTypes...), 0)
	case 3:
		delete(k, name)
		k["other"] = s("x")
	case 4:
		k[name] = object{t.types[name]: ""}
	case 5:
		k[name] = s(g.big(pick(g, 1024, 2048)))
	case 6:
		k[name] = b(g.big(pick(g, 1024, 2048)))
	case 7:
		return object{}
	default:
		return object{name: g.badValue()}
	}
	return k
}
