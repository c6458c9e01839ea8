package expr

import (
	"encoding/base64"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// Kind tells which error prefix a condition uses.
type Kind byte

const (
	ConditionExpression Kind = iota // "Invalid ConditionExpression: "
	FilterExpression
)

// Condition is a parsed condition or filter. It is immutable and may be
// evaluated by several goroutines at once. A nil Condition holds.
type Condition struct {
	root        *node
	comparisons bool // given as Expected or a filter of comparisons
}

// ParseCondition parses a condition or filter expression.
func ParseCondition(kind Kind, src string, p *Params) (*Condition, *awserr.Error) {
	x := awserr.ConditionExpression
	if kind == FilterExpression {
		x = awserr.FilterExpression
	}
	root, err := parseConditionTree(x, src, p)
	if err != nil {
		return nil, err
	}
	return &Condition{root: root}, nil
}

func parseConditionTree(x awserr.Expression, src string, params *Params) (*node, *awserr.Error) {
	var p parser
	if err := p.start(x, src, params); err != nil {
		return nil, err
	}
	t, ok := p.disjunction()
	var root *node
	if ok {
		root, ok = p.condition(t)
	}
	if err := p.finish(ok); err != nil {
		return nil, err
	}
	return root, nil
}

// Attributes returns the top-level attribute names the condition reads, each
// once, in the order of the source.
func (c *Condition) Attributes() []string {
	if c == nil {
		return nil
	}
	var names nameSet
	names.addNode(c.root)
	return names.list
}

// nameSet collects distinct names in order.
type nameSet struct {
	list []string
	seen map[string]bool
}

func (s *nameSet) add(name string) {
	if s.seen == nil {
		s.seen = make(map[string]bool)
	}
	if !s.seen[name] {
		s.seen[name] = true
		s.list = append(s.list, name)
	}
}

func (s *nameSet) addNode(n *node) {
	s.addOperands(n.args)
	for _, kid := range n.kids {
		s.addNode(kid)
	}
}

func (s *nameSet) addOperands(args []operand) {
	for i := range args {
		if args[i].path != nil {
			s.add(args[i].path[0].name)
		}
		s.addOperands(args[i].args)
	}
}

// term is what stands between AND, OR and NOT: a condition when cond is set,
// else an operand, which may still become one (a function call) or the left
// side of one.
type term struct {
	cond      *node
	operand   operand
	bracketed bool // directly in parentheses
}

// condition takes a term as a condition. What is none is a syntax error at the
// token behind it, where a comparator is missing.
func (p *parser) condition(t term) (*node, bool) {
	if t.cond != nil {
		return t.cond, true
	}
	if t.operand.fn == fnNone {
		return nil, p.unexpected()
	}
	if t.operand.fn == fnSize {
		p.failCall(faultFunctionUse, t.operand.at, p.x.MisusedFunction(functionNames[fnSize]))
	}
	return &node{op: opFunction, fn: t.operand.fn, args: t.operand.args}, true
}

// disjunction parses: conjunction (OR conjunction)*
func (p *parser) disjunction() (term, bool) { return p.chain(tokOr, opOr) }

// conjunction parses: negation (AND negation)*
func (p *parser) conjunction() (term, bool) { return p.chain(tokAnd, opAnd) }

// chain parses links joined by one operator into one node, so that long chains
// make wide trees, not deep ones.
func (p *parser) chain(tok tokenKind, op operator) (term, bool) {
	t, ok := p.link(op)
	if !ok || p.tok.kind != tok {
		return t, ok
	}
	first, ok := p.condition(t)
	if !ok {
		return term{}, false
	}
	n := &node{op: op, kids: make([]*node, 1, 4)}
	n.kids[0] = first
	for p.accept(tok) {
		p.operators++
		if t, ok = p.link(op); !ok {
			return term{}, false
		}
		kid, ok := p.condition(t)
		if !ok {
			return term{}, false
		}
		n.kids = append(n.kids, kid)
	}
	return term{cond: n}, true
}

// link parses what op joins.
func (p *parser) link(op operator) (term, bool) {
	if op == opOr {
		return p.conjunction()
	}
	return p.negation()
}

// negation parses: NOT* primary
func (p *parser) negation() (term, bool) {
	nots := 0
	for p.accept(tokNot) {
		nots++
	}
	t, ok := p.primary()
	if !ok || nots == 0 {
		return t, ok
	}
	p.operators += nots
	n, ok := p.condition(t)
	if !ok {
		return term{}, false
	}
	// Every NOT keeps its node, for key conditions name the operator; pairs
	// cancel out below the last.
	if nots > 2 {
		nots = 2 - nots%2
	}
	for ; nots > 0; nots-- {
		n = &node{op: opNot, kids: []*node{n}}
	}
	return term{cond: n}, true
}

// primary parses a comparison, BETWEEN, IN, a function call, or what stands in
// parentheses; an operand alone as well, for the caller to judge.
func (p *parser) primary() (term, bool) {
	var t term
	var ok bool
	if p.tok.kind == tokOpen {
		p.advance()
		if t, ok = p.disjunction(); !ok || !p.expect(tokClose) {
			return term{}, false
		}
		if t.bracketed {
			return term{}, p.redundant()
		}
		t.bracketed = true
	} else if t.operand, _, ok = p.operand(); !ok {
		return term{}, false
	}
	if t.cond != nil {
		return t, true
	}
	var n *node
	switch kind := p.tok.kind; kind {
	case tokEQ, tokNE, tokLT, tokLE, tokGT, tokGE:
		n, ok = p.comparison(opEQ+operator(kind-tokEQ), t.operand)
	case tokBetween:
		n, ok = p.between(t.operand)
	case tokIn:
		n, ok = p.in(t.operand)
	default:
		return t, true
	}
	return term{cond: n}, ok
}

func (p *parser) comparison(op operator, left operand) (*node, bool) {
	p.advance()
	p.operators++
	p.checkConditionOperand(&left)
	right, ok := p.conditionOperand()
	if !ok {
		return nil, false
	}
	n := &node{op: op, args: []operand{left, right}}
	p.checkDistinct(faultCondition, n.name(), n.args)
	if op >= opLT {
		p.checkOrdered(n)
	}
	return n, true
}

// between parses: BETWEEN operand AND operand
func (p *parser) between(what operand) (*node, bool) {
	p.advance()
	p.operators++
	p.checkConditionOperand(&what)
	lower, ok := p.conditionOperand()
	if !ok || !p.expect(tokAnd) {
		return nil, false
	}
	upper, ok := p.conditionOperand()
	if !ok {
		return nil, false
	}
	n := &node{op: opBetween, args: []operand{what, lower, upper}}
	p.checkOrdered(n)
	p.checkBounds(&lower, &upper)
	p.checkDistinct(faultCondition, n.name(), n.args)
	return n, true
}

// checkBounds refuses literal bounds of two types, or the wrong way round.
func (p *parser) checkBounds(lower, upper *operand) {
	a, b := lower.value, upper.value
	switch {
	case a == nil || b == nil:
	case a.Type() != b.Type():
		p.fail(faultCondition, p.x.BetweenTypes(literal(a), literal(b)))
	case isOrdered(a.Type()) && item.Compare(a, b) > 0:
		p.fail(faultCondition, p.x.BetweenOrder(literal(a), literal(b)))
	}
}

// in parses: IN ( operand (, operand)* )
func (p *parser) in(what operand) (*node, bool) {
	p.advance()
	p.operators++
	p.checkConditionOperand(&what)
	if !p.expect(tokOpen) {
		return nil, false
	}
	n := &node{op: opIn, args: append(make([]operand, 0, 4), what)}
	for {
		o, ok := p.conditionOperand()
		if !ok {
			return nil, false
		}
		n.args = append(n.args, o)
		if !p.accept(tokComma) {
			break
		}
	}
	if !p.expect(tokClose) {
		return nil, false
	}
	if len(n.args) > maxInOperands {
		p.fail(faultCondition, p.x.TooManyInOperands(len(n.args)))
	}
	p.checkDistinct(faultCondition, n.name(), n.args)
	return n, true
}

// checkOrdered refuses operands that have no order.
func (p *parser) checkOrdered(n *node) {
	for i := range n.args {
		if t := n.args[i].staticType(); t != item.None && !isOrdered(t) {
			p.fail(faultCondition, p.x.OperandType(n.name(), t.String()))
		}
	}
}

// isOrdered reports whether values of a type have an order.
func isOrdered(t item.Type) bool { return t == item.S || t == item.N || t == item.B }

// literal writes a scalar as AWS does in errors: {S:a}. Binary is in base64.
func literal(v item.Value) string {
	b := append([]byte{'{'}, v.Type().String()...)
	b = append(b, ':')
	switch v.Type() {
	case item.S:
		b = append(b, v.Bytes()...)
	case item.N:
		b = v.AppendNumberText(b)
	case item.B:
		b = base64.StdEncoding.AppendEncode(b, v.Bytes())
	}
	return string(append(b, '}'))
}
