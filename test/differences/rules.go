package differences

import (
	"regexp"
	"slices"
	"strings"
)

// texts is a class of errors that both servers answer with one code and texts of
// their own: pairs are expressions of Millstream's and of dynoxide's.
func texts(name, section, quote string, pairs ...string) class {
	var compiled []*regexp.Regexp
	for _, p := range pairs {
		compiled = append(compiled, regexp.MustCompile(p))
	}
	return class{name: "texts: " + name, section: section, quote: quote, apply: func(d *Difference) bool {
		if !d.Mine.failed() || !d.Other.failed() || d.Mine.code() != d.Other.code() || d.Mine.Message == d.Other.Message {
			return false
		}
		for pair := range slices.Chunk(compiled, 2) {
			if pair[0].MatchString(d.Mine.Message) && pair[1].MatchString(d.Other.Message) {
				d.Other.Message = d.Mine.Message
				return true
			}
		}
		return false
	}}
}

// each applies several rules, which are of one class.
func each(rules ...func(d *Difference) bool) func(d *Difference) bool {
	return func(d *Difference) bool {
		used := false
		for _, rule := range rules {
			used = rule(d) || used
		}
		return used
	}
}

// unchecked is a class of faults that dynoxide does not look for: it accepts the
// request, or goes on and answers with what it finds in the data.
func unchecked(name, section, quote string, mine ...string) class {
	text := regexp.MustCompile(strings.Join(mine, "|"))
	return class{name: "unchecked: " + name, section: section, quote: quote, apply: func(d *Difference) bool {
		late := d.Other.code() == "ConditionalCheckFailedException" || d.Other.code() == "TransactionCanceledException" ||
			runTime.MatchString(d.Other.Message) || d.Other.code() == "ResourceNotFoundException"
		if d.Other.failed() && !late || !slices.ContainsFunc(refusals(d.Mine), text.MatchString) {
			return false
		}
		*d.Other = *d.Mine
		return true
	}}
}

// refusals are the texts of what an answer refuses: its own, or those of a
// transaction's actions.
func refusals(a *Answer) []string {
	if a.code() == "ValidationException" || a.code() == "LimitExceededException" || a.code() == "AccessDeniedException" {
		return []string{a.Message}
	}
	body, _ := a.Body.(object)
	reasons, _ := body["CancellationReasons"].(list)
	var out []string
	for _, r := range reasons {
		reason, _ := r.(object)
		if text, _ := reason["Message"].(string); reason["Code"] == "ValidationError" {
			out = append(out, text)
		}
	}
	return out
}

// usesARN reports whether a request names a table by its ARN.
func usesARN(tree any) bool {
	switch v := tree.(type) {
	case ref:
		return strings.HasPrefix(string(v), "arn:")
	case object:
		for _, member := range v {
			if usesARN(member) {
				return true
			}
		}
	case list:
		return slices.ContainsFunc(v, usesARN)
	}
	return false
}

// computedKey explains an index key to which an update of a transaction gives a computed value
// of another type.
func computedKey(d *Difference) bool {
	const unsupported = "The update expression attempted to update the secondary index key to unsupported type"
	if d.Mine.code() != "TransactionCanceledException" || d.Other.code() != d.Mine.code() ||
		!slices.ContainsFunc(refusals(d.Mine), func(s string) bool { return s == unsupported || strings.Contains(s, "Type mismatch for Index Key") }) ||
		!slices.ContainsFunc(refusals(d.Other), func(s string) bool {
			return strings.Contains(s, "Type mismatch for Index Key") || runTime.MatchString(s) // of two faults either
		}) {
		return false
	}
	*d.Other = *d.Mine
	return true
}

// singleWrite reports whether a request is PutItem, UpdateItem or DeleteItem.
func singleWrite(r *Request) bool {
	return r.Op == "PutItem" || r.Op == "UpdateItem" || r.Op == "DeleteItem"
}

// stageOf is stage of an answer, that of a success being behind all.
func stageOf(a *Answer) int {
	if !a.failed() {
		return len(stages) + 1
	}
	return stage(a)
}

var (
	valueOfKey  = regexp.MustCompile(`^ExpressionAttributeValues contains invalid value: (.*) for key :[A-Za-z0-9_]+$`)
	numberOrSet = regexp.MustCompile(`cannot be converted to a numeric value|Number (over|under)flow|Input collection|of type BS contains duplicates`)
	scanSuffix  = regexp.MustCompile(`: (Segment: .*|The provided key element does not match the schema)$`)
	memberValue = regexp.MustCompile(`^(Value|Failed) .*Member must`)
)

// scanLayer explains errors of Scan that one server words as the newer layer does and the
// other as the older.
func scanLayer(d *Difference) bool {
	if d.Request.Op == "Scan" && !d.Mine.failed() && strings.HasPrefix(d.Other.Message, "Nesting Levels have exceeded") {
		*d.Other = *d.Mine // exactly 32 levels (5.11)
		return true
	}
	if d.Request.Op != "Scan" || d.Mine.code() != "ValidationException" || d.Other.code() != d.Mine.code() {
		return false
	}
	plain := func(text string) string {
		return scanSuffix.ReplaceAllString(valueOfKey.ReplaceAllString(bare(text), "$1"), "")
	}
	mine, other := plain(d.Mine.Message), plain(d.Other.Message)
	sameKind := numberOrSet.FindString(mine)
	members := sameKind != "" && sameKind == numberOrSet.FindString(other) || memberValue.MatchString(mine) && (memberValue.MatchString(other) || strings.Contains(other, "Invalid comparison operator"))
	if mine != other && !members {
		return false
	}
	d.Other.Message = d.Mine.Message
	return true
}

// grammar explains what dynoxide's parser finds in an expression that is wrong.
func grammar(d *Difference) bool {
	_, kind := fault(d.Mine)
	if kind == "" || d.Other.code() != "ValidationException" {
		return false
	}
	_, same := fault(d.Other)
	text := bare(d.Other.Message)
	if same != kind && !strings.HasPrefix(text, "Unexpected token in "+strings.TrimPrefix(kind, "Invalid ")) {
		return false
	}
	if same == kind && !strings.Contains(text, "Expression: Syntax error") {
		return false
	}
	if m := syntaxError.FindStringSubmatch(d.Mine.Message); m != nil && m[1] != "<EOF>" && !strings.Contains(decoded(d.Request.Body), m[1]) {
		return false // a token that is not in the request
	}
	d.Other.Message = d.Mine.Message
	return true
}

// notAggregated explains errors that dynoxide reports in part.
func notAggregated(d *Difference) bool {
	if d.Mine.code() != "ValidationException" || d.Other.code() != d.Mine.code() || !envelope.MatchString(d.Mine.Message) || !envelope.MatchString(d.Other.Message) {
		return false
	}
	mine := strings.Split(bare(d.Mine.Message), "; ")
	for _, part := range strings.Split(bare(d.Other.Message), "; ") {
		alone := len(mine) == 1 && strings.HasPrefix(mine[0], "Value null at '") // 1.68
		if !slices.Contains(mine, part) && !alone && !strings.Contains(part, "update.provisionedThroughput' failed") {
			return false
		}
	}
	d.Other.Message = d.Mine.Message
	return true
}

// hasUnknown reports whether a request has a member that its operation does not know and
// others do.
func hasUnknown(r *Request) bool {
	for _, member := range []string{"Item", "Key", "Keys", "KeyConditions", "AttributeUpdates", "TransactItems", "RequestItems", "Statement", "Parameters", "Expected", "ReturnValues", "ExpressionAttributeValues", "ExpressionAttributeNames", "ScanFilter", "QueryFilter"} {
		if _, has := r.Body[member]; has && !slices.Contains(members[r.Op], member) {
			return true
		}
	}
	return strings.Contains(r.String(), `"TRUE"`) || strings.Contains(r.String(), ":null") // a Boolean, and nothing
}

// members are those that an operation knows, of those that hasUnknown looks at.
var members = map[string][]string{
	"PutItem":            {"Item", "Expected", "ReturnValues", "ExpressionAttributeValues", "ExpressionAttributeNames"},
	"GetItem":            {"Key", "ExpressionAttributeNames"},
	"DeleteItem":         {"Key", "Expected", "ReturnValues", "ExpressionAttributeValues", "ExpressionAttributeNames"},
	"UpdateItem":         {"Key", "AttributeUpdates", "Expected", "ReturnValues", "ExpressionAttributeValues", "ExpressionAttributeNames"},
	"Query":              {"KeyConditions", "ExpressionAttributeValues", "ExpressionAttributeNames", "QueryFilter"},
	"Scan":               {"ExpressionAttributeValues", "ExpressionAttributeNames", "ScanFilter"},
	"TransactWriteItems": {"TransactItems"},
	"TransactGetItems":   {"TransactItems"},
	"BatchGetItem":       {"RequestItems"},
	"BatchWriteItem":     {"RequestItems"},
	"ExecuteStatement":   {"Statement", "Parameters"},
}

// inTurn explains faults of a transaction's actions: AWS goes action by action, dynoxide looks
// at the values of all of them first, and not at types of operands.
func inTurn(d *Difference) bool {
	if d.Mine.code() == "TransactionCanceledException" && strings.HasPrefix(d.Other.Message, "Transaction request cannot include") && d.Request.Op == "TransactWriteItems" {
		text := strings.Join(refusals(d.Mine), "")
		if strings.Contains(text, "The provided key element does not match the schema") {
			*d.Other = *d.Mine // of keys that are none, which are the same item to dynoxide
			return true
		}
	}
	if !strings.HasPrefix(d.Request.Op, "Transact") || d.Mine.code() != "ValidationException" || d.Other.code() != d.Mine.code() {
		return false
	}
	mine, other := stage(d.Mine), stage(d.Other)
	if mine <= 0 || other <= 0 || mine >= lookup || other >= lookup || strings.Contains(d.Other.Message, "redundant") && mine == other && !strings.Contains(d.Mine.Message, "operand") {
		return false
	}
	d.Other.Message = d.Mine.Message
	return true
}

var (
	ofCondition = regexp.MustCompile("Expression: (An expression attribute|Incorrect number|The first operand|Incorrect operand|Operator or function|The BETWEEN|The IN operator|Invalid attribute type)")
	olderFault  = regexp.MustCompile("^One or more parameter values were invalid: (Value|Exists|AttributeValue|Invalid number|ComparisonOperator|DELETE action|ADD action|Only DELETE)|^ConditionalOperator can|^The BETWEEN condition|^Member must satisfy enum|^Value .* at 'attributeUpdates")
)

var syntaxError = regexp.MustCompile(`(?s)Syntax error; token: "(.*)", near: "`)

// decoded is the text of all strings of a tree.
func decoded(tree any) string {
	var out strings.Builder
	switch v := tree.(type) {
	case object:
		for _, name := range names(v) {
			out.WriteString(name + "\n" + decoded(v[name]))
		}
	case list:
		for _, member := range v {
			out.WriteString(decoded(member))
		}
	case string:
		out.WriteString(v + "\n")
	}
	return out.String()
}
