package expr

import (
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// KeyCondition is a parsed KeyConditionExpression, not yet held against a
// table's keys.
type KeyCondition struct {
	Conditions []KeyTerm // one to eight, in source order, of distinct attributes
}

// KeyTerm is one condition on one top-level attribute.
type KeyTerm struct {
	Attribute string
	Op        KeyOp
	Values    []item.Value // one, or two for KeyBetween
}

// KeyOp is an operator that key conditions allow.
type KeyOp byte

// The operators of key conditions. The attribute stands on their left.
const (
	KeyEQ KeyOp = iota
	KeyLT
	KeyLE
	KeyGT
	KeyGE
	KeyBetween
	KeyBeginsWith
	KeyOther // of KeyConditions: a comparator that keys are not searched by
)

// The most conditions that there may be: one for each key attribute. A global index
// may have four attributes of either kind; whether it has is for who knows the keys
// to check.
const (
	MaxKeyConditions      = 2
	MaxIndexKeyConditions = 8
)

// ParseKeyCondition parses a key condition: the grammar of conditions, of which
// one to most comparisons, BETWEEN or begins_with joined by AND are allowed.
func ParseKeyCondition(src string, params *Params, most int) (*KeyCondition, *awserr.Error) {
	root, err := parseConditionTree(awserr.KeyConditionExpression, src, params)
	if err != nil {
		return nil, err
	}
	kc := &KeyCondition{Conditions: make([]KeyTerm, 0, 2)}
	if err := kc.add(root); err != nil {
		return nil, err
	}
	if len(kc.Conditions) > most {
		return nil, awserr.KeyConditionCount()
	}
	return kc, nil
}

// add takes the conditions below n in the order of the source.
func (kc *KeyCondition) add(n *node) *awserr.Error {
	if n.op == opAnd {
		for _, kid := range n.kids {
			if err := kc.add(kid); err != nil {
				return err
			}
		}
		return nil
	}
	op, ok := n.keyOp()
	if !ok {
		return awserr.KeyOperator(n.name())
	}
	t, err := n.keyTerm(op)
	if err != nil {
		return err
	}
	for i := range kc.Conditions {
		if kc.Conditions[i].Attribute == t.Attribute {
			return awserr.KeyConditionExpression.RepeatedKey()
		}
	}
	kc.Conditions = append(kc.Conditions, t)
	return nil
}

// keyOp returns the operator of a node if key conditions allow it.
func (n *node) keyOp() (KeyOp, bool) {
	switch n.op {
	case opEQ:
		return KeyEQ, true
	case opLT:
		return KeyLT, true
	case opLE:
		return KeyLE, true
	case opGT:
		return KeyGT, true
	case opGE:
		return KeyGE, true
	case opBetween:
		return KeyBetween, true
	}
	return KeyBeginsWith, n.op == opFunction && n.fn == fnBeginsWith
}

// mirrored is the operator that holds when the sides of a comparison change places.
var mirrored = [...]KeyOp{KeyEQ: KeyEQ, KeyLT: KeyGT, KeyLE: KeyGE, KeyGT: KeyLT, KeyGE: KeyLE}

func (n *node) keyTerm(op KeyOp) (KeyTerm, *awserr.Error) {
	t := KeyTerm{Op: op, Values: make([]item.Value, 0, len(n.args)-1)}
	names := 0
	for i := range n.args {
		o := &n.args[i]
		switch {
		case o.fn != fnNone:
			return t, awserr.NestedKeyOperation()
		case o.path == nil:
			t.Values = append(t.Values, o.value)
			continue
		case len(o.path) > 1:
			return t, awserr.KeyConditionExpression.NestedKeyPath()
		}
		t.Attribute = o.path[0].name
		names++
	}
	first := n.args[0].path != nil
	switch {
	case op >= KeyBetween && !first:
		return t, awserr.KeyNotFirst(n.name())
	case names > 1:
		return t, awserr.KeyConditionExpression.SeveralKeyNames()
	case names == 0:
		return t, awserr.NoKeyName()
	case !first:
		t.Op = mirrored[op]
	}
	return t, nil
}
