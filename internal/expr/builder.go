package expr

import (
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// Builder makes the trees of conditions and updates for another language than
// that of expressions: PartiQL. It makes the checks of parsing, whose first fault
// (by the order of kinds) Err returns, without the name of a parameter. Used by one
// goroutine, for one statement.
type Builder struct{ p parser }

// NewBuilder returns a builder without faults.
func NewBuilder() *Builder { return &Builder{p: parser{x: awserr.Statement}} }

// Operator counts an operator or a function of a condition as it is written, of which
// there may be so many.
func (b *Builder) Operator() { b.p.operators++ }

// Err returns the first fault.
func (b *Builder) Err() *awserr.Error { return b.p.finish(true) }

// Path is a document path under construction.
type Path struct{ p path }

// NewPath begins at an attribute, whose name is not empty.
func NewPath(attribute string) Path { return Path{topLevel(attribute)} }

// Field and Index go on into a map (name is not empty) and into a list.
func (p Path) Field(name string) Path {
	return Path{append(p.p[:len(p.p):len(p.p)], element{name: name})}
}
func (p Path) Index(i int32) Path {
	return Path{append(p.p[:len(p.p):len(p.p)], element{index: int64(i)})}
}

// Attribute returns the top-level name, and whether the path is no more than that.
func (p Path) Attribute() (name string, whole bool) { return p.p[0].name, len(p.p) == 1 }

// Equal reports whether both lead to one place.
func (p Path) Equal(q Path) bool { return p.p.equal(q.p) }

// Resolve returns what the path leads to in an item, nil when nothing is there.
func (p Path) Resolve(it item.Item) item.Value { return p.p.resolve(it) }

// Operand is what conditions compare and updates compute with.
type Operand struct{ o operand }

// PathOperand stands for what a path leads to.
func PathOperand(p Path) Operand { return Operand{operand{path: p.p}} }

// ValueOperand stands for a value.
func ValueOperand(v item.Value) Operand { return Operand{operand{value: v}} }

// Path returns the path of a PathOperand.
func (o Operand) Path() (Path, bool) { return Path{o.o.path}, o.o.path != nil }

// Value returns the value of a ValueOperand, nil for any other.
func (o Operand) Value() item.Value { return o.o.value }

// Call returns a function as an operand: size, list_append or if_not_exists.
func (b *Builder) Call(function string, args ...Operand) Operand {
	fn := functionNamed(function)
	list := operands(args)
	b.p.checkCall(fn, list)
	return Operand{operand{fn: fn, args: list}}
}

func operands(args []Operand) []operand {
	list := make([]operand, len(args))
	for i := range args {
		list[i] = args[i].o
	}
	return list
}

// Term is a condition under construction.
type Term struct{ n *node }

// Compare is one of = <> < <= > >=.
func (b *Builder) Compare(operator string, left, right Operand) Term {
	n := &node{args: []operand{left.o, right.o}}
	for op := opEQ; op <= opGE; op++ {
		if operatorNames[op] == operator {
			n.op = op
		}
	}
	b.p.checkDistinct(faultCondition, n.name(), n.args)
	if n.op >= opLT {
		b.p.checkOrdered(n)
	}
	return Term{n}
}

// Between includes its bounds.
func (b *Builder) Between(what, lower, upper Operand) Term {
	n := &node{op: opBetween, args: operands([]Operand{what, lower, upper})}
	b.p.checkDistinct(faultCondition, n.name(), n.args)
	b.p.checkOrdered(n)
	b.p.checkBounds(&n.args[1], &n.args[2])
	return Term{n}
}

// In holds when what equals one of list.
func (b *Builder) In(what Operand, list []Operand) Term {
	if len(list) > maxInOperands {
		b.p.fail(faultCondition, b.p.x.TooManyInOperands(len(list)))
	}
	n := &node{op: opIn, args: operands(append([]Operand{what}, list...))}
	b.p.checkDistinct(faultCondition, n.name(), n.args)
	return Term{n}
}

// Test is a function that is a condition, such as begins_with.
func (b *Builder) Test(function string, args ...Operand) Term {
	fn := functionNamed(function)
	n := &node{op: opFunction, fn: fn, args: operands(args)}
	b.p.checkCall(fn, n.args)
	return Term{n}
}

// And, Or and Not join conditions; lists are not empty.
func (b *Builder) And(terms ...Term) Term { return b.join(opAnd, terms) }
func (b *Builder) Or(terms ...Term) Term  { return b.join(opOr, terms) }
func (b *Builder) Not(t Term) Term {
	return Term{&node{op: opNot, kids: []*node{t.n}}}
}

func (b *Builder) join(op operator, terms []Term) Term {
	if len(terms) == 1 {
		return terms[0]
	}
	n := &node{op: op}
	for _, t := range terms {
		n.kids = append(n.kids, t.n)
	}
	return Term{n}
}

// Condition is the whole condition; of no term, nil, which holds.
func (t Term) Condition() *Condition {
	if t.n == nil {
		return nil
	}
	return &Condition{root: t.n}
}

// Step is one action of an update under construction.
type Step struct {
	path path
	a    action
}

// Set writes left, or left + right or left - right by sign (0 for left alone).
func (b *Builder) Set(p Path, left Operand, sign byte, right Operand) Step {
	s := Step{path: p.p, a: action{clause: clauseSet, set: setValue{sign: tokEOF, left: left.o, right: right.o}}}
	switch sign {
	case '+':
		s.a.set.sign = tokPlus
	case '-':
		s.a.set.sign = tokMinus
	default:
		return s
	}
	for _, o := range []operand{left.o, right.o} {
		if t := o.staticType(); t != item.None && t != item.N {
			b.p.fail(faultOperand, b.p.x.OperandType(string(sign), t.String()))
		}
	}
	return s
}

// Remove, AddToSet and DeleteFromSet are the other actions.
func (b *Builder) Remove(p Path) Step { return Step{path: p.p, a: action{clause: clauseRemove}} }
func (b *Builder) AddToSet(p Path, set item.Value) Step {
	return Step{path: p.p, a: action{clause: clauseAdd, value: set}}
}
func (b *Builder) DeleteFromSet(p Path, set item.Value) Step {
	return Step{path: p.p, a: action{clause: clauseDelete, value: set}}
}

// Update is the whole update, of one or more steps.
func (b *Builder) Update(steps []Step) *Update {
	u := &Update{}
	for _, s := range steps {
		u.paths.add(&b.p, s.path)
		u.actions = append(u.actions, s.a)
	}
	return u
}

// Term makes a part of a larger condition of one that is not nil.
func (c *Condition) Term() Term { return Term{c.root} }
