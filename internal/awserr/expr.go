package awserr

import "strconv"

// Expression names a parameter that holds an expression. Its methods are the
// errors of expressions, which AWS begins with "Invalid <parameter>: ".
type Expression string

// The parameters that hold expressions.
const (
	ConditionExpression    Expression = "ConditionExpression"
	FilterExpression       Expression = "FilterExpression"
	UpdateExpression       Expression = "UpdateExpression"
	ProjectionExpression   Expression = "ProjectionExpression"
	KeyConditionExpression Expression = "KeyConditionExpression"

	// Statement stands for PartiQL, whose errors of the same kinds name no parameter.
	Statement Expression = ""
)

func (x Expression) invalid(text string) *Error {
	if x == Statement {
		return Validation(text)
	}
	return Validation("Invalid " + string(x) + ": " + text)
}

// Empty is for an expression without a character.
func (x Expression) Empty() *Error { return x.invalid("The expression can not be empty;") }

// TooLong is for an expression over 4096 bytes.
func (x Expression) TooLong(size int) *Error {
	return x.invalid("Expression size has exceeded the maximum allowed size; expression size: " + strconv.Itoa(size))
}

// Syntax is for the first token that the grammar does not allow. near is the
// text from the token before it to the one behind it.
func (x Expression) Syntax(token, near string) *Error {
	return x.invalid(`Syntax error; token: "` + token + `", near: "` + near + `"`)
}

// ReservedWord is for a bare attribute name that is a keyword of DynamoDB.
func (x Expression) ReservedWord(word string) *Error {
	return x.invalid("Attribute name is a reserved keyword; reserved keyword: " + word)
}

// UndefinedName is for a #name that ExpressionAttributeNames does not have.
func (x Expression) UndefinedName(name string) *Error {
	return x.invalid("An expression attribute name used in the document path is not defined; attribute name: " + name)
}

// UndefinedValue is for a :value that ExpressionAttributeValues does not have.
func (x Expression) UndefinedValue(name string) *Error {
	return x.invalid("An expression attribute value used in expression is not defined; attribute value: " + name)
}

// UnknownFunction is for a function that does not exist.
func (x Expression) UnknownFunction(name string) *Error {
	return x.invalid("Invalid function name; function: " + name)
}

// MisusedFunction is for a function where its result is of no use.
func (x Expression) MisusedFunction(name string) *Error {
	return x.invalid("The function is not allowed to be used this way in an expression; function: " + name)
}

// ForeignFunction is for a function of update expressions in a condition, and
// the reverse.
func (x Expression) ForeignFunction(name string) *Error {
	where := "a condition"
	if x == UpdateExpression {
		where = "an update"
	}
	return x.invalid("The function is not allowed in " + where + " expression; function: " + name)
}

// OperandCount is for a function with too few or too many operands.
func (x Expression) OperandCount(function string, n int) *Error {
	return x.invalid("Incorrect number of operands for operator or function; operator or function: " + function + ", number of operands: " + strconv.Itoa(n))
}

// OperandType is for an operand of a type that a function or operator does not take.
func (x Expression) OperandType(operator, typ string) *Error {
	return x.invalid("Incorrect operand type for operator or function; operator or function: " + operator + ", operand type: " + typ)
}

// ClauseOperandType is the same for ADD and DELETE; typ is the long name, such
// as STRING. AWS names the set of types that ADD takes, for DELETE too.
func (x Expression) ClauseOperandType(clause, typ string) *Error {
	return x.invalid("Incorrect operand type for operator or function; operator: " + clause + ", operand type: " + typ +
		", typeSet: ALLOWED_FOR_ADD_OPERAND")
}

// PathRequired is for a function whose first operand is not a document path.
func (x Expression) PathRequired(function string) *Error {
	return x.invalid("Operator or function requires a document path; operator or function: " + function)
}

// UnknownTypeName is for attribute_type with a type that does not exist.
func (x Expression) UnknownTypeName(name string) *Error {
	return x.invalid("Invalid attribute type name found; type: " + name + ", valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}")
}

// SameOperands is for a condition that holds a path against itself.
func (x Expression) SameOperands(operator, path string) *Error {
	return x.invalid("The first operand must be distinct from the remaining operands for this operator or function; operator: " + operator + ", first operand: " + path)
}

// RedundantParentheses is for two pairs around the same thing.
func (x Expression) RedundantParentheses() *Error {
	return x.invalid("The expression has redundant parentheses;")
}

// BetweenTypes is for bounds of two types. The bounds are written as {S:a}.
func (x Expression) BetweenTypes(lower, upper string) *Error {
	return x.invalid("The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: " + lower + ", upper bound operand: AttributeValue: " + upper)
}

// BetweenOrder is for a lower bound above the upper one.
func (x Expression) BetweenOrder(lower, upper string) *Error {
	return x.invalid("The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: " + lower + ", upper bound operand: AttributeValue: " + upper)
}

// TooManyInOperands is for IN with more than 100 operands.
func (x Expression) TooManyInOperands(n int) *Error {
	return x.invalid("The IN operator is provided with too many operands; number of operands: " + strconv.Itoa(n))
}

// TooManyOperators is for more than 300 operators.
func (x Expression) TooManyOperators(n int) *Error {
	return x.invalid("The expression contains too many operators; operator count: " + strconv.Itoa(n))
}

// PathTooDeep is for a document path of more than 32 components.
func (x Expression) PathTooDeep(n int) *Error {
	return x.invalid("The document path has too many nesting levels; nesting levels: " + strconv.Itoa(n))
}

// IndexRange is for a list index that is too large a number.
func (x Expression) IndexRange(digits string) *Error {
	return x.invalid("List index is not within the allowable range; index: [" + digits + "]")
}

// Overlap is for two paths of which one lies on the other. Paths are written as
// [a, [1], b].
func (x Expression) Overlap(one, two string) *Error {
	return x.invalid("Two document paths overlap with each other; must remove or rewrite one of these paths; path one: " + one + ", path two: " + two)
}

// Conflict is for two paths that take one element for a map and for a list.
func (x Expression) Conflict(one, two string) *Error {
	return x.invalid("Two document paths conflict with each other; must remove or rewrite one of these paths; path one: " + one + ", path two: " + two)
}

// RepeatedClause is for an update expression with a clause twice.
func (x Expression) RepeatedClause(clause string) *Error {
	return x.invalid(`The "` + clause + `" section can only be used once in an update expression;`)
}

// NestedKeyPath is for a key condition on what lies inside an attribute.
func (x Expression) NestedKeyPath() *Error {
	return x.invalid("KeyConditionExpressions cannot have conditions on nested attributes")
}

// RepeatedKey is for two conditions on one key.
func (x Expression) RepeatedKey() *Error {
	return x.invalid("KeyConditionExpressions must only contain one condition per key")
}

// SeveralKeyNames is for a condition that holds an attribute against another.
func (x Expression) SeveralKeyNames() *Error {
	return x.invalid("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")
}

// Texts of key conditions that AWS does not prefix, as far as is known.

// KeyOperator is for an operator or function that keys are not searched by.
func KeyOperator(operator string) *Error {
	return Validation("Invalid operator used in KeyConditionExpression: " + operator)
}

// NestedKeyOperation is for a function as an operand.
func NestedKeyOperation() *Error {
	return Validation("KeyConditionExpressions cannot contain nested operations")
}

// NoKeyName is for a condition that names no attribute.
func NoKeyName() *Error {
	return Validation("Invalid condition in KeyConditionExpression: No key attribute specified")
}

// KeyNotFirst is for BETWEEN and begins_with with the attribute elsewhere than first.
func KeyNotFirst(operator string) *Error {
	return Validation("Invalid condition in KeyConditionExpression: " + operator + " operator must have the key attribute as its first operand")
}

// KeyConditionCount is for more than two key conditions.
func KeyConditionCount() *Error { return Validation("Conditions can be of length 1 or 2 only") }

// Placeholders names one of the two maps of placeholders.
type Placeholders string

// The maps of placeholders.
const (
	ExpressionAttributeNames  Placeholders = "ExpressionAttributeNames"
	ExpressionAttributeValues Placeholders = "ExpressionAttributeValues"
)

// Empty is for a map that is given without an entry.
func (m Placeholders) Empty() *Error { return Validation(string(m) + " must not be empty") }

// InvalidKey is for a key that is not # or : and letters, digits, underscores.
func (m Placeholders) InvalidKey(key string) *Error {
	return Validation(string(m) + ` contains invalid key: Syntax error; key: "` + key + `"`)
}

// KeyTooLong is for a key over 255 bytes.
func (m Placeholders) KeyTooLong(size int) *Error {
	return Validation(string(m) + " contains invalid key: The expression attribute map contains a key that is too long; size of key: " + strconv.Itoa(size))
}

// NullName: a #name stands for null. The text is not on record of AWS.
func (m Placeholders) NullName(key string) *Error {
	return Validation(string(m) + " contains invalid value: null for key " + key)
}

// EmptyName and NameTooLong are for the attribute names behind #names.
func (m Placeholders) EmptyName(key string) *Error {
	return Validation(string(m) + " contains invalid value: Empty attribute name for key " + key)
}

func (m Placeholders) NameTooLong(key string) *Error {
	return Validation(string(m) + " contains invalid value: Attribute name is too large, must be less than 65536 bytes for key " + key)
}

// Unused is for entries that no expression of the request uses; keys are joined
// with ", ".
func (m Placeholders) Unused(keys string) *Error {
	return Validation("Value provided in " + string(m) + " unused in expressions: keys: {" + keys + "}")
}

// Run-time errors of update expressions.

// MissingSource is for an update that reads an attribute that is not there.
func MissingSource() *Error {
	return Validation("The provided expression refers to an attribute that does not exist in the item")
}

// InvalidUpdatePath is for an update inside what is not there or is no container.
func InvalidUpdatePath() *Error {
	return Validation("The document path provided in the update expression is invalid for update")
}

// UpdateOperandType is for an operand whose stored value is of a wrong type.
func UpdateOperandType() *Error {
	return Validation("An operand in the update expression has an incorrect data type")
}
