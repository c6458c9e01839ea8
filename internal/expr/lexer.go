package expr

import "unicode/utf8"

type tokenKind byte

const (
	tokEOF     tokenKind = iota
	tokIllegal           // a character that begins no token
	tokIdent
	tokDigits // 0, or digits that do not begin with 0
	tokName   // #name
	tokValue  // :value

	// The comparators, in the order of the operators they stand for.
	tokEQ
	tokNE
	tokLT
	tokLE
	tokGT
	tokGE

	tokOpen
	tokClose
	tokOpenIndex
	tokCloseIndex
	tokComma
	tokDot
	tokPlus
	tokMinus

	tokAnd
	tokOr
	tokNot
	tokBetween
	tokIn
	tokSet
	tokRemove
	tokAdd
	tokDelete
)

// token is a piece of the source. A tokEOF lies at the end of it.
type token struct {
	kind       tokenKind
	start, end int
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) || c == '_' }

// scan returns the first token of src from pos on.
func scan(src string, pos int) token {
	for pos < len(src) && (src[pos] == ' ' || src[pos] == '\t' || src[pos] == '\r' || src[pos] == '\n') {
		pos++
	}
	if pos == len(src) {
		return token{tokEOF, pos, pos}
	}
	c := src[pos]
	end := pos + 1
	switch {
	case isLetter(c):
		for end < len(src) && isWord(src[end]) {
			end++
		}
		return token{keyword(src[pos:end]), pos, end}
	case c == '#' || c == ':':
		for end < len(src) && isWord(src[end]) {
			end++
		}
		switch {
		case end == pos+1:
			return token{tokIllegal, pos, end}
		case c == '#':
			return token{tokName, pos, end}
		}
		return token{tokValue, pos, end}
	case isDigit(c):
		// A leading zero is a number of its own, as in AWS's grammar.
		for c != '0' && end < len(src) && isDigit(src[end]) {
			end++
		}
		return token{tokDigits, pos, end}
	}
	kind := tokIllegal
	switch c {
	case '=':
		kind = tokEQ
	case '<':
		kind = tokLT
		if end < len(src) && src[end] == '=' {
			kind, end = tokLE, end+1
		} else if end < len(src) && src[end] == '>' {
			kind, end = tokNE, end+1
		}
	case '>':
		kind = tokGT
		if end < len(src) && src[end] == '=' {
			kind, end = tokGE, end+1
		}
	case '(':
		kind = tokOpen
	case ')':
		kind = tokClose
	case '[':
		kind = tokOpenIndex
	case ']':
		kind = tokCloseIndex
	case ',':
		kind = tokComma
	case '.':
		kind = tokDot
	case '+':
		kind = tokPlus
	case '-':
		kind = tokMinus
	default:
		if c >= utf8.RuneSelf {
			_, n := utf8.DecodeRuneInString(src[pos:])
			end = pos + n
		}
	}
	return token{kind, pos, end}
}

// keyword tells keywords, whose case does not matter, from identifiers.
func keyword(word string) tokenKind {
	var b [7]byte
	if len(word) > len(b) {
		return tokIdent
	}
	for i := 0; i < len(word); i++ {
		b[i] = word[i] | 0x20 // lower case for letters; no keyword has another character
	}
	switch string(b[:len(word)]) {
	case "and":
		return tokAnd
	case "or":
		return tokOr
	case "not":
		return tokNot
	case "between":
		return tokBetween
	case "in":
		return tokIn
	case "set":
		return tokSet
	case "remove":
		return tokRemove
	case "add":
		return tokAdd
	case "delete":
		return tokDelete
	}
	return tokIdent
}
