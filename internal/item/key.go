package item

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// In the key form of S and B, 0x00 is followed by one of these.
const (
	keyEnd    = 0x01
	keyEscape = 0xFF // the 0x00 is of the value
)

// AppendKey appends the order-preserving, self-delimiting encoding of a
// scalar S, N or B: byte order of encodings of one type is DynamoDB's order,
// also when other bytes follow.
func AppendKey(dst []byte, v Value) []byte {
	if v.Type() == N {
		return append(dst, v[1:]...)
	}
	return append(AppendKeyPrefix(dst, v), 0, keyEnd)
}

// AppendKeyPrefix appends the encoding of v (S or B) without its terminator:
// the encodings of all values that begin with v start with these bytes.
func AppendKeyPrefix(dst []byte, v Value) []byte {
	p := v.Bytes()
	for {
		i := bytes.IndexByte(p, 0)
		if i < 0 {
			return append(dst, p...)
		}
		dst = append(append(dst, p[:i]...), 0, keyEscape)
		p = p[i+1:]
	}
}

var errKeyCut = errors.New("item: key encoding ends early")

// DecodeKey reads one AppendKey encoding of a value of type t from the front.
// v owns its bytes; rest shares b's.
func DecodeKey(b []byte, t Type) (v Value, rest []byte, err error) {
	switch t {
	case N:
		n, err := checkNumber(b)
		if err != nil {
			return nil, nil, err
		}
		v = make(Value, 1+n)
		v[0] = byte(N)
		copy(v[1:], b)
		return v, b[n:], nil
	case S, B:
	default:
		return nil, nil, fmt.Errorf("item: a key cannot be of type %q", t)
	}

	// Find the end and how many bytes are escaped, then copy once.
	escaped := 0
	end := 0
	for {
		i := bytes.IndexByte(b[end:], 0)
		if i < 0 || end+i+1 >= len(b) {
			return nil, nil, errKeyCut
		}
		end += i
		if b[end+1] == keyEnd {
			break
		}
		if b[end+1] != keyEscape {
			return nil, nil, fmt.Errorf("item: key encoding has byte %#x after a zero byte", b[end+1])
		}
		escaped++
		end += 2
	}
	size := end - escaped
	v = appendUvarint(append(make(Value, 0, 1+uvarintLen(size)+size), byte(t)), size)
	for p := b[:end]; len(p) > 0; {
		i := bytes.IndexByte(p, 0)
		if i < 0 {
			v = append(v, p...)
			break
		}
		v = append(v, p[:i+1]...)
		p = p[i+2:]
	}
	return v, b[end+2:], nil
}

// PartitionHash is the hash of a partition key by which items are laid out:
// xxhash64 of the AppendKey form. It never changes.
func PartitionHash(pk Value) uint64 {
	var buf [256]byte
	return xxhash.Sum64(AppendKey(buf[:0], pk))
}
