package expr

import "github.com/millstreamdb/millstream/internal/item"

// function is a function of the language.
type function byte

const (
	fnNone function = iota
	fnExists
	fnNotExists
	fnType
	fnBeginsWith
	fnContains
	fnSize
	fnIfNotExists
	fnListAppend
	fnUnknown // kept until its error is reported
)

var functionNames = [...]string{
	fnExists:      "attribute_exists",
	fnNotExists:   "attribute_not_exists",
	fnType:        "attribute_type",
	fnBeginsWith:  "begins_with",
	fnContains:    "contains",
	fnSize:        "size",
	fnIfNotExists: "if_not_exists",
	fnListAppend:  "list_append",
}

// arity is how many operands a function takes.
var arity = [...]int{
	fnExists:      1,
	fnNotExists:   1,
	fnType:        2,
	fnBeginsWith:  2,
	fnContains:    2,
	fnSize:        1,
	fnIfNotExists: 2,
	fnListAppend:  2,
}

// functionNamed returns the function of a name; names are case-sensitive.
func functionNamed(name string) function {
	switch name {
	case "attribute_exists":
		return fnExists
	case "attribute_not_exists":
		return fnNotExists
	case "attribute_type":
		return fnType
	case "begins_with":
		return fnBeginsWith
	case "contains":
		return fnContains
	case "size":
		return fnSize
	case "if_not_exists":
		return fnIfNotExists
	case "list_append":
		return fnListAppend
	}
	return fnUnknown
}

// operand is exactly one of a path, a value and a function call.
type operand struct {
	path  path
	value item.Value
	fn    function
	at    int       // of fn: its place in the source
	args  []operand // of fn
}

// staticType returns the type when it is known without an item, else None.
func (o *operand) staticType() item.Type {
	switch {
	case o.fn == fnSize:
		return item.N
	case o.fn == fnListAppend:
		return item.L
	}
	return o.value.Type()
}

// operator is what a node of a condition computes.
type operator byte

const (
	opEQ operator = iota
	opNE
	opLT
	opLE
	opGT
	opGE
	opBetween
	opIn
	opFunction
	opAnd
	opOr
	opNot
)

var operatorNames = [...]string{
	opEQ: "=", opNE: "<>", opLT: "<", opLE: "<=", opGT: ">", opGE: ">=",
	opBetween: "BETWEEN", opIn: "IN", opAnd: "AND", opOr: "OR", opNot: "NOT",
}

// node is a node of a condition's tree.
//
//	opEQ ... opGE  args: left, right
//	opBetween      args: what, lower, upper
//	opIn           args: what, one or more candidates
//	opFunction     fn and its args
//	opAnd, opOr    kids: two or more
//	opNot          kids: one
type node struct {
	op   operator
	fn   function
	args []operand
	kids []*node
}

// name is the operator or function as AWS's errors print it.
func (n *node) name() string {
	if n.op == opFunction {
		return functionNames[n.fn]
	}
	return operatorNames[n.op]
}
