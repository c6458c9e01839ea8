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
		name := strings.ToLower(t.s)
		if under != "root" {
			name = "Call"
		}
		return nil, awserr.UnsupportedInLiteral(name, under, at(p.src, t))
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
			p.refuse(awserr.EmptyPathComponent())
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
	if wraps(s) {
		p.refuse(awserr.LiteralUnder(awserr.NumberUnderflow(), under))
		return item.Number("0"), nil
	}
	if negative {
		s = "-" + s
	}
	v, e := item.ParseNumber([]byte(s))
	if e != nil {
		p.refuse(awserr.LiteralUnder(e, under))
		return item.Number("0"), nil
	}
	return v, nil
}

// wraps reports whether the exponent of a number, written as one digit before the
// point, does not fit 32 bits though its scale does: AWS's parser then takes it for a
// negative one.
func wraps(s string) bool {
	mantissa, e, found := strings.Cut(strings.ToLower(s), "e")
	if !found {
		return false
	}
	exponent, err := strconv.ParseInt(e, 10, 64)
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	return err == nil && digits != "" && int64(len(digits))-int64(len(fraction))+exponent >= math.MaxInt32
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
	var starts []token
	elems, e := p.sequence(">>", func(i int) (item.Value, *awserr.Error) {
		start := p.tok
		starts = append(starts, start)
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
		p.refuse(awserr.EmptyBag())
		return item.Set(item.SS, item.String("")), nil
	}
	set := item.SS
	if elems[0].Type() == item.N {
		set = item.NS
	}
	for i, v := range elems {
		if v.Type() == set.Element() {
			continue
		}
		where := ""
		if set == item.SS {
			where = at(p.src, starts[i])
		}
		p.refuse(awserr.MixedBag(where))
		return item.Set(item.SS, item.String("")), nil
	}
	v := item.Set(set, elems...)
	if v.Len() < len(elems) {
		list := "[" + strings.Join(shown, ", ") + "]"
		if set == item.NS {
			p.refuse(awserr.DuplicateNumbers(list, under))
		} else {
			p.refuse(awserr.Older.DuplicatesInSet("SS", list))
		}
	}
	return v, nil
}
