package expr

import (
	"bytes"
	"unicode/utf8"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// Eval evaluates on the stored item (nil: no item, every path is missing).
//
// The logic is two-valued: whatever is missing or of a wrong type makes its
// condition false, but for <>, which is true. So the error, a ValidationException
// of run time, is always nil for a condition that was parsed from text.
func (c *Condition) Eval(it item.Item) (bool, *awserr.Error) {
	return c == nil || c.root.eval(it), nil
}

func (n *node) eval(it item.Item) bool {
	switch n.op {
	case opAnd:
		for _, kid := range n.kids {
			if !kid.eval(it) {
				return false
			}
		}
		return true
	case opOr:
		for _, kid := range n.kids {
			if kid.eval(it) {
				return true
			}
		}
		return false
	case opNot:
		return !n.kids[0].eval(it)
	case opFunction:
		return n.call(it)
	}
	v := n.args[0].eval(it)
	if v == nil {
		return n.op == opNE
	}
	switch n.op {
	case opBetween:
		return compares(opGE, v, n.args[1].eval(it)) && compares(opLE, v, n.args[2].eval(it))
	case opIn:
		for i := range n.args[1:] {
			if item.Equal(v, n.args[1+i].eval(it)) {
				return true
			}
		}
		return false
	}
	return compares(n.op, v, n.args[1].eval(it))
}

// compares holds a value that is there against another, which may be absent.
func compares(op operator, a, b item.Value) bool {
	switch op {
	case opEQ:
		return item.Equal(a, b)
	case opNE:
		return !item.Equal(a, b)
	}
	if a.Type() != b.Type() || !isOrdered(a.Type()) {
		return false
	}
	c := item.Compare(a, b)
	switch op {
	case opLT:
		return c < 0
	case opLE:
		return c <= 0
	case opGT:
		return c > 0
	}
	return c >= 0
}

// call evaluates a function that is a condition.
func (n *node) call(it item.Item) bool {
	v := n.args[0].eval(it)
	switch n.fn {
	case fnExists:
		return v != nil
	case fnNotExists:
		return v == nil
	case fnType:
		return v != nil && v.Type() == item.ParseType(n.args[1].value.Text())
	}
	w := n.args[1].eval(it)
	if v == nil || w == nil {
		return false
	}
	text := (v.Type() == item.S || v.Type() == item.B) && v.Type() == w.Type()
	if n.fn == fnBeginsWith {
		return text && bytes.HasPrefix(v.Bytes(), w.Bytes())
	}
	if text {
		return bytes.Contains(v.Bytes(), w.Bytes())
	}
	return v.Contains(w)
}

// eval returns what an operand of a condition stands for, nil when it is missing.
func (o *operand) eval(it item.Item) item.Value {
	switch {
	case o.path != nil:
		return o.path.resolve(it)
	case o.fn == fnSize:
		return size(o.args[0].eval(it))
	}
	return o.value
}

// size is the function size: characters of an S (UTF-16 units, as in Java),
// bytes of a B, elements of a container; nil for values without a size.
func size(v item.Value) item.Value {
	var n int
	switch v.Type() {
	case item.S:
		n = utf16Len(v.Bytes())
	case item.B, item.SS, item.NS, item.BS, item.L, item.M:
		n = v.Len()
	default:
		return nil
	}
	return item.NumberFromInt(int64(n))
}

// utf16Len counts the UTF-16 units of UTF-8 text: one for each rune, and one
// more for those outside the basic plane, whose form has four bytes.
func utf16Len(s []byte) int {
	n := utf8.RuneCount(s)
	for _, c := range s {
		if c >= 0xF0 {
			n++
		}
	}
	return n
}
