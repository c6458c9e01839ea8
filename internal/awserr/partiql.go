package awserr

import "strconv"

// Texts of PartiQL. Those without a remark were recorded from AWS.

// Malformed is for a statement that cannot be read.
func Malformed(detail string) *Error {
	return Validation("Statement wasn't well formed, can't be processed: " + detail)
}

// DuplicateItem is for an INSERT of a key that is there.
func DuplicateItem() *Error {
	return &Error{Code: "DuplicateItemException", Message: DuplicateReason().Message}
}

// InvalidNextToken is for a token that was never given out.
func InvalidNextToken() *Error { return Validation("Invalid NextToken") }

// ForeignNextToken is for a token of another statement, or of other parameters.
func ForeignNextToken() *Error { return Validation("NextToken does not match request") }

// ParameterCount is for more or fewer parameters than the statement has marks.
func ParameterCount() *Error {
	return Validation("Number of parameters in request and statement don't match.")
}

// KeyRequired is for a write that does not name one item.
func KeyRequired() *Error {
	return Validation("Where clause does not contain a mandatory equality on all key attributes")
}

// SelectOfOne is for a read by more or less than the key; api is
// BatchExecuteStatement or ExecuteTransaction.
func SelectOfOne(api string) *Error {
	return Validation("Select statements within " + api + " must specify the primary key in the where clause.")
}

// InStatement wraps the error of one statement of a transaction.
func InStatement(i int, e *Error) *Error {
	return Validation("Validation failed in TransactStatements[" + strconv.Itoa(i) + "]: " + e.Message)
}

// NoReturning is for RETURNING in a transaction.
func NoReturning() *Error {
	return Validation("RETURNING clause is not supported in ExecuteTransaction.")
}

// NoReturningInsert is for RETURNING behind INSERT. (Not on record of AWS.)
func NoReturningInsert() *Error { return Validation("RETURNING is not supported in INSERT") }

// ReturningDelete is for another form than ALL OLD *; clause is such as
// "MODIFIED OLD *".
func ReturningDelete(clause string) *Error {
	return Validation("Invalid returning clause: RETURNING " + clause + ". Only RETURNING ALL OLD * is allowed in DELETE statements.")
}

// ReturningSyntax is for a RETURNING that is none. (Not on record of AWS.)
func ReturningSyntax() *Error {
	return Validation("Expected '*' after ( MODIFIED | ALL ) ( NEW | OLD ) in RETURNING clause")
}

// MixedBatch and MixedTransaction are for reads beside writes.
func MixedBatch() *Error {
	return Validation("Read and write requests together in the same batch is not supported.")
}

// MixedTransaction: see MixedBatch.
func MixedTransaction() *Error {
	return Validation("ExecuteTransaction API does not support both read and write operations in the same request.")
}

// ExistsOutside is for EXISTS elsewhere than among a transaction's writes.
func ExistsOutside() *Error {
	return Validation("EXISTS can only be used in ExecuteTransaction write requests.")
}

// ExistsOfOne is for EXISTS without the key, or without more than the key.
func ExistsOfOne() *Error {
	return Validation("EXISTS() must contain a single item read with additional condition")
}

// IndexInTransaction is for a read of an index there.
func IndexInTransaction() *Error {
	return Validation("Reads on indices are not supported within transactions.")
}

// IndexWrite is for an UPDATE or DELETE of an index.
func IndexWrite() *Error { return Validation("This operation is not supported on an index") }

// InsertIntoPath is for an INSERT INTO an index; at is the place of the table's name.
func InsertIntoPath(at string) *Error {
	return Validation("FROM clause may only contain a single table name in data manipulation statements at " + at)
}

// PathTooLong and EmptyPathComponent are for what FROM names; the second for any name.
func PathTooLong() *Error {
	return Validation("A path may contain at most 2 components in the FROM clause")
}

// EmptyPathComponent: see PathTooLong.
func EmptyPathComponent() *Error { return Validation("Path component cannot be an empty string") }

// StatementIndexNotFound is NoSuchIndex in a statement.
func StatementIndexNotFound() *Error {
	return Validation("The table does not have the specified index")
}

// StatementConsistentIndex is ConsistentGlobalIndex in a statement.
func StatementConsistentIndex() *Error {
	return Validation("Strongly consistent read is not supported on Global Secondary Indexes")
}

// StatementMultiKeys is for a SELECT from an index with several attributes in one of
// its keys.
func StatementMultiKeys() *Error {
	return Validation("PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys.")
}

// OverlappingKeys is for branches of OR, or members of IN, that reach one item.
func OverlappingKeys() *Error {
	return Validation("Overlapping conditions with range keys are not supported in where clause")
}

// KeyTwice is for a write that names two values of one key attribute.
func KeyTwice(name string) *Error {
	return Validation("Multiple conditions on same key " + name + ". Only single item Update/Insert/Delete are supported")
}

// KeyValueType is for a key condition with a value that no key has; kind is such as
// "M".
func KeyValueType(name, kind string) *Error {
	return Validation("Key value must be of type S, N, or B. Key name: " + name + ", Key type: " + kind)
}

// KeyValueMismatch is for one of another type than the key's.
func KeyValueMismatch(name string) *Error {
	return Validation("Key attribute's data type should match its data type in table's schema: Key " + name)
}

// Aliasing is for a table, or an attribute selected, with another name.
func Aliasing() *Error { return Validation("Aliasing is not supported") }

// UnrecognizedFunction is for a function that conditions do not have. at is a
// place: line, column, length.
func UnrecognizedFunction(name, at string) *Error {
	return Validation("Unrecognized function: " + name + " at " + at)
}

// TestAsStatement is for a test of a type that stands where a statement should.
func TestAsStatement() *Error { return Validation("Unsupported operation: IsType") }

// UnexpectedPath is for a SELECT of something that is no path.
func UnexpectedPath(at string) *Error { return Validation("Unexpected path component at " + at) }

// SetFunctionCount, SetFunctionFirst and SetFunctionSecond are for set_add and
// set_delete; name is SET_ADD or SET_DELETE.
func SetFunctionCount(name, at string) *Error {
	return Validation(name + " must have exactly two arguments at " + at)
}

// SetFunctionFirst: see SetFunctionCount.
func SetFunctionFirst(name, at string) *Error {
	return Validation("The first argument to " + name + " must equal the assignment value at " + at)
}

// SetFunctionSecond: see SetFunctionCount.
func SetFunctionSecond(name, at string) *Error {
	return Validation("The second argument to " + name + " must be a value with type SET at " + at)
}

// UnsupportedInLiteral is for what is no literal inside of one.
func UnsupportedInLiteral(what, under, at string) *Error {
	return Validation("Unsupported data type: " + what + " under key " + under + " at " + at)
}

// LiteralUnder adds the place within a value to the error of a literal.
func LiteralUnder(e *Error, under string) *Error { return Validation(e.Message + " under " + under) }

// EmptyBag and MixedBag are for sets that DynamoDB does not have.
func EmptyBag() *Error { return Validation("Empty bags are not supported") }

// MixedBag: see EmptyBag. at is the place of the member, empty in a set of numbers.
func MixedBag(at string) *Error {
	if at != "" {
		at = " at " + at
	}
	return Validation("Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags" + at)
}

// DuplicateNumbers is for a set of numbers that names one twice.
func DuplicateNumbers(collection, under string) *Error {
	return InvalidParameter("Input collection " + collection + " contains duplicates! under " + under)
}

// DuplicateKeyInTuple is for a map that names a key twice. (Not on record of AWS.)
func DuplicateKeyInTuple(key, under string) *Error {
	return Validation("Duplicate keys in tuple. Key: " + key + " under " + under)
}

// TupleRequired is for an INSERT of something that is no map. (Not on record of AWS.)
func TupleRequired() *Error {
	return Validation("Unsupported format in item expression. Please use struct format {...} to express item values for insert statement.")
}

// NotBoolean is for a WHERE that is no condition. (Not on record of AWS.)
func NotBoolean() *Error {
	return Validation("WHERE clause must contain an expression that resolves to a boolean")
}

// TypeUnsupported is for IS with a type that attributes do not have; name is the
// parser's for it.
func TypeUnsupported(name, at string) *Error {
	return Validation("Unsupported data type for IS operator: " + name +
		". Supported data types are [MISSING, NULL, BOOLEAN, BLOB, STRING, NUMERIC, STRUCT, TUPLE, LIST] at " + at)
}

// IsOfFunction is for IS behind a function.
func IsOfFunction() *Error {
	return Validation("The left hand side argument to IS must be a Variable Reference, Literal, or Path")
}

// MissingCompared is for MISSING as an operand. (Not on record of AWS.)
func MissingCompared() *Error { return Validation("MISSING must be compared using IS operator") }

// BadIn is for IN with something else than a list. (Not on record of AWS.)
func BadIn() *Error {
	return Validation("IN operator must have a left hand argument of type Variable Reference and right hand argument of type Seq with at least one member")
}

// OrderWithoutWhere and the three after it are for ORDER BY.
func OrderWithoutWhere() *Error {
	return Validation("Must have WHERE clause in the statement when using ORDER BY clause.")
}

// OrderWithoutHash is for ORDER BY in a scan.
func OrderWithoutHash() *Error {
	return Validation("Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.")
}

// OrderByOther is for ORDER BY another attribute than of the key.
func OrderByOther(attribute string) *Error {
	return Validation("Attribute " + attribute + " in ORDER BY clause must be part of the primary key")
}

// OrderByValue is for ORDER BY something that is no attribute; what is "PATH", or the
// text of a string.
func OrderByValue(what, at string) *Error {
	return Validation("Argument to ORDER BY must be of type VariableReference. Type: " + what + " at " + at)
}

// OrderOfSeveral is for several partition keys in the order of the sort key.
func OrderOfSeveral() *Error {
	return Validation("Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause.")
}

// TooManyReads is for IN with more than 50 partition keys. (Not on record of AWS.)
func TooManyReads() *Error {
	return Validation("Too many decomposed read operations for a given query.")
}

// SelectTwice is for two of one name in a SELECT. (Not on record of AWS.)
func SelectTwice(name string) *Error {
	return Validation("Duplicate identifiers in select clause: " + name)
}

// LiteralAt adds the place in the statement to an error.
func LiteralAt(e *Error, at string) *Error { return Validation(e.Message + " at " + at) }
