package expr

import (
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// Limits on placeholders, in bytes.
const (
	maxPlaceholder   = 255
	maxAttributeName = 65535
)

// Name is one entry of ExpressionAttributeNames.
type Name struct {
	Key, Attribute string
	Null           bool // there is no attribute's name, but a JSON null
}

// Params are the placeholders of one request, shared by all its expressions.
// Parsing records which were used, for the "unused in expressions" checks. A nil
// Params has no placeholders.
type Params struct {
	Layer  awserr.Layer // whose texts are given
	names  placeholders[string]
	values placeholders[item.Value]
}

// placeholders is one of the two maps, in document order.
type placeholders[T any] struct {
	entries []placeholder[T]
	// index finds entries by key once there are too many to search one by one.
	index map[string]int
}

type placeholder[T any] struct {
	key  string
	to   T
	used bool
}

// indexFrom is the number of entries from which placeholders keeps an index.
const indexFrom = 12

func (ps *placeholders[T]) find(key string) *placeholder[T] {
	if ps.index != nil {
		if i, ok := ps.index[key]; ok {
			return &ps.entries[i]
		}
		return nil
	}
	for i := range ps.entries {
		if ps.entries[i].key == key {
			return &ps.entries[i]
		}
	}
	return nil
}

// add puts an entry; of a key that comes twice the last value counts, as for
// any member of a JSON object.
func (ps *placeholders[T]) add(key string, to T) {
	if p := ps.find(key); p != nil {
		p.to = to
		return
	}
	ps.entries = append(ps.entries, placeholder[T]{key: key, to: to})
	n := len(ps.entries)
	switch {
	case ps.index != nil:
		ps.index[key] = n - 1
	case n == indexFrom:
		ps.index = make(map[string]int, 2*n)
		for i := range ps.entries {
			ps.index[ps.entries[i].key] = i
		}
	}
}

// use finds an entry and marks it as used.
func (ps *placeholders[T]) use(key string) (to T, ok bool) {
	p := ps.find(key)
	if p == nil {
		return to, false
	}
	p.used = true
	return p.to, true
}

func (ps *placeholders[T]) unused() string {
	var b strings.Builder
	for i := range ps.entries {
		if !ps.entries[i].used {
			if b.Len() > 0 {
				b.WriteString(", ")
			}
			b.WriteString(ps.entries[i].key)
		}
	}
	return b.String()
}

// NewParams takes ExpressionAttributeNames and ExpressionAttributeValues as
// they came (nil when absent), in document order. It returns the errors of the
// maps themselves: empty maps, malformed keys, impossible attribute names.
func NewParams(names []Name, values []item.Entry) (*Params, *awserr.Error) {
	p := &Params{}
	if names != nil {
		const m = awserr.ExpressionAttributeNames
		if len(names) == 0 {
			return nil, m.Empty()
		}
		p.names.entries = make([]placeholder[string], 0, len(names))
		for _, n := range names {
			if err := checkPlaceholder(m, n.Key, '#'); err != nil {
				return nil, err
			}
			if n.Null {
				return nil, m.NullName(n.Key)
			}
			if n.Attribute == "" {
				return nil, m.EmptyName(n.Key)
			}
			if len(n.Attribute) > maxAttributeName {
				return nil, m.NameTooLong(n.Key)
			}
			p.names.add(n.Key, n.Attribute)
		}
	}
	if values != nil {
		const m = awserr.ExpressionAttributeValues
		if len(values) == 0 {
			return nil, m.Empty()
		}
		p.values.entries = make([]placeholder[item.Value], 0, len(values))
		for _, v := range values {
			if err := checkPlaceholder(m, v.Name, ':'); err != nil {
				return nil, err
			}
			p.values.add(v.Name, v.Value)
		}
	}
	return p, nil
}

func checkPlaceholder(m awserr.Placeholders, key string, prefix byte) *awserr.Error {
	if len(key) < 2 || key[0] != prefix {
		return m.InvalidKey(key)
	}
	for i := 1; i < len(key); i++ {
		if !isWord(key[i]) {
			return m.InvalidKey(key)
		}
	}
	if len(key) > maxPlaceholder {
		return m.KeyTooLong(len(key))
	}
	return nil
}

// Unused returns the "Value provided in ExpressionAttributeNames/Values unused
// in expressions" error, names first, or nil.
func (p *Params) Unused() *awserr.Error {
	if p == nil {
		return nil
	}
	if keys := p.names.unused(); keys != "" {
		return awserr.ExpressionAttributeNames.Unused(keys)
	}
	if keys := p.values.unused(); keys != "" {
		return awserr.ExpressionAttributeValues.Unused(keys)
	}
	return nil
}
