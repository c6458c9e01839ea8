package trace

import (
	"context"
	"encoding/hex"
	"strings"
)

// Header is the name of X-Ray's trace header, which AWS's SDKs send on from within a function.
const Header = "X-Amzn-Trace-Id"

// ID names a span of a trace, in OpenTelemetry's form. The zero ID is none.
type ID struct {
	Trace   [16]byte
	Span    [8]byte // zero: the trace alone is known
	Sampled bool
}

// IsZero reports whether there is no trace.
func (id ID) IsZero() bool { return id.Trace == [16]byte{} }

// Parse reads X-Ray's header, Root=1-<8 digits>-<24 digits>;Parent=<16 digits>;Sampled=1, whose root is a trace's id in
// OpenTelemetry too. A header without a root that is well-formed is none. Fields that it does not know are left out.
func Parse(header string) (id ID) {
	for header != "" {
		var field string
		field, header, _ = strings.Cut(header, ";")
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Root":
			if len(value) == 35 && value[0] == '1' && value[1] == '-' && value[10] == '-' {
				var b [16]byte
				if decode(b[:4], value[2:10]) && decode(b[4:], value[11:]) {
					id.Trace = b
				}
			}
		case "Parent":
			var b [8]byte
			if decode(b[:], value) {
				id.Span = b
			}
		case "Sampled":
			id.Sampled = value == "1"
		}
	}
	if id.IsZero() {
		return ID{}
	}
	return id
}

// decode reads lower-case hexadecimal digits of exactly dst's length.
func decode(dst []byte, digits string) bool {
	if len(digits) != 2*len(dst) || strings.Trim(digits, "0123456789abcdef") != "" {
		return false
	}
	_, err := hex.Decode(dst, []byte(digits))
	return err == nil
}

// Header is the header that Parse reads.
func (id ID) Header() string {
	if id.IsZero() {
		return ""
	}
	b := make([]byte, 0, 96)
	b = append(b, "Root=1-"...)
	b = hex.AppendEncode(b, id.Trace[:4])
	b = append(b, '-')
	b = hex.AppendEncode(b, id.Trace[4:])
	if id.Span != [8]byte{} {
		b = append(b, ";Parent="...)
		b = hex.AppendEncode(b, id.Span[:])
	}
	if id.Sampled {
		return string(append(b, ";Sampled=1"...))
	}
	return string(append(b, ";Sampled=0"...))
}

// Size is the length of an ID's binary form.
const Size = 25

// AppendBinary appends the form of an ID that is stored: trace (16), span (8), flags (1; bit 0: sampled).
func (id ID) AppendBinary(dst []byte) []byte {
	dst = append(append(dst, id.Trace[:]...), id.Span[:]...)
	if id.Sampled {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// FromBinary reads what AppendBinary has written, of Size bytes.
func FromBinary(b []byte) (id ID) {
	copy(id.Trace[:], b)
	copy(id.Span[:], b[16:])
	id.Sampled = b[24]&1 != 0
	return id
}

type key struct{}

// With returns a context in which id is the span that is under way.
func With(ctx context.Context, id ID) context.Context { return context.WithValue(ctx, key{}, id) }

// From is the span under way in a context.
func From(ctx context.Context) ID {
	id, _ := ctx.Value(key{}).(ID)
	return id
}
