package item

import (
	"encoding/base64"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// The wire form, out of the binary form.

// AppendJSON appends the wire form, such as {"S":"a"}. An absent value is null.
func (v Value) AppendJSON(dst []byte) []byte { return v.appendJSON(dst, false) }

// appendJSON is AppendJSON; hashed is of sets of numbers (see order.go).
func (v Value) appendJSON(dst []byte, hashed bool) []byte {
	switch t := v.Type(); t {
	case S:
		dst = append(dst, `{"S":`...)
		dst = AppendJSONString(dst, v.Bytes())
		return append(dst, '}')
	case N:
		dst = append(dst, `{"N":"`...)
		dst = v.AppendNumberText(dst)
		return append(dst, `"}`...)
	case B:
		dst = append(dst, `{"B":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, v.Bytes())
		return append(dst, `"}`...)
	case BOOL:
		if v.Bool() {
			return append(dst, `{"BOOL":true}`...)
		}
		return append(dst, `{"BOOL":false}`...)
	case NULL:
		return append(dst, `{"NULL":true}`...)
	case M:
		dst = append(dst, `{"M":`...)
		dst = v.appendFields(dst, hashed)
		return append(dst, '}')
	case SS, NS, BS, L:
		if t == NS && hashed {
			return appendNumbers(dst, v.hashOrder())
		}
		dst = append(dst, `{"`...)
		dst = append(dst, typeNames[t]...)
		dst = append(dst, `":[`...)
		_, b := v.elements()
		for first := true; len(b) > 0; first = false {
			if !first {
				dst = append(dst, ',')
			}
			n := valueLen(b)
			element := Value(b[:n:n])
			switch t {
			case SS:
				dst = AppendJSONString(dst, element.Bytes())
			case NS:
				dst = append(dst, '"')
				dst = element.AppendNumberText(dst)
				dst = append(dst, '"')
			case BS:
				dst = append(dst, '"')
				dst = base64.StdEncoding.AppendEncode(dst, element.Bytes())
				dst = append(dst, '"')
			default:
				dst = element.appendJSON(dst, hashed)
			}
			b = b[n:]
		}
		return append(dst, "]}"...)
	}
	return append(dst, "null"...)
}

// appendFields appends the entries of an M as a JSON object.
func (v Value) appendFields(dst []byte, hashed bool) []byte {
	dst = append(dst, '{')
	_, b := v.elements()
	for first := true; len(b) > 0; first = false {
		if !first {
			dst = append(dst, ',')
		}
		var name []byte
		var value Value
		name, value, b = cutEntry(b)
		dst = AppendJSONString(dst, name)
		dst = append(dst, ':')
		dst = value.appendJSON(dst, hashed)
	}
	return append(dst, '}')
}

// AppendJSON appends the wire form of the attribute map, such as
// {"id":{"S":"a"}}; null for an absent item.
func (it Item) AppendJSON(dst []byte) []byte {
	if len(it) == 0 {
		return append(dst, "null"...)
	}
	return it.Map().appendFields(dst, false)
}

// JSONSize returns len(it.AppendJSON(nil)) without building it.
func (it Item) JSONSize() int {
	if len(it) == 0 {
		return len("null")
	}
	return it.Map().fieldsJSONSize()
}

// JSONSize returns len(v.AppendJSON(nil)) without building it.
func (v Value) JSONSize() int {
	switch t := v.Type(); t {
	case S, N, B:
		return len(`{"S":}`) + scalarJSONSize(v)
	case BOOL:
		if v.Bool() {
			return len(`{"BOOL":true}`)
		}
		return len(`{"BOOL":false}`)
	case NULL:
		return len(`{"NULL":true}`)
	case M:
		return len(`{"M":}`) + v.fieldsJSONSize()
	case SS, NS, BS, L:
		count, b := v.elements()
		size := len(`{"":[]}`) + len(typeNames[t]) + max(count-1, 0)
		for len(b) > 0 {
			n := valueLen(b)
			if t == L {
				size += Value(b[:n]).JSONSize()
			} else {
				size += scalarJSONSize(b[:n])
			}
			b = b[n:]
		}
		return size
	}
	return len("null")
}

// scalarJSONSize returns the length of the JSON string that stands for v.
func scalarJSONSize(v Value) int {
	switch v.Type() {
	case S:
		return jsonStringSize(v.Bytes())
	case B:
		return 2 + base64.StdEncoding.EncodedLen(v.Len())
	default:
		var text [192]byte
		return 2 + len(v.AppendNumberText(text[:0]))
	}
}

func (v Value) fieldsJSONSize() int {
	count, b := v.elements()
	size := len("{}") + max(count-1, 0)
	for len(b) > 0 {
		var name []byte
		var value Value
		name, value, b = cutEntry(b)
		size += jsonStringSize(name) + 1 + value.JSONSize()
	}
	return size
}

// Marks of a byte in eight bytes at once; the lowest bit set is exact, those
// above may be carried over from it.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks the bytes of w that a JSON string cannot hold as they are
// (control characters, quote, backslash), or that are not ASCII: those keep
// their high bit in at least one of the last two differences.
func special(w uint64) uint64 {
	quote := w ^ ones*'"'
	slash := w ^ ones*'\\'
	return ((w - ones*' ') | (quote - ones) | (slash - ones)) & highs
}

// plain returns how many bytes at the front of s are ASCII without need of an
// escape.
func plain(s []byte) int {
	i := 0
	for ; i+32 <= len(s); i += 32 { // four words at once, of which most texts have nothing
		b := s[i : i+32 : i+32]
		if special(binary.LittleEndian.Uint64(b))|special(binary.LittleEndian.Uint64(b[8:]))|special(binary.LittleEndian.Uint64(b[16:]))|special(binary.LittleEndian.Uint64(b[24:])) != 0 {
			break
		}
	}
	for ; i+8 <= len(s); i += 8 {
		if m := special(binary.LittleEndian.Uint64(s[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			break
		}
	}
	return i
}

const hexDigits = "0123456789abcdef"

// AppendJSONString appends s as a JSON string (quotes, escapes; UTF-8 kept).
// Bytes that are not UTF-8 become U+FFFD, so that the result is JSON for any s.
func AppendJSONString(dst []byte, s []byte) []byte {
	dst = append(dst, '"')
	for {
		n := plain(s)
		dst = append(dst, s[:n]...)
		s = s[n:]
		if len(s) == 0 {
			return append(dst, '"')
		}
		switch c := s[0]; {
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRune(s)
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, "\uFFFD"...)
			} else {
				dst = append(dst, s[:size]...)
			}
			s = s[size:]
			continue
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		s = s[1:]
	}
}

// jsonStringSize returns len(AppendJSONString(nil, s)).
func jsonStringSize(s []byte) int {
	size := 2
	for {
		n := plain(s)
		size += n
		s = s[n:]
		if len(s) == 0 {
			return size
		}
		switch c := s[0]; {
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRune(s)
			if r == utf8.RuneError && n == 1 {
				size += len("\uFFFD")
			} else {
				size += n
			}
			s = s[n:]
			continue
		case c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t':
			size += 2
		default:
			size += 6
		}
		s = s[1:]
	}
}
