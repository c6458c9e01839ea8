package sigv4

import (
	"slices"
	"strings"
)

const upperHex = "0123456789ABCDEF"

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~'
}

func appendEscaped(dst []byte, c byte, slash bool) []byte {
	if unreserved(c) || slash && c == '/' {
		return append(dst, c)
	}
	return append(dst, '%', upperHex[c>>4], upperHex[c&15])
}

// appendPath appends the canonical path: of S3 what came, decoded and escaped once; of others what came, escaped again. Some
// signers take out ".", ".." and empty segments first and some do not, while what serves the request sees what came. So a path
// with such segments is not signed by anybody; of S3 they are parts of names.
func appendPath(dst []byte, path string, s3 bool) (_ []byte, ok bool) {
	if path == "" {
		return append(dst, '/'), true
	}
	if !s3 {
		if path[0] != '/' || dotted(path) {
			return nil, false
		}
		for i := range len(path) {
			dst = appendEscaped(dst, path[i], true)
		}
		return dst, true
	}
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if c, ok = unhex(path, i); !ok {
				return nil, false
			}
			i += 2
		}
		dst = appendEscaped(dst, c, true)
	}
	return dst, true
}

func dotted(path string) bool {
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") {
		return false
	}
	if strings.Contains(path, "//") {
		return true
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

func unhex(s string, at int) (c byte, ok bool) {
	if at+2 >= len(s) {
		return 0, false
	}
	high, low := strings.IndexByte("0123456789ABCDEF", upperCase(s[at+1])), strings.IndexByte("0123456789ABCDEF", upperCase(s[at+2]))
	if high < 0 || low < 0 {
		return 0, false
	}
	return byte(high<<4 | low), true
}

func upperCase(c byte) byte {
	if 'a' <= c && c <= 'z' {
		c -= 'a' - 'A'
	}
	return c
}

// param is a parameter of the query, escaped, within buf.
type param struct{ name, value string }

// appendQuery appends the canonical query: parameters by their escaped name, then by value, without the signature itself. A plus
// that is not escaped is signed by nobody: some read it as one, and some as a blank.
func (s *scratch) appendQuery(dst []byte, query string) (_ []byte, ok bool) {
	if query == "" {
		return dst, true
	}
	params := s.params[:0]
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		if name, ok = reescaped(name); !ok {
			return nil, false
		}
		if name == "X-Amz-Signature" {
			continue
		}
		if value, ok = reescaped(value); !ok {
			return nil, false
		}
		params = append(params, param{name, value})
	}
	slices.SortFunc(params, func(a, b param) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	for i, p := range params {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = append(append(append(dst, p.name...), '='), p.value...)
	}
	clear(params)
	s.params = params[:0]
	return dst, true
}

// reescaped decodes a part of a query and escapes it as signatures have it.
func reescaped(s string) (_ string, ok bool) {
	plain := true
	for i := range len(s) {
		if !unreserved(s[i]) {
			plain = false
			break
		}
	}
	if plain {
		return s, true
	}
	dst := make([]byte, 0, len(s)+8)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case '+':
			return "", false
		case '%':
			if c, ok = unhex(s, i); !ok {
				return "", false
			}
			i += 2
		}
		dst = appendEscaped(dst, c, false)
	}
	return string(dst), true
}
