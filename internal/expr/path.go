package expr

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/item"
)

// element is one step of a document path: a map entry or, when name is empty
// (attribute names never are), a list index.
type element struct {
	name  string
	index int64
}

// compare orders elements: names by their bytes, as maps are stored, then indexes.
func (e element) compare(f element) int {
	switch {
	case e.name != "" && f.name != "":
		return strings.Compare(e.name, f.name)
	case e.name != "":
		return -1
	case f.name != "":
		return 1
	}
	return cmp.Compare(e.index, f.index)
}

// maxListIndex is the largest index that AWS takes.
const maxListIndex = 1<<32 - 2

// path is a document path, its first element a top-level attribute.
type path []element

// resolve returns what the path leads to in an item, nil when nothing is there.
func (p path) resolve(it item.Item) item.Value {
	if it == nil {
		return nil
	}
	v := it.Get(p[0].name)
	for _, e := range p[1:] {
		if v == nil {
			return nil
		}
		if e.name != "" {
			v = v.Field(e.name)
		} else {
			v = v.Index(int(e.index))
		}
	}
	return v
}

func (p path) equal(q path) bool { return slices.Equal(p, q) }

// String writes the path as AWS does in errors: [a, [1], b].
func (p path) String() string {
	b := []byte{'['}
	for i, e := range p {
		if i > 0 {
			b = append(b, ", "...)
		}
		if e.name != "" {
			b = append(b, e.name...)
			continue
		}
		b = append(b, '[')
		b = strconv.AppendInt(b, e.index, 10)
		b = append(b, ']')
	}
	return string(append(b, ']'))
}
