package differences

import (
	"regexp"
	"slices"
)

// priorities are the faults of an update or projection in AWS's order.
var priorities = []string{
	"The expression can not be empty", "Expression size", "Syntax error", "The expression has redundant parentheses", "Attribute name is a reserved keyword", "Invalid function name", "The function is not allowed",
	"The \"", "An expression attribute name used", "An expression attribute value used", "Two document paths overlap", "Two document paths conflict",
	"Incorrect operand type for operator or function; operator: ", "Incorrect number of operands", "Incorrect operand type", "The first operand", "Operator or function requires",
}

// conditionPriorities are the faults of a condition in AWS's order. Those of the
// last rank come condition by condition.
var conditionPriorities = []string{
	"The expression can not be empty", "Expression size", "Syntax error", "The expression has redundant parentheses", "Invalid function name", "The function is not allowed",
	"Attribute name is a reserved keyword", "An expression attribute", "Incorrect number of operands", "The first operand", "Incorrect operand type", "Operator or function requires", "The BETWEEN",
}

// stages are the checks in AWS's order, each an expression of the texts of both
// servers.
var stages = func() []*regexp.Regexp {
	var out []*regexp.Regexp
	for _, text := range []string{
		"^[0-9]+ validation errors? detected|^The parameter 'TableName' is required|^Value null at|^Invalid table/index name|^Limit must be",
		"^Can not use both expression and non-expression parameters",
		"can only be specified when using expressions",
		"^The provided starting key is invalid: Nesting|^(The provided starting key is invalid: )?(Supplied AttributeValue|One or more parameter values were invalid: (Null attribute|An (string|number) set|Binary sets|Input collection|Empty attribute name|Attribute name is too))|^Input collection|numeric value|38 (significant )?digits|^Number (over|under)flow|^Empty attribute name|converted into a number|^Nesting Levels|contains a null AttributeValue",
		"^One or more parameter values were invalid: (DELETE action|ADD action|Only DELETE action)",
		"^ReturnValues can only be|^Return values set to invalid|^Item size has exceeded",
		"^ConditionalOperator can",
		"^One or more parameter values were invalid: (Value |Exists |AttributeValue|ComparisonOperator |Invalid number of argument|The attempted filter|ExpectedAttributeValue )|^The BETWEEN condition was provided",
		"^One or more parameter values were invalid: (If stream is being|ProvisionedThroughput (must|should not) be specified|Table is being created with|One of GlobalSecondaryIndexUpdate|Only one global|OnDemandThroughput|You cannot)|^At least one of|^One or more parameter values were invalid: Neither ReadCapacityUnits|must be the only operation|You cannot modify stream|can only be combined with|^Must specify the AttributesToGet|^Cannot specify the|^ALL_PROJECTED_ATTRIBUTES|^The (Total)?Segments?|^If (total )?segments? is specified",
		"^ExpressionAttribute(Names|Values) (must not be empty|contains invalid)",
		"RETURNING clause is not supported",
		"^Invalid UpdateExpression: ",
		"^Invalid ConditionExpression: ",
		"KeyConditionExpression",
		"^Invalid FilterExpression: ",
		"^Invalid ProjectionExpression: ",
		"unused in expressions",
		"^Requested resource not found|^Cannot do operations on a non-existent table",
		"^Transaction request cannot",
		"^The table does not have the specified index|^Consistent read",
		"Select type ALL_ATTRIBUTES",
		"does not project",
		"Where clause does not contain|must specify the primary key in the where clause|Table name should be within the length|^The provided key element|^Provided list of item keys contains duplicates|^TimeToLive is |^Invalid attribute value type|^One of the required keys was not given|^The number of conditions on the keys|Type mismatch for key|Missing the key|Size of hashkey|Aggregated size of all range keys|Hash primary key values must be under|key attribute cannot contain an empty|^The provided starting key|^(Filter Expression|QueryFilter) can only contain",
		"Cannot update attribute",
		"Type mismatch for Index Key|update the secondary index key",
		"^Key attributes must be",
		"^Query condition missed",
		"^Only scalar types|^Attempted conditional constraint",
		"^Query key condition",
		"Condition parameter type",
		"^The conditional request failed|^Transaction cancelled",
		"^The provided expression refers to|^The document path provided|^An operand in the update|^Item size to update|^Type mismatch for attribute to update",
	} {
		out = append(out, regexp.MustCompile(text))
	}
	return out
}()

// lookup is the stage at which tables are looked up.
var lookup = slices.IndexFunc(stages, func(r *regexp.Regexp) bool { return r.MatchString("Requested resource not found") })

// afterLookup is the stage at which items are held against the table's indexes.
var afterLookup = slices.IndexFunc(stages, func(r *regexp.Regexp) bool { return r.MatchString("Type mismatch for Index Key") })

// stage returns the place of an error's check in AWS's order, -1 when it has none.
func stage(a *Answer) int {
	switch a.code() {
	case "SerializationException":
		return 0
	case "IdempotentParameterMismatchException":
		return lookup
	}
	return slices.IndexFunc(stages, func(r *regexp.Regexp) bool { return r.MatchString(a.Message) })
}
