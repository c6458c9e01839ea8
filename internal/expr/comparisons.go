package expr

import (
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// The parameters that expressions replaced (Expected, QueryFilter, ScanFilter,
// KeyConditions, AttributeUpdates, AttributesToGet) say what expressions say. They
// are built into the same trees here, so that one piece of code evaluates all.
// Attribute names are literal and top-level: a dot is a letter.

// Comparator is a ComparisonOperator.
type Comparator byte

const (
	CompareEQ Comparator = iota
	CompareNE
	CompareLT
	CompareLE
	CompareGT
	CompareGE
	CompareBetween
	CompareIn
	CompareNull    // the attribute is absent
	CompareNotNull // the attribute is there, be it of type NULL
	CompareContains
	CompareNotContains
	CompareBeginsWith
)

var comparatorNames = [...]string{
	CompareEQ: "EQ", CompareNE: "NE", CompareLT: "LT", CompareLE: "LE", CompareGT: "GT", CompareGE: "GE",
	CompareBetween: "BETWEEN", CompareIn: "IN", CompareNull: "NULL", CompareNotNull: "NOT_NULL",
	CompareContains: "CONTAINS", CompareNotContains: "NOT_CONTAINS", CompareBeginsWith: "BEGINS_WITH",
}

func (c Comparator) String() string { return comparatorNames[c] }

// ComparatorNamed is the reverse of String.
func ComparatorNamed(name string) (c Comparator, ok bool) {
	for c, known := range comparatorNames {
		if name == known {
			return Comparator(c), true
		}
	}
	return 0, false
}

// Comparison is one condition on one attribute. The number and types of its values
// have been checked.
type Comparison struct {
	Attribute string
	Op        Comparator
	Values    []item.Value
}

// NewCondition joins comparisons by AND, or by OR when or is set. It is nil,
// which holds, without any.
func NewCondition(list []Comparison, or bool) *Condition {
	if len(list) == 0 {
		return nil
	}
	kids := make([]*node, len(list))
	for i := range list {
		kids[i] = list[i].node()
	}
	op := opAnd
	if or {
		op = opOr
	}
	return &Condition{root: &node{op: op, kids: kids}, comparisons: true}
}

// FromComparisons reports that the condition was given as the older parameters:
// some errors name them.
func (c *Condition) FromComparisons() bool { return c != nil && c.comparisons }

func (c *Comparison) node() *node {
	args := make([]operand, 1, 1+len(c.Values))
	args[0].path = topLevel(c.Attribute)
	for _, v := range c.Values {
		args = append(args, operand{value: v})
	}
	call := func(fn function) *node { return &node{op: opFunction, fn: fn, args: args} }
	switch c.Op {
	case CompareBetween:
		return &node{op: opBetween, args: args}
	case CompareIn:
		return &node{op: opIn, args: args}
	case CompareNull:
		return call(fnNotExists)
	case CompareNotNull:
		return call(fnExists)
	case CompareContains:
		return call(fnContains)
	case CompareNotContains:
		// Unlike NE, it does not hold for an absent attribute.
		exists := &node{op: opFunction, fn: fnExists, args: args[:1]}
		return &node{op: opAnd, kids: []*node{exists, {op: opNot, kids: []*node{call(fnContains)}}}}
	case CompareBeginsWith:
		return call(fnBeginsWith)
	}
	return &node{op: [...]operator{opEQ, opNE, opLT, opLE, opGT, opGE}[c.Op], args: args}
}

func topLevel(attribute string) path { return path{{name: attribute}} }

// keyOps are the comparators that keys are searched by; the others become KeyOther.
var keyOps = [...]KeyOp{
	CompareEQ: KeyEQ, CompareNE: KeyOther, CompareLT: KeyLT, CompareLE: KeyLE, CompareGT: KeyGT, CompareGE: KeyGE,
	CompareBetween: KeyBetween, CompareIn: KeyOther, CompareNull: KeyOther, CompareNotNull: KeyOther,
	CompareContains: KeyOther, CompareNotContains: KeyOther, CompareBeginsWith: KeyBeginsWith,
}

// NewKeyCondition takes the comparisons of KeyConditions.
func NewKeyCondition(list []Comparison) (*KeyCondition, *awserr.Error) {
	if len(list) == 0 || len(list) > MaxIndexKeyConditions {
		return nil, awserr.KeyConditionCount()
	}
	kc := &KeyCondition{Conditions: make([]KeyTerm, len(list))}
	for i, c := range list {
		kc.Conditions[i] = KeyTerm{Attribute: c.Attribute, Op: keyOps[c.Op], Values: c.Values}
	}
	return kc, nil
}

// ChangeAction is the Action of an AttributeUpdate.
type ChangeAction byte

const (
	ChangePut ChangeAction = iota
	ChangeAdd
	ChangeDelete
)

// Change is one entry of AttributeUpdates. Value is absent only for ChangeDelete,
// which then removes the attribute; with a value it takes elements out of a set.
// ChangeAdd takes a number, a set or a list, to which it appends.
type Change struct {
	Attribute string
	Action    ChangeAction
	Value     item.Value
}

// NewUpdate takes changes of distinct attributes, one or more.
func NewUpdate(list []Change) *Update {
	u := &Update{changes: true, actions: make([]action, len(list))}
	for i, c := range list {
		a := &u.actions[i]
		switch {
		case c.Action == ChangePut:
			a.clause, a.set = clauseSet, setValue{sign: tokEOF, left: operand{value: c.Value}}
		case c.Action == ChangeAdd:
			a.clause, a.value = clauseAdd, c.Value
		case c.Value == nil:
			a.clause = clauseRemove
		default:
			a.clause, a.value = clauseDelete, c.Value
		}
		u.paths.insert(topLevel(c.Attribute))
	}
	return u
}

// mismatch is the error of ADD and DELETE on an attribute of another type.
func (u *Update) mismatch() *awserr.Error {
	if u.changes {
		return awserr.AttributeUpdateMismatch()
	}
	return awserr.UpdateOperandType()
}

// NewProjection keeps the named attributes, which are distinct; nil, which keeps
// all, for none.
func NewProjection(attributes []string) *Projection {
	if len(attributes) == 0 {
		return nil
	}
	pr := &Projection{}
	for _, name := range attributes {
		pr.paths.insert(topLevel(name))
	}
	return pr
}
