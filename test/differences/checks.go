package differences

import (
	"regexp"
	"slices"
	"strings"
)

// stages are the checks in AWS's order (A.3, D.2, D.10, 1.65 to 1.75), each an expression
// of the texts of both servers, without the words "1 validation error detected: ".
var stages = func() []*regexp.Regexp {
	var out []*regexp.Regexp
	for _, text := range []string{
		"^Value (null|'.*'|at)|^Failed to satisfy|^Member must|^TableName must|^The parameter 'TableName' is required|^missing field|^invalid type|^(unknown variant|invalid value|invalid length)",
		"^Invalid TableArn|^Invalid ResourceArn|ARNs must start",
		"^Can not use both expression and non-expression parameters",
		"^ReturnValues can only be",
		"can only be specified when using expressions",
		"^(The provided starting key is invalid: )?(Supplied AttributeValue|One or more parameter values were invalid: (Null attribute|An (string|number) set|Binary sets|Input collection|Attribute name is too))|^Input collection|numeric value|38 (significant )?digits|^Number (over|under)flow|^Empty attribute name|^Nesting Levels have exceeded supported limits: ",
		"^One or more parameter values were invalid: (DELETE action|ADD action|Only DELETE action)",
		"^Item size has exceeded",
		"^ConditionalOperator can",
		"^One or more parameter values were invalid: (Value |Exists |AttributeValue|ComparisonOperator |Invalid |Duplicate value in attribute|The attempted filter)|^The BETWEEN condition was provided|^Invalid number of argument|^Invalid comparison operator",
		"^ExpressionAttribute(Names|Values) must not be empty",
		"^ExpressionAttributeNames contains invalid key",
		"^ExpressionAttributeNames contains invalid value",
		"^ExpressionAttributeValues contains invalid",
		"RETURNING clause is not supported",
		"^Invalid UpdateExpression: ",
		"^Invalid expression|^An expression attribute (name|value) used|^Attribute name is a reserved",
		"^Invalid ConditionExpression: ",
		"KeyConditionExpression|^Either the KeyConditions|^Conditions can be|^(Expected|Unexpected) ",
		"^Invalid FilterExpression: ",
		"^Invalid ProjectionExpression: ",
		"unused in expressions",
		"^Must specify the AttributesToGet|^Cannot specify the|^ALL_PROJECTED_ATTRIBUTES|^The (Total)?Segments?",
		"^At least one of|^One or more parameter values were invalid: (If stream|One of GlobalSecondaryIndexUpdate|Only one global|OnDemandThroughput|You cannot|Neither|ReadCapacityUnits|ProvisionedThroughput|Table is being created)|must be the only operation|^Given value",
		"^Requested resource not found|^Cannot do operations on a non-existent table",
		"^Transaction request cannot",
		"^The table does not have the specified index|^Consistent read",
		"Select type ALL_ATTRIBUTES",
		"^The number of query conditions|^Only scalar types|^Attempted conditional constraint|^Unsupported KeyConditions",
		"^(Filter Expression|QueryFilter) can only contain",
		"does not project",
		"^Query condition missed",
		"^Query key condition",
		"Condition parameter type",
		"^The provided key element|^Provided list of item keys contains duplicates|Type mismatch for key|Missing the key|Size of hashkey|Aggregated size of all range keys|key attribute cannot contain an empty|^The provided (exclusive )?start(ing)? key|^The query can return",
		"^Key attributes must be",
		"Cannot update attribute",
		"Type mismatch for Index Key|update (the|a) secondary index key",
		"^The conditional request failed",
		"^The provided expression refers to|^The document path provided|^An operand in the update|^Item size to update|^Type mismatch for attribute to update|^Nesting Levels have exceeded supported limits$",
	} {
		out = append(out, regexp.MustCompile(text))
	}
	return out
}()

var envelope = regexp.MustCompile("^[0-9]+ validation errors? detected: ")

// bare is a text without the words that say how many errors there are.
func bare(text string) string { return envelope.ReplaceAllString(text, "") }

// lookup is the stage at which tables are looked up.
var lookup = slices.IndexFunc(stages, func(r *regexp.Regexp) bool { return r.MatchString("Requested resource not found") })

// stage returns the place of an error's check in AWS's order, -1 when it has none.
func stage(a *Answer) int {
	switch a.code() {
	case "SerializationException":
		return 0
	case "TransactionCanceledException", "IdempotentParameterMismatchException":
		return len(stages)
	}
	text := strings.TrimPrefix(bare(a.Message), "ExpressionAttributeValues contains invalid value: ")
	return slices.IndexFunc(stages, func(r *regexp.Regexp) bool { return r.MatchString(text) })
}

// faults are the faults of an expression in AWS's order (C.4).
var faults = []string{
	"The expression can not be empty", "Expression size", "Syntax error", "The expression has redundant parentheses", "Invalid function name", "The function is not allowed",
	"Attribute name is a reserved keyword", "The \"", "An expression attribute name used", "An expression attribute value used", "Two document paths overlap", "Two document paths conflict",
	"Incorrect operand type for operator or function; operator: ", "Incorrect number of operands", "The first operand", "Incorrect operand type", "Operator or function requires", "The BETWEEN",
	"The expression contains too many operators", "The IN operator",
}

// fault returns the place of an expression's fault in AWS's order, and the kind of
// expression; -1 when the error is not of an expression.
func fault(a *Answer) (int, string) {
	kind, text, ok := strings.Cut(bare(a.Message), "Expression: ")
	if !ok || !strings.HasPrefix(kind, "Invalid ") {
		return -1, ""
	}
	return slices.IndexFunc(faults, func(p string) bool { return strings.HasPrefix(text, p) }), kind
}
