package partiql

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

type kind byte

const (
	end kind = iota
	illegal
	word   // a bare name or keyword, as written
	quoted // a name in double quotes
	text   // a string in single quotes
	number
	symbol // ( ) [ ] { } << >> , . : ; * ? + - = <> != < <= > >=
)

type token struct {
	kind   kind
	s      string // what it says: without quotes, symbols and words as written
	pos    int    // byte offset
	length int    // in bytes
}

// is reports whether the token is a keyword; keywords are case-insensitive.
func (t token) is(keyword string) bool { return t.kind == word && strings.EqualFold(t.s, keyword) }

// sym reports whether it is a symbol.
func (t token) sym(s string) bool { return t.kind == symbol && t.s == s }

// name reports whether it can name an attribute or table.
func (t token) name() bool { return t.kind == quoted || t.kind == word && !isKeyword(t.s) }

// scan returns the token at or behind pos.
func scan(src string, pos int) token {
	pos, ok := skip(src, pos)
	if !ok {
		return token{kind: illegal, pos: pos}
	}
	if pos == len(src) {
		return token{kind: end, pos: pos}
	}
	make := func(k kind, to int) token { return token{k, src[pos:to], pos, to - pos} }
	switch c := src[pos]; {
	case c == '\'' || c == '"':
		s, to, ok := scanQuoted(src, pos)
		if !ok {
			return token{kind: illegal, pos: pos}
		}
		k := text
		if c == '"' {
			k = quoted
		}
		return token{k, s, pos, to - pos}
	case isDigit(c) || c == '.' && pos+1 < len(src) && isDigit(src[pos+1]):
		return make(number, scanNumber(src, pos))
	case isLetter(c):
		to := pos + 1
		for to < len(src) && (isLetter(src[to]) || isDigit(src[to])) {
			to++
		}
		return make(word, to)
	}
	for _, s := range [...]string{"<<", ">>", "<>", "<=", ">=", "!="} {
		if strings.HasPrefix(src[pos:], s) {
			return make(symbol, pos+2)
		}
	}
	if strings.IndexByte("()[]{},.:;*?+-=<>", src[pos]) >= 0 {
		return make(symbol, pos+1)
	}
	return token{kind: illegal, pos: pos}
}

// skip steps over white space and comments; ok is false in one without an end.
func skip(src string, pos int) (to int, ok bool) {
	for pos < len(src) {
		switch rest := src[pos:]; {
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\n' || rest[0] == '\r':
			pos++
		case strings.HasPrefix(rest, "--"):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				return len(src), true
			}
			pos += n + 1
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				return pos, false
			}
			pos += n + 4
		default:
			return pos, true
		}
	}
	return pos, true
}

// scanQuoted reads to the closing quote; a doubled quote stands for itself.
func scanQuoted(src string, pos int) (s string, to int, ok bool) {
	q := src[pos]
	doubled := false
	for i := pos + 1; i < len(src); i++ {
		switch {
		case src[i] != q:
		case i+1 < len(src) && src[i+1] == q:
			doubled = true
			i++
		default:
			s = src[pos+1 : i]
			if doubled {
				s = strings.ReplaceAll(s, string([]byte{q, q}), string([]byte{q}))
			}
			return s, i + 1, true
		}
	}
	return "", len(src), false
}

func scanNumber(src string, pos int) (to int) {
	digits := func() {
		for pos < len(src) && isDigit(src[pos]) {
			pos++
		}
	}
	digits()
	if pos < len(src) && src[pos] == '.' {
		pos++
		digits()
	}
	if pos < len(src) && src[pos]|0x20 == 'e' {
		at := pos + 1
		if at < len(src) && (src[at] == '+' || src[at] == '-') {
			at++
		}
		if at < len(src) && isDigit(src[at]) {
			pos = at
			digits()
		}
	}
	return pos
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isLetter(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c == '$'
}

// at writes the place of a token as AWS does: line, column and length, counted in
// characters.
func at(src string, t token) string {
	before := src[:t.pos]
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	length := utf8.RuneCountInString(src[t.pos : t.pos+t.length])
	return strconv.Itoa(line) + ":" + strconv.Itoa(column) + ":" + strconv.Itoa(length)
}

// keywords are the words that name nothing without quotes: those of the grammar
// here, and the ones of SQL that AWS is known to refuse.
var keywords = strings.Fields(`all and as asc at avg between by case check cross delete desc distinct else end escape
	exists false from full group having in inner insert into is join left like limit missing natural not null on or order
	outer pivot remove returning right select set then true union unpivot update value values when where`)

func isKeyword(s string) bool {
	for _, k := range keywords {
		if strings.EqualFold(k, s) {
			return true
		}
	}
	return false
}
