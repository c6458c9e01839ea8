package partiql

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// atLiteral reports that a literal or a parameter begins here.
func (p *parser) atLiteral() bool {
	t := p.tok
	switch t.kind {
	case text, number:
		return true
	case symbol:
		return t.s == "[" || t.s == "{" || t.s == "<<" || t.s == "?" || t.s == "-" || t.s == "+"
	}
	return t.is("true") || t.is("false") || t.is("null")
}

// literal parses a value that stands alone: a parameter or a literal.
func (p *parser) literal() (item.Value, *awserr.Error) {
	if p.tok.sym("?") {
		return p.parameter()
	}
	return p.constant("root", 1)
}

// parameter takes the next parameter of the request.
func (p *parser) parameter() (item.Value, *awserr.Error) {
	if p.used == len(p.params) {
		return nil, awserr.ParameterCount()
	}
	v := p.params[p.used]
	p.used++
	p.next()
	return v, nil
}

// constant parses a literal; under is its place in the whole value, as errors name
// it.
func (p *parser) constant(under string, depth int) (item.Value, *awserr.Error) {
	if depth > item.MaxDepth {
		return nil, awserr.NestingTooDeep()
	}
	t := p.tok
	switch {
	case t.kind == text:
		if !utf8.ValidString(t.s) {
			return nil, awserr.Malformed("")
		}
		p.next()
		return item.String(t.s), nil
	case t.kind == number, t.sym("-"), t.sym("+"):
		return p.number(under)
	case t.is("true"), t.is("false"):
		p.next()
		return item.Bool(t.is("true")), nil
	case t.is("null"):
		p.next()
		return item.Null(), nil
	case t.sym("["):
		p.next()
		elems, e := p.sequence("]", func(i int) (item.Value, *awserr.Error) {
			return p.constant(under+"["+strconv.Itoa(i)+"]", depth+1)
		})
		return item.List(elems...), e
	case t.sym("<<"):
		return p.bag(under)
	case t.sym("{"):
		entries, e := p.tuple(under, func(name string) (item.Value, *awserr.Error) {
			return p.constant(under+"."+name, depth+1)
		})
		return item.Map(entries...), e
	case t.sym("?"):
		return nil, awserr.UnsupportedInLiteral("Parameter", under, at(p.src, t))
	case t.is("missing"):
		return nil, awserr.UnsupportedInLiteral("Missing", under, at(p.src, t))
	case t.kind == word && p.peek.sym("("):
		return nil, awserr.UnsupportedInLiteral(strings.ToLower(t.s), under, at(p.src, t))
	}
	return nil, p.unexpected()
}

// sequence parses elements up to a closing symbol; the opening one is consumed.
func (p *parser) sequence(closing string, element func(i int) (item.Value, *awserr.Error)) ([]item.Value, *awserr.Error) {
	var elems []item.Value
	if p.accept(closing) {
		return nil, nil
	}
	for {
		v, e := element(len(elems))
		if e != nil {
			return nil, e
		}
		elems = append(elems, v)
		if p.accept(closing) {
			return elems, nil
		}
		if !p.accept(",") {
			return nil, p.unexpected()
		}
	}
}

// tuple parses {'name': value, ...}.
func (p *parser) tuple(under string, value func(name string) (item.Value, *awserr.Error)) ([]item.Entry, *awserr.Error) {
	p.next() // {
	seen := map[string]bool{}
	var entries []item.Entry
	if p.accept("}") {
		return nil, nil
	}
	for {
		name := p.tok
		if name.kind != text {
			return nil, p.unexpected()
		}
		p.next()
		if !p.accept(":") {
			return nil, p.unexpected()
		}
		switch {
		case name.s == "":
			return nil, awserr.AttributeNameEmpty()
		case !utf8.ValidString(name.s):
			return nil, awserr.Malformed("")
		case seen[name.s]:
			return nil, awserr.DuplicateKeyInTuple(name.s, under)
		}
		seen[name.s] = true
		v, e := value(name.s)
		if e != nil {
			return nil, e
		}
		entries = append(entries, item.Entry{Name: name.s, Value: v})
		if p.accept("}") {
			return entries, nil
		}
		if !p.accept(",") {
			return nil, p.unexpected()
		}
	}
}

// number parses signs and digits.
func (p *parser) number(under string) (item.Value, *awserr.Error) {
	negative := false
	for p.tok.sym("-") || p.tok.sym("+") {
		negative = negative != p.tok.sym("-")
		p.next()
	}
	if p.tok.kind != number {
		return nil, p.unexpected()
	}
	s := p.tok.s
	if !readable(s) {
		return nil, awserr.Malformed("")
	}
	p.next()
	if negative {
		s = "-" + s
	}
	v, e := item.ParseNumber([]byte(s))
	if e != nil {
		return nil, awserr.LiteralUnder(e, under)
	}
	return v, nil
}

// readable reports whether exponent and scale fit 32 bits, beyond which AWS's
// parser gives up.
func readable(s string) bool {
	i := strings.IndexAny(s, "eE")
	if i < 0 {
		return true
	}
	exponent, err := strconv.ParseInt(s[i+1:], 10, 32)
	if err != nil {
		return false
	}
	scale := -exponent
	if point := strings.IndexByte(s[:i], '.'); point >= 0 {
		scale += int64(i - point - 1)
	}
	return scale >= math.MinInt32 && scale <= math.MaxInt32
}

// bag parses <<1, 2>> or <<'a', 'b'>>: a set.
func (p *parser) bag(under string) (item.Value, *awserr.Error) {
	p.next() // <<
	var shown []string
	elems, e := p.sequence(">>", func(i int) (item.Value, *awserr.Error) {
		start := p.tok
		v, e := p.constant(under, item.MaxDepth)
		if e == nil {
			shown = append(shown, strings.Trim(p.src[start.pos:p.last], "'"))
		}
		return v, e
	})
	if e != nil {
		return nil, e
	}
	if len(elems) == 0 {
		return nil, awserr.EmptyBag()
	}
	set := item.SS
	if elems[0].Type() == item.N {
		set = item.NS
	}
	for _, v := range elems {
		if v.Type() != set.Element() {
			return nil, awserr.MixedBag()
		}
	}
	v := item.Set(set, elems...)
	if v.Len() < len(elems) {
		list := "[" + strings.Join(shown, ", ") + "]"
		if set == item.NS {
			return nil, awserr.DuplicateNumbers(list, under)
		}
		return nil, awserr.DuplicatesInSet("SS", list)
	}
	return v, nil
}
