package partiql

import (
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
)

// where parses WHERE and a condition, if they are there.
func (p *parser) where(s *Statement) *awserr.Error {
	if !p.acceptWord("where") {
		return nil
	}
	var e *awserr.Error
	s.where, e = p.disjunction()
	return e
}

// joined makes one condition of conjuncts.
func (p *parser) joined(list []condition) expr.Term {
	terms := make([]expr.Term, len(list))
	for i := range list {
		terms[i] = list[i].term
	}
	return p.b.And(terms...)
}

// disjunction parses: conjunction (OR conjunction)*. What it returns is joined by
// AND.
func (p *parser) disjunction() ([]condition, *awserr.Error) {
	first, e := p.conjunction()
	if e != nil || !p.tok.is("or") {
		return first, e
	}
	terms := []expr.Term{p.joined(first)}
	for p.acceptWord("or") {
		if e := p.operandMustFollow(); e != nil {
			return nil, e
		}
		next, e := p.conjunction()
		if e != nil {
			return nil, e
		}
		terms = append(terms, p.joined(next))
	}
	return []condition{{term: p.b.Or(terms...)}}, nil
}

func (p *parser) conjunction() ([]condition, *awserr.Error) {
	list, e := p.negation()
	for e == nil && p.acceptWord("and") {
		var next []condition
		if e = p.operandMustFollow(); e == nil {
			next, e = p.negation()
		}
		list = append(list, next...)
	}
	return list, e
}

func (p *parser) operandMustFollow() *awserr.Error {
	if p.tok.kind == end || p.tok.sym(";") {
		return awserr.Malformed("Missing right-hand side expression of infix operator")
	}
	return nil
}

// negation parses: NOT* predicate
func (p *parser) negation() ([]condition, *awserr.Error) {
	nots := 0
	for p.acceptWord("not") {
		nots++
	}
	list, e := p.predicate()
	if e != nil || nots == 0 {
		return list, e
	}
	t := p.joined(list)
	if nots%2 == 1 {
		t = p.b.Not(t)
	}
	return []condition{{term: t}}, nil
}

// tests are the functions that are conditions.
var tests = map[string]bool{
	"begins_with": true, "contains": true, "attribute_type": true, "attribute_exists": true, "attribute_not_exists": true,
}

// predicate parses a comparison, a test or what stands in parentheses.
func (p *parser) predicate() ([]condition, *awserr.Error) {
	if p.accept("(") {
		list, e := p.disjunction()
		if e == nil && !p.accept(")") {
			e = p.unexpected()
		}
		return list, e
	}
	if p.peek.sym("(") && p.tok.kind == word {
		fn := strings.ToLower(p.tok.s)
		switch {
		case tests[fn]:
			args, e := p.arguments(p.operand)
			if e != nil {
				return nil, e
			}
			c := condition{term: p.b.Test(fn, args...)}
			if fn == "begins_with" && len(args) == 2 {
				c.key = keyTerm(expr.KeyBeginsWith, args[0], args[1])
			}
			return []condition{c}, nil
		case fn != "size":
			return nil, awserr.UnrecognizedFunction(fn, at(p.src, p.tok))
		}
	}
	left, e := p.operand()
	if e != nil {
		return nil, e
	}
	return p.comparison(left)
}

// keyTerm is what a comparison says of a top-level attribute, empty when nothing.
func keyTerm(op expr.KeyOp, left expr.Operand, values ...expr.Operand) (k expr.KeyTerm) {
	path, ok := left.Path()
	if !ok {
		return k
	}
	name, whole := path.Attribute()
	if !whole {
		return k
	}
	for _, v := range values {
		if v.Value() == nil {
			return expr.KeyTerm{}
		}
		k.Values = append(k.Values, v.Value())
	}
	k.Attribute, k.Op = name, op
	return k
}

var keyOps = map[string]expr.KeyOp{"=": expr.KeyEQ, "<": expr.KeyLT, "<=": expr.KeyLE, ">": expr.KeyGT, ">=": expr.KeyGE}

// mirrored is an operator with its sides changed.
var mirrored = map[string]string{"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

func (p *parser) comparison(left expr.Operand) ([]condition, *awserr.Error) {
	one := func(c condition, negated bool) []condition {
		if negated {
			return []condition{{term: p.b.Not(c.term)}}
		}
		return []condition{c}
	}
	op := p.tok
	if op.kind == symbol && (keyOps[op.s] != 0 || op.s == "=" || op.s == "<>" || op.s == "!=") {
		p.next()
		if e := p.operandMustFollow(); e != nil {
			return nil, e
		}
		right, e := p.operand()
		if e != nil {
			return nil, e
		}
		operator := op.s
		if operator == "!=" {
			operator = "<>"
		}
		c := condition{term: p.b.Compare(operator, left, right)}
		if operator != "<>" {
			if c.key = keyTerm(keyOps[operator], left, right); c.key.Attribute == "" {
				c.key = keyTerm(keyOps[mirrored[operator]], right, left)
			}
		}
		return []condition{c}, nil
	}
	if p.acceptWord("is") {
		negated := p.acceptWord("not")
		t, e := p.typeTest(left)
		if e != nil {
			return nil, e
		}
		return one(condition{term: t}, negated), nil
	}
	negated := p.acceptWord("not")
	switch {
	case p.acceptWord("between"):
		lower, e := p.operand()
		if e != nil {
			return nil, e
		}
		if !p.acceptWord("and") {
			return nil, p.unexpected()
		}
		upper, e := p.operand()
		if e != nil {
			return nil, e
		}
		return one(condition{term: p.b.Between(left, lower, upper), key: keyTerm(expr.KeyBetween, left, lower, upper)}, negated), nil
	case p.acceptWord("in"):
		list, e := p.candidates()
		if e != nil {
			return nil, e
		}
		return one(condition{term: p.b.In(left, list), key: keyTerm(expr.KeyEQ, left, list...), in: true}, negated), nil
	case negated || p.tok.is("like"):
		return nil, p.unexpected()
	}
	return nil, awserr.NotBoolean()
}

// candidates parses what follows IN: a list, in brackets or parentheses, or one
// parameter that is a list.
func (p *parser) candidates() ([]expr.Operand, *awserr.Error) {
	closing := ""
	switch {
	case p.accept("["):
		closing = "]"
	case p.accept("("):
		closing = ")"
	case p.accept("<<"):
		closing = ">>"
	case p.tok.sym("?"):
		v, e := p.parameter()
		if e != nil {
			return nil, e
		}
		var list []expr.Operand
		if v.Type() == item.L || v.Type().Element() != item.None {
			for element := range v.Elements() {
				list = append(list, expr.ValueOperand(element))
			}
		}
		if list == nil {
			return nil, awserr.BadIn()
		}
		return list, nil
	default:
		return nil, awserr.BadIn()
	}
	if p.accept(closing) {
		return nil, awserr.BadIn()
	}
	var list []expr.Operand
	for {
		o, e := p.operand()
		if e != nil {
			return nil, e
		}
		list = append(list, o)
		if p.accept(closing) {
			return list, nil
		}
		if !p.accept(",") {
			return nil, p.unexpected()
		}
	}
}

// types are the names that IS tests for, beside MISSING.
var types = map[string]item.Type{
	"null": item.NULL, "boolean": item.BOOL, "bool": item.BOOL, "blob": item.B, "string": item.S, "numeric": item.N,
	"struct": item.M, "tuple": item.M, "list": item.L,
}

func (p *parser) typeTest(what expr.Operand) (expr.Term, *awserr.Error) {
	name := strings.ToLower(p.tok.s)
	if p.tok.kind == word && name == "missing" {
		p.next()
		return p.b.Test("attribute_not_exists", what), nil
	}
	t, ok := types[name]
	if p.tok.kind != word || !ok {
		return expr.Term{}, awserr.Malformed("Expected type name")
	}
	p.next()
	return p.b.Test("attribute_type", what, expr.ValueOperand(item.String(t.String()))), nil
}

// operand parses a path, a value or size(...).
func (p *parser) operand() (expr.Operand, *awserr.Error) {
	switch {
	case p.tok.kind == word && p.peek.sym("("):
		fn, where := strings.ToLower(p.tok.s), at(p.src, p.tok)
		if fn != "size" {
			return expr.Operand{}, awserr.UnrecognizedFunction(fn, where)
		}
		args, e := p.arguments(p.operand)
		if e != nil {
			return expr.Operand{}, e
		}
		return p.b.Call(fn, args...), nil
	case p.atLiteral():
		v, e := p.literal()
		return expr.ValueOperand(v), e
	case p.tok.is("missing"):
		return expr.Operand{}, awserr.MissingCompared()
	}
	path, _, e := p.path()
	if e != nil {
		return expr.Operand{}, e
	}
	return expr.PathOperand(path), nil
}
