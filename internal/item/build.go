package item

import (
	"encoding/binary"
	"slices"
	"strings"
)

// Entry is a named value, for building maps and items.
type Entry struct {
	Name  string
	Value Value
}

// AppendString appends an S. s must be valid UTF-8.
func AppendString(dst []byte, s string) []byte {
	dst = appendUvarint(append(dst, byte(S)), len(s))
	return append(dst, s...)
}

// AppendStringBytes appends an S. s must be valid UTF-8.
func AppendStringBytes(dst, s []byte) []byte { return appendPayload(dst, S, s) }

// AppendBinary appends a B.
func AppendBinary(dst, b []byte) []byte { return appendPayload(dst, B, b) }

func appendPayload(dst []byte, t Type, p []byte) []byte {
	dst = appendUvarint(append(dst, byte(t)), len(p))
	return append(dst, p...)
}

// AppendBool appends a BOOL.
func AppendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, byte(BOOL), 1)
	}
	return append(dst, byte(BOOL), 0)
}

// AppendNull appends a NULL.
func AppendNull(dst []byte) []byte { return append(dst, byte(NULL)) }

// AppendList appends an L of elems, which must all be present.
func AppendList(dst []byte, elems ...Value) []byte {
	size := 0
	for _, e := range elems {
		size += len(e)
	}
	dst = appendHeader(dst, L, size, len(elems))
	for _, e := range elems {
		dst = append(dst, e...)
	}
	return dst
}

// AppendMap appends an M. It sorts a copy of entries by name when needed. Of
// several entries with one name the last counts; an entry whose value is
// absent is left out (so a last entry without a value removes the name).
func AppendMap(dst []byte, entries []Entry) []byte {
	entries = canonicalEntries(entries)
	size := 0
	for i := range entries {
		k := len(entries[i].Name)
		size += uvarintLen(k) + k + len(entries[i].Value)
	}
	dst = slices.Grow(dst, 1+2*binary.MaxVarintLen32+size)
	dst = appendHeader(dst, M, size, len(entries))
	for i := range entries {
		dst = appendUvarint(dst, len(entries[i].Name))
		dst = append(dst, entries[i].Name...)
		dst = append(dst, entries[i].Value...)
	}
	return dst
}

// canonicalEntries returns entries sorted, without doubles and absent values;
// entries itself when it is so already.
func canonicalEntries(entries []Entry) []Entry {
	ok := true
	for i := range entries {
		if len(entries[i].Value) == 0 || i > 0 && entries[i-1].Name >= entries[i].Name {
			ok = false
			break
		}
	}
	if ok {
		return entries
	}
	sorted := slices.Clone(entries)
	slices.SortStableFunc(sorted, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	kept := sorted[:0]
	for i, e := range sorted {
		last := i+1 == len(sorted) || sorted[i+1].Name != e.Name
		if last && len(e.Value) > 0 {
			kept = append(kept, e)
		}
	}
	return kept
}

// AppendSet appends a set of type t (SS, NS or BS) of elems, which are of t's
// element type. It sorts a copy of elems when needed and drops duplicates.
// elems must not be empty: DynamoDB has no empty sets.
func AppendSet(dst []byte, t Type, elems []Value) []byte {
	ok := true
	for i := 1; i < len(elems) && ok; i++ {
		ok = Compare(elems[i-1], elems[i]) < 0
	}
	if !ok {
		elems = slices.Clone(elems)
		slices.SortFunc(elems, Compare)
		elems = slices.CompactFunc(elems, Equal)
	}
	size := 0
	for _, e := range elems {
		size += len(e)
	}
	dst = appendHeader(dst, t, size, len(elems))
	for _, e := range elems {
		dst = append(dst, e...)
	}
	return dst
}

// NewItem builds an item from entries (as AppendMap).
func NewItem(entries []Entry) Item { return AppendMap([]byte{ItemVersion}, entries) }

// ItemOf returns the item whose attributes are the entries of the M value m; a
// nil Item for an absent one. It copies.
func ItemOf(m Value) Item {
	if len(m) == 0 {
		return nil
	}
	it := make(Item, 1+len(m))
	it[0] = ItemVersion
	copy(it[1:], m)
	return it
}

// Shorthands for tests and callers that build few values.

// String returns an S.
func String(s string) Value { return AppendString(make([]byte, 0, len(s)+3), s) }

// Binary returns a B.
func Binary(b []byte) Value { return AppendBinary(make([]byte, 0, len(b)+3), b) }

// Bool returns a BOOL.
func Bool(b bool) Value { return AppendBool(nil, b) }

// Null returns a NULL.
func Null() Value { return AppendNull(nil) }

// List returns an L.
func List(elems ...Value) Value { return AppendList(nil, elems...) }

// Map returns an M.
func Map(entries ...Entry) Value { return AppendMap(nil, entries) }

// Set returns a set; see AppendSet.
func Set(t Type, elems ...Value) Value { return AppendSet(nil, t, elems) }

// Number returns an N and panics when text is not a number: for constants.
func Number(text string) Value {
	v, err := ParseNumber([]byte(text))
	if err != nil {
		panic("item: " + err.Message)
	}
	return v
}

// appendHeader appends what stands before the elements of a container: size
// is the number of bytes of the elements.
func appendHeader(dst []byte, t Type, size, count int) []byte {
	dst = appendUvarint(append(dst, byte(t)), uvarintLen(count)+size)
	return appendUvarint(dst, count)
}

// headerRoom is what openContainer leaves for length and count: enough for a
// small container, which needs no move when it is closed.
const headerRoom = 2

// openContainer and closeContainer build a container whose length and count
// are known only after its elements were appended.
func openContainer(dst []byte, t Type) []byte { return append(dst, byte(t), 0, 0) }

// closeContainer completes the container that was opened when dst had length
// start.
func closeContainer(dst []byte, start, count int) []byte {
	body := len(dst) - (start + 1 + headerRoom)
	length := uvarintLen(count) + body
	room := uvarintLen(length) + uvarintLen(count)
	if room > headerRoom {
		var pad [2 * binary.MaxVarintLen64]byte
		dst = append(dst, pad[:room-headerRoom]...)
		copy(dst[start+1+room:], dst[start+1+headerRoom:start+1+headerRoom+body])
	}
	at := start + 1
	at += binary.PutUvarint(dst[at:], uint64(length))
	binary.PutUvarint(dst[at:], uint64(count))
	return dst
}
