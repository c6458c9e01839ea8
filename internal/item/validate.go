package item

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxNameLen is the longest attribute name, in bytes.
const maxNameLen = 65535

// errCut is the error for bytes that end inside a value.
var errCut = errors.New("value ends early")

// Validate checks that bytes from disk or a fuzzer are a well-formed canonical
// item, so that the accessors cannot panic on them.
func (it Item) Validate() error {
	if len(it) == 0 {
		return errors.New("item: validate: no bytes")
	}
	if it[0] != ItemVersion {
		return fmt.Errorf("item: validate: version %d, want %d", it[0], ItemVersion)
	}
	if len(it) == 1 || Type(it[1]) != M {
		return errors.New("item: validate: not a map")
	}
	return checkWhole(it[1:], 0)
}

// Validate checks that the bytes are one well-formed canonical value.
func (v Value) Validate() error { return checkWhole(v, 1) }

func checkWhole(b []byte, level int) error {
	n, err := checkValue(b, level)
	if err == nil && n != len(b) {
		err = fmt.Errorf("%d bytes after the value", len(b)-n)
	}
	if err != nil {
		return fmt.Errorf("item: validate: %w", err)
	}
	return nil
}

// checkValue checks the value at the front of b and returns its length. level
// is its nesting level; an item's attributes are at level 1.
func checkValue(b []byte, level int) (int, error) {
	if level > MaxDepth {
		return 0, fmt.Errorf("more than %d levels", MaxDepth)
	}
	if len(b) == 0 {
		return 0, errCut
	}
	t := Type(b[0])
	switch t {
	case N:
		n, err := checkNumber(b[1:])
		return 1 + n, err
	case NULL:
		return 1, nil
	case BOOL:
		if len(b) < 2 {
			return 0, errCut
		}
		if b[1] > 1 {
			return 0, fmt.Errorf("BOOL is %d", b[1])
		}
		return 2, nil
	case S, B, SS, NS, BS, L, M:
	default:
		return 0, fmt.Errorf("tag %d is no type", b[0])
	}

	length, k, err := checkUvarint(b[1:])
	if err != nil {
		return 0, err
	}
	at := 1 + k
	if length > len(b)-at {
		return 0, errCut
	}
	end := at + length
	payload := b[at:end]
	switch t {
	case S:
		if !utf8.Valid(payload) {
			return 0, errors.New("S is not UTF-8")
		}
	case B:
	case M:
		err = checkEntries(payload, level)
	default:
		err = checkElements(t, payload, level)
	}
	return end, err
}

func checkElements(t Type, b []byte, level int) error {
	count, k, err := checkUvarint(b)
	if err != nil {
		return err
	}
	b = b[k:]
	if t != L {
		if count == 0 {
			return errors.New("set is empty")
		}
		level = 0 // its elements are no level of their own
	}
	var previous Value
	found := 0
	for ; len(b) > 0; found++ {
		if t != L && Type(b[0]) != t.Element() {
			return fmt.Errorf("%s has an element with tag %d", t, b[0])
		}
		n, err := checkValue(b, level+1)
		if err != nil {
			return err
		}
		element := Value(b[:n])
		if t != L {
			if found > 0 && Compare(previous, element) >= 0 {
				return fmt.Errorf("%s is not in order", t)
			}
			previous = element
		}
		b = b[n:]
	}
	if found != count {
		return fmt.Errorf("%s has %d elements, its count is %d", t, found, count)
	}
	return nil
}

func checkEntries(b []byte, level int) error {
	count, k, err := checkUvarint(b)
	if err != nil {
		return err
	}
	b = b[k:]
	var previous []byte
	found := 0
	for ; len(b) > 0; found++ {
		length, k, err := checkUvarint(b)
		if err != nil {
			return err
		}
		b = b[k:]
		if length > len(b) {
			return errCut
		}
		name := b[:length]
		switch {
		case length == 0 || length > maxNameLen:
			return fmt.Errorf("name of %d bytes", length)
		case !utf8.Valid(name):
			return errors.New("name is not UTF-8")
		case found > 0 && bytes.Compare(previous, name) >= 0:
			return errors.New("names are not in order")
		}
		previous = name
		n, err := checkValue(b[length:], level+1)
		if err != nil {
			return err
		}
		b = b[length+n:]
	}
	if found != count {
		return fmt.Errorf("M has %d entries, its count is %d", found, count)
	}
	return nil
}

// checkUvarint reads a varint, which must be the shortest of its value.
func checkUvarint(b []byte) (n, length int, err error) {
	u, k := binary.Uvarint(b)
	if k <= 0 {
		return 0, 0, errCut
	}
	if u > 1<<31 || uvarintLen(int(u)) != k {
		return 0, 0, errors.New("length is not in its shortest form")
	}
	return int(u), k, nil
}

// checkNumber checks the number form at the front of b and returns its length.
func checkNumber(b []byte) (int, error) {
	if len(b) < 2 {
		return 0, errCut
	}
	var flip byte
	if b[0] < numberZero {
		flip = 0xFF
	}
	n := 0 // base-100 digits
	for ; ; n++ {
		if n > maxPairs || 1+n >= len(b) {
			return 0, errors.New("number does not end")
		}
		d := b[1+n] ^ flip
		if d == 0 {
			break
		}
		if d > 100 {
			return 0, fmt.Errorf("number has digit %d", d)
		}
	}
	if n == 0 {
		if b[0] != numberZero {
			return 0, errors.New("number has no digits")
		}
		return 2, nil
	}
	first, last := b[1]^flip-1, b[n]^flip-1
	if first == 0 || last == 0 {
		return 0, errors.New("number has zeros around it")
	}
	decimals := 2 * n
	if first < 10 {
		decimals--
	}
	if last%10 == 0 {
		decimals--
	}
	if decimals > maxDigits {
		return 0, fmt.Errorf("number has %d digits", decimals)
	}
	return n + 2, nil
}
