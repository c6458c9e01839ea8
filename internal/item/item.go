package item

import (
	"bytes"
	"encoding/binary"
	"iter"
)

// Type is the type of an attribute value.
type Type byte

// The ten types. Their numbers are the tags of the binary form and never change.
const (
	None Type = 0
	S    Type = 1
	N    Type = 2
	B    Type = 3
	BOOL Type = 4
	NULL Type = 5
	SS   Type = 6
	NS   Type = 7
	BS   Type = 8
	L    Type = 9
	M    Type = 10
)

// MaxDepth is how many levels a value may nest; a scalar is one level.
const MaxDepth = 32

var typeNames = [...]string{"", "S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"}

// String returns the tag as on the wire, such as "SS".
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return ""
}

// ParseType is the reverse of String; None for any other text.
func ParseType(s string) Type {
	for t := S; t <= M; t++ {
		if typeNames[t] == s {
			return t
		}
	}
	return None
}

// Element returns the type of a set's elements: S for SS and so on, None for
// other types.
func (t Type) Element() Type {
	if t >= SS && t <= BS {
		return t - SS + S
	}
	return None
}

// Value is one attribute value in binary form: a tag byte, then a payload (see
// the package documentation). A nil Value is an absent one. Values are
// immutable; a Value cut out of a larger one shares its bytes.
//
// Accessors of another type's payload return the zero value of their result.
// They trust the bytes: what comes from disk is checked by [Item.Validate].
type Value []byte

// Item is a whole item: a version byte (ItemVersion), then a Value of type M.
// A nil Item is an absent one.
type Item []byte

// ItemVersion is the version byte of an Item.
const ItemVersion = 1

// Type returns the type, None for an absent value.
func (v Value) Type() Type {
	if len(v) == 0 {
		return None
	}
	return Type(v[0])
}

// Bytes returns the payload of an S or B. It is shared: do not change it.
func (v Value) Bytes() []byte {
	if t := v.Type(); t != S && t != B {
		return nil
	}
	_, k := uvarint(v[1:])
	return v[1+k : len(v) : len(v)]
}

// Text returns a copy of the payload of an S.
func (v Value) Text() string {
	if v.Type() != S {
		return ""
	}
	return string(v.Bytes())
}

// Bool returns the payload of a BOOL.
func (v Value) Bool() bool { return v.Type() == BOOL && v[1] == 1 }

// Len returns the number of elements of a set, list or map, and of bytes of an
// S or B.
func (v Value) Len() int {
	switch v.Type() {
	case S, B:
		n, _ := uvarint(v[1:])
		return n
	case SS, NS, BS, L, M:
		n, _ := v.elements()
		return n
	}
	return 0
}

// Elements yields the elements of a set, in ascending order, or of a list.
func (v Value) Elements() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		switch v.Type() {
		case SS, NS, BS, L:
		default:
			return
		}
		for _, b := v.elements(); len(b) > 0; {
			n := valueLen(b)
			if !yield(b[:n:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// Index returns the element at i of a list, nil when there is none.
func (v Value) Index(i int) Value {
	if v.Type() != L || i < 0 {
		return nil
	}
	for _, b := v.elements(); len(b) > 0; i-- {
		n := valueLen(b)
		if i == 0 {
			return b[:n:n]
		}
		b = b[n:]
	}
	return nil
}

// Field returns the value of a map's entry, nil when it is absent.
func (v Value) Field(name string) Value {
	if v.Type() != M {
		return nil
	}
	_, b := v.elements()
	return field(b, name)
}

// field searches sorted map entries.
func field(b []byte, name string) Value {
	for len(b) > 0 {
		k, at := uvarint(b)
		b = b[at:]
		found, rest := b[:k], b[k:]
		n := valueLen(rest)
		if string(found) == name {
			return rest[:n:n]
		}
		if string(found) > name {
			return nil
		}
		b = rest[n:]
	}
	return nil
}

// Fields yields the entries of a map in the byte order of their names. Names
// are shared: do not change them.
func (v Value) Fields() iter.Seq2[[]byte, Value] {
	return func(yield func([]byte, Value) bool) {
		if v.Type() != M {
			return
		}
		for _, b := v.elements(); len(b) > 0; {
			var name []byte
			var value Value
			name, value, b = cutEntry(b)
			if !yield(name, value) {
				return
			}
		}
	}
}

// Contains reports whether element is in a set or list, by value.
func (v Value) Contains(element Value) bool {
	switch t := v.Type(); t {
	case SS, NS, BS:
		if element.Type() != t.Element() {
			return false
		}
	case L:
	default:
		return false
	}
	for _, b := v.elements(); len(b) > 0; {
		n := valueLen(b)
		if bytes.Equal(b[:n], element) {
			return true
		}
		b = b[n:]
	}
	return false
}

// Equal compares by DynamoDB's rules. Absent values are equal to each other only.
func Equal(a, b Value) bool { return bytes.Equal(a, b) }

// Compare orders two values of one type among S, N and B: -1, 0 or +1.
func Compare(a, b Value) int {
	if a.Type() == N && b.Type() == N {
		return bytes.Compare(a[1:], b[1:])
	}
	return bytes.Compare(a.Bytes(), b.Bytes())
}

// Map returns the item's attributes as an M value.
func (it Item) Map() Value {
	if len(it) == 0 {
		return nil
	}
	return Value(it[1:])
}

// Get returns the value of an attribute, nil when it is absent.
func (it Item) Get(name string) Value { return it.Map().Field(name) }

// Fields yields the attributes in the byte order of their names.
func (it Item) Fields() iter.Seq2[[]byte, Value] { return it.Map().Fields() }

// Len returns the number of attributes.
func (it Item) Len() int { return it.Map().Len() }

// elements returns the count of a container and the bytes of its elements.
func (v Value) elements() (count int, b []byte) {
	_, k := uvarint(v[1:])
	b = v[1+k:]
	count, k = uvarint(b)
	return count, b[k:]
}

// cutEntry cuts one map entry off the front.
func cutEntry(b []byte) (name []byte, v Value, rest []byte) {
	k, at := uvarint(b)
	name = b[at : at+k : at+k]
	b = b[at+k:]
	n := valueLen(b)
	return name, b[:n:n], b[n:]
}

// valueLen returns the length of the value at the front of b.
func valueLen(b []byte) int {
	switch Type(b[0]) {
	case N:
		return 1 + numberLen(b[1:])
	case BOOL:
		return 2
	case NULL:
		return 1
	default:
		n, k := uvarint(b[1:])
		return 1 + k + n
	}
}

// uvarint reads a varint from the front of b: its value and its length.
func uvarint(b []byte) (n, length int) {
	if b[0] < 0x80 {
		return int(b[0]), 1
	}
	u, k := binary.Uvarint(b)
	return int(u), k
}

func uvarintLen(n int) int {
	k := 1
	for ; n >= 0x80; n >>= 7 {
		k++
	}
	return k
}

func appendUvarint(dst []byte, n int) []byte {
	if n < 0x80 {
		return append(dst, byte(n))
	}
	return binary.AppendUvarint(dst, uint64(n))
}
