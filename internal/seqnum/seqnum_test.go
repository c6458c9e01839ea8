package seqnum

import (
	"bytes"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func gen(t *rapid.T, label string) Num {
	return Num{rapid.Uint64().Draw(t, label+"hi"), rapid.Uint64().Draw(t, label+"lo")}
}

func (n Num) big() *big.Int {
	b := new(big.Int).SetUint64(n.Hi)
	b.Lsh(b, 64)
	return b.Or(b, new(big.Int).SetUint64(n.Lo))
}

func TestDecimalAndOrderAgreeWithBigIntegers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := gen(t, "a"), gen(t, "b")
		if a.String() != a.big().String() {
			t.Fatalf("%v: decimal %s, want %s", a, a, a.big())
		}
		back, err := Parse(a.String())
		if err != nil || back != a {
			t.Fatalf("Parse(%s) = %v, %v", a, back, err)
		}
		want := a.big().Cmp(b.big())
		if a.Compare(b) != want || a.Less(b) != (want < 0) ||
			bytes.Compare(a.Append(nil), b.Append(nil)) != want {
			t.Fatalf("order of %s and %s: want %d", a, b, want)
		}
		if FromBytes(a.Append(nil)) != a {
			t.Fatal("binary form does not read back")
		}
		if a != Max && (a.Next().Prev() != a || !a.Less(a.Next())) {
			t.Fatalf("Next/Prev of %s", a)
		}
	})
}

func TestParseRefusesWhatIsNoNumber(t *testing.T) {
	for _, s := range []string{"", "x", "-1", "+1", "1 ", "1e3", "12345678901234567890123456789012345678901"} {
		if n, err := Parse(s); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", s, n)
		}
	}
	if n, err := Parse("9999999999999999999999999999999999999999"); err != nil || n != Max {
		t.Errorf("40 digits: %v, %v, want Max", n, err)
	}
}
