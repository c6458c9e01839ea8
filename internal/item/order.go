package item

import (
	"bytes"
	"encoding/binary"
	"math/big"
	"slices"
)

// AWS keeps sets of numbers by value. Most operations show them so; the others show
// them in the order in which Java walks a HashSet of BigDecimals that was filled by
// value. Sets of strings and binaries are in the order of their bytes everywhere.

// AppendHashedJSON is AppendJSON with sets of numbers, at any depth, in Java's order.
func (it Item) AppendHashedJSON(dst []byte) []byte {
	if len(it) == 0 {
		return append(dst, "null"...)
	}
	return it.Map().appendFields(dst, true)
}

func appendNumbers(dst []byte, elements []Value) []byte {
	dst = append(dst, `{"NS":[`...)
	for i, element := range elements {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = element.AppendNumberText(dst)
		dst = append(dst, '"')
	}
	return append(dst, "]}"...)
}

// A HashSet doubles when three quarters of its buckets could be filled, and, while it is
// small, when one bucket holds more than eight.
const (
	firstBuckets = 16
	smallBuckets = 64
	fullBucket   = 8
)

// hashOrder returns the elements of an NS in Java's order.
func (v Value) hashOrder() []Value {
	elements := slices.Collect(v.Elements())
	hashes := make([]uint32, len(elements))
	buckets := firstBuckets
	filled := make([]int, buckets)
	bucket := func(i int) int { return int(hashes[i]) & (buckets - 1) }
	grow := func(upTo int) {
		buckets *= 2
		filled = make([]int, buckets)
		for i := range upTo {
			filled[bucket(i)]++
		}
	}
	for i := range elements {
		hashes[i] = elements[i].decimalHash()
		filled[bucket(i)]++
		if filled[bucket(i)] > fullBucket && buckets < smallBuckets {
			grow(i + 1)
		}
		if i+1 > buckets/4*3 {
			grow(i + 1)
		}
	}
	order := make([]int, len(elements))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return bucket(a) - bucket(b) })
	sorted := make([]Value, len(elements))
	for at, i := range order {
		sorted[at] = elements[i]
	}
	return sorted
}

// decimalHash is Java's hash of a BigDecimal without trailing zeros, as a HashMap
// spreads it.
func (v Value) decimalHash() uint32 {
	text := v.AppendNumberText(nil)
	negative := text[0] == '-'
	whole, fraction, _ := bytes.Cut(bytes.TrimPrefix(text, []byte("-")), []byte("."))
	digits := bytes.TrimRight(slices.Concat(whole, fraction), "0")
	scale := len(digits) - len(whole) // digits behind the point; below 0 before it
	unscaled, ok := new(big.Int).SetString(string(digits), 10)
	if !ok {
		return 0 // no digits: zero
	}
	var words [16]byte
	unscaled.FillBytes(words[:]) // 38 digits fit
	h := uint32(0)
	for i := 0; i < len(words); i += 4 {
		h = 31*h + binary.BigEndian.Uint32(words[i:])
	}
	if negative {
		h = -h
	}
	h = 31*h + uint32(int32(scale))
	return h ^ h>>16
}
