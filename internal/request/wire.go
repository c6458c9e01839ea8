package request

import (
	"sync"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// readers keeps the scratch buffers of readers between requests.
var readers = sync.Pool{New: func() any { return new(item.Reader) }}

// decode walks the members of a request body once. field must consume the
// member's value. What decode returns is a SerializationException: malformed
// JSON anywhere wins over a member of the wrong type, as AWS parses before it
// looks.
func decode(body []byte, field func(r *item.Reader, name []byte) error) error {
	_, err := decodeFor(older, body, field)
	return err
}

// decodeFor is decode with the texts of a layer; strange reports that the current
// layer could not read the body (see item.Reader.Strange).
func decodeFor(l layer, body []byte, field func(r *item.Reader, name []byte) error) (strange bool, err error) {
	r := readers.Get().(*item.Reader)
	strange, err = decodeWith(r, l, body, field)
	readers.Put(r)
	return strange, err
}

// decodeWith is decodeFor with a reader, which it leaves without the body.
func decodeWith(r *item.Reader, l layer, body []byte, field func(r *item.Reader, name []byte) error) (strange bool, err error) {
	defer r.Drop()
	r.Reset(body)
	r.SetLayer(l.texts)
	if r.Kind() != item.KindObject {
		return false, item.ErrSyntax
	}
	err = r.Object(func(name []byte) error { return field(r, name) })
	if err == nil {
		err = r.End()
	}
	if err != nil && !item.Valid(body) {
		return false, item.ErrSyntax
	}
	return r.Strange(), err
}

func readString(r *item.Reader, dst *string) error {
	s, err := r.String()
	*dst = s
	return err
}

func readBool(r *item.Reader, dst *bool) error {
	b, err := r.Bool()
	*dst = b
	return err
}

func readInteger(r *item.Reader, dst *int64) error {
	i, err := r.Integer()
	*dst = i
	return err
}

func readLong(r *item.Reader, dst *int64) error {
	i, err := r.Long()
	*dst = i
	return err
}

// readParameterized reads what AWS's model declares as a list in a map or a map
// in a list: a scalar there shows the inside of its parser.
func readParameterized(r *item.Reader, read func() error) error {
	switch r.Kind() {
	case item.KindArray, item.KindObject, item.KindInvalid:
		return read()
	}
	const class = "sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl"
	return awserr.Serialization("class " + class + " cannot be cast to class java.lang.Class (" + class +
		" and java.lang.Class are in module java.base of loader 'bootstrap')")
}

// Elements of a list or map past these numbers are checked for their type and
// then dropped, so that a body of many small ones cannot take many times its
// size in memory. No request that passes its later checks has as many.
const (
	maxElements     = 1024
	maxPlaceholders = 8192 // more than all expressions of a request can use
)

// readStrings reads a list of strings; null elements are left out.
func readStrings(r *item.Reader, dst *[]string) error {
	list := []string{}
	err := r.Array(func(int) error {
		if r.Null() {
			return nil
		}
		s, err := r.String()
		if len(list) < maxElements {
			list = append(list, s)
		}
		return err
	})
	*dst = list
	return err
}

// attributes is a map of attribute values as it came: invalid is reported in its
// place in AWS's order of checks, not when it is read.
type attributes struct {
	item    item.Item
	invalid *awserr.Error
	abyss   bool // it nests deeper than the current layer reads
}

func (a *attributes) read(r *item.Reader) (err error) {
	a.item, a.invalid, err = r.Item()
	a.abyss = r.Deepest() > item.StrangeDepth
	return err
}
