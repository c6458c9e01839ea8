package expr

import (
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/item"
)

// The sizes that were measured at AWS, one byte below and above the limit [1.07 T PS 10-07 H].
func TestChargeOfUpdates(t *testing.T) {
	text := func(n int) item.Value { return item.String(strings.Repeat("x", n)) }
	values := []item.Entry{
		{Name: ":v1", Value: text(1)}, {Name: ":v10", Value: text(10)}, {Name: ":one", Value: item.Number("1")},
		{Name: ":big", Value: item.Number("12345678901234567890")}, {Name: ":list", Value: item.List(text(10))}, {Name: ":empty", Value: item.List()},
		{Name: ":ns", Value: item.Set(item.NS, item.Number("1"), item.Number("22"), item.Number("333"))}, {Name: ":ss", Value: item.Set(item.SS, text(10))},
	}
	names := []Name{{Key: "#t", Attribute: "abcdefghij"}, {Key: "#e", Attribute: "€€"}}
	for src, want := range map[string]int{
		"SET b = :v1":                   3 + 19 + 1 + 1,
		"SET b = :v1, c = :v1":          3 + 2*(19+1+1),
		"ADD n :one":                    3 + 19 + 1 + 2,
		"ADD m.n :one":                  3 + 19 + 6 + 2,
		"REMOVE r":                      3 + 1 + 1,
		"REMOVE abcdefghij[1]":          3 + 1 + 15,
		"DELETE m.abc :ss":              3 + 1 + 8,
		"SET l[10] = :v10":              3 + 19 + 7 + 10,
		"SET l[0].x = :v10":             3 + 19 + 11 + 10,
		"SET m.#e = :v10":               3 + 19 + 11 + 10,
		"SET c = abcdefghij":            3 + 19 + 1 + 25,
		"SET c = #t":                    3 + 19 + 1 + 25,
		"SET c = m.a.z":                 3 + 19 + 1 + 46,
		"SET c = l[10]":                 3 + 19 + 1 + 32,
		"SET n = (n + :one)":            3 + 19 + 1 + 34 + 16 + 2,
		"SET n = n - :big":              3 + 19 + 1 + 37 + 16 + 11,
		"SET c = if_not_exists(c, :ns)": 3 + 19 + 1 + 39 + 16 + 7,
		"SET l = list_append(:list, l)": 3 + 19 + 1 + 37 + 14 + 16,
		"SET l = list_append(if_not_exists(l, :empty),:list)": 3 + 19 + 1 + 37 + (39 + 16 + 3) + 14,
		"SET c = :v10 ADD n :one REMOVE r DELETE ss :ss":      3 + (19 + 1 + 10) + (19 + 1 + 2) + (1 + 1) + (1 + 2),
	} {
		params, err := NewParams(names, values)
		if err != nil {
			t.Fatal(err)
		}
		u, err := ParseUpdate(src, params)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		if got := u.Charge(); got != want {
			t.Errorf("%s: %d, want %d", src, got, want)
		}
	}
}
