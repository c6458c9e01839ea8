package item

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"math"
	"math/bits"
	"slices"
	"strconv"

	"github.com/millstreamdb/millstream/internal/awserr"
)

// Attribute values from JSON straight into the binary form, in one pass: r.out
// grows by what is read, and each map and set is put in order, in place, when
// its end is met.
//
// After the first invalid value the request is lost. What follows is read for
// the sake of errors that come before it in AWS's order (syntax, kinds), and
// what it leaves in r.out is of no use; so containers are no longer put in
// order, which also bounds the work on values nested beyond the limit.

// span is an element or entry of a container being read: a range of r.out.
type span struct{ start, end uint32 }

// Value reads one AttributeValue that is an element of a list or a value of a
// map. err is a SerializationException and final. invalid is the
// ValidationException of a value that is well-formed JSON of the right shape
// but not a legal value (bad number, empty set, two members ...); reading has
// gone on past it, and the request reports it in its place in AWS's order of
// checks. Nesting past 32 levels is an invalid value as well, and so is null. (The
// older layer reads one level more, of a value that no item can hold.)
func (r *Reader) Value() (v Value, invalid *awserr.Error, err error) {
	r.out, r.spans, r.invalid, r.deepest, r.limit = r.out[:0], r.spans[:0], nil, 0, MaxDepth
	if r.layer == awserr.Older {
		r.limit++
	}
	if err := r.value(1); err != nil {
		return nil, nil, err
	}
	if r.invalid != nil {
		return nil, r.invalid, nil
	}
	return bytes.Clone(r.out), nil, nil
}

// ValueMember is Value for an AttributeValue that is a member of a structure,
// where AWS's text for a scalar in its place differs.
func (r *Reader) ValueMember() (v Value, invalid *awserr.Error, err error) {
	switch r.Kind() {
	case KindTrue, KindFalse, KindNumber, KindString:
		return nil, nil, awserr.UnexpectedField()
	}
	return r.Value()
}

// Item reads a map of AttributeValues. invalid is the first invalid value's
// error in document order. An empty attribute name or one over 65535 bytes is
// invalid as well, at any depth. A null is an absent item.
func (r *Reader) Item() (it Item, invalid *awserr.Error, err error) {
	it, invalid, err = r.BorrowItem()
	return bytes.Clone(it), invalid, err
}

// BorrowItem is Item, of which the item holds until the next value is read.
func (r *Reader) BorrowItem() (it Item, invalid *awserr.Error, err error) {
	if r.Kind() == KindNull {
		return nil, nil, r.literal("null")
	}
	r.out, r.spans, r.invalid, r.deepest, r.limit = append(r.out[:0], ItemVersion), r.spans[:0], nil, 0, MaxDepth
	if err := r.attributes(0); err != nil {
		return nil, nil, err
	}
	if r.invalid != nil {
		return nil, r.invalid, nil
	}
	return r.out, nil, nil
}

// fail notes an invalid value.
func (r *Reader) fail(err *awserr.Error) {
	if r.invalid == nil {
		r.invalid = err
	}
}

// value reads an AttributeValue at a nesting level onto r.out.
func (r *Reader) value(level int) error {
	switch r.Kind() {
	case KindObject:
	case KindNull:
		r.fail(awserr.ValueEmpty())
		return r.literal("null")
	case KindArray:
		return awserr.UnexpectedCollection("class " + shapePackage + "AttributeValue")
	case KindInvalid:
		return ErrSyntax
	default:
		return awserr.UnexpectedValue()
	}
	if level > r.limit {
		r.fail(awserr.NestingTooDeep())
		r.deepest = max(r.deepest, level)
		if level > StrangeDepth { // AWS looks no further either
			r.strange = true
			return r.Skip()
		}
	}
	if err := r.open(); err != nil {
		return err
	}
	start := len(r.out)
	seen := uint(0) // the types met, as bits
	sound := r.invalid == nil
	var worst *awserr.Error // of the members' errors the one that AWS tells
	worstRank := 0
	for first := true; ; first = false {
		mark := len(r.names)
		name, more, err := r.member(first)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		t := memberType(name)
		r.names = r.names[:mark]
		if t == None {
			err = r.Skip()
		} else if r.peek() == 'n' {
			err = r.literal("null")
		} else {
			// A member named twice counts once, and its last value counts.
			seen |= 1 << t
			r.out = r.out[:start]
			err = r.payload(t, level)
			if sound && r.invalid != nil {
				if rank := errorRank[t]; worst == nil || rank < worstRank {
					worst, worstRank = r.invalid, rank
				}
				r.invalid = nil
			}
		}
		if err != nil {
			return err
		}
	}
	if sound {
		r.invalid = worst
	}
	switch bits.OnesCount(seen) {
	case 0:
		r.fail(awserr.ValueEmpty())
	case 1:
	default:
		r.fail(awserr.ValueAmbiguous())
		r.strange = true
	}
	return nil
}

// StrangeDepth is the deepest level that AWS's current layer reads.
const StrangeDepth = 63

// errorRank orders the errors of one value with several members: sets, then numbers,
// then NULL. That there are several is told last.
var errorRank = [M + 1]int{N: 1, NULL: 2, L: 3, M: 3}

func memberType(name []byte) Type {
	switch string(name) {
	case "S":
		return S
	case "N":
		return N
	case "B":
		return B
	case "BOOL":
		return BOOL
	case "NULL":
		return NULL
	case "SS":
		return SS
	case "NS":
		return NS
	case "BS":
		return BS
	case "L":
		return L
	case "M":
		return M
	}
	return None
}

// payload reads the content of member t, which is not null.
func (r *Reader) payload(t Type, level int) error {
	switch t {
	case S, N, B:
		return r.scalar(t)
	case BOOL:
		b, err := r.boolean()
		r.out = AppendBool(r.out, b)
		return err
	case NULL:
		b, err := r.boolean()
		if err == nil && !b {
			r.fail(awserr.NullFalse())
		}
		r.out = AppendNull(r.out)
		return err
	case SS, NS, BS:
		return r.set(t)
	case L:
		return r.list(level)
	default:
		return r.attributes(level)
	}
}

// boolean reads a BOOL or NULL, which AWS refuses without a text when it is a list.
func (r *Reader) boolean() (b bool, err error) {
	if r.peek() == '[' {
		return false, ErrSyntax
	}
	err = r.ExpectedBool(&b)
	return b, err
}

// scalar reads a JSON string as an S, N or B.
func (r *Reader) scalar(t Type) error {
	if r.peek() != '"' {
		if t != B {
			return r.mismatch("String")
		}
		switch r.Kind() {
		case KindArray:
			return awserr.UnexpectedCollection("class java.nio.ByteBuffer")
		case KindObject:
			return awserr.UnexpectedStructure()
		case KindInvalid:
			return ErrSyntax
		}
		return awserr.NotBase64Text()
	}
	mark := len(r.names)
	text, err := r.str()
	if err != nil {
		return err
	}
	switch t {
	case S:
		r.out = AppendStringBytes(r.out, text)
	case N:
		var invalid *awserr.Error
		if r.out, invalid = appendNumber(r.out, text, r.layer); invalid != nil {
			r.fail(invalid)
		}
	default:
		err = r.base64(text)
	}
	r.names = r.names[:mark]
	return err
}

// strict refuses bits that belong to no byte, as AWS does.
var strict = base64.StdEncoding.Strict()

func (r *Reader) base64(text []byte) error {
	if len(text)%4 != 0 {
		return awserr.Base64Length(strconv.Itoa(len(text)))
	}
	// Go's decoder passes over line ends.
	if bytes.IndexByte(text, '\n') >= 0 || bytes.IndexByte(text, '\r') >= 0 {
		return awserr.Base64Malformed()
	}
	n := len(text) / 4 * 3
	if bytes.HasSuffix(text, []byte("==")) {
		n -= 2
	} else if bytes.HasSuffix(text, []byte("=")) {
		n--
	}
	r.out = appendUvarint(append(r.out, byte(B)), n)
	start := len(r.out)
	var err error
	if r.out, err = strict.AppendDecode(r.out, text); err != nil || len(r.out) != start+n {
		return awserr.Base64Malformed()
	}
	return nil
}

func (r *Reader) list(level int) error {
	if err := r.wantArray(); err != nil {
		return err
	}
	start := len(r.out)
	r.out = openContainer(r.out, L)
	count := 0
	for ; ; count++ {
		more, err := r.next(']', count == 0)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if err := r.value(level + 1); err != nil {
			return err
		}
	}
	if r.invalid != nil {
		r.out = r.out[:start]
		return nil
	}
	r.out = closeContainer(r.out, start, count)
	return nil
}

// wantArray consumes the bracket of a list that is a member of an AttributeValue.
func (r *Reader) wantArray() error {
	switch r.Kind() {
	case KindArray:
		return r.open()
	case KindObject:
		return awserr.UnexpectedStructure()
	case KindInvalid:
		return ErrSyntax
	}
	return awserr.UnexpectedField()
}

func (r *Reader) set(t Type) error {
	if err := r.wantArray(); err != nil {
		return err
	}
	start := len(r.out)
	base := len(r.spans)
	r.out = openContainer(r.out, t)
	element := t.Element()
	inOrder := true
	for first := true; ; first = false {
		more, err := r.next(']', first)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if r.peek() == 'n' {
			r.fail(r.layer.NullInSet(t.String()))
			if err := r.literal("null"); err != nil {
				return err
			}
			continue
		}
		s := span{start: uint32(len(r.out))}
		if err := r.scalar(element); err != nil {
			return err
		}
		s.end = uint32(len(r.out))
		if r.invalid != nil {
			r.out = r.out[:start]
			continue
		}
		if len(r.spans) > base && inOrder {
			inOrder = Compare(r.spanValue(r.spans[len(r.spans)-1]), r.spanValue(s)) < 0
		}
		r.spans = append(r.spans, s)
	}
	spans := r.spans[base:]
	r.spans = r.spans[:base]
	if r.invalid == nil && len(spans) == 0 {
		r.fail(awserr.EmptySet(t.String()))
	}
	if r.invalid == nil && !inOrder {
		slices.SortFunc(spans, func(a, b span) int { return Compare(r.spanValue(a), r.spanValue(b)) })
		for i := 1; i < len(spans); i++ {
			if Equal(r.spanValue(spans[i-1]), r.spanValue(spans[i])) {
				r.fail(r.layer.DuplicatesInSet(t.String(), r.collection(spans)))
				break
			}
		}
		if r.invalid == nil {
			r.permute(start+1+headerRoom, spans)
		}
	}
	if r.invalid != nil {
		r.out = r.out[:start]
		return nil
	}
	r.out = closeContainer(r.out, start, len(spans))
	return nil
}

func (r *Reader) spanValue(s span) Value { return r.out[s.start:s.end:s.end] }

// collection renders the elements of an SS or BS as the layer prints them: the
// older one as they came, the current one in JSON, with the elements before the first
// that repeats in order, then that one, then the rest as they came.
func (r *Reader) collection(spans []span) string {
	byValue := func(a, b span) int { return Compare(r.spanValue(a), r.spanValue(b)) }
	asCame := func(a, b span) int { return cmp.Compare(a.start, b.start) }
	if r.spanValue(spans[0]).Type() == N {
		return ""
	}
	comma := ", "
	if r.layer == awserr.Current {
		if r.spanValue(spans[0]).Type() == B {
			comma = ","
		}
		slices.SortFunc(spans, func(a, b span) int { return cmp.Or(byValue(a, b), asCame(a, b)) })
		repeat := span{start: math.MaxUint32}
		for i := 1; i < len(spans); i++ {
			if byValue(spans[i-1], spans[i]) == 0 && spans[i].start < repeat.start {
				repeat = spans[i]
			}
		}
		slices.SortFunc(spans, asCame)
		at, _ := slices.BinarySearchFunc(spans, repeat, asCame)
		slices.SortFunc(spans[:at], byValue)
	} else {
		slices.SortFunc(spans, asCame)
	}
	text := []byte{'['}
	for i, s := range spans {
		if i > 0 {
			text = append(text, comma...)
		}
		v := r.spanValue(s)
		shown := v.Bytes()
		if v.Type() == B {
			shown = []byte(base64.StdEncoding.EncodeToString(shown))
		}
		if r.layer == awserr.Current {
			text = AppendJSONString(text, shown)
		} else {
			text = append(text, shown...)
		}
	}
	return string(append(text, ']'))
}

// permute replaces what r.out holds from start on by the ranges of spans.
func (r *Reader) permute(start int, spans []span) {
	r.spare = r.spare[:0]
	for _, s := range spans {
		r.spare = append(r.spare, r.out[s.start:s.end]...)
	}
	r.out = append(r.out[:start], r.spare...)
}

// attributes reads a map of AttributeValues, which is at a nesting level (0
// for an item), as an M.
func (r *Reader) attributes(level int) error {
	switch r.Kind() {
	case KindObject:
	case KindArray:
		return awserr.UnexpectedCollection("java.util.Map<java.lang.String, " + shapePackage + "AttributeValue>")
	case KindInvalid:
		return ErrSyntax
	default:
		return awserr.UnexpectedField()
	}
	if err := r.open(); err != nil {
		return err
	}
	start := len(r.out)
	base := len(r.spans)
	r.out = openContainer(r.out, M)
	inOrder, named := true, true
	for first := true; ; first = false {
		mark := len(r.names)
		name, more, err := r.member(first)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if len(name) == 0 {
			named = false
			if level == 0 && r.deepest > StrangeDepth && r.invalid == awserr.NestingTooDeep() {
				r.invalid = nil // AWS looks at the names of an item before values that deep
			}
			r.fail(awserr.AttributeNameEmpty())
		} else if len(name) > maxNameLen {
			r.fail(awserr.AttributeNameTooLong())
		}
		s := span{start: uint32(len(r.out))}
		if inOrder && len(r.spans) > base {
			inOrder = bytes.Compare(r.spanName(r.spans[len(r.spans)-1]), name) < 0
		}
		r.out = appendUvarint(r.out, len(name))
		r.out = append(r.out, name...)
		r.names = r.names[:mark]
		if err := r.value(level + 1); err != nil {
			return err
		}
		s.end = uint32(len(r.out))
		if r.invalid != nil {
			r.out = r.out[:start]
			r.spans = r.spans[:base]
			continue
		}
		r.spans = append(r.spans, s)
	}
	spans := r.spans[base:]
	r.spans = r.spans[:base]
	if r.invalid != nil {
		if level == 0 && named && r.deepest > 0 && r.layer == awserr.Older && r.invalid == awserr.AttributeNameEmpty() {
			r.invalid = awserr.NestingTooDeep() // AWS's older layer looks at names inside of values last
		}
		r.out = r.out[:start]
		return nil
	}
	if !inOrder {
		slices.SortFunc(spans, func(a, b span) int {
			if c := bytes.Compare(r.spanName(a), r.spanName(b)); c != 0 {
				return c
			}
			return int(a.start) - int(b.start)
		})
		// Of entries with one name the last counts, as in a Java map.
		kept := spans[:0]
		for i, s := range spans {
			if i+1 == len(spans) || !bytes.Equal(r.spanName(s), r.spanName(spans[i+1])) {
				kept = append(kept, s)
			}
		}
		spans = kept
		r.permute(start+1+headerRoom, spans)
	}
	r.out = closeContainer(r.out, start, len(spans))
	return nil
}

// spanName returns the name of the entry at s.
func (r *Reader) spanName(s span) []byte {
	n, k := uvarint(r.out[s.start:])
	at := int(s.start) + k
	return r.out[at : at+n]
}
