package pattern

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind of a scalar.
type kind byte

const (
	textKind kind = iota
	numberKind
	trueKind
	falseKind
	nullKind
)

// scalar is a leaf of the event.
type scalar struct {
	kind   kind
	text   []byte // of a string
	number float64
}

// matcher is one element of a pattern's array.
type matcher interface{ matches(s scalar) bool }

type (
	equalText   string
	equalNumber float64
	equalKind   kind // true, false, null
	prefix      string
	suffix      string
	ignoreCase  string
	prefixFold  string // prefix without regard to case
	suffixFold  string
	wildcard    []string // the texts between the stars
	exists      struct{}
	cidr        netip.Prefix
	// not matches every scalar that none of its matchers does.
	not []matcher
	// span is a range of numbers.
	span struct {
		low, high         float64
		hasLow, hasHigh   bool
		openLow, openHigh bool
	}
)

func (m equalText) matches(s scalar) bool {
	return s.kind == textKind && string(s.text) == string(m)
}

func (m equalNumber) matches(s scalar) bool { return s.kind == numberKind && s.number == float64(m) }
func (m equalKind) matches(s scalar) bool   { return s.kind == kind(m) }
func (exists) matches(scalar) bool          { return true }

func (m prefix) matches(s scalar) bool {
	return s.kind == textKind && len(s.text) >= len(m) && string(s.text[:len(m)]) == string(m)
}

func (m suffix) matches(s scalar) bool {
	return s.kind == textKind && len(s.text) >= len(m) && string(s.text[len(s.text)-len(m):]) == string(m)
}

func (m ignoreCase) matches(s scalar) bool {
	return s.kind == textKind && bytes.EqualFold(s.text, []byte(m))
}

func (m prefixFold) matches(s scalar) bool {
	return s.kind == textKind && foldPrefix(s.text, string(m))
}

func (m suffixFold) matches(s scalar) bool {
	if s.kind != textKind {
		return false
	}
	text, want := s.text, string(m)
	for len(want) > 0 {
		a, n := utf8.DecodeLastRune(text)
		b, k := utf8.DecodeLastRuneInString(want)
		if n == 0 || !foldRune(a, b) {
			return false
		}
		text, want = text[:len(text)-n], want[:len(want)-k]
	}
	return true
}

func foldPrefix(text []byte, want string) bool {
	for _, b := range want {
		a, n := utf8.DecodeRune(text)
		if n == 0 || !foldRune(a, b) {
			return false
		}
		text = text[n:]
	}
	return true
}

func foldRune(a, b rune) bool {
	if a == b {
		return true
	}
	for r := unicode.SimpleFold(a); r != a; r = unicode.SimpleFold(r) {
		if r == b {
			return true
		}
	}
	return false
}

// matches finds the parts in order, each as early as it can be, the last at the end.
func (m wildcard) matches(s scalar) bool {
	if s.kind != textKind {
		return false
	}
	text, first, last := s.text, m[0], m[len(m)-1]
	if len(m) == 1 {
		return string(text) == first
	}
	if len(text) < len(first)+len(last) || string(text[:len(first)]) != first || string(text[len(text)-len(last):]) != last {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range m[1 : len(m)-1] {
		i := bytes.Index(text, []byte(part))
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return true
}

func (m cidr) matches(s scalar) bool {
	if s.kind != textKind || len(s.text) > len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255") {
		return false
	}
	a, err := netip.ParseAddr(string(s.text))
	return err == nil && netip.Prefix(m).Contains(a)
}

func (m not) matches(s scalar) bool {
	return !slices.ContainsFunc(m, func(o matcher) bool { return o.matches(s) })
}

func (m span) matches(s scalar) bool {
	if s.kind != numberKind {
		return false
	}
	n := s.number
	if m.hasLow && (n < m.low || m.openLow && n == m.low) {
		return false
	}
	return !m.hasHigh || n < m.high || n == m.high && !m.openHigh
}

// parseWildcard splits at the stars; `\*` is a star and `\\` a backslash.
func parseWildcard(s string) (wildcard, bool) {
	var w wildcard
	var part strings.Builder
	star := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
			if i == len(s) || s[i] != '*' && s[i] != '\\' {
				return nil, false
			}
			part.WriteByte(s[i])
			star = false
		case c == '*' && star:
			return nil, false // AWS refuses two in a row
		case c == '*':
			w = append(w, part.String())
			part.Reset()
			star = true
		default:
			part.WriteByte(c)
			star = false
		}
	}
	return append(w, part.String()), true
}

// parseCIDR reads an address with the length of a prefix.
func parseCIDR(s string) (cidr, bool) {
	p, err := netip.ParsePrefix(s)
	return cidr(p), err == nil
}
