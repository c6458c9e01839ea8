package differences

import (
	"regexp"
	"slices"
	"strings"
)

// classes in the order in which they are tried: first those of what every answer
// has, then of descriptions and items, then of texts, the order of checks last.
// Sections with a letter are of the description of the API as it was, with a number of
// its supplement of autumn 2026.
var classes = []class{
	{
		name: "what dynoxide does not answer", section: "A.1, D.11",
		quote: "TagResource/UntagResource return HTTP 200 with a zero-length body; DescribeLimits: AccountMaxReadCapacityUnits/Write 80000, TableMax… 40000",
		apply: each(
			func(d *Difference) bool {
				if d.Request.Op != "TagResource" && d.Request.Op != "UntagResource" || d.Mine.failed() || d.Other.failed() || d.Mine.Body != nil {
					return false
				}
				d.Other.Body = nil
				return true
			},
			func(d *Difference) bool {
				if d.Request.Op != "DescribeLimits" || d.Other.code() != "UnknownOperationException" {
					return false
				}
				*d.Other = *d.Mine
				return true
			},
		),
	},
	{
		name: "vector indexes", section: "10.06 to 10.09",
		quote: "CreateTable VectorIndexes, UpdateTable VectorIndexUpdates, SearchVectors: refused by name here, behind the checks of the request",
		apply: func(d *Difference) bool {
			if !strings.Contains(d.Mine.Message, "not supported by this version of Millstream") {
				return false
			}
			*d.Other = *d.Mine
			return true
		},
	},
	{
		name: "failed conditions that carry an item", section: "9.09",
		quote: "ConditionalCheckFailedException that carries `Item` has its text in `Message` (capital), none in `message`",
		apply: func(d *Difference) bool {
			if d.Mine.code() != "ConditionalCheckFailedException" || d.Other.code() != d.Mine.code() || d.Mine.Body == nil || d.Mine.Member != "Message" {
				return false
			}
			d.Other.Member = "Message"
			return true
		},
	},
	{
		name: "ARNs for names of tables", section: "A.1",
		quote: "almost every `TableName` also accepts a table ARN",
		apply: func(d *Difference) bool {
			if !usesARN(d.Request.Body) || !strings.Contains(d.Other.Message, "Member must satisfy regular expression pattern") && !strings.Contains(d.Other.Message, "must satisfy constraint: [Member must have length less than") {
				return false
			}
			*d.Other = *d.Mine
			return true
		},
	},
	{
		name: "the reading of JSON", section: "A.1, A.5, A.6",
		quote: "unknown members are ignored; SerializationException texts (member `Message`); Constraint texts: `Member must not be null`; null value prints `Value null at ...` (no quotes)",
		apply: each(
			func(d *Difference) bool {
				unread := d.Request.Mangle != nil && strings.Contains(d.Mine.Message, "Value null at") // a member whose name was spoiled
				if d.Other.code() != "SerializationException" || d.Mine.code() == "SerializationException" || !unread && !hasUnknown(d.Request) {
					return false
				}
				*d.Other = *d.Mine
				return true
			},
			func(d *Difference) bool {
				if d.Mine.code() != "SerializationException" || !d.Other.failed() || d.Other.Status != 400 {
					return false
				}
				*d.Other = *d.Mine
				return true
			},
			func(d *Difference) bool {
				null := strings.HasPrefix(d.Other.Message, "invalid type: null") // which is absent, whatever comes of the rest
				if d.Mine.code() != "ValidationException" && !null || !deserialiser.MatchString(d.Other.Message) {
					return false
				}
				*d.Other = *d.Mine
				return true
			},
		),
	},
	{
		name: "start keys of tables without a sort key", section: "3.16",
		quote: "Query with any start key on a table with HASH only: ValidationException `The provided exclusive start key is invalid`",
		apply: func(d *Difference) bool {
			mine, _ := d.Mine.Body.(object)
			other, _ := d.Other.Body.(object)
			const refused = "The provided exclusive start key is invalid"
			if d.Mine.Message == refused && strings.Contains(d.Other.Message, "can only contain non-primary key attributes") { // which is behind it
				*d.Other = *d.Mine
				return true
			}
			if d.Request.Op != "Query" || d.Other.failed() {
				return false
			}
			last, _ := other["LastEvaluatedKey"].(object)
			switch {
			case other[endless] != nil && mine[endless] == nil, d.Mine.Message == refused:
				*d.Other = *d.Mine
			case len(last) == 1 && mine["LastEvaluatedKey"] == nil:
				delete(other, "LastEvaluatedKey") // nobody could go on from it
			default:
				return false
			}
			return true
		},
	},
	{
		name: "constraints", section: "6.07, A.6, D.3, D.4",
		quote: "Java echo of values (`AttributeValue(s=…, n=…, …)`, 16 members, or class name and hash) varies by region: compare only outside it; Format: `<n> validation error[s] detected: <e1>; <e2>; ...`; >100 over several tables: `Too many items requested for the BatchGetItem call`; >25 across tables: `Too many items requested for the BatchWriteItem call`",
		apply: each(
			func(d *Difference) bool {
				mine, other := echo.ReplaceAllString(d.Mine.Message, "Value '*' at"), echo.ReplaceAllString(d.Other.Message, "Value '*' at")
				if mine == d.Mine.Message || mine != other {
					return false
				}
				d.Other.Message = d.Mine.Message
				return true
			},
			notAggregated,
			emptyNameOfTTL,
			texts("", "", "",
				"^Too many items requested", "Member must have length less than or equal to",
			).apply,
		),
	},
	{
		name: "members of table descriptions", section: "D.9",
		quote: "DeletionProtectionEnabled always present; BillingModeSummary only for on-demand (LastUpdateToPayPerRequestDateTime appears once ACTIVE); DescribeTable adds WarmThroughput; AttributeDefinitions and NonKeyAttributes come back sorted by name",
		apply: descriptions,
	},
	{
		name: "tables that change", section: "D.10",
		quote: "CREATING -> ACTIVE -> {UPDATING -> ACTIVE} -> DELETING -> gone; DeleteTable response: TableDescription with only TableName, TableStatus DELETING, ItemCount, TableSizeBytes, TableArn, TableId, ProvisionedThroughput, DeletionProtectionEnabled; Responses echo old throughput until ACTIVE",
		apply: changing,
	},
	{
		name: "descriptions of streams", section: "streams",
		quote: "DescribeStream returns KeySchema; an open shard has no EndingSequenceNumber; SizeBytes counts what the record carries",
		apply: streams,
	},
	{
		name: "consumed capacity", section: "D.16, 9.07",
		quote: "Read: minimum one block, missing item costs one block; empty result 0.5/1; Write: ceil(max(old,new size)/1024), min 1; failed condition still charged on old item; transactional ×2 on the table arm",
		apply: each(consumed, removesNothing),
	},
	{
		name: "updates", section: "B.2, C.5, D.2",
		quote: "ALL_OLD whole old item (absent if new); UPDATED_OLD/UPDATED_NEW only touched paths; a REMOVE-only update returns no `Attributes`; `Attributes` is omitted, not `{}`, when empty; REMOVE ... of any path when the *item* does not exist is a silent no-op; If the item is absent and the update only REMOVEs/DELETEs, **no item is created**; Equality, key identity, set membership use the numeric value",
		apply: each(
			returned,
			removals,
			spelled,
			func(d *Difference) bool {
				const unequal = "Input collection contains duplicates" // a set's numbers are added by their texts
				body, _ := d.Other.Body.(object)
				cancelled, _ := body["CancellationReasons"].(list)
				if d.Mine.failed() || d.Other.Message != unequal && !slices.ContainsFunc(cancelled, func(one any) bool {
					reason, _ := one.(object)
					return reason["Message"] == unequal
				}) {
					return false
				}
				*d.Other = *d.Mine
				return true
			},
		),
	},
	{
		name: "what a projection returns", section: "C.6, D.7",
		quote: "Keys are not added automatically; GSI ties in unspecified but stable order; LSI may return non-projected attributes by fetching from the table",
		apply: readBack,
	},
	{
		name: "actions beside one that is invalid", section: "D.5",
		quote: "Validation of actions stops at the first ValidationError: other actions then read `None`, conditions unevaluated",
		apply: reasons,
	},
	{
		name: "transactions", section: "5.12, D.5",
		quote: "EAN/EAV without any expression are accepted on Put, Delete and Get inside a transaction; different payload -> IdempotentParameterMismatchException (`Message`: `DynamoDB rejected the request because you retried a request with a different payload ...`)",
		apply: each(
			func(d *Difference) bool {
				if !strings.HasPrefix(d.Request.Op, "Transact") || !strings.Contains(d.Other.Message, "unused in expressions") && !strings.Contains(d.Other.Message, "can only be specified when using expressions") || stageOf(d.Mine) == stageOf(d.Other) {
					return false
				}
				*d.Other = *d.Mine
				return true
			},
			tokens,
			computedIndexKey,
			nothingToDo,
		),
	},
	{
		name: "batches of statements", section: "D.14",
		quote: "Responses positional: `{TableName, Item?}` or `{Error:{Code, Message, Item?}, TableName?}`; no duplicate items (`Provided list of item keys contains duplicates`); `Where clause does not contain a mandatory equality on all key attributes` (which is found first, and where it is told: not on record)",
		apply: each(
			statementTables,
			statementErrors,
			statementRead,
			func(d *Difference) bool {
				if !strings.Contains(d.Request.Op, "Execute") {
					return false
				}
				later := strings.HasPrefix(d.Mine.Message, "Validation failed in TransactStatements") && strings.HasPrefix(d.Other.Message, "Supplied AttributeValue")
				duplicates := (strings.HasPrefix(d.Other.Message, "Provided list of item keys contains duplicates") || strings.HasPrefix(d.Other.Message, "Supplied AttributeValue")) && !d.Mine.failed()
				where := d.Mine.code() == "ValidationException" && strings.HasPrefix(d.Mine.Message, "Validation failed in TransactStatements") && d.Other.code() == "TransactionCanceledException" ||
					d.Mine.code() == "ResourceNotFoundException" && strings.HasPrefix(d.Other.Message, "Validation failed in TransactStatements")
				syntax := strings.Contains(d.Mine.Message, "Statement wasn't well formed") && (!d.Other.failed() || d.Other.code() == "ConditionalCheckFailedException")
				several := strings.HasPrefix(d.Mine.Message, "Validation failed in") && strings.HasPrefix(d.Other.Message, "Transaction request cannot include")
				if !later && !duplicates && !where && !syntax && !several {
					return false
				}
				*d.Other = *d.Mine
				return true
			},
		),
	},
	{
		name: "regions: the layer of Scan", section: "1.04, 1.72 to 1.74, 3.09",
		quote: "Scan follows later: newer in 5 regions on 10-03, in 20 of 33 on 10-20; us-east-1 not among the first. Elsewhere Scan is older",
		apply: scanLayer,
	},
	{
		name: "the envelope of single-item writes", section: "1.01",
		quote: "PutItem, UpdateItem, DeleteItem, whose request-validation errors all get ENV wherever the value sits (item, key, EAV, AttributeUpdates, Expected, set member, nested)",
		apply: func(d *Difference) bool {
			if d.Mine.code() != "ValidationException" || d.Other.code() != d.Mine.code() || !singleWrite(d.Request) {
				return false
			}
			older := strings.Contains(d.Request.String(), `"BOOL":"`) // 1.08
			if d.Mine.Message != "1 validation error detected: "+d.Other.Message && !(older && "1 validation error detected: "+d.Mine.Message == d.Other.Message) {
				return false
			}
			d.Other.Message = d.Mine.Message
			return true
		},
	},
	{
		name: "texts: values of expressions", section: "1.35, 4.04, C.4",
		quote: "empty set: P/U/D, anywhere incl. EAV; no VIA; `The update expression attempted to update the secondary index key to unsupported type` (that one only for computed values); `ExpressionAttributeValues contains invalid value: <value error> for key :x` (of an empty value: not on record)",
		apply: each(
			texts("", "", "",
				"^Provided list of item keys contains duplicates", "Expression: ",
				"^One or more parameter values were invalid: Type mismatch for Index Key", "secondary index key is not supported|Type mismatch for Index Key", // of several (4.02)
				"secondary index key (is not supported|to a value)|Type mismatch for Index Key", "^Provided list of item keys contains duplicates|^Transaction request cannot include", // 5.13
				"^1 validation error detected: One or more parameter values were invalid: (An|Binary)", "contains invalid value: One or more parameter values were invalid: (An|Binary)",
				"contains invalid value: Supplied AttributeValue", "^Supplied AttributeValue",
				"^One or more parameter values were invalid: (An|Binary)", "contains invalid value: One or more parameter values were invalid: (An|Binary)",
				"can only be specified when using expressions", "can only be specified when using expressions|unused in expressions",
				"^The update expression attempted to update the secondary index key to unsupported type", "Type mismatch for Index Key",
			).apply,
			computedKey,
			func(d *Difference) bool { // of several tables either
				tables, _ := d.Request.Body["RequestItems"].(object)
				if len(tables) < 2 || !strings.Contains(d.Mine.Message, "unused in expressions") || !strings.Contains(d.Other.Message, "unused in expressions") {
					return false
				}
				d.Other.Message = d.Mine.Message
				return true
			},
		),
	},
	{
		name: "grammar of expressions", section: "C.1, C.2, C.4",
		quote: "`tok` = first offending token, `text` = window of up to one token either side with original spacing; `The function is not allowed to be used this way in an expression`; `Operator or function requires a document path`; `List index is not within the allowable range`; operand := path | :value | function( args ) | ( operand ); leading `_` or digit is a syntax error in recent tests; prefix `Invalid <X>Expression: ` where X = Condition, Filter, Update, Projection, KeyCondition",
		apply: each(
			grammar,
			blanks,
			func(d *Difference) bool {
				if !bracketed.MatchString(d.Other.Message) {
					return false
				}
				*d.Other = *d.Mine
				return true
			},
			unchecked("", "", "",
				"Syntax error; token: \"_\"",
			).apply,
			func(d *Difference) bool {
				if d.Mine.code() != "ValidationException" || d.Other.code() != d.Mine.code() || !strings.HasSuffix(d.Mine.Message, "Expression: "+d.Other.Message) {
					return false
				}
				d.Other.Message = d.Mine.Message
				return true
			},
		),
	},
	texts("faults of expressions", "C.4", "Two document paths overlap with each other (which is path one: not on record)",
		"The function is not allowed in an? (update|condition) expression", "Invalid function name",
		"Two document paths overlap with each other", "Two document paths overlap with each other",
		"List index is not within the allowable range", "Invalid index: ",
		"An expression attribute (name|value) used", "An expression attribute (name|value) used",
		"operator or function: (attribute_|size)", "reserved keyword: size$",
		"Invalid function name", "The expression has redundant parentheses", // whose are a call's
	),
	{
		name: "definitions of tables", section: "A.6, D.9, D.10, D.12, D.13",
		quote: "`TimeToLive is active on a different AttributeName`; `Attribute Name is duplicated: <a>`; existing name: ValidationException `Attempting to create an index which already exists`; Update without units: P`One of ... must not be null`; `The provided starting key ...`; Empty UpdateTable: `At least one of ProvisionedThroughput, BillingMode, ... OnDemandThroughput, WarmThroughput or TableClass is required` (older: ...)",
		apply: each(
			texts("", "", "",
				"^Attribute Name is duplicated|Some index key attributes are not defined", "Number of attributes in KeySchema|have no definition",
				"^Attempting to create an index which already exists", "Index already exists",
				"Only one global secondary index (action|update)", "Action Blocked|cannot be performed",
				"validation errors? detected: Value .* at 'tableName'", "^TableName must be at least 3",
				"can only be combined with|You cannot modify stream|must be the only operation|ProvisionedThroughput must be specified", "Neither ReadCapacityUnits|OnDemandThroughput cannot be specified|will not change",
				"ARNs must start with|Member must have length greater", "^Invalid TableArn|Invalid ResourceArn|Tag key must be",
				"^TimeToLive is active on a different", "^TimeToLive is already enabled with",
				"Some AttributeDefinitions are not used", "ProvisionedThroughput should not|Table KeySchema does not",
				"^Both the Hash Key", "have no definition",
				"must be the only operation|If stream is being", "ProvisionedThroughput must",
				"Some AttributeDefinitions are not used", "Index KeySchema does not have",
				"Member must have length", "^One or more parameter values were invalid: (Tag key must|Some index key attributes)",
				"Value null at 'tag", "^Atleast one Tag",
				"^Supplied AttributeValue has more than one", "Map keys must satisfy",
				"^Invalid TableArn", "^Invalid TableArn", // which shows the account
				"^One or more parameter values were invalid: Cannot update attribute", "^One or more parameter values were invalid: Cannot update attribute",
			).apply,
			texts("", "", "",
				"^At least one of ProvisionedThroughput", "^At least one of ProvisionedThroughput",
			).apply,
			func(d *Difference) bool { // A.2: the namespace, and `Message`
				if d.Mine.code() != "AccessDeniedException" || d.Other.code() != d.Mine.code() {
					return false
				}
				*d.Other = *d.Mine
				return true
			},
		),
	},
	texts("queries", "D.7, 1.72, 3.04", "filter on key attribute of queried table/index: `Filter Expression can only contain non-primary key attributes`; Secondary index does not project (which of two faults comes first, and which of two keys is named: not on record)",
		"^Key attributes must be scalars|does not project|key attribute cannot contain an empty", "can only contain non-primary key attributes",
		"can only contain non-primary key attributes: Primary key attribute: ", "can only contain non-primary key attributes: Primary key attribute: ",
		"key attribute cannot contain an empty", "Select type ALL_ATTRIBUTES is not supported|^The provided starting key is invalid",
		"^One or more parameter values were invalid: AttributeValues inside", "^One or more parameter values were invalid: ComparisonOperator",
		"contains invalid value: .*converted to a numeric value", "converted to a numeric value",
		"unused in expressions|does not project|^Conditions can be", "^Either the KeyConditions|^Unsupported KeyConditions",
		"ExpressionAttribute(Names|Values) contains invalid key", "ExpressionAttribute(Names|Values) contains invalid key|^Supplied AttributeValue",
		"^The provided starting key is invalid", "^The provided starting key is outside|key attribute cannot contain an empty|may not be empty$",
		"^Invalid ProjectionExpression", "^Either the KeyConditions",
		"^ALL_PROJECTED_ATTRIBUTES|^Cannot specify the|^Must specify the", "Expression|^Unexpected token", // of Scan
		"^The (Total)?Segments? ", "Must specify the|Cannot specify the|ALL_PROJECTED_ATTRIBUTES|Expression",
		"^Invalid ProjectionExpression", "^Invalid ProjectionExpression: The expression can not be empty", // of two tables
		"^Invalid FilterExpression: ", "^Unexpected token in ProjectionExpression|^Either the KeyConditions|reserved keyword: size$",
	),
	texts("key conditions", "3.05, D.7", "`Invalid KeyConditionExpression: An expression attribute value used in expression is not defined; attribute value: :missing`; `Invalid operator used in KeyConditionExpression: OR`; `Query key condition not supported`",
		"KeyConditionExpression", "^(Expected|Unexpected|Unsupported|Invalid) |^An expression attribute|^Attribute name is a reserved|^The number of query conditions|^Syntax error|KeyConditionExpression",
		"^Conditions can be of length|^Query key condition|^Query condition missed", "^The number of query conditions|^Query condition missed|^Unsupported|^Unexpected|^Query key condition",
		"^Attempted conditional constraint", "^Unsupported KeyConditions ComparisonOperator|^Invalid comparison operator",
		"^The BETWEEN condition was provided", "Condition parameter type|KeyCondition",
	),
	unchecked("what expressions compare", "C.4, 3.02", "Operand types of functions and comparators are checked left to right in clause order, together with undefined values, before table lookup; `The expression contains too many operators; operator count: 301`; IN takes ≤100 operands; The BETWEEN operator requires same data type for lower and upper bounds",
		"Expression: (Incorrect operand type|The expression contains too many operators|The IN operator|The BETWEEN operator|Two document paths conflict|The first operand|The expression has redundant|Incorrect number of operands|Operator or function requires|Invalid function name|Invalid attribute type name|List index is not|An expression attribute value used|The document path has too many nesting levels|The function is not allowed)",
		"^Validation failed in TransactStatements\\[[0-9]+\\]: (Incorrect operand type|The BETWEEN|Two document paths)|^Duplicate keys in tuple",
	),
	{
		name: "unchecked: values, keys and sizes", section: "1.3, 1.4, 4.07, B.1, B.3 to B.5, D.4, D.5",
		quote: "attribute name 1..65535 UTF-8 bytes; NULL:false; an empty value for a key attribute: any op; Over-long GSI key (HASH > 2048, RANGE > 1024 bytes) on write: ValidationException; Cannot update attribute <attr>. This attribute is part of the key; a WriteRequest with neither or both of Put/Delete: `Supplied AttributeValue has more than one datatypes set`; ClientRequestToken 1..36 chars; `ExpressionAttributeNames must not be empty`; an item's size with its entries in local indexes",
		apply: each(
			unchecked("", "", "",
				"Attribute name is too large|key attribute cannot contain an empty|Null attribute value types",
			).apply,
			unchecked("", "", "",
				"secondary index key beyond allowed size|Cannot update attribute|Size of hashkey|Aggregated size",
			).apply,
			unchecked("", "", "",
				"^Supplied AttributeValue has more than one datatypes set|^Item size (to update )?has exceeded|at 'clientRequestToken' failed|^ExpressionAttribute(Names|Values) must not be empty|unused in expressions|contains invalid key|^The provided starting key is invalid",
			).apply,
		),
	},
	unchecked("what an index does not project", "D.7", "projection asks non-projected attr of GSI: `... Global secondary index <idx> does not project [<attr>]`; filter: `... Secondary index <idx> does not project one or more filter attributes: [<attr>]`",
		"does not project",
	),
	{
		name: "unchecked: lengths, and changes of tables", section: "A.6, D.9, D.10, D.12, D.13",
		quote: "Constraint texts: `Member must have length less than or equal to n`, `... greater than or equal to n`; One logical change per call; P`If stream is being disabled, then UpdateViewType must not be specified`; PAY_PER_REQUEST->PROVISIONED needs PT for table and every GSI; `TimeToLive is already disabled`; Key 1..128, value 0..256 characters, letters/digits/space and `+-=._:/`",
		apply: each(
			unchecked("", "", "",
				"must be the only operation|can only be combined with|^One or more parameter values were invalid: (You cannot|If stream is being|ProvisionedThroughput|Table is being created|ReadCapacityUnits|Neither|Only one global|Duplicate element in NonKeyAttributes)|^Table has no stream to disable|streamViewType' failed|outside of valid range|^Subscriber limit exceeded|^Table already has an enabled stream|^Attempting to create an index",
			).apply,
			unchecked("", "", "",
				"^TimeToLive is |' failed to satisfy constraint: Member must have length (less|greater) than or equal to [0-9]+$",
			).apply,
			unchecked("", "", "",
				"^User is not authorized to access the resource|^The Tag (Key|Value) provided is invalid|^Duplicate Tag Keys|^Tag Key cannot",
			).apply,
		),
	},
	{
		name: "older parameters", section: "D.7, D.17",
		quote: "On a missing attribute NE is true and NOT_CONTAINS is false in legacy filters [?] (not on record); BETWEEN low>high: `The BETWEEN condition was provided a range where the lower bound is greater than the upper bound`; AttributeValues inside AttributeValueList must be of same type; Invalid number of argument(s) for the BETWEEN ComparisonOperator; ... (which of several comes first: not on record)",
		apply: each(
			func(d *Difference) bool {
				if !strings.Contains(d.Request.String(), `"NOT_CONTAINS"`) || d.Mine.failed() && d.Mine.code() != "ConditionalCheckFailedException" || d.Other.failed() && d.Other.code() != "ConditionalCheckFailedException" {
					return false
				}
				*d.Other = *d.Mine
				return true
			},
			unchecked("", "", "",
				"^The BETWEEN condition was provided|List index is not|AttributeValues inside AttributeValueList|ComparisonOperator [A-Z_]+ is not valid for",
			).apply,
			func(d *Difference) bool {
				if d.Mine.code() != "ValidationException" || d.Other.code() != d.Mine.code() || !olderFault.MatchString(bare(d.Mine.Message)) || !olderFault.MatchString(bare(d.Other.Message)) {
					return false
				}
				d.Other.Message = d.Mine.Message
				return true
			},
		),
	},
	texts("statements", "D.14", "`Statement wasn't well formed, can't be processed: <detail>`",
		"Statement wasn't well formed, can't be processed: |Aliasing is not supported|^Unsupported|^Expected", "Statement wasn't well formed, can't be processed: |Unsupported operation|Aliasing is not supported|must specify the primary key|^Unexpected path component",
		"^Validation failed in TransactStatements", "^Validation failed in TransactStatements",
		"^IN operator must have|Statement wasn't well formed", "Unterminated string literal|^A path may contain at most",
		"^Number of parameters|^Two document paths overlap|^Unrecognized function", "Statement wasn't well formed|^Where clause does not contain",
	),
	{
		name: "faults that come at run time", section: "C.5",
		quote: "missing source -> `The provided expression refers to an attribute that does not exist in the item`; SET on missing intermediate map/list, wrong container, or any nested path on a new item -> `The document path provided in the update expression is invalid for update` (which of two comes first is not on record)",
		apply: func(d *Difference) bool {
			if !d.Other.failed() && strings.HasPrefix(d.Mine.Message, "The provided expression refers") && strings.Contains(d.Request.String(), "if_not_exists") {
				*d.Other = *d.Mine // dynoxide looks at the first operand alone
				return true
			}
			if d.Mine.code() != d.Other.code() && d.Other.code() != "ConditionalCheckFailedException" || !runTime.MatchString(d.Mine.Message) || !runTime.MatchString(d.Other.Message) {
				return false
			}
			d.Other.Message = d.Mine.Message
			return true
		},
	},
	{
		name: "order of checks within an expression", section: "C.4",
		quote: "Conditions: parentheses, unknown function, misused function, reserved word, then (first failing condition) undefined name/value, operand count, distinct, operand type. Updates: reserved, unknown function, repeated section, undefined name, undefined value, overlap, conflict, ADD/DELETE operand type, function operand",
		apply: func(d *Difference) bool {
			mine, kind := fault(d.Mine)
			other, same := fault(d.Other)
			if kind == same && kind != "Invalid Update" && kind != "" && ofCondition.MatchString(d.Mine.Message) && ofCondition.MatchString(d.Other.Message) {
				d.Other.Message = d.Mine.Message // condition by condition
				return true
			}
			if mine < 0 || kind != same || other >= 0 && mine >= other {
				return false
			}
			d.Other.Message = d.Mine.Message
			return true
		},
	},
	{
		name: "order of checks in a transaction", section: "5.07",
		quote: "Then action by action in request order, first problem wins: values, expressions (size, syntax, undefined), unused EAN/EAV",
		apply: inTurn,
	},
	{
		name: "order of checks", section: "A.3, 1.7",
		quote: "8. type check of the JSON against the shape 9. constraint check of the shape, aggregated 10. operation-specific validation 11. table lookup 12. key/schema checks, then data",
		apply: func(d *Difference) bool {
			if !d.Mine.failed() || !d.Other.failed() || d.Other.Status != 400 {
				return false
			}
			mine, other := stageOf(d.Mine), stageOf(d.Other)
			if d.Request.Op == "Query" && strings.Contains(d.Other.Message, "at 'select' failed") {
				other = lookup // behind the expressions, as of Scan (1.72)
			}
			if (singleWrite(d.Request) || d.Request.Op == "GetItem") && strings.HasPrefix(d.Other.Message, "Supplied AttributeValue") {
				other = lookup + 1 // 1.57: after the table is found
			}
			if mine < 0 || other < 0 || mine >= other {
				return false
			}
			*d.Other = *d.Mine
			return true
		},
	},
}

var (
	bracketed    = regexp.MustCompile(`Syntax error; token: ("\)", near: "a\) =|"\(", near: "[<>=]+ ?\()`) // an operand in brackets
	deserialiser = regexp.MustCompile("^(missing field|invalid type|invalid value|unknown variant|invalid length|unknown field|duplicate field)|at line [0-9*]+ column")
	echo         = regexp.MustCompile(`(?s)Value '.*?' at`)
	runTime      = regexp.MustCompile("^The provided expression refers to|^The document path provided|^An operand in the update|^Number overflow|^Item size to update|38 significant digits|^The conditional request failed")
)
