package awsjson

import (
	"math"
	"strconv"
	"time"

	"github.com/millstreamdb/millstream/internal/door"
	"github.com/millstreamdb/millstream/internal/item"
)

// Member appends the name of an object's next member, after a comma unless the
// object has just been opened. name needs no escapes.
func Member(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

// AppendString appends a member that is a string.
func AppendString(dst []byte, name, value string) []byte {
	return AppendText(Member(dst, name), value)
}

// AppendText appends a string.
func AppendText(dst []byte, s string) []byte {
	return item.AppendJSONString(dst, []byte(s))
}

// Grow returns dst with room for n more bytes: before each part of an answer that may become large.
func Grow(dst []byte, n int) []byte { return door.Grow(dst, n) }

// AppendInt appends a member that is a whole number.
func AppendInt(dst []byte, name string, value int64) []byte {
	return strconv.AppendInt(Member(dst, name), value, 10)
}

// AppendBool appends a member that is a Boolean.
func AppendBool(dst []byte, name string, value bool) []byte {
	return strconv.AppendBool(Member(dst, name), value)
}

// AppendFloat appends a member that is a fraction.
func AppendFloat(dst []byte, name string, value float64) []byte {
	return AppendFraction(Member(dst, name), value)
}

// AppendFraction appends a number, with a point at all times.
func AppendFraction(dst []byte, value float64) []byte {
	dst = strconv.AppendFloat(dst, value, 'f', -1, 64)
	if value == math.Trunc(value) {
		dst = append(dst, '.', '0')
	}
	return dst
}

// AppendTime appends a member that is a time: epoch seconds to the millisecond.
func AppendTime(dst []byte, name string, t time.Time) []byte {
	ms := t.UnixMilli()
	dst = strconv.AppendInt(Member(dst, name), ms/1000, 10)
	ms %= 1000
	return append(dst, '.', '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10))
}
