package item

import (
	"bytes"
	"math"
	"strconv"

	"github.com/millstreamdb/millstream/internal/awserr"
)

// Bounds of the number form (see the package documentation).
const (
	maxDigits    = 38   // significant decimal digits
	maxExponent  = 125  // of the first digit, in scientific notation
	minExponent  = -130 // likewise
	maxPairs     = 20   // base-100 digits: 38 decimal digits that straddle pairs
	exponentBias = 64
	numberZero   = 0x80 // first byte of zero; that of a positive number is not below it
)

// ParseNumber reads DynamoDB's number grammar into an N value. The error is the
// ValidationException with AWS's text.
func ParseNumber(text []byte) (Value, *awserr.Error) {
	v, err := AppendNumber(nil, text)
	if err != nil {
		return nil, err
	}
	return v, nil
}

// AppendNumber is ParseNumber into a buffer; dst is returned unchanged with an
// error.
func AppendNumber(dst []byte, text []byte) ([]byte, *awserr.Error) {
	return appendNumber(dst, text, awserr.Older)
}

// appendNumber is AppendNumber with the errors of a layer.
func appendNumber(dst []byte, text []byte, layer awserr.Layer) ([]byte, *awserr.Error) {
	if len(text) == 0 {
		return dst, layer.NumberEmpty()
	}
	i := 0
	negative := text[0] == '-'
	if negative || text[0] == '+' {
		i++
	}

	// The digits from the first to the last that is not 0; zeros on either side
	// only move the point. Positions past the buffer are counted, not kept.
	var digits [maxDigits]byte
	var before, after int // digits before and after the point
	var kept, last int    // positions since the first non-zero digit; up to the last one
	point := false
	for ; i < len(text); i++ {
		c := text[i] - '0'
		if c > 9 {
			if text[i] == '.' && !point {
				point = true
				continue
			}
			break
		}
		if point {
			after++
		} else {
			before++
		}
		if c != 0 || kept > 0 {
			if kept < maxDigits {
				digits[kept] = c
			}
			kept++
			if c != 0 {
				last = kept
			}
		}
	}
	if before+after == 0 {
		return dst, awserr.NumberMalformed(text)
	}
	exponent := 0
	if i < len(text) {
		var ok bool
		if exponent, ok = parseExponent(text[i:]); !ok || layer == awserr.Older && !fitsScale(exponent, after) {
			return dst, awserr.NumberMalformed(text)
		}
	}

	// scientific is the power of ten of the first significant digit. Zero has
	// none; AWS then goes by its last digit, so that 0e126 is refused while
	// 0.0e126 is not.
	scientific := exponent - after
	if kept > 0 {
		scientific += kept - 1
	}
	if layer == awserr.Older && scientific >= math.MaxInt32 {
		scientific = math.MinInt32 // the older layer counts in 32 bits, and passes their end
	}
	switch {
	case scientific > maxExponent:
		return dst, awserr.NumberOverflow()
	case scientific < minExponent:
		return dst, awserr.NumberUnderflow()
	case last > maxDigits:
		return dst, awserr.NumberTooPrecise()
	case kept == 0:
		return append(dst, byte(N), numberZero, 0), nil
	}

	// The value is 0.digits × 10^(scientific+1).
	power := scientific + 1
	var flip byte
	if negative {
		flip = 0xFF
	}
	dst = append(dst, byte(N), byte(numberZero+(power+1)>>1+exponentBias)^flip)
	k := 0
	if power&1 != 0 { // the first digit stands alone in its pair
		dst = append(dst, (digits[0]+1)^flip)
		k = 1
	}
	for ; k < last; k += 2 {
		pair := digits[k] * 10
		if k+1 < last {
			pair += digits[k+1]
		}
		dst = append(dst, (pair+1)^flip)
	}
	return append(dst, flip), nil
}

// parseExponent reads e or E, a sign and digits to the end of text. ok is false for
// other text, and for a number that does not fit 64 bits. An exponent past any length
// of text that could bring the number back into range is cut short.
func parseExponent(text []byte) (exponent int, ok bool) {
	const far = 1 << 40
	if text[0] != 'e' && text[0] != 'E' {
		return 0, false
	}
	e, err := strconv.ParseInt(string(text[1:]), 10, 64)
	if err != nil {
		return 0, false
	}
	return int(min(max(e, -far), far)), true
}

// fitsScale reports whether the older layer can hold an exponent, and the scale that
// it makes of it and of the digits after the point, in 32 bits each.
func fitsScale(exponent, after int) bool {
	scale := after - exponent
	return exponent == int(int32(exponent)) && scale == int(int32(scale))
}

// numberLen returns the length of the number form at the front of b.
func numberLen(b []byte) int {
	var end byte
	if b[0] < numberZero {
		end = 0xFF
	}
	return bytes.IndexByte(b[1:], end) + 2
}

// mantissa takes a number form apart: the base-100 digits as stored, what to
// XOR them with, and the exponent.
func (v Value) mantissa() (digits []byte, flip byte, exponent int) {
	if v[1] < numberZero {
		flip = 0xFF
	}
	return v[2 : len(v)-1], flip, int((v[1]^flip)&0x7F) - exponentBias
}

const pairText = "00010203040506070809" +
	"10111213141516171819" +
	"20212223242526272829" +
	"30313233343536373839" +
	"40414243444546474849" +
	"50515253545556575859" +
	"60616263646566676869" +
	"70717273747576777879" +
	"80818283848586878889" +
	"90919293949596979899"

const zeros = "0000000000000000000000000000000000000000000000000000000000000000" +
	"0000000000000000000000000000000000000000000000000000000000000000"

// AppendNumberText appends the canonical plain decimal text of an N: no
// exponent, no needless zeros, no plus sign. It is at most 172 bytes.
func (v Value) AppendNumberText(dst []byte) []byte {
	if v.Type() != N {
		return dst
	}
	digits, flip, exponent := v.mantissa()
	if len(digits) == 0 {
		return append(dst, '0')
	}
	if flip != 0 {
		dst = append(dst, '-')
	}
	whole := min(max(exponent, 0), len(digits)) // pairs before the point
	if whole == 0 {
		dst = append(dst, "0."...)
		dst = append(dst, zeros[:-2*exponent]...)
	}
	for i, d := range digits {
		pair := 2 * int(d^flip-1)
		text := pairText[pair : pair+2]
		if i == 0 && whole > 0 && text[0] == '0' {
			text = text[1:]
		}
		if i > 0 && i == whole {
			dst = append(dst, '.')
		}
		if i >= whole && i == len(digits)-1 && text[1] == '0' {
			text = text[:1]
		}
		dst = append(dst, text...)
	}
	if exponent > len(digits) {
		dst = append(dst, zeros[:2*(exponent-len(digits))]...)
	}
	return dst
}

// NumberFromInt returns the N of i.
func NumberFromInt(i int64) Value {
	var text [20]byte
	v, _ := AppendNumber(make([]byte, 0, 13), strconv.AppendInt(text[:0], i, 10)) // 19 digits always fit
	return v
}

// Int64 returns the integer part (rounded towards zero) of an N when it fits;
// ok reports that it does.
func (v Value) Int64() (i int64, ok bool) {
	if v.Type() != N {
		return 0, false
	}
	digits, flip, exponent := v.mantissa()
	if exponent > 10 {
		return 0, false
	}
	limit := uint64(1<<63 - 1)
	if flip != 0 {
		limit++
	}
	var u uint64
	for k := range max(exponent, 0) {
		var d uint64
		if k < len(digits) {
			d = uint64(digits[k]^flip) - 1
		}
		if u > (limit-d)/100 {
			return 0, false
		}
		u = u*100 + d
	}
	if flip != 0 {
		u = -u
	}
	return int64(u), true
}

// Add returns a + b of two N, exactly. A result of more than 38 digits or out
// of range is a ValidationException.
func Add(a, b Value) (Value, *awserr.Error) { return sum(a, b, 1) }

// Sub returns a - b; see Add.
func Sub(a, b Value) (Value, *awserr.Error) { return sum(a, b, -1) }

// sum returns a + sign*b. It adds in fixed point: a column for every power of
// 100 that an operand's digit can have, and one for the carry.
func sum(a, b Value, sign int16) (Value, *awserr.Error) {
	const columns = 1 + 2*exponentBias + maxPairs
	var col [columns]int16
	a.addTo(&col, 1)
	b.addTo(&col, sign)

	first := 0
	for first < columns && col[first] == 0 {
		first++
	}
	if first == columns {
		return Value{byte(N), numberZero, 0}, nil
	}
	// All that follows the first column weighs less than 1 of it (either all
	// columns have one sign, or none exceeds 99), so its sign is the sum's.
	var flip byte
	if col[first] < 0 {
		flip = 0xFF
		for i := range col {
			col[i] = -col[i]
		}
	}
	var carry int16
	for i := columns - 1; i >= 0; i-- {
		c := col[i] + carry
		carry = 0
		if c < 0 {
			c, carry = c+100, -1
		} else if c >= 100 {
			c, carry = c-100, 1
		}
		col[i] = c
	}
	for first = 0; col[first] == 0; first++ {
	}
	last := columns - 1
	for ; col[last] == 0; last-- {
	}
	n := 2 * (last - first + 1)
	if col[first] < 10 {
		n--
	}
	if col[last]%10 == 0 {
		n--
	}
	exponent := exponentBias - first
	switch {
	case exponent >= exponentBias || n > maxDigits:
		return nil, awserr.NumberOverflow() // AWS's text for lost digits, too
	case exponent < -exponentBias:
		return nil, awserr.NumberUnderflow()
	}
	v := make(Value, 0, 4+last-first)
	v = append(v, byte(N), byte(numberZero+exponent+exponentBias)^flip)
	for _, c := range col[first : last+1] {
		v = append(v, byte(c+1)^flip)
	}
	return append(v, flip), nil
}

// addTo adds sign*v into columns. Column 0 is the carry's, 1 has weight 100^62.
func (v Value) addTo(col *[1 + 2*exponentBias + maxPairs]int16, sign int16) {
	digits, flip, exponent := v.mantissa()
	if flip != 0 {
		sign = -sign
	}
	for i, d := range digits {
		col[exponentBias-exponent+i] += sign * (int16(d^flip) - 1)
	}
}
