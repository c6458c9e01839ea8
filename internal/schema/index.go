package schema

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// Projections of an index, as AWS names them.
const (
	ProjectAll     = "ALL"
	ProjectKeys    = "KEYS_ONLY"
	ProjectInclude = "INCLUDE"
)

// Index is a secondary index: its key, and what of an item its entries hold.
// Compile must have been called before anything but the fields is used; an Index
// is not changed after that.
type Index struct {
	ID    uint64 `json:"id"` // internal, never used again
	Name  string `json:"name"`
	Local bool   `json:"local,omitempty"`
	// Hash are the attributes of the partition key, one to four; Range those of the
	// sort key, none to four. A local index has one of each.
	Hash       []Attribute `json:"hash"`
	Range      []Attribute `json:"range,omitempty"`
	Projection string      `json:"projection"`
	NonKey     []string    `json:"nonKey,omitempty"` // of ProjectInclude

	table *Keys
	names []string // what entries hold, ascending; nil: all
}

// Compile makes the index ready for items of a table with these keys.
func (x *Index) Compile(table *Keys) {
	x.table = table
	if x.Projection == ProjectAll {
		return
	}
	x.names = slices.Clone(x.NonKey)
	for i := range table.Len() {
		x.names = append(x.names, table.At(i).Name)
	}
	for i := range x.Len() {
		x.names = append(x.names, x.At(i).Name)
	}
	slices.Sort(x.names)
	x.names = slices.Compact(x.names)
}

// Len is the number of key attributes.
func (x *Index) Len() int { return len(x.Hash) + len(x.Range) }

// At returns the i-th key attribute, those of the partition key first.
func (x *Index) At(i int) Attribute {
	if i < len(x.Hash) {
		return x.Hash[i]
	}
	return x.Range[i-len(x.Hash)]
}

// Has reports whether name is a key attribute of the index.
func (x *Index) Has(name string) bool {
	for i := range x.Len() {
		if x.At(i).Name == name {
			return true
		}
	}
	return false
}

// Projects reports whether entries hold the attribute.
func (x *Index) Projects(name string) bool {
	if x.Projection == ProjectAll {
		return true
	}
	_, found := slices.BinarySearch(x.names, name)
	return found
}

// AppendEntryKey appends the key of an item's entry: the hash of the index's
// partition key, the encodings of its partition and sort key, then the item's own
// key. ok is false, and dst as it was, when the item has no entry: a key attribute
// is missing, or of a kind that only a back-fill can meet (of another type, empty,
// too large).
func (x *Index) AppendEntryKey(dst []byte, it item.Item) (_ []byte, ok bool) {
	if it == nil {
		return dst, false
	}
	start := len(dst)
	hashSize, rangeSize := 0, 0
	dst = append(dst, make([]byte, HashSize)...)
	for i := range x.Len() {
		a := x.At(i)
		v := it.Get(a.Name)
		if v == nil || v.Type() != a.Type {
			return dst[:start], false
		}
		if a.Type != item.N {
			n := v.Len()
			if n == 0 {
				return dst[:start], false
			}
			if i < len(x.Hash) {
				hashSize += n
			} else {
				rangeSize += n
			}
		}
		dst = item.AppendKey(dst, v)
		if i == len(x.Hash)-1 {
			binary.BigEndian.PutUint64(dst[start:], xxhash.Sum64(dst[start+HashSize:]))
		}
	}
	if hashSize > MaxHashKeySize || rangeSize > MaxRangeKeySize {
		return dst[:start], false
	}
	return x.table.AppendKey(dst, it), true
}

// AppendPartition appends what the keys of all entries of one partition key begin
// with. values are those of Hash.
func (x *Index) AppendPartition(dst []byte, values []item.Value) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, HashSize)...)
	for _, v := range values {
		dst = item.AppendKey(dst, v)
	}
	binary.BigEndian.PutUint64(dst[start:], xxhash.Sum64(dst[start+HashSize:]))
	return dst
}

// Project returns what the entry of an item holds. It may share the item's bytes.
func (x *Index) Project(it item.Item) item.Item {
	if x.Projection == ProjectAll {
		return it
	}
	return pick(it, x.names)
}

// Attributes returns the key attributes of the index and those of the table that
// are not among them.
func (x *Index) Attributes() []Attribute {
	list := slices.Concat(x.Hash, x.Range)
	for i := range x.table.Len() {
		if a := x.table.At(i); !x.Has(a.Name) {
			list = append(list, a)
		}
	}
	return list
}

// ExtractKey returns what LastEvaluatedKey shows of an entry: all of Attributes.
func (x *Index) ExtractKey(entry item.Item) item.Item {
	attributes := x.Attributes()
	entries := make([]item.Entry, len(attributes))
	for i, a := range attributes {
		entries[i] = item.Entry{Name: a.Name, Value: entry.Get(a.Name)}
	}
	return item.NewItem(entries)
}

// pick returns the attributes of an item that are in names, which is ascending.
func pick(it item.Item, names []string) item.Item {
	entries := make([]item.Entry, 0, len(names))
	for name, v := range it.Fields() {
		for len(names) > 0 && names[0] < string(name) {
			names = names[1:]
		}
		if len(names) == 0 {
			break
		}
		if names[0] == string(name) {
			entries = append(entries, item.Entry{Name: names[0], Value: v})
		}
	}
	return item.NewItem(entries)
}

// CheckItem checks an item that is to be stored. Key attributes may be missing;
// those that are there must be fit for a key.
func (x *Index) CheckItem(it item.Item) *awserr.Error {
	hashSize, rangeSize := 0, 0
	for i := range x.Len() {
		a := x.At(i)
		v := it.Get(a.Name)
		switch {
		case v == nil:
			continue
		case v.Type() != a.Type:
			return awserr.IndexKeyTypeMismatch(a.Name, a.Type.String(), v.Type().String(), x.Name)
		case a.Type == item.N:
			continue
		case v.Len() == 0:
			return awserr.EmptyIndexKey(a.Name, a.Type == item.B, x.Name)
		case i < len(x.Hash):
			hashSize += v.Len()
		default:
			rangeSize += v.Len()
		}
	}
	if hashSize > MaxHashKeySize {
		return awserr.HashKeyTooLarge()
	}
	if rangeSize > MaxRangeKeySize {
		return awserr.RangeKeyTooLarge()
	}
	return nil
}

// CheckUpdate checks what an update made of an item, nil for none. Only changed
// attributes are looked at.
func (x *Index) CheckUpdate(old, new item.Item) *awserr.Error {
	hashSize, rangeSize, changed := 0, 0, false
	for i := range x.Len() {
		a := x.At(i)
		v := new.Get(a.Name)
		if v == nil {
			continue
		}
		differs := old == nil || !bytes.Equal(old.Get(a.Name), v)
		changed = changed || differs
		switch {
		case v.Type() != a.Type:
			if differs {
				return awserr.IndexKeyUpdateType()
			}
		case a.Type == item.N:
		case v.Len() == 0:
			if differs {
				return awserr.EmptyIndexKeyUpdate(a.Type == item.B)
			}
		case i < len(x.Hash):
			hashSize += v.Len()
		default:
			rangeSize += v.Len()
		}
	}
	if changed && (hashSize > MaxHashKeySize || rangeSize > MaxRangeKeySize) {
		return awserr.IndexKeyUpdateSize()
	}
	return nil
}
