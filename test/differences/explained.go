package differences

import (
	"regexp"
	"slices"
	"strings"
)

// classes in the order in which they are tried: first those of what every answer
// has, then of descriptions and items, then of texts, the order of checks last.
var classes = []class{
	{
		name: "namespace and member of errors", section: "A.2",
		quote: "Message casing: **`message`** everywhere except **`Message`** for SerializationException, AccessDeniedException, TransactionCanceledException",
		apply: func(d *Difference) bool {
			if !d.Mine.failed() || !d.Local.failed() || d.Mine.Type == d.Local.Type && d.Mine.Member == d.Local.Member {
				return false
			}
			if d.Mine.code() == d.Local.code() {
				d.Local.Type = d.Mine.Type
			}
			if d.Mine.Message != "" {
				d.Local.Member = d.Mine.Member
			} else if d.Mine.code() == "UnknownOperationException" && d.Local.code() == d.Mine.code() {
				d.Local.Member, d.Local.Message = "", "" // it carries no message member at all
			}
			return true
		},
	},
	{
		name: "members of table descriptions", section: "D.9",
		quote: "ProvisionedThroughput{Read,Write,NumberOfDecreasesToday} ... LastUpdateToPayPerRequestDateTime appears once ACTIVE ... DescribeTable adds WarmThroughput; Responses echo old throughput until ACTIVE",
		apply: descriptions,
	},
	{
		name: "tables that change", section: "D.10",
		quote: "CREATING -> ACTIVE -> {UPDATING -> ACTIVE} -> DELETING -> gone; DeleteTable response: TableDescription with only TableName, TableStatus DELETING, ItemCount, TableSizeBytes, TableArn, TableId, ProvisionedThroughput, DeletionProtectionEnabled",
		apply: passing,
	},
	{
		name: "numbers inside lists and maps", section: "B.2",
		quote: "Output is always canonical plain decimal: no exponent, no leading zeros",
		apply: func(d *Difference) bool {
			before := string(encode(d.Local.Body))
			d.Local.Body = plainNumbers(d.Local.Body)
			if body, ok := d.Local.Body.(object); ok && !d.Local.failed() {
				order(d.Request, body)
			}
			return string(encode(d.Local.Body)) != before
		},
	},
	{
		name: "consumed capacity", section: "D.16",
		quote: "NONE (default); minimum one block, missing item costs one block; empty result 0.5/1; Write: ceil(max(old,new size)/1024), min 1; transactional ×2 on the table arm; ReadCapacityUnits/WriteCapacityUnits appear only for transactional calls",
		apply: consumed,
	},
	{
		name: "empty maps in records", section: "B.1",
		quote: "empty `L`/`M` | allowed",
		apply: func(d *Difference) bool {
			body, ok := d.Local.Body.(object)
			if d.Request.Op != "GetRecords" || !ok {
				return false
			}
			before := string(encode(body))
			emptyMaps(body["Records"])
			return string(encode(body)) != before
		},
	},
	{
		name: "order and ends of pages", section: "D.7",
		quote: "GSI ties in unspecified but stable order; LastEvaluatedKey present iff the page stopped early *or exactly on* Limit (so a final empty page is normal); sort key outside predicate: `The provided starting key does not match the range key predicate`",
		apply: func(d *Difference) bool { return fullPage(d) || startAtTheEnd.apply(d) || ties(d) },
	},
	{
		name: "faults that DynamoDB Local answers with InternalFailure", section: "A.2",
		quote: "Status codes: all client errors **400** ... InternalServerError / InternalFailure 500",
		apply: func(d *Difference) bool {
			if d.Mine.Status > 400 || d.Local.code() != "InternalFailure" {
				return false
			}
			*d.Local = *d.Mine
			return true
		},
	},
	{
		name: "item collection metrics", section: "D.16",
		quote: "ReturnItemCollectionMetrics=SIZE: only for tables with LSIs: ItemCollectionMetrics{ItemCollectionKey:{pk}, SizeEstimateRangeGB:[0.0,1.0]}",
		apply: func(d *Difference) bool {
			mine, _ := d.Mine.Body.(object)
			local, _ := d.Local.Body.(object)
			if d.Mine.failed() || d.Local.failed() || d.Request.Body["ReturnItemCollectionMetrics"] != "SIZE" || mine["ItemCollectionMetrics"] == nil || local["ItemCollectionMetrics"] != nil {
				return false
			}
			delete(mine, "ItemCollectionMetrics")
			return true
		},
	},
	{
		name: "removal from an absent item", section: "C.5",
		quote: "REMOVE ... of any path when the *item* does not exist is a silent no-op; If the item is absent and the update only REMOVEs/DELETEs, **no item is created**",
		apply: removals,
	},
	{
		name: "updates without an action", section: "D.17",
		quote: "AttributeUpdates{attr:{Action PUT|ADD|DELETE, Value}}: default PUT",
		apply: func(d *Difference) bool {
			if d.Mine.failed() && d.Mine.code() != "ValidationException" || d.Request.Mangle == nil && !slices.ContainsFunc(updatesOf(d.Request), defaultAction) || d.Request.Mangle != nil && d.Request.Body["AttributeUpdates"] == nil {
				return false
			}
			*d.Local = *d.Mine
			return true
		},
	},
	texts("older parameters", "D.17", "P`DELETE action with value is not supported for the type S`; P`ADD action is not supported for the type S`",
		"^One or more parameter values were invalid: (DELETE action with value|ADD action) is not supported for the type [A-Z]+$", "^One or more parameter values were invalid: (DELETE action with value|ADD action) is not supported for the type [A-Z]+",
		"^One or more parameter values were invalid: Duplicate value in attribute name", "^Cannot have two attributes with the same name",
		"^ConditionalOperator can only be used", "^One or more parameter values were invalid: ComparisonOperator|^The BETWEEN condition was provided",
		"^One or more parameter values were invalid: Value must be provided when Exists is", "ExpectedAttributeValue must not be null",
		"^One or more parameter values were invalid: Invalid number of argument", "^One or more parameter values were invalid: ComparisonOperator|^The BETWEEN condition",
		"^The BETWEEN condition was provided", "^Attempted conditional constraint",
		"^ConditionalOperator can only be used", "^One or more parameter values were invalid: Invalid number of argument",
		"^Attempted conditional constraint is not an indexable operation", "^Only scalar types can be used as|^Query key condition not supported|^Comparison type does not exist|key attribute cannot contain an empty|does not project one or more filter|^QueryFilter can only contain",
		"^One or more parameter values were invalid: ComparisonOperator", "^ConditionalOperator can only be used",
		"comparisonOperator' failed to satisfy constraint", "^Comparison type does not exist in DynamoDB",
		"^One or more parameter values were invalid: AttributeValues inside AttributeValueList must be of same type", "^One or more parameter values were invalid: ComparisonOperator [A-Z_]+ is not valid for",
	),
	{
		name: "JSON of a wrong type", section: "A.5",
		quote: "SerializationException texts (member `Message`)",
		apply: func(d *Difference) bool {
			if d.Mine.code() != "SerializationException" || d.Local.code() == "SerializationException" && d.Local.Message == d.Mine.Message {
				return false
			}
			*d.Local = *d.Mine
			return true
		},
	},
	texts("values", "B.1, B.2", "empty -> message contains `Empty attribute name`",
		"^One or more parameter values were invalid: Empty attribute name", "^Empty attribute name",
		"One or more parameter values were invalid: Attribute name is too large", "Attribute name is too large",
		"One or more parameter values were invalid: Empty attribute name for key ", "Empty attribute name for key ",
		"One or more parameter values were invalid: Input collection .*contains duplicates", "One or more parameter values were invalid: Input collection .*contains duplicates",
		"Supplied AttributeValue is empty", "contains a null AttributeValue",
		"^Supplied AttributeValue has more than one datatypes set", "^The batch write request list for a table cannot be null or empty",
		"numeric value: ١", "^Input collection contains duplicates",
		"The parameter cannot be converted to a numeric value( for key .*|: .*)?$", "A value provided cannot be converted into a number",
		"Attempting to store more than 38 significant digits in a Number", "DynamoDB only supports precision up to 38 digits",
		"Number (over|under)flow. Attempting to store a number with magnitude (larger|smaller) than supported range", "A value provided cannot be converted into a number|[Nn]umber|precision",
	),
	texts("keys", "B.4, B.5", "Key parameter wrong count / name / type (Get, Update, Delete, batch, transact) | The provided key element does not match the schema",
		"^The provided key element does not match the schema$", "^Item to put in PutItem cannot be null|^One or more parameter values were invalid: Type mismatch for key|^The number of conditions on the keys is invalid|Missing the key|^One of the required keys was not given a value|^Invalid attribute value type|may not contain null or empty values",
		"^One or more parameter values were invalid: Missing the key", "^One of the required keys was not given a value",
		"^One or more parameter values were invalid: Type mismatch for key .* expected: . actual: |numeric value: ١", "^One or more parameter values were invalid: Type mismatch for key|^Invalid attribute value type",
		"^One or more parameter values were invalid: Type mismatch for Index Key|^The update expression attempted to update the secondary index key", "^One or more parameter values were invalid: Type mismatch for Index Key|^Invalid attribute value type|secondary index key",
		"key attribute cannot contain an empty", "key attribute cannot contain an empty|^Invalid attribute value type|^The number of conditions on the keys is invalid|^One of the required keys was not given",
		"^The update expression attempted to update the secondary index key", "^Updates on index keys must be of the same data type",
		"^Key attributes must be scalars; list random access", "^One or more parameter values were invalid: Cannot update attribute",
		"Size of hashkey has exceeded the maximum size limit of2048 bytes|Aggregated size of all range keys has exceeded the size limit of 1024 bytes", "Hash primary key values must be under 2048 bytes, and range primary key values must be under 1024 bytes|Size limit exceeded$",
	),
	texts("tables that are missing", "D.1", "Data-plane text `Requested resource not found`; control plane `Requested resource not found: Table: <name> not found`",
		"^Requested resource not found", "^Cannot do operations on a non-existent table",
	),
	{
		name: "places that were updated", section: "D.2",
		quote: "UPDATED_OLD/UPDATED_NEW only touched paths, nested paths re-wrapped in their minimal hierarchy (`{a:{M:{b:…}}}`; list elements packed)",
		apply: updated,
	},
	{
		name: "transactions that fail", section: "B.5, D.5",
		quote: "empty key S/B (any op) ... Always top-level, even in transactions; `Message` = `Transaction cancelled, please refer cancellation reasons for specific reasons [ConditionalCheckFailed, None]` ... ValidationError | per-action data errors",
		apply: func(d *Difference) bool { return tokens(d) || emptyKeys(d) || cancellations(d) },
	},
	{
		name: "projection that finds nothing", section: "C.6",
		quote: "Item exists but nothing matches -> GetItem returns `Item: {}`; TransactGetItems omits `Item`",
		apply: func(d *Difference) bool {
			local, _ := d.Local.Body.(object)
			responses, _ := local["Responses"].(list)
			changed := false
			for i := range responses {
				if response, _ := responses[i].(object); response != nil {
					if it, ok := response["Item"].(object); ok && len(it) == 0 && d.Request.Op == "TransactGetItems" {
						delete(response, "Item")
						changed = true
					}
				}
			}
			return changed
		},
	},
	{
		name: "what DynamoDB Local refuses in transactions", section: "A.1, D.5",
		quote: "almost every `TableName` also accepts a table ARN; Request-level ValidationException instead of cancellation: expression syntax/names/values",
		apply: func(d *Difference) bool {
			if !strings.HasPrefix(d.Request.Op, "Transact") {
				return false
			}
			arn := d.Local.code() == "ResourceNotFoundException" && usesARN(d.Request.Body)
			if !arn && !alone.MatchString(d.Local.Message) {
				return false
			}
			*d.Local = *d.Mine
			return true
		},
	},
	refused("filters on what a local index does not project", "D.7", "LSI may return non-projected attributes by fetching from the table (extra capacity)",
		"does not project one or more filter attributes|does not project", func(r *Request) bool { return r.Body["IndexName"] == "l_one" }),
	{
		name: "null among placeholders", section: "A.1",
		quote: "top-level members that are JSON `null` are treated as absent",
		apply: func(d *Difference) bool {
			if !nullPlaceholder.MatchString(d.Local.Message) || !hasNullPlaceholder(d.Request.Body) {
				return false
			}
			*d.Local = *d.Mine
			return true
		},
	},
	refused("updates", "B.2, B.5", "Equality, key identity, set membership, BatchWrite duplicate detection use the numeric value; UpdateItem checks only attributes it changes",
		"^Input collection contains duplicates$|^Updates on index keys must be of the same data type", func(r *Request) bool { return r.Op == "UpdateItem" }),
	{
		name: "faults of several tables or statements", section: "D.3, D.4, D.14",
		quote: "One bad table/key fails the whole call",
		apply: func(d *Difference) bool {
			tables, _ := d.Request.Body["RequestItems"].(object)
			statements, _ := d.Request.Body["TransactStatements"].(list)
			if len(tables) < 2 && len(statements) < 2 || d.Mine.code() != "ValidationException" || d.Local.code() != "ValidationException" {
				return false
			}
			*d.Local = *d.Mine
			return true
		},
	},
	{
		name: "table names and ARNs", section: "A.1, A.6",
		quote: "almost every `TableName` also accepts a table ARN; minimum length on item/Query/Scan/Batch/Transact ops is now **1**",
		apply: func(d *Difference) bool {
			if d.Request.Mangle != nil && usesARN(d.Request.Body) && d.Mine.code() == "ResourceNotFoundException" {
				*d.Local = *d.Mine // an ARN that was mangled: DynamoDB Local looks at its end alone
				return true
			}
			short := len(d.Request.table()) == 1 || len(d.Request.table()) == 2
			if d.Mine.code() != "ResourceNotFoundException" && !short || !strings.HasPrefix(d.Local.Message, "Invalid table/index name.") {
				return false
			}
			*d.Local = *d.Mine
			return true
		},
	},
	texts("constraints that are not aggregated", "A.6", "Format: `<n> validation error[s] detected: <e1>; <e2>; ...`",
		"^Invalid TableArn: ", "^Valid ARN format",
		"validation errors? detected: .*Member must not be null", "^Value null at|(cannot|may not) (be|contain|have) (a )?null|must be specified|was null|No defined key schema|must have some requests set|must be set|^Indexes must have a projection|^Cannot change IOPS and Streams|is required: .* has empty list|contains a null AttributeValue|^No Attribute Schema Defined|^Invalid global secondary index name|^Cannot have null key|^One or more keys is not specified as being hash or range|^Get Condition for key not in key list|^One of the required keys was not given|^Invalid Request: TransactWriteRequest should contain|^Nothing to update",
		"validation errors? detected: .*Member must satisfy enum value set", "^[0-9]+ validation errors? detected: .*Member must satisfy enum value set|^Member must satisfy enum value set|^No Hash Key specified in schema|^Select must be ALL_ATTRIBUTES|must be one of|^Value null at|^Cannot have null key",
		"validation errors? detected: .*Member must have value (greater|less) than or equal to", "^Limit (in ListTables )?must be|must be at least|^[0-9]+ validation error",
		"validation errors? detected: .*Map value must satisfy constraint", "cannot be null or empty|^Too many items requested",
		"validation errors? detected: .*Member must have length", "^Value .*Member must (have length|not be null)|^Member must have length|No defined key schema|must have at least|cannot be null or empty|must be between|Too many|is required: .* has empty list|not specified in Attribute Definitions|^Invalid global secondary index name",
		"^1 validation error detected: Must specify the AttributesToGet", "^Must specify the AttributesToGet",
		"(tableName|TableName|indexName|IndexName|Map keys|requestItems).*failed to satisfy constraint|parameter 'TableName' is required", "^Invalid table/index name\\.|^Value null at 'tableName'|^The parameter 'TableName'",
	),
	texts("expressions", "C.4, C.5", "Incorrect operand type for operator or function; operator: ADD, operand type: STRING; or any nested path on a new item -> `The document path provided in the update expression is invalid for update`",
		"operand type: [A-Z]+$", "operand type: [A-Z]+, typeSet: ",
		"^Expression.* contains invalid key: Syntax error; key: ", "contains an empty key;|contains invalid key",
		"^Invalid [A-Za-z]+Expression: The expression can not be empty;", "^ExpressionAttributeValues can only be specified when using expressions",
		"Expression: Syntax error; ", "^ExpressionAttributeNames contains invalid (value: null|key: )",
		"The expression has redundant parentheses;", "Syntax error; token: \"<EOF>\"",
		"Expression: Syntax error; ", "Expression: Internal server error",
		"Expression: Syntax error; token: \":[^\"]*\", near: \"\\.\\s*:", "Expression: (Syntax error; token: |An expression attribute name used)", // a.:v
		"An expression attribute name used in the document path is not defined", "^ExpressionAttributeNames contains invalid value: null",
		"^ExpressionAttributeValues contains invalid value: Nesting Levels", "^Nesting Levels",
		"^ExpressionAttribute(Names|Values) must not be empty", "^ExpressionAttribute(Names|Values) contains invalid key",
		"^ExpressionAttributeNames can only be specified", "^ExpressionAttributeValues can only be specified",
		"An expression attribute value used in expression is not defined", "An expression attribute value used in expression is not defined",
		"An expression attribute name used in the document path is not defined", "An expression attribute name used in the document path is not defined",
		"ExpressionAttributeNames must not be empty", "ExpressionAttributeNames contains invalid value: null for key",
		"Expression size has exceeded the maximum allowed size; expression size: ", "Expression size has exceeded the maximum allowed size;$",
		"The IN operator is provided with too many operands", "The IN operator is provided with too many operands",
		"attribute_type, operand type: \\{", "attribute_type, operand type: \\{",
		"Two document paths conflict with each other", "Two document paths conflict with each other",
		"Two document paths overlap with each other", "Two document paths overlap with each other",
		"The expression contains too many operators; operator count: ", "The expression contains too many operators; operator count: ",
		"^An operand in the update expression", "^The provided expression refers to an attribute",
		"^The provided expression refers to an attribute", "^An operand in the update expression",
		"^The document path provided in the update expression is invalid|^The provided expression refers to", "^DynamoDB only supports precision up to 38 digits",
		"^The provided expression refers to an attribute|^An operand in the update expression", "^The document path provided in the update expression is invalid",
		"^The document path provided in the update expression is invalid", "^The provided expression refers to an attribute|^An operand in the update expression",
	),
	texts("batches and ReturnValues", "D.2, D.3, D.4", "Empty RequestItems: `The requestItems parameter is required for BatchGetItem`",
		"^The requestItems parameter is required for Batch(Get|Write)Item$", "must have some requests set|cannot have a null or no requests set",
		"^ReturnValues can only be ALL_OLD or NONE$", "^Return values set to invalid value$",
	),
	texts("queries and scans", "D.7, D.8", "pk missing / not a key | Query condition missed key schema element: <pk or sk>",
		"^Query condition missed key schema element: ", "^Query condition missed key schema element",
		"^Conditions can be of length 1 or 2 only$", "^Either the KeyConditions or KeyConditionExpression",
		"KeyConditionExpressions cannot have conditions on nested attributes", "^KeyConditionExpressions cannot have conditions on nested attributes|^Key attributes must be scalars; list random access",
		"The BETWEEN operator requires same data type", "The BETWEEN operator requires same data type",
		"The BETWEEN operator requires upper bound to be greater than or equal to lower bound", "The BETWEEN operator requires upper bound to be greater than or equal to lower bound",
		"^ALL_PROJECTED_ATTRIBUTES can be used only when Scanning", "^ALL_PROJECTED_ATTRIBUTES can be used only when Querying",
		"^Cannot specify the (ProjectionExpression|AttributesToGet) when choosing to get COUNT", "when choosing to get only the Count",
		"^Consistent reads are not supported on global", "^Consistent read cannot be true",
		"does not project", "does not project|^Select type ALL_ATTRIBUTES|^One or more parameter values were invalid",
		"Select type ALL_ATTRIBUTES is not supported", "ALL_ATTRIBUTES",
		"^Condition parameter type does not match|Condition parameter type does not match schema type$", "Condition parameter type does not match schema type",
		"^The provided starting key is invalid: ", "^Empty attribute name|^The query can return at most one row|^Nesting Levels|^Supplied AttributeValue|^One or more parameter values were invalid",
		"^The query can return at most one row and cannot be restarted$|^The provided starting key is (outside|invalid)|^The provided starting key does not match", "^The provided starting key|^Exclusive Start Key|does not match the schema|Type mismatch",
		"^The TotalSegments parameter is required", "^If segment is specified, total segment must also be specified",
		"^The Segment parameter is required", "^If total segments? is specified, a particular segment must also be specified",
		"^The Segment parameter is zero-based", "Member must have value less than or equal to",
		"[sS]egments?' failed to satisfy", "[sS]egments?' failed to satisfy",
	),
	{
		name: "tags", section: "D.13",
		quote: "TagResource/UntagResource/ListTagsOfResource on table (or stream) ARNs",
		apply: func(d *Difference) bool {
			if !strings.HasPrefix(d.Local.Message, "Tagging is not currently supported in DynamoDB Local") {
				return false
			}
			*d.Local = *d.Mine
			return true
		},
	},
	{
		name: "errors of statements in batches", section: "D.14",
		quote: "`{Error:{Code, Message, Item?}, TableName?}`; Nested projection keys use the last path component; SELECT must fix the full primary key (`Select statements within BatchExecuteStatement must specify the primary key in the where clause.`); DuplicateItemException `Duplicate primary key exists in table`",
		apply: statementErrors,
	},
	texts("statements", "D.14", "`Statement wasn't well formed, can't be processed: <detail>`; `Validation failed in TransactStatements[i]: RETURNING clause is not supported in ExecuteTransaction.`", statementTexts...),
	texts("definitions and changes of tables", "D.9, D.10, D.12", "Validation texts (prefix P = `One or more parameter values were invalid: `)",
		"^Table already exists: ", "^Cannot create preexisting table",
		"Some index key attribute have no definition|Some index key attributes are not defined|does not exactly match number of attributes defined|Attribute Name is duplicated", "not specified in Attribute Definitions|Attribute Definitions|AttributeDefinitions|does not exactly match|[Dd]uplicate|Cannot have two attributes with the same name|No Attribute Schema Defined|Too many hash keys|No Hash Key specified",
		"List of (Global|Local)SecondaryIndexes is empty", "[GL]SI list is empty/invalid",
		"ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED|ProvisionedThroughput must be specified when BillingMode is PROVISIONED", "^No provisioned throughput specified for the table|must be at least",
		"^Given value .* is out of bounds", "^Cannot increase provisioned throughput",
		"stream (enabled|disabled), UpdateViewType|If stream is being (enabled|disabled)", "^Invalid StreamViewType|StreamViewType",
		"KeySchema", "[Kk]ey|KeySchema",
		"^One or more parameter values were invalid: Duplicate index name", "ind(ices|exes) have the same name|must have different names|[Dd]uplicate index",
		"count exceeds the per-table limit|exceeds per-table limit", "exceeds the per-table limit|^Cannot have more than",
		"ProvisionedThroughput is not specified for index|ProvisionedThroughput should not be specified for index|Unknown ProjectionType|NonKeyAttributes|Some AttributeDefinitions are not used|Table KeySchema does not have a range key|Index KeySchema does not have", "[Ii]nd(ex|ices)|[Pp]roject|GSI|LSI|AttributeDefinitions|[Tt]hroughput|^The number of attributes in key schema|^Cannot have two attributes with the same name",
		"^Subscriber limit exceeded: Only 1 online index|^Attempting to create an index which already exists|^One of GlobalSecondaryIndexUpdate", "[Ii]ndex",
		"OnDemandThroughput for table is outside of valid range", "Table read and write throughput must be at least|^Cannot increase provisioned throughput",
		"^At least one of ProvisionedThroughput", "^Nothing to update",
		"You cannot modify stream status while updating table IOPS", "^Cannot change IOPS and Streams at the same time|^The requested throughput value equals the current value",
		"^The provided throughput|^The provisioned throughput|Neither ReadCapacityUnits nor WriteCapacityUnits can be specified", "^The requested throughput value equals the current value",
		"One of GlobalSecondaryIndexUpdate\\.Update", "^Update global secondary index action is null|action",
		"Only one global secondary index (update|action)", "Only one global secondary index|[Oo]nly one|^Invalid global secondary index name",
		"^Table already has an enabled stream: ", "^Table already has an enabled stream",
		"^Table has no stream to disable: ", "^Table has no stream|[Ss]tream",
		"^The provisioned throughput for the table will not change", "^The provisioned throughput for the table will not change",
		"must be the only operation in the request|can only be combined with BillingMode", ".*",
		"^TimeToLive is active on a different AttributeName: ", "^TimeToLive is active on a different AttributeName",
		"^Resource cannot be deleted as it is currently protected", "protect",
	),
	unchecked("what DynamoDB Local does not check", "A.6, C.4, D.9, D.10", "Order: mixed params -> names/values-without-expression -> per-op value checks; One logical change per call",
		"^ExpressionAttribute(Names|Values) can only be specified when using expressions|The IN operator is provided with too many operands|^ExpressionAttributeValues contains invalid value: Nesting Levels|^The provided starting key is invalid$|^The provided starting key is invalid: .* exceeded the |^Transaction request cannot include multiple operations|^One or more parameter values were invalid: Secondary index .* does not project one or more filter attributes|^The update expression attempted to update the secondary index key|ComparisonOperator (NOT_)?CONTAINS is not valid for (NULL|BOOL)|reserved keyword: (?i:size)$|numeric value: ١",
		"^Subscriber limit exceeded: Provisioned throughput decreases|for OnDemandThroughput|List of (Local|Global)SecondaryIndexes is empty|Neither ReadCapacityUnits nor WriteCapacityUnits can be specified|ProvisionedThroughput (should not|must) be specified for index|ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
		"must be the only operation in the request|^One or more parameter values were invalid: OnDemandThroughput can only be combined",
		"validation errors? detected",
	),
	refused("keys of several attributes", "D.9", "**GSIs since Nov 2025 accept up to 4 HASH + 4 RANGE** elements (all HASH first)",
		"^Key Schema too big|^Too many hash keys", func(r *Request) bool {
			return r.Body["GlobalSecondaryIndexes"] != nil || r.Body["GlobalSecondaryIndexUpdates"] != nil
		}),
	refused("throughput", "D.9, D.10", "Requested MaxReadRequestUnits for OnDemandThroughput for table is outside of valid range; Re-sending the same BillingMode is 200; `Given value <n> for ReadCapacityUnits is out of bounds` (>10^12)",
		"^Table read and write throughput must be at least 1|^The requested throughput value equals the current value|^Cannot increase provisioned throughput to more than 40,000", func(r *Request) bool {
			return r.Body["OnDemandThroughput"] != nil || r.Body["BillingMode"] != nil || r.Body["ProvisionedThroughput"] != nil
		}),
	{
		name: "order of checks within an expression", section: "C.4",
		quote: "Updates: reserved, unknown function, repeated section, undefined name, undefined value, overlap, conflict, ADD/DELETE operand type, function operand",
		apply: func(d *Difference) bool {
			mine, text, ok := strings.Cut(d.Mine.Message, "Expression: ")
			local, other, also := strings.Cut(d.Local.Message, "Expression: ")
			if !ok || !also || mine != local || !strings.HasPrefix(mine, "Invalid ") {
				return false
			}
			priorities := priorities
			if mine == "Invalid Condition" || mine == "Invalid Filter" || mine == "Invalid KeyCondition" {
				priorities = conditionPriorities
			}
			one := slices.IndexFunc(priorities, func(p string) bool { return strings.HasPrefix(text, p) })
			two := slices.IndexFunc(priorities, func(p string) bool { return strings.HasPrefix(other, p) })
			if one < 0 || one >= two {
				return false
			}
			d.Local.Message = d.Mine.Message
			return true
		},
	},
	{
		name: "order of checks", section: "A.3",
		quote: "8. type check of the JSON against the shape 9. constraint check of the shape, aggregated 10. operation-specific validation 11. table lookup 12. key/schema checks, then data",
		apply: func(d *Difference) bool {
			if !d.Mine.failed() || !d.Local.failed() {
				return false
			}
			mine, local := stage(d.Mine), stage(d.Local)
			if d.Indexed && strings.HasPrefix(d.Local.Message, "Item size has exceeded") {
				local = afterLookup // of the item with its entries in indexes
			}
			first := mine == 0 && local != 0 && d.Local.Status == 400
			if !first && (mine < 0 || local < 0 || mine >= local) {
				return false
			}
			*d.Local = *d.Mine
			return true
		},
	},
}

// nullPlaceholder are DynamoDB Local's texts for names that are null.
var nullPlaceholder = regexp.MustCompile("ExpressionAttribute(Names|Values) (contains invalid (value: null|key: Syntax error)|must not be empty)")

// hasNullPlaceholder reports whether a request, or an action of it, gives a
// placeholder that is null.
func hasNullPlaceholder(tree any) bool {
	switch v := tree.(type) {
	case object:
		for name, member := range v {
			if given, ok := member.(object); ok && strings.HasPrefix(name, "ExpressionAttribute") {
				for _, placeholder := range given {
					if placeholder == nil {
						return true
					}
				}
			}
			if hasNullPlaceholder(member) {
				return true
			}
		}
	case list:
		return slices.ContainsFunc(v, hasNullPlaceholder)
	}
	return false
}
