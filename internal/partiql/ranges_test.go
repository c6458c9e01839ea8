package partiql

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
)

// TestReadsFindWhatWhereAsksFor makes random conditions on keys, and holds what the reads
// of a plan find against the condition itself: every item that satisfies it, and once.
func TestReadsFindWhatWhereAsksFor(t *testing.T) {
	var items []item.Item
	for _, pk := range []string{"a", "b", "c"} {
		for sk := range 6 {
			items = append(items, item.NewItem([]item.Entry{
				{Name: "pk", Value: item.String(pk)}, {Name: "sk", Value: item.String(fmt.Sprint(sk))}, {Name: "n", Value: item.Number(fmt.Sprint(sk % 3))},
			}))
		}
	}
	outcomes := map[string]int{}
	for seed := range uint64(20_000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		where := randomWhere(rnd, 3)
		s, e := Parse(`SELECT * FROM "t" WHERE `+where, nil)
		if e != nil {
			t.Fatalf("%s: %v", where, e)
		}
		whole := s.condition([]expr.Term{s.joined()})
		var want []string
		for _, it := range items {
			if holds, e := whole.Eval(it); e != nil {
				t.Fatal(e)
			} else if holds {
				want = append(want, string(it))
			}
		}
		read, e := s.Plan(&keys)
		if e != nil {
			outcomes[e.Message]++
			continue
		}
		var got []string
		find := func(kc *expr.KeyCondition) {
			for _, it := range items {
				if kc != nil && slices.ContainsFunc(kc.Conditions, func(term expr.KeyTerm) bool { return !admits(&term, it) }) {
					continue
				}
				if holds, e := read.Filter.Eval(it); e != nil {
					t.Fatal(e)
				} else if holds {
					got = append(got, string(it))
				}
			}
		}
		for _, kc := range read.Queries {
			find(kc)
		}
		switch len(read.Queries) {
		case 0:
			find(nil)
			outcomes["scan"]++
		case 1:
			outcomes["query"]++
		default:
			outcomes["queries"]++
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %s finds %d items, want %d", seed, where, len(got), len(want))
		}
	}
	for _, outcome := range []string{"scan", "query", "queries", "Overlapping conditions with range keys are not supported in where clause"} {
		if outcomes[outcome] < 200 {
			t.Errorf("%q only %d times: %v", outcome, outcomes[outcome], outcomes)
		}
	}
}

// joined is all of WHERE as one term.
func (s *Statement) joined() expr.Term {
	terms := make([]expr.Term, len(s.where))
	for i := range s.where {
		terms[i] = s.where[i].term
	}
	return s.builder.And(terms...)
}

func randomWhere(rnd *rand.Rand, depth int) string {
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	if depth == 0 || rnd.IntN(4) == 0 {
		pk, sk := func() string { return "'" + pick("a", "b", "c") + "'" }, func() string { return fmt.Sprint("'", rnd.IntN(6), "'") }
		switch rnd.IntN(10) {
		case 0, 1, 2, 3:
			return "pk = " + pk()
		case 4:
			return "pk IN [" + pk() + ", " + pk() + "]"
		case 5:
			return "sk " + pick("=", "<", "<=", ">", ">=", "<>") + " " + sk()
		case 6:
			low := rnd.IntN(5)
			return fmt.Sprintf("sk BETWEEN '%d' AND '%d'", low, low+rnd.IntN(3))
		case 7:
			return "sk IN [" + sk() + ", " + sk() + "]"
		case 8:
			return "begins_with(sk, " + sk() + ")"
		}
		return "n " + pick("=", ">") + " " + pick("0", "1", "2")
	}
	var parts []string
	for range 2 + rnd.IntN(2) {
		part := randomWhere(rnd, depth-1)
		if rnd.IntN(8) == 0 {
			part = "NOT (" + part + ")"
		}
		parts = append(parts, "("+part+")")
	}
	return strings.Join(parts, pick(" AND ", " OR "))
}

// admits reports whether a condition on a key attribute holds of an item.
func admits(t *expr.KeyTerm, it item.Item) bool {
	v := it.Get(t.Attribute)
	c := item.Compare(v, t.Values[0])
	switch t.Op {
	case expr.KeyEQ:
		return c == 0
	case expr.KeyLT:
		return c < 0
	case expr.KeyLE:
		return c <= 0
	case expr.KeyGT:
		return c > 0
	case expr.KeyGE:
		return c >= 0
	case expr.KeyBetween:
		return c >= 0 && item.Compare(v, t.Values[1]) <= 0
	}
	return strings.HasPrefix(string(v.Bytes()), string(t.Values[0].Bytes()))
}
