// Package seqnum holds the sequence number of a stream record: a 128-bit
// unsigned integer, written as a decimal string of 26 digits or more.
//
// The high half is the incarnation (it rises at every open of a database), the
// low half a counter. Numbers of one shard lineage compare by commit order;
// numbers of unrelated shards do not compare.
//
// It imports nothing of the project, so that streams, triggers and clients of
// other engines share one form.
package seqnum

import (
	"encoding/binary"
	"errors"
	"math/big"
	"math/bits"
	"strconv"
)

// Num is a sequence number. The zero Num lies before every record.
type Num struct{ Hi, Lo uint64 }

// Max lies after every record.
var Max = Num{^uint64(0), ^uint64(0)}

// Size is the length in bytes of the binary form, whose byte order is the
// numeric order.
const Size = 16

// Compare returns -1, 0 or +1.
func (n Num) Compare(m Num) int {
	switch {
	case n.Hi < m.Hi, n.Hi == m.Hi && n.Lo < m.Lo:
		return -1
	case n == m:
		return 0
	}
	return 1
}

// Less reports whether n comes before m.
func (n Num) Less(m Num) bool { return n.Hi < m.Hi || n.Hi == m.Hi && n.Lo < m.Lo }

// IsZero reports whether n lies before every record.
func (n Num) IsZero() bool { return n == Num{} }

// Next returns n+1.
func (n Num) Next() Num {
	lo, carry := bits.Add64(n.Lo, 1, 0)
	return Num{n.Hi + carry, lo}
}

// Prev returns n-1; Prev of zero is zero.
func (n Num) Prev() Num {
	if n.IsZero() {
		return n
	}
	lo, borrow := bits.Sub64(n.Lo, 1, 0)
	return Num{n.Hi - borrow, lo}
}

// Append appends the binary form.
func (n Num) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, n.Hi)
	return binary.BigEndian.AppendUint64(dst, n.Lo)
}

// Put writes the binary form into dst, which has at least Size bytes.
func (n Num) Put(dst []byte) {
	binary.BigEndian.PutUint64(dst, n.Hi)
	binary.BigEndian.PutUint64(dst[8:], n.Lo)
}

// FromBytes reads a binary form of at least Size bytes.
func FromBytes(b []byte) Num {
	return Num{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

const pow19 = 1e19

// AppendDecimal appends the decimal form without leading zeros.
func (n Num) AppendDecimal(dst []byte) []byte {
	// Split into three groups of 19 digits by long division.
	q1, r0 := bits.Div64(n.Hi%pow19, n.Lo, pow19)
	top := n.Hi / pow19 // 0 or 1
	q, r1 := bits.Div64(top, q1, pow19)
	if q == 0 {
		if r1 == 0 {
			return strconv.AppendUint(dst, r0, 10)
		}
		return appendGroup(strconv.AppendUint(dst, r1, 10), r0)
	}
	return appendGroup(appendGroup(strconv.AppendUint(dst, q, 10), r1), r0)
}

// appendGroup appends v, which is below 10^19, as 19 digits.
func appendGroup(dst []byte, v uint64) []byte {
	var text [20]byte
	digits := strconv.AppendUint(text[:0], v, 10)
	const zeros = "0000000000000000000"
	return append(append(dst, zeros[len(digits):]...), digits...)
}

// String returns the decimal form.
func (n Num) String() string { return string(n.AppendDecimal(nil)) }

// ErrSyntax means that a text is no sequence number.
var ErrSyntax = errors.New("seqnum: not a sequence number: want up to 39 decimal digits")

// Parse reads a decimal form. Texts of 40 digits, which AWS allows but no
// known service sends, and numbers past 2^128-1 give Max, so that they still
// compare as "after every record".
func Parse(s string) (Num, error) {
	if s == "" || len(s) > 40 {
		return Num{}, ErrSyntax
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return Num{}, ErrSyntax
		}
	}
	b, _ := new(big.Int).SetString(s, 10)
	if b.BitLen() > 128 {
		return Max, nil
	}
	var raw [Size]byte
	b.FillBytes(raw[:])
	return FromBytes(raw[:]), nil
}
