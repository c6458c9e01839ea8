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

// operator accepts an operator that is a word, and counts it.
func (p *parser) operator(word string) bool {
	if !p.acceptWord(word) {
		return false
	}
	p.b.Operator()
	return true
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
	branches := [][]condition{first}
	for p.operator("or") {
		if e := p.operandMustFollow(); e != nil {
			return nil, e
		}
		next, e := p.conjunction()
		if e != nil {
			return nil, e
		}
		branches = append(branches, next)
	}
	terms := make([]expr.Term, len(branches))
	for i := range branches {
		terms[i] = p.joined(branches[i])
	}
	return []condition{{term: p.b.Or(terms...), any: branches}}, nil
}

func (p *parser) conjunction() ([]condition, *awserr.Error) {
	list, e := p.negation()
	for e == nil && p.operator("and") {
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
	for p.operator("not") {
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
	return []condition{{term: t, not: true}}, nil
}

// tests are the functions that are conditions.
var tests = map[string]bool{
	"begins_with": true, "contains": true, "attribute_type": true, "attribute_exists": true, "attribute_not_exists": true,
}

// comparand is one side of a comparison: an operand, or a function that is a
// condition, whose value is a boolean.
type comparand struct {
	expr.Operand
	test *condition
	name string // of the function

	start token
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
	left, e := p.comparand()
	if e != nil {
		return nil, e
	}
	if left.test != nil && !p.atComparison() {
		return []condition{*left.test}, nil
	}
	return p.comparison(left)
}

// atComparison reports whether an operator of a comparison follows.
func (p *parser) atComparison() bool {
	return p.tok.kind == symbol && comparators[p.tok.s] || p.tok.is("in") || p.tok.is("between") || p.tok.is("is") || p.tok.is("not")
}

// comparand parses an operand or a test.
func (p *parser) comparand() (c comparand, e *awserr.Error) {
	c.start = p.tok
	if !p.peek.sym("(") || p.tok.kind != word {
		c.Operand, e = p.operand()
		return c, e
	}
	c.name = strings.ToLower(p.tok.s)
	if !tests[c.name] {
		c.Operand, e = p.operand()
		return c, e
	}
	p.b.Operator()
	args, e := p.arguments(p.operand)
	if e != nil {
		return c, e
	}
	c.test = &condition{term: p.b.Test(c.name, args...)}
	if c.name == "begins_with" && len(args) == 2 {
		c.test.key = keyTerm(expr.KeyBeginsWith, args[0], args[1])
	}
	return c, nil
}

// equal is the condition that two comparands are equal, of which one is a test. A
// test is true or false of every item; what is not a boolean equals neither.
func (p *parser) equal(a, b comparand) expr.Term {
	if a.test == nil {
		a, b = b, a
	}
	t := a.test.term
	yes, no := p.b.Not(t), t // what b must be for a that holds, and for one that does not
	switch path, isPath := b.Path(); {
	case b.test != nil:
		yes, no = b.test.term, p.b.Not(b.test.term)
	case isPath:
		yes = p.b.Compare("=", expr.PathOperand(path), expr.ValueOperand(item.Bool(true)))
		no = p.b.Compare("=", expr.PathOperand(path), expr.ValueOperand(item.Bool(false)))
	case b.Value().Type() == item.BOOL && b.Value().Bool():
		return t
	case b.Value().Type() == item.BOOL:
		return p.b.Not(t)
	}
	return p.b.Or(p.b.And(t, yes), p.b.And(p.b.Not(t), no))
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

// comparators are the operators that are symbols.
var comparators = map[string]bool{"=": true, "<": true, "<=": true, ">": true, ">=": true, "<>": true, "!=": true}

func (p *parser) comparison(left comparand) ([]condition, *awserr.Error) {
	one := func(c condition, negated bool) []condition {
		if negated {
			return []condition{{term: p.b.Not(c.term), not: true}}
		}
		return []condition{c}
	}
	op := p.tok
	if op.kind == symbol && comparators[op.s] {
		p.b.Operator()
		p.next()
		if e := p.operandMustFollow(); e != nil {
			return nil, e
		}
		right, e := p.comparand()
		if e != nil {
			return nil, e
		}
		operator := op.s
		if operator == "!=" {
			operator = "<>"
		}
		if left.test != nil || right.test != nil {
			if operator != "=" && operator != "<>" {
				p.refuse(awserr.Statement.OperandType(operator, item.BOOL.String()))
			}
			return one(condition{term: p.equal(left, right)}, operator == "<>"), nil
		}
		c := condition{term: p.b.Compare(operator, left.Operand, right.Operand), not: operator == "<>"}
		if operator != "<>" {
			if c.key = keyTerm(keyOps[operator], left.Operand, right.Operand); c.key.Attribute == "" {
				c.key = keyTerm(keyOps[mirrored[operator]], right.Operand, left.Operand)
			}
		}
		return []condition{c}, nil
	}
	if p.operator("is") {
		negated := p.operator("not")
		if left.test != nil {
			return nil, p.unexpected()
		}
		t, e := p.typeTest(left.Operand, left.start)
		if e != nil {
			return nil, e
		}
		return one(condition{term: t}, negated), nil
	}
	negated := p.operator("not")
	switch {
	case p.operator("between"):
		if left.test != nil {
			p.refuse(awserr.Statement.OperandType("BETWEEN", item.BOOL.String()))
		}
		if e := p.operandMustFollow(); e != nil {
			return nil, e
		}
		lower, e := p.operand()
		if e != nil {
			return nil, e
		}
		if !p.acceptWord("and") {
			return nil, awserr.Malformed("Expected AND keyword")
		}
		upper, e := p.operand()
		if e != nil {
			return nil, e
		}
		return one(condition{term: p.b.Between(left.Operand, lower, upper), key: keyTerm(expr.KeyBetween, left.Operand, lower, upper)}, negated), nil
	case p.operator("in"):
		list, e := p.candidates()
		if e != nil {
			return nil, e
		}
		return one(p.oneOf(left, list), negated), nil
	case negated && !p.tok.is("like"):
		return nil, awserr.Malformed("Unexpected token after expression")
	case p.tok.is("like"):
		return nil, p.unexpected()
	}
	p.refuse(awserr.NotBoolean())
	return []condition{{term: p.b.And()}}, nil
}

// oneOf is the condition that a comparand equals one of a list.
func (p *parser) oneOf(left comparand, list []comparand) condition {
	operands := make([]expr.Operand, len(list))
	asked := left.test != nil
	for i := range list {
		operands[i] = list[i].Operand
		asked = asked || list[i].test != nil
	}
	if !asked {
		return condition{term: p.b.In(left.Operand, operands), key: keyTerm(expr.KeyEQ, left.Operand, operands...), in: true}
	}
	terms := make([]expr.Term, len(list))
	for i := range list {
		if left.test != nil || list[i].test != nil {
			terms[i] = p.equal(left, list[i])
		} else {
			terms[i] = p.b.Compare("=", left.Operand, list[i].Operand)
		}
	}
	return condition{term: p.b.Or(terms...)}
}

// candidates parses what follows IN: a list, in brackets or parentheses, or one
// parameter that is a list.
func (p *parser) candidates() ([]comparand, *awserr.Error) {
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
		var list []comparand
		if v.Type() == item.L || v.Type().Element() != item.None {
			for element := range v.Elements() {
				list = append(list, comparand{Operand: expr.ValueOperand(element)})
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
	var list []comparand
	for {
		o, e := p.comparand()
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

// otherTypes are the names of types that no attribute has, with the parser's names for
// them.
var otherTypes = map[string]string{
	"smallint": "SmallintType", "int": "IntegerType", "integer": "IntegerType", "int4": "Integer4Type", "int8": "Integer8Type",
	"bigint": "Integer8Type", "float": "FloatType", "real": "RealType", "double precision": "DoublePrecisionType",
	"decimal": "DecimalType", "timestamp": "TimestampType", "date": "DateType", "time": "TimeType", "char": "CharacterType",
	"character": "CharacterType", "character varying": "CharacterVaryingType", "varchar": "CharacterVaryingType",
	"symbol": "SymbolType", "clob": "ClobType", "sexp": "SexpType", "bag": "BagType", "any": "AnyType",
}

// typeTest parses the type behind IS. start is where the condition begins.
func (p *parser) typeTest(what expr.Operand, start token) (expr.Term, *awserr.Error) {
	if p.tok.kind != word {
		return expr.Term{}, awserr.Malformed("Expected type name")
	}
	name := strings.ToLower(p.tok.s)
	p.next()
	if second := strings.ToLower(p.tok.s); p.tok.kind == word && otherTypes[name+" "+second] != "" {
		name += " " + second
		p.next()
	}
	if p.accept("(") { // a length, or precision and scale
		for p.tok.kind == number || p.tok.sym(",") {
			p.next()
		}
		if !p.accept(")") {
			return expr.Term{}, awserr.Malformed("Expected type name")
		}
	}
	if name == "missing" {
		if _, path := what.Path(); !path && what.Value() == nil {
			p.refuse(awserr.IsOfFunction())
			return p.b.And(), nil
		}
		return p.b.Test("attribute_not_exists", what), nil
	}
	if t, ok := types[name]; ok {
		return p.b.Test("attribute_type", what, expr.ValueOperand(item.String(t.String()))), nil
	}
	other := otherTypes[name]
	if other == "" {
		return expr.Term{}, awserr.Malformed("Expected type name")
	}
	p.refuse(awserr.TypeUnsupported(other, at(p.src, start)))
	return p.b.Test("attribute_not_exists", what), nil
}

// operand parses a path, a value or size(...).
func (p *parser) operand() (expr.Operand, *awserr.Error) {
	switch {
	case p.tok.kind == word && p.peek.sym("("):
		fn, where := strings.ToLower(p.tok.s), at(p.src, p.tok)
		p.b.Operator()
		args, e := p.arguments(p.operand)
		if e != nil {
			return expr.Operand{}, e
		}
		if fn != "size" {
			p.refuse(awserr.UnrecognizedFunction(fn, where))
			return expr.ValueOperand(item.Null()), nil
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
