package schema

import (
	"encoding/binary"
	"math/bits"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// Limits of key values in bytes (decoded bytes for binary).
const (
	MaxHashKeySize  = 2048
	MaxRangeKeySize = 1024
)

// MaxItemSize is the largest item in bytes by DynamoDB's size rules.
const MaxItemSize = 400 << 10

// Attribute is a declared attribute: a name and one of S, N or B.
type Attribute struct {
	Name string    `json:"name"`
	Type item.Type `json:"type"`
}

// Keys is the primary key of a table: a partition key and, when Range.Name is
// not empty, a sort key.
type Keys struct {
	Hash  Attribute `json:"hash"`
	Range Attribute `json:"range,omitzero"`
}

// HasRange reports whether there is a sort key.
func (k *Keys) HasRange() bool { return k.Range.Name != "" }

// Len is the number of key attributes, 1 or 2.
func (k *Keys) Len() int {
	if k.HasRange() {
		return 2
	}
	return 1
}

// Has reports whether name is a key attribute.
func (k *Keys) Has(name string) bool {
	return name == k.Hash.Name || k.HasRange() && name == k.Range.Name
}

// CheckItem checks the key attributes of an item that is to be stored, in AWS's
// order: missing, mistyped, empty, too large.
func (k *Keys) CheckItem(it item.Item) *awserr.Error {
	for i := range k.Len() {
		a := k.At(i)
		v := it.Get(a.Name)
		if v == nil {
			return awserr.MissingKey(a.Name)
		}
		if v.Type() != a.Type {
			return awserr.KeyTypeMismatch(a.Name, a.Type.String(), v.Type().String())
		}
	}
	return k.checkValues(it)
}

// CheckKey checks the Key parameter of a request: exactly the key attributes,
// with their types, not empty, not too large.
func (k *Keys) CheckKey(key item.Item) *awserr.Error {
	if key.Len() != k.Len() {
		return awserr.KeySchemaMismatch()
	}
	for i := range k.Len() {
		a := k.At(i)
		if key.Get(a.Name).Type() != a.Type {
			return awserr.KeySchemaMismatch()
		}
	}
	return k.checkValues(key)
}

func (k *Keys) checkValues(it item.Item) *awserr.Error {
	if e := k.CheckEmpty(it); e != nil {
		return e
	}
	return k.checkSizes(it)
}

// CheckEmpty checks only that no key attribute of the declared type holds an empty
// value. Transactions refuse that before all else about keys.
func (k *Keys) CheckEmpty(it item.Item) *awserr.Error {
	for i := range k.Len() {
		if a := k.At(i); it.Get(a.Name).Type() != a.Type {
			return nil // told in its place
		}
	}
	for i := range k.Len() {
		a := k.At(i)
		if v := it.Get(a.Name); v.Type() == a.Type && a.Type != item.N && v.Len() == 0 {
			return awserr.EmptyKeyValue(a.Name, a.Type == item.B)
		}
	}
	return nil
}

// Mistyped reports whether a key attribute is there with another type than the key's.
func (k *Keys) Mistyped(attrs item.Item) bool {
	for i := range k.Len() {
		if v := attrs.Get(k.At(i).Name); v != nil && v.Type() != k.At(i).Type {
			return true
		}
	}
	return false
}

// checkSizes checks the lengths of the key values alone.
func (k *Keys) checkSizes(it item.Item) *awserr.Error {
	if k.Hash.Type != item.N && it.Get(k.Hash.Name).Len() > MaxHashKeySize {
		return awserr.HashKeyTooLarge()
	}
	if k.HasRange() && k.Range.Type != item.N && it.Get(k.Range.Name).Len() > MaxRangeKeySize {
		return awserr.RangeKeyTooLarge()
	}
	return nil
}

// At returns the i-th key attribute: 0 is the partition key, 1 the sort key.
func (k *Keys) At(i int) Attribute {
	if i == 0 {
		return k.Hash
	}
	return k.Range
}

// Attributes returns the key attributes, the partition key first.
func (k *Keys) Attributes() []Attribute {
	if k.HasRange() {
		return []Attribute{k.Hash, k.Range}
	}
	return []Attribute{k.Hash}
}

// Extract returns the key attributes of it as an item of their own.
func (k *Keys) Extract(it item.Item) item.Item {
	entries := make([]item.Entry, 0, 2)
	for i := range k.Len() {
		name := k.At(i).Name
		entries = append(entries, item.Entry{Name: name, Value: it.Get(name)})
	}
	return item.NewItem(entries)
}

// HashSize is the length in bytes of the hash that begins an encoded key.
const HashSize = 8

// AppendKey appends the storage form of an item's primary key: the hash of the
// partition key, big-endian, then the order-preserving encodings of the
// partition key and the sort key. Byte order is scan order.
func (k *Keys) AppendKey(dst []byte, it item.Item) []byte {
	pk := it.Get(k.Hash.Name)
	dst = k.AppendPartition(dst, pk)
	if k.HasRange() {
		dst = item.AppendKey(dst, it.Get(k.Range.Name))
	}
	return dst
}

// AppendPartition appends the part of the storage form that all items of one
// partition key share.
func (k *Keys) AppendPartition(dst []byte, pk item.Value) []byte {
	dst = binary.BigEndian.AppendUint64(dst, item.PartitionHash(pk))
	return item.AppendKey(dst, pk)
}

// Partition returns which of n equal ranges of the hash space holds hash.
func Partition(hash uint64, n int) int {
	hi, _ := bits.Mul64(hash, uint64(n))
	return int(hi)
}

// PartitionStart returns the first hash of range i of n; i = n gives 0, the
// wrapped end.
func PartitionStart(i, n int) uint64 {
	// The smallest h with floor(h*n / 2^64) = i is ceil(i*2^64 / n).
	if i >= n {
		return 0
	}
	q, r := bits.Div64(uint64(i), 0, uint64(n))
	if r != 0 {
		q++
	}
	return q
}
