package sigv4

import (
	"net/http"
	"strconv"
	"strings"
)

// HTTP gives the headers of a request of net/http, which keeps some of them elsewhere.
func HTTP(r *http.Request) Headers { return (*httpHeaders)(r) }

type httpHeaders http.Request

func (h *httpHeaders) Append(dst []byte, name string) ([]byte, bool) {
	switch name {
	case "host":
		return append(dst, h.Host...), true
	case "content-length":
		if h.ContentLength < 0 {
			return dst, false
		}
		return strconv.AppendInt(dst, h.ContentLength, 10), true
	case "transfer-encoding":
		return append(dst, strings.Join(h.TransferEncoding, ",")...), len(h.TransferEncoding) > 0
	}
	var buf [64]byte
	values := h.Header[string(canonicalName(buf[:0], name))]
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendValue(dst, v)
	}
	return dst, len(values) > 0
}

// canonicalName appends the name of net/http's for a name in lower case; the map is asked without an allocation then.
func canonicalName(dst []byte, name string) []byte {
	dst = append(dst, name...)
	for i, c := range dst {
		if (i == 0 || dst[i-1] == '-') && 'a' <= c && c <= 'z' {
			dst[i] = c - ('a' - 'A')
		}
	}
	return dst
}

func (h *httpHeaders) Amz(list string, ok func(list string, name []byte) bool) string {
	for name := range h.Header {
		if len(name) > 6 && name[:6] == "X-Amz-" && !ok(list, []byte(name)) {
			return name
		}
	}
	return ""
}

// hasRuns reports whether AppendValue changes a value: it has a tab, a blank at an end, or one behind another.
func hasRuns[T string | []byte](value T) bool {
	before := byte(' ')
	for i := range len(value) {
		c := value[i]
		if c == '\t' || c == ' ' && before == ' ' {
			return true
		}
		before = c
	}
	return len(value) > 0 && before == ' '
}

// AppendValue appends a header's value without blanks at its ends, and with one blank for each run of them.
func AppendValue[T string | []byte](dst []byte, value T) []byte {
	if !hasRuns(value) {
		return append(dst, value...)
	}
	blank := true // none before the first word
	for i := range len(value) {
		switch c := value[i]; c {
		case ' ', '\t':
			if !blank {
				dst = append(dst, ' ')
			}
			blank = true
		default:
			dst = append(dst, c)
			blank = false
		}
	}
	if len(value) > 0 && blank && len(dst) > 0 && dst[len(dst)-1] == ' ' {
		dst = dst[:len(dst)-1]
	}
	return dst
}
