package item

import (
	"bytes"
	"math"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"github.com/millstreamdb/millstream/internal/awserr"
	"pgregory.net/rapid"
)

const (
	textEmpty     = "The parameter cannot be converted to a numeric value"
	textPrecision = "Attempting to store more than 38 significant digits in a Number"
	textOverflow  = "Number overflow. Attempting to store a number with magnitude larger than supported range"
	textUnderflow = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
)

func message(err *awserr.Error) string {
	if err == nil {
		return ""
	}
	return err.Message
}

func TestNumberText(t *testing.T) {
	nines := strings.Repeat("9", 38)
	for in, want := range map[string]string{
		"0": "0", "-0": "0", "+0.000": "0", "0.0e126": "0", "00": "0",
		"1": "1", "+1": "1", "-1": "-1", "007": "7", "1.0": "1", "1.": "1", ".5": "0.5", "-.50": "-0.5",
		"10": "10", "100": "100", "1000": "1000", "1e3": "1000", "1E+3": "1000", "+1000.0": "1000",
		"12.34": "12.34", "123.4": "123.4", "0.01": "0.01", "0.001": "0.001", "1e-3": "0.001", "1234567890": "1234567890",
		"99.99": "99.99", "-100.001": "-100.001", "9.90": "9.9",
		"1e125":                         "1" + strings.Repeat("0", 125),
		"1e-130":                        "0." + strings.Repeat("0", 129) + "1",
		"0.1e126":                       "1" + strings.Repeat("0", 125),
		"10e-131":                       "0." + strings.Repeat("0", 129) + "1",
		nines + "e88":                   nines + strings.Repeat("0", 88),
		"0." + nines:                    "0." + nines,
		"1" + strings.Repeat("0", 100):  "1" + strings.Repeat("0", 100),
		strings.Repeat("0", 1000) + "1": "1",
		"0." + strings.Repeat("0", 1000) + "12e1000":          "0.12",
		"1." + strings.Repeat("0", 1000):                      "1",
		"5" + strings.Repeat("0", 1000) + "e-1000":            "5",
		"1234567890123456789012345678901234567.8":             "1234567890123456789012345678901234567.8",
		"12345678901234567890.123456789012345678":             "12345678901234567890.123456789012345678",
		"-0.00000000000000000000000000000000000001234567e-80": "-0." + strings.Repeat("0", 117) + "1234567",
	} {
		v, err := ParseNumber([]byte(in))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := string(v.AppendNumberText(nil)); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
}

func TestNumberErrors(t *testing.T) {
	digits39 := strings.Repeat("1", 39)
	const malformed = ""
	for _, row := range []struct{ in, older, current string }{
		{"", textEmpty, textEmpty + ": "},
		{"0e126", textOverflow, textOverflow},
		{"0e-131", textUnderflow, textUnderflow},
		{"1e126", textOverflow, textOverflow},
		{"-1e126", textOverflow, textOverflow},
		{"10e125", textOverflow, textOverflow},
		{"1e-131", textUnderflow, textUnderflow},
		{"0.1e-130", textUnderflow, textUnderflow},
		{"1e2147483646", textOverflow, textOverflow},
		{"1e2147483647", textUnderflow, textOverflow},
		{"-1e2147483647", textUnderflow, textOverflow},
		{"1e2147483648", malformed, textOverflow},
		{"0.1e2147483648", malformed, textOverflow},
		{"1e-2147483647", textUnderflow, textUnderflow},
		{"1e-2147483648", malformed, textUnderflow},
		{"-1e99999999999", malformed, textOverflow},
		{"1e-99999999999", malformed, textUnderflow},
		{"1e9223372036854775807", malformed, textOverflow},
		{"1e-9223372036854775808", malformed, textUnderflow},
		{"1e9223372036854775808", malformed, malformed},
		{"1e-9223372036854775809", malformed, malformed},
		{digits39, textPrecision, textPrecision},
		{"1" + strings.Repeat("0", 37) + "1", textPrecision, textPrecision},
		{"0." + digits39, textPrecision, textPrecision},
		{digits39 + "e100", textOverflow, textOverflow},
	} {
		for layer, want := range map[awserr.Layer]string{awserr.Older: row.older, awserr.Current: row.current} {
			if want == malformed {
				want = textEmpty + ": " + row.in
			}
			if _, err := appendNumber(nil, []byte(row.in), layer); message(err) != want {
				t.Errorf("%q in layer %d: %v, want %s", row.in, layer, err, want)
			}
		}
	}
	for _, in := range []string{" ", " 1", "1 ", "a", "+", "-", ".", "-.", "e1", ".e1", "1e", "1e+", "1e1.0", "1..2", "1.2.3", "1+2", "--1", "+-1",
		"NaN", "Infinity", "-inf", "0x10", "1_000", "1,5", "1e1e1", "١"} {
		v, err := ParseNumber([]byte(in))
		if want := textEmpty + ": " + in; message(err) != want || err.Code != "ValidationException" || v != nil {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
}

// exact reads a number of the grammar's outline with apd.
func exact(text string) *apd.Decimal {
	d, _, err := apd.NewFromString(text)
	if err != nil {
		return nil
	}
	return d
}

var grammar = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// verdict says by apd what ParseNumber must answer for text.
func verdict(text string) (want string, value *apd.Decimal) {
	if text == "" {
		return textEmpty, nil
	}
	if !grammar.MatchString(text) {
		return textEmpty + ": " + text, nil
	}
	d := exact(text)
	if d == nil { // an exponent beyond apd's 100,000
		if strings.ContainsAny(text[1:], "-") {
			return textUnderflow, nil
		}
		return textOverflow, nil
	}
	if d.IsZero() {
		switch {
		case d.Exponent > 125:
			return textOverflow, nil
		case d.Exponent < -130:
			return textUnderflow, nil
		}
		return "", d
	}
	d.Reduce(d)
	scientific := int64(d.Exponent) + d.NumDigits() - 1
	switch {
	case scientific > 125:
		return textOverflow, nil
	case scientific < -130:
		return textUnderflow, nil
	case d.NumDigits() > 38:
		return textPrecision, nil
	}
	return "", d
}

func checkNumberText(t interface{ Fatalf(string, ...any) }, text string) {
	want, d := verdict(text)
	v, err := ParseNumber([]byte(text))
	if message(err) != want {
		t.Fatalf("%q: %v, want %q", text, err, want)
	}
	if d == nil {
		return
	}
	if n, err := checkNumber(v[1:]); err != nil || 1+n != len(v) {
		t.Fatalf("%q: form %x: %v", text, v, err)
	}
	out := string(v.AppendNumberText(nil))
	if back := exact(out); back.Cmp(d) != 0 {
		t.Fatalf("%q is %s", text, out)
	}
	if !regexp.MustCompile(`^(0|-?([1-9][0-9]*|0\.[0-9]*[1-9]|[1-9][0-9]*\.[0-9]*[1-9]))$`).MatchString(out) {
		t.Fatalf("%q is not canonical: %s", text, out)
	}
	if again := Number(out); !bytes.Equal(again, v) {
		t.Fatalf("%q is %x, again %x", text, v, again)
	}
}

func TestNumberAgreesWithDecimals(t *testing.T) {
	text := rapid.OneOf(
		rapid.StringMatching(`[+-]?[0-9]{0,45}(\.[0-9]{0,45})?([eE][+-]?[0-9]{1,3})?`),
		rapid.StringMatching(`[+-]?0{0,5}[1-9]{1,3}0{0,40}[1-9]?0{0,5}(\.0{0,140}[0-9]{0,2})?(e-?1[23][0-9])?`),
		rapid.StringMatching(`[+\-0-9.eE ]{0,8}`),
	)
	rapid.Check(t, func(t *rapid.T) { checkNumberText(t, text.Draw(t, "text")) })
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"", "0", "-1.5e3", "1e125", "1e-130", "0e126", ".5", "5.", "+", "123456789012345678901234567890123456789"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		// Exponents that apd cannot hold are the table's business.
		if i := strings.IndexAny(text, "eE"); i >= 0 && len(text)-i > 6 || len(text) > 2000 {
			return
		}
		checkNumberText(t, text)
	})
}

func TestAddAndSubAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawNumber(t), drawNumber(t)
		if rapid.Bool().Draw(t, "close") { // cancel most digits
			b = model{t: N, text: string(a.build().AppendNumberText(nil))}
			if i := len(b.text) - 1; b.text[i] >= '1' {
				b.text = b.text[:i] + string(rapid.ByteRange('0', '9').Draw(t, "digit"))
			}
		}
		if x, _ := verdict(b.text); x != "" {
			return
		}
		check := func(op string, got Value, err *awserr.Error, want *big.Rat) {
			text := strings.TrimRight(want.FloatString(200), "0") // exact: no operand has more decimals
			why, d := verdict(text)
			if d == nil {
				if why == textPrecision {
					why = textOverflow
				}
				if message(err) != why || got != nil {
					t.Fatalf("%s %s %s = %x, %v; want %s", a.text, op, b.text, got, err, why)
				}
				return
			}
			if err != nil || !Equal(got, Number(text)) {
				t.Fatalf("%s %s %s = %s, %v; want %s", a.text, op, b.text, got.AppendNumberText(nil), err, text)
			}
		}
		got, err := Add(a.build(), b.build())
		check("+", got, err, new(big.Rat).Add(a.number(), b.number()))
		got, err = Sub(a.build(), b.build())
		check("-", got, err, new(big.Rat).Sub(a.number(), b.number()))
	})
}

func TestSumsOutOfRange(t *testing.T) {
	nines := strings.Repeat("9", 38) + "e88"
	for _, c := range []struct{ a, b, want string }{
		{"1e50", "1", textOverflow},
		{"1e38", "1", textOverflow}, // 39 digits
		{"1e37", "0.1", textOverflow},
		{"9e125", "9e125", textOverflow},
		{nines, "1e88", textOverflow},
		{"-" + nines, "-1e88", textOverflow},
		{"1.1e-130", "-1e-130", textUnderflow},
	} {
		if v, err := Add(Number(c.a), Number(c.b)); message(err) != c.want || v != nil {
			t.Errorf("%s + %s = %x, %v; want %s", c.a, c.b, v, err, c.want)
		}
	}
}

func TestSumOf38Digits(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"1e37", "1", "1" + strings.Repeat("0", 36) + "1"},
		{"1e36", "0.1", "1" + strings.Repeat("0", 36) + ".1"},
		{strings.Repeat("9", 38), "1", "1" + strings.Repeat("0", 38)},
	} {
		if v, err := Add(Number(c.a), Number(c.b)); err != nil || string(v.AppendNumberText(nil)) != c.want {
			t.Errorf("%s + %s = %s, %v; want %s", c.a, c.b, v.AppendNumberText(nil), err, c.want)
		}
	}
}

func TestInt64(t *testing.T) {
	for _, i := range []int64{0, 1, -1, 9, 10, 99, 100, -100, 123456789, 1e18, math.MaxInt64, math.MinInt64, math.MinInt64 + 1} {
		if got, ok := NumberFromInt(i).Int64(); got != i || !ok {
			t.Errorf("%d is %d, %v", i, got, ok)
		}
	}
	for text, want := range map[string]int64{"1.9": 1, "-1.9": -1, "0.5": 0, "1e-130": 0, "-99.99": -99, "1.2e3": 1200} {
		if got, ok := Number(text).Int64(); got != want || !ok {
			t.Errorf("%s is %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"9223372036854775808", "-9223372036854775809", "1e19", "1e20", "18446744073709551616", "-1e125"} {
		if got, ok := Number(text).Int64(); ok {
			t.Errorf("%s is %d", text, got)
		}
	}
	if _, ok := String("1").Int64(); ok {
		t.Error("an S has an Int64")
	}
}
