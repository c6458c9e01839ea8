package expr

import (
	"strconv"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// Limits of the language.
const (
	maxExpression   = 4096 // bytes
	maxOperators    = 300
	maxInOperands   = 100 // the left one counts
	maxPathElements = 32
)

// fault is a kind of error that a syntactically correct expression can have.
// Of several faults AWS reports the one whose kind comes first here, and of one
// kind the first in the text.
type fault byte

const (
	faultReservedInUpdate fault = iota
	faultUnknownFunction
	faultFunctionUse
	faultIndexRange
	faultReserved
	faultClause
	faultCondition // in conditions: names, values and operands, condition by condition
	faultName
	faultValue
	faultOverlap
	faultConflict
	faultClauseOperand
	faultOperand
	faultOperators
	faultKinds
)

// parser holds the state of parsing one expression. Parse functions return
// false after an error that ends parsing, which is then in syntax.
type parser struct {
	src    string
	x      awserr.Expression
	params *Params

	last, tok, next token // last is empty, at the start of the source, before any token was consumed

	elements  []element // backing of paths, so that several share an allocation
	operators int
	syntax    *awserr.Error
	faults    [faultKinds]*awserr.Error
	callAt    [faultFunctionUse + 1]int // where the call of a noted fault stands
}

// start begins parsing. It reports the errors that come before any syntax.
func (p *parser) start(x awserr.Expression, src string, params *Params) *awserr.Error {
	p.src, p.x, p.params = src, x, params
	switch {
	case src == "":
		return x.Empty()
	case len(src) > maxExpression:
		layer := awserr.Older
		if params != nil {
			layer = params.Layer
		}
		return layer.ExpressionTooLong(x, len(src))
	}
	p.tok = scan(src, 0)
	p.next = scan(src, p.tok.end)
	return nil
}

// finish ends parsing: the source must be used up.
func (p *parser) finish(ok bool) *awserr.Error {
	if ok && p.tok.kind != tokEOF {
		p.unexpected()
	}
	if p.syntax != nil {
		return p.syntax
	}
	if p.operators > maxOperators {
		p.fail(faultOperators, p.x.TooManyOperators(p.operators))
	}
	for _, err := range p.faults {
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) advance() {
	p.last = p.tok
	p.tok = p.next
	p.next = scan(p.src, p.tok.end)
}

func (p *parser) text(t token) string { return p.src[t.start:t.end] }

// accept consumes the current token if it is of a kind.
func (p *parser) accept(kind tokenKind) bool {
	if p.tok.kind != kind {
		return false
	}
	p.advance()
	return true
}

// expect is accept for a token that must be there.
func (p *parser) expect(kind tokenKind) bool { return p.accept(kind) || p.unexpected() }

// unexpected makes the current token a syntax error. It returns false.
func (p *parser) unexpected() bool {
	text := "<EOF>"
	if p.tok.kind != tokEOF {
		text = p.text(p.tok)
	}
	p.syntax = p.x.Syntax(text, p.src[p.last.start:p.next.end])
	return false
}

// redundant refuses a second pair of parentheses around the same thing, which
// ends parsing like a syntax error. It returns false.
func (p *parser) redundant() bool {
	p.syntax = p.x.RedundantParentheses()
	return false
}

// fail notes an error; the first of its kind stays.
func (p *parser) fail(f fault, err *awserr.Error) {
	if p.faults[f] == nil {
		p.faults[f] = err
	}
}

// failCall notes an error about a function call. Calls end inside out, so their
// places tell which comes first in the text.
func (p *parser) failCall(f fault, at int, err *awserr.Error) {
	if p.faults[f] == nil || at < p.callAt[f] {
		p.faults[f], p.callAt[f] = err, at
	}
}

func (p *parser) inUpdate() bool { return p.x == awserr.UpdateExpression }

// undefined returns where an undefined name or value is noted: conditions
// report condition by condition, the others kind by kind.
func (p *parser) undefined(f fault) fault {
	if p.x == awserr.UpdateExpression || p.x == awserr.ProjectionExpression {
		return f
	}
	return faultCondition
}

// atPath reports that the current token begins a document path.
func (p *parser) atPath() bool { return p.tok.kind == tokIdent || p.tok.kind == tokName }

// path parses: name (. name | [ index ])*
func (p *parser) path() (path, bool) {
	if !p.atPath() {
		return nil, p.unexpected()
	}
	if p.elements == nil {
		p.elements = make([]element, 0, 2)
	}
	start := len(p.elements)
	p.elements = append(p.elements, element{name: p.name()})
	for {
		switch {
		case p.accept(tokDot):
			if !p.atPath() {
				return nil, p.unexpected()
			}
			p.elements = append(p.elements, element{name: p.name()})
		case p.accept(tokOpenIndex):
			if p.tok.kind != tokDigits {
				return nil, p.unexpected()
			}
			digits := p.text(p.tok)
			index, err := strconv.ParseInt(digits, 10, 64)
			if err != nil || index > maxListIndex {
				p.fail(faultIndexRange, p.x.IndexRange(digits))
			}
			p.elements = append(p.elements, element{index: index})
			p.advance()
			if !p.expect(tokCloseIndex) {
				return nil, false
			}
		default:
			end := len(p.elements)
			if n := end - start; n > maxPathElements {
				p.fail(p.undefined(faultName), p.x.PathTooDeep(n))
			}
			return p.elements[start:end:end], true
		}
	}
}

// name consumes an identifier or #name and returns the attribute name it
// stands for. After a fault the result means nothing.
func (p *parser) name() string {
	text := p.text(p.tok)
	if p.tok.kind == tokIdent {
		if isReserved(text) {
			f := faultReserved
			if p.inUpdate() {
				f = faultReservedInUpdate
			}
			p.fail(f, p.x.ReservedWord(text))
		}
		p.advance()
		return text
	}
	p.advance()
	if p.params != nil {
		if name, ok := p.params.names.use(text); ok {
			return name
		}
	}
	p.fail(p.undefined(faultName), p.x.UndefinedName(text))
	return text
}

// value consumes a :value.
func (p *parser) value() (operand, bool) {
	if p.tok.kind != tokValue {
		return operand{}, p.unexpected()
	}
	text := p.text(p.tok)
	p.advance()
	if p.params != nil {
		if v, ok := p.params.values.use(text); ok {
			return operand{value: v}, true
		}
	}
	p.fail(p.undefined(faultValue), p.x.UndefinedValue(text))
	return operand{}, true
}

// operand parses: path | :value | function | ( operand ). bracketed tells that
// it was in parentheses, so that a second pair around it is redundant.
func (p *parser) operand() (o operand, bracketed, ok bool) {
	switch {
	case p.tok.kind == tokValue:
		o, ok = p.value()
		return o, false, ok
	case p.tok.kind == tokIdent && p.next.kind == tokOpen:
		o, ok = p.call()
		return o, false, ok
	case p.tok.kind == tokOpen:
		p.advance()
		o, bracketed, ok = p.operand()
		if !ok || !p.expect(tokClose) {
			return operand{}, false, false
		}
		if bracketed {
			return operand{}, false, p.redundant()
		}
		return o, true, true
	}
	o.path, ok = p.path()
	return o, false, ok
}

// conditionOperand parses an operand of an operator of conditions.
func (p *parser) conditionOperand() (operand, bool) {
	o, _, ok := p.operand()
	p.checkConditionOperand(&o)
	return o, ok
}

// checkConditionOperand refuses calls whose results conditions do not compare:
// all but size.
func (p *parser) checkConditionOperand(o *operand) {
	if o.fn != fnNone && o.fn != fnSize && o.fn < fnIfNotExists {
		p.failCall(faultFunctionUse, o.at, p.x.MisusedFunction(functionNames[o.fn]))
	}
}

// call parses: function ( operand (, operand)* )
func (p *parser) call() (operand, bool) {
	name, at := p.text(p.tok), p.tok.start
	fn := functionNamed(name)
	p.advance()
	p.advance()
	switch {
	case fn == fnUnknown:
		p.failCall(faultUnknownFunction, at, p.x.UnknownFunction(name))
	case p.inUpdate() && fn < fnIfNotExists:
		p.failCall(faultUnknownFunction, at, p.x.ForeignFunction(name))
	case !p.inUpdate() && fn >= fnIfNotExists:
		p.failCall(faultFunctionUse, at, p.x.ForeignFunction(name))
	}
	args := make([]operand, 0, 2)
	if fn < fnUnknown {
		args = make([]operand, 0, arity[fn])
	}
	for {
		o, _, ok := p.operand()
		if !ok {
			return operand{}, false
		}
		if !p.inUpdate() {
			p.checkConditionOperand(&o)
		} else if o.fn == fnListAppend {
			p.failCall(faultUnknownFunction, o.at, p.x.MisusedFunction(functionNames[fnListAppend]))
		}
		args = append(args, o)
		if !p.accept(tokComma) {
			break
		}
	}
	if !p.expect(tokClose) {
		return operand{}, false
	}
	if fn != fnUnknown {
		p.checkCall(fn, args)
	}
	return operand{fn: fn, at: at, args: args}, true
}

// checkCall checks number and kinds of the operands of a function.
func (p *parser) checkCall(fn function, args []operand) {
	f := faultCondition
	if p.inUpdate() {
		f = faultOperand
	}
	name := functionNames[fn]
	if len(args) != arity[fn] {
		p.fail(f, p.x.OperandCount(name, len(args)))
		return
	}
	switch fn {
	case fnExists, fnNotExists, fnIfNotExists:
		if args[0].path == nil {
			p.fail(f, p.x.PathRequired(name))
		}
		p.checkDistinct(f, name, args)
	case fnType:
		p.checkDistinct(f, name, args)
		switch t := args[1].staticType(); {
		case args[1].path != nil:
			p.fail(f, p.x.OperandType(name, "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"))
		case t != item.S:
			p.fail(f, p.x.OperandType(name, t.String()))
		case item.ParseType(args[1].value.Text()) == item.None:
			p.fail(f, p.x.UnknownTypeName(args[1].value.Text()))
		}
	case fnBeginsWith:
		p.checkDistinct(f, name, args)
		for i := range args {
			if t := args[i].staticType(); t != item.None && t != item.S && t != item.B {
				p.fail(f, p.x.OperandType(name, t.String()))
			}
		}
	case fnContains:
		p.checkDistinct(f, name, args)
	case fnSize:
		switch t := args[0].staticType(); t {
		case item.N, item.BOOL, item.NULL:
			p.fail(f, p.x.OperandType(name, t.String()))
		}
	case fnListAppend:
		for i := range args {
			if t := args[i].staticType(); t != item.None && t != item.L {
				p.fail(f, p.x.OperandType(name, t.String()))
			}
		}
	}
}

// checkDistinct refuses to hold a path against itself.
func (p *parser) checkDistinct(f fault, operator string, args []operand) {
	first := args[0].path
	if first == nil {
		return
	}
	for _, o := range args[1:] {
		if o.path != nil && first.equal(o.path) {
			p.fail(f, p.x.SameOperands(operator, first.String()))
		}
	}
}
