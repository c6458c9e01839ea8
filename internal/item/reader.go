package item

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/millstreamdb/millstream/internal/awserr"
)

// Kind is the kind of the next JSON value.
type Kind byte

const (
	KindInvalid Kind = iota // malformed, or the end of the text
	KindNull
	KindTrue
	KindFalse
	KindNumber
	KindString
	KindArray
	KindObject
)

// maxNesting is how many arrays and objects may be open at once. AWS reads 2,000 levels of
// maps, which are two objects each, and not 5,000; where between the two it ends is not
// on record.
const maxNesting = 4096

// keepScratch is the largest scratch buffer, in bytes, that a Reader keeps for
// its next text.
const keepScratch = 1 << 20

// Reader walks one complete JSON text (at most 16 MiB) in a single pass. It
// keeps no tree. Malformed JSON anywhere yields ErrSyntax as soon as it is met;
// a caller that stops early for another reason asks Valid(body) to let the
// syntax error win, as AWS does. Nesting deeper than an implementation bound
// (well above 32 levels) is ErrSyntax too, so that hostile input cannot exhaust
// the stack. After an error only Reset may follow.
//
// What a Reader returns owns its bytes: the text may be reused afterwards. The
// names handed to callbacks are the exception. A Reader may be used again after
// Reset, which keeps its scratch buffers. Used by one goroutine.
type Reader struct {
	text  []byte
	pos   int
	depth int

	// names holds unescaped strings that are still in use, as a stack.
	names []byte

	// The value being decoded (see decode.go).
	out     []byte
	spans   []span
	spare   []byte
	invalid *awserr.Error

	layer   awserr.Layer // whose texts are given
	strange bool         // see Strange
	deepest int          // see Deepest
	limit   int          // the deepest level that is valid
}

// ErrSyntax is AWS's SerializationException without a message.
var ErrSyntax = awserr.Serialization("")

// Reset makes r read text from its start.
func (r *Reader) Reset(text []byte) {
	r.text, r.pos, r.depth, r.invalid = text, 0, 0, nil
	r.layer, r.strange, r.deepest = awserr.Older, false, 0
	r.out, r.spare, r.names = kept(r.out), kept(r.spare), kept(r.names)
	if r.spans = r.spans[:0]; cap(r.spans) > keepScratch/8 {
		r.spans = nil
	}
}

// Drop lets go of the text, and of scratch buffers that are too large to keep.
func (r *Reader) Drop() {
	r.text = nil
	if cap(r.out)+cap(r.spare)+cap(r.names) > keepScratch || cap(r.spans) > keepScratch/8 {
		r.Reset(nil)
	}
}

func kept(scratch []byte) []byte {
	if cap(scratch) > keepScratch {
		return nil
	}
	return scratch[:0]
}

// SetLayer says in which layer's texts invalid values are told, until Reset.
func (r *Reader) SetLayer(l awserr.Layer) { r.layer = l }

// Strange reports whether anything read since Reset is what AWS's current layer
// cannot read, and leaves to the older one with the whole request: a BOOL or NULL
// that is a string, a value with several members or more than 62 levels deep, a
// number outside 32 bits or with a fraction.
func (r *Reader) Strange() bool { return r.strange }

// Deepest returns the deepest level, above MaxDepth, of the Item or Value read last; 0
// when it was not as deep.
func (r *Reader) Deepest() int { return r.deepest }

// Kind returns the kind of the next value without consuming it. It looks at
// the first byte only.
func (r *Reader) Kind() Kind {
	switch c := r.peek(); c {
	case '"':
		return KindString
	case '{':
		return KindObject
	case '[':
		return KindArray
	case 't':
		return KindTrue
	case 'f':
		return KindFalse
	case 'n':
		return KindNull
	default:
		if c == '-' || c-'0' <= 9 {
			return KindNumber
		}
		return KindInvalid
	}
}

// Skip consumes one whole value, and checks its syntax.
func (r *Reader) Skip() error {
	switch r.Kind() {
	case KindString:
		mark := len(r.names)
		_, err := r.str()
		r.names = r.names[:mark]
		return err
	case KindNumber:
		_, _, err := r.number()
		return err
	case KindNull:
		return r.literal("null")
	case KindTrue:
		return r.literal("true")
	case KindFalse:
		return r.literal("false")
	case KindArray:
		return r.eachElement(func(int) error { return r.Skip() })
	case KindObject:
		return r.eachMember(func([]byte) error { return r.Skip() })
	}
	return ErrSyntax
}

// Null consumes a null if it is next, and reports whether it was.
func (r *Reader) Null() bool { return r.peek() == 'n' && r.literal("null") == nil }

// End returns ErrSyntax unless only white space is left.
func (r *Reader) End() error {
	r.peek()
	if r.pos < len(r.text) {
		return ErrSyntax
	}
	return nil
}

// Object reads an object: it calls field for each member with its unescaped
// name, valid until field returns; field must consume the value. A null is an
// object without members. Where AWS's text for an array names the shape, use
// Structure, Map or MapOf.
func (r *Reader) Object(field func(name []byte) error) error {
	switch r.Kind() {
	case KindObject:
		return r.eachMember(field)
	case KindNull:
		return r.literal("null")
	case KindInvalid:
		return ErrSyntax
	}
	return awserr.UnexpectedField()
}

// Structure is Object for a member that is a structure; shape is its name, such
// as "ProvisionedThroughput".
func (r *Reader) Structure(shape string, field func(name []byte) error) error {
	if r.Kind() == KindArray {
		return awserr.UnexpectedCollection("class " + shapePackage + shape)
	}
	return r.Object(field)
}

// StructureIn is Structure for a structure that is the element of a list or the
// value of a map.
func (r *Reader) StructureIn(shape string, field func(name []byte) error) error {
	switch r.Kind() {
	case KindTrue, KindFalse, KindNumber, KindString:
		return awserr.UnexpectedValue()
	}
	return r.Structure(shape, field)
}

// Map is Object for a map; value is the Java type of its values, without the
// package for AWS's shapes, such as "AttributeValue" or "java.lang.String".
func (r *Reader) Map(value string, field func(name []byte) error) error {
	if r.Kind() == KindArray {
		if !strings.HasPrefix(value, "java.") {
			value = shapePackage + value
		}
		return awserr.UnexpectedCollection("java.util.Map<java.lang.String, " + value + ">")
	}
	return r.Object(field)
}

const shapePackage = "com.amazonaws.dynamodb.v20120810."

// Array reads a list: it calls element for each element, which must consume
// it. A null is a list without elements.
func (r *Reader) Array(element func(i int) error) error {
	switch r.Kind() {
	case KindArray:
		return r.eachElement(element)
	case KindNull:
		return r.literal("null")
	case KindObject:
		return awserr.UnexpectedStructure()
	case KindInvalid:
		return ErrSyntax
	}
	return awserr.UnexpectedField()
}

// The typed readers return AWS's SerializationException text when the value is
// of another kind. A null, which AWS takes for an absent member, is the zero
// value; callers for whom that differs ask Null first.

// String reads a string.
func (r *Reader) String() (string, error) {
	if r.Kind() != KindString {
		if r.Kind() == KindNull {
			return "", r.literal("null")
		}
		return "", r.mismatch("String")
	}
	mark := len(r.names)
	s, err := r.str()
	r.names = r.names[:mark]
	return string(s), err
}

// Bool reads a Boolean, or one of the strings that AWS takes for one.
func (r *Reader) Bool() (bool, error) {
	switch r.Kind() {
	case KindTrue:
		return true, r.literal("true")
	case KindFalse:
		return false, r.literal("false")
	case KindNull:
		return false, r.literal("null")
	case KindString:
		s, err := r.String()
		if err != nil {
			return false, err
		}
		switch strings.ToLower(s) {
		case "true", "t", "yes", "y", "1":
			return true, nil
		case "false", "f", "no", "n", "0":
			return false, nil
		}
		return false, awserr.UnexpectedToken()
	}
	return false, r.mismatch("Boolean")
}

// ExpectedBool is Bool for a Boolean of which AWS's current layer reads no text: one
// that is a string is strange.
func (r *Reader) ExpectedBool(dst *bool) error {
	r.strange = r.strange || r.peek() == '"'
	b, err := r.Bool()
	*dst = b
	return err
}

// Integer reads a 32-bit number ("Integer" in the texts). A fraction is dropped, and
// what does not fit becomes the nearest number that does; both are strange.
func (r *Reader) Integer() (int64, error) {
	if r.Kind() == KindNumber {
		text, decimal, err := r.number()
		if err != nil {
			return 0, err
		}
		f, _ := strconv.ParseFloat(string(text), 64) // out of range: ±Inf
		i := int64(math.Trunc(min(max(f, math.MinInt32), math.MaxInt32)))
		r.strange = r.strange || decimal || float64(i) != f
		return i, nil
	}
	return r.integer("Integer", math.MinInt32, math.MaxInt32)
}

// Long reads a 64-bit number ("Long" in the texts); a fraction is floored.
func (r *Reader) Long() (int64, error) {
	return r.integer("Long", math.MinInt64, math.MaxInt64)
}

func (r *Reader) integer(want string, least, most int64) (int64, error) {
	switch r.Kind() {
	case KindNumber:
	case KindNull:
		return 0, r.literal("null")
	default:
		return 0, r.mismatch(want)
	}
	text, decimal, err := r.number()
	if err != nil {
		return 0, err
	}
	if !decimal {
		i, err := strconv.ParseInt(string(text), 10, 64)
		if err != nil || i < least || i > most {
			return 0, awserr.CannotConvert("NUMBER_VALUE", want)
		}
		return i, nil
	}
	f, err := strconv.ParseFloat(string(text), 64)
	f = math.Floor(f)
	// most+1 is exact as a float64 where most (of Long) is not.
	if err != nil || f < float64(least) || f >= float64(most)+1 {
		return 0, awserr.CannotConvert("DECIMAL_VALUE", want)
	}
	return int64(f), nil
}

// Double reads a number.
func (r *Reader) Double() (float64, error) {
	switch r.Kind() {
	case KindNumber:
	case KindNull:
		return 0, r.literal("null")
	default:
		return 0, r.mismatch("Double")
	}
	text, _, err := r.number()
	if err != nil {
		return 0, err
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return 0, awserr.CannotConvert("DECIMAL_VALUE", "Double")
	}
	return f, nil
}

// mismatch returns the error for the next value where a scalar of Java type
// want, such as "String", is wanted. It consumes at most a number.
func (r *Reader) mismatch(want string) error {
	switch r.Kind() {
	case KindTrue:
		return awserr.CannotConvert("TRUE_VALUE", want)
	case KindFalse:
		return awserr.CannotConvert("FALSE_VALUE", want)
	case KindString:
		return awserr.CannotConvert("STRING_VALUE", want)
	case KindNumber:
		_, decimal, err := r.number()
		if err != nil {
			return err
		}
		if decimal {
			return awserr.CannotConvert("DECIMAL_VALUE", want)
		}
		return awserr.CannotConvert("NUMBER_VALUE", want)
	case KindArray:
		return awserr.UnexpectedCollection("class java.lang." + want)
	case KindObject:
		return awserr.UnexpectedStructure()
	}
	return ErrSyntax
}

// Valid reports whether text is one well-formed JSON value.
func Valid(text []byte) bool {
	var r Reader
	r.Reset(text)
	return r.Skip() == nil && r.End() == nil
}

// peek skips white space and returns the next byte, 0 at the end.
func (r *Reader) peek() byte {
	for ; r.pos < len(r.text); r.pos++ {
		if c := r.text[r.pos]; c > ' ' || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

func (r *Reader) literal(word string) error {
	if !bytes.HasPrefix(r.text[r.pos:], []byte(word)) {
		return ErrSyntax
	}
	r.pos += len(word)
	return nil
}

// open consumes the bracket that peek has seen.
func (r *Reader) open() error {
	r.pos++
	r.depth++
	if r.depth > maxNesting {
		return ErrSyntax
	}
	return nil
}

// next moves to the next element or member inside brackets, over the comma;
// more is false when the closing bracket was consumed instead.
func (r *Reader) next(closing byte, first bool) (more bool, err error) {
	c := r.peek()
	if c == closing {
		r.pos++
		r.depth--
		return false, nil
	}
	if !first {
		if c != ',' {
			return false, ErrSyntax
		}
		r.pos++
	}
	return true, nil
}

// member moves to the next member of an object: past its name and the colon.
// The caller takes an unescaped name off r.names when it is done with it.
func (r *Reader) member(first bool) (name []byte, more bool, err error) {
	more, err = r.next('}', first)
	if !more || err != nil {
		return nil, false, err
	}
	if r.peek() != '"' {
		return nil, false, ErrSyntax
	}
	if name, err = r.str(); err != nil {
		return nil, false, err
	}
	if r.peek() != ':' {
		return nil, false, ErrSyntax
	}
	r.pos++
	return name, true, nil
}

func (r *Reader) eachMember(field func(name []byte) error) error {
	if err := r.open(); err != nil {
		return err
	}
	for first := true; ; first = false {
		mark := len(r.names)
		name, more, err := r.member(first)
		if !more || err != nil {
			return err
		}
		if err := field(name); err != nil {
			return err
		}
		r.names = r.names[:mark]
	}
}

func (r *Reader) eachElement(element func(i int) error) error {
	if err := r.open(); err != nil {
		return err
	}
	for i := 0; ; i++ {
		more, err := r.next(']', i == 0)
		if !more || err != nil {
			return err
		}
		if err := element(i); err != nil {
			return err
		}
	}
}

// Place returns how far the text has been read: the line, from 1, and how many bytes of it.
func (r *Reader) Place() (line, column int) {
	read := r.text[:r.pos]
	return 1 + bytes.Count(read, []byte{'\n'}), len(read) - bytes.LastIndexByte(read, '\n') - 1
}

// Number reads a number as it is written; decimal tells that it has a fraction or exponent.
func (r *Reader) Number() (text string, decimal bool, err error) {
	if r.Kind() != KindNumber {
		return "", false, ErrSyntax
	}
	b, decimal, err := r.number()
	return string(b), decimal, err
}

// number consumes a number; decimal tells that it has a fraction or exponent.
func (r *Reader) number() (text []byte, decimal bool, err error) {
	b := r.text[r.pos:]
	i := 0
	digits := func() bool {
		from := i
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
		return i > from
	}
	if i < len(b) && b[i] == '-' {
		i++
	}
	from := i
	if !digits() || b[from] == '0' && i > from+1 {
		return nil, false, ErrSyntax
	}
	if i < len(b) && b[i] == '.' {
		decimal = true
		i++
		if !digits() {
			return nil, false, ErrSyntax
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		decimal = true
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return nil, false, ErrSyntax
		}
	}
	r.pos += i
	return b[:i], decimal, nil
}

// str consumes the string whose quote peek has seen and returns its content:
// of the text itself, or, when it has escapes, on top of r.names, from where
// the caller takes it when it is done with it.
func (r *Reader) str() ([]byte, error) {
	start := r.pos + 1
	end, ascii := stringRun(r.text, start)
	if end == len(r.text) {
		return nil, ErrSyntax
	}
	if r.text[end] != '"' {
		return r.escapedStr(start)
	}
	r.pos = end + 1
	s := r.text[start:end]
	if !ascii && !utf8.Valid(s) {
		return nil, ErrSyntax
	}
	return s, nil
}

// stringRun returns the index of the first byte from i on that is a quote, a
// backslash or a control character, or the length of text; ascii is false when
// a byte before it is not ASCII.
func stringRun(text []byte, i int) (end int, ascii bool) {
	ascii = true
	for {
		for ; i+8 <= len(text); i += 8 {
			if m := special(binary.LittleEndian.Uint64(text[i:])); m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
		}
		if i == len(text) {
			return i, ascii
		}
		switch c := text[i]; {
		case c >= utf8.RuneSelf:
			ascii = false
			for i++; i < len(text) && text[i] >= utf8.RuneSelf; i++ {
			}
		case c < ' ' || c == '"' || c == '\\':
			return i, ascii
		default:
			i++
		}
	}
}

// escapedStr is str for a string with escapes, whose content begins at i.
func (r *Reader) escapedStr(i int) ([]byte, error) {
	mark := len(r.names)
	for {
		end, ascii := stringRun(r.text, i)
		if !ascii && !utf8.Valid(r.text[i:end]) {
			return nil, ErrSyntax
		}
		r.names = append(r.names, r.text[i:end]...)
		if end == len(r.text) {
			return nil, ErrSyntax
		}
		if r.text[end] == '"' {
			r.pos = end + 1
			return r.names[mark:], nil
		}
		if r.text[end] != '\\' || end+1 == len(r.text) {
			return nil, ErrSyntax
		}
		i = end + 2
		switch c := r.text[end+1]; c {
		case '"', '\\', '/':
			r.names = append(r.names, c)
		case 'b':
			r.names = append(r.names, '\b')
		case 'f':
			r.names = append(r.names, '\f')
		case 'n':
			r.names = append(r.names, '\n')
		case 'r':
			r.names = append(r.names, '\r')
		case 't':
			r.names = append(r.names, '\t')
		case 'u':
			code, ok := hex4(r.text[i:])
			if !ok {
				return nil, ErrSyntax
			}
			i += 4
			if utf16.IsSurrogate(code) {
				// A pair is one character; half a pair is what Java writes for it.
				pair := rune(utf8.RuneError)
				if t := r.text[i:]; len(t) >= 6 && t[0] == '\\' && t[1] == 'u' {
					if low, ok := hex4(t[2:]); ok {
						pair = utf16.DecodeRune(code, low)
					}
				}
				if pair == utf8.RuneError {
					code = '?'
				} else {
					code = pair
					i += 6
				}
			}
			r.names = utf8.AppendRune(r.names, code)
		default:
			return nil, ErrSyntax
		}
	}
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte) (code rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20-'a' <= 5:
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		code = code<<4 | rune(c)
	}
	return code, true
}
