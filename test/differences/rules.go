package differences

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// alone is the text of placeholders without an expression, which AWS allows the
// actions of a transaction.
var alone = regexp.MustCompile("^ExpressionAttribute(Names|Values) can only be specified when using expressions")

// texts is a class of errors that both servers answer with one code and texts of
// their own: pairs are expressions of Millstream's and of DynamoDB Local's.
func texts(name, section, quote string, pairs ...string) class {
	var compiled []*regexp.Regexp
	for _, p := range pairs {
		compiled = append(compiled, regexp.MustCompile(p))
	}
	return class{name: "texts: " + name, section: section, quote: quote, apply: func(d *Difference) bool {
		if !d.Mine.failed() || !d.Local.failed() || d.Mine.code() != d.Local.code() || d.Mine.Message == d.Local.Message {
			return false
		}
		for pair := range slices.Chunk(compiled, 2) {
			if pair[0].MatchString(d.Mine.Message) && pair[1].MatchString(d.Local.Message) {
				d.Local.Message = d.Mine.Message
				return true
			}
		}
		return false
	}}
}

// unchecked is a class of faults that DynamoDB Local does not look for: it
// accepts the request.
func unchecked(name, section, quote string, mine ...string) class {
	text := regexp.MustCompile(strings.Join(mine, "|"))
	return class{name: name, section: section, quote: quote, apply: func(d *Difference) bool {
		if d.Local.failed() || !slices.ContainsFunc(refusals(d.Mine), text.MatchString) {
			return false
		}
		*d.Local = *d.Mine
		return true
	}}
}

// refused is a class of requests that DynamoDB Local alone refuses.
func refused(name, section, quote, local string, of func(r *Request) bool) class {
	text := regexp.MustCompile(local)
	return class{name: name, section: section, quote: quote, apply: func(d *Difference) bool {
		if d.Mine.failed() && !strings.HasPrefix(d.Request.Op, "Transact") || !text.MatchString(d.Local.Message) || !of(d.Request) {
			return false
		}
		*d.Local = *d.Mine
		return true
	}}
}

// startAtTheEnd explains starting keys that DynamoDB Local refuses although they are
// in the range, as its last.
var startAtTheEnd = refused("", "", "", "^The provided starting key does not match the range key predicate", func(r *Request) bool {
	text, _ := r.Body["KeyConditionExpression"].(string)
	return strings.Contains(text, "BETWEEN") || strings.Contains(text, "<=") || strings.Contains(text, ">=")
})

// fullPage takes out the key after a page that ends on its limit, which DynamoDB
// Local leaves out where nothing follows.
func fullPage(d *Difference) bool {
	mine, _ := d.Mine.Body.(object)
	local, ok := d.Local.Body.(object)
	limit, isInt := d.Request.Body["Limit"].(int)
	if fraction, ok := d.Request.Body["Limit"].(float64); ok {
		limit, isInt = int(fraction), true // it is floored
	}
	if !ok || !isInt || mine["LastEvaluatedKey"] == nil || local["LastEvaluatedKey"] != nil || mine["ScannedCount"] != float64(limit) {
		return false
	}
	delete(mine, "LastEvaluatedKey")
	return true
}

// ties explains the order of items of one key of an index: AWS promises none.
func ties(d *Difference) bool {
	mine, _ := d.Mine.Body.(object)
	local, _ := d.Local.Body.(object)
	ours, _ := mine["Items"].(list)
	theirs, _ := local["Items"].(list)
	if d.Request.Op != "Query" || d.Request.Body["IndexName"] == nil || len(ours) == 0 || len(ours) != len(theirs) || string(encode(sorted(ours))) != string(encode(sorted(theirs))) {
		return false
	}
	key := func(it any) string {
		o, _ := it.(object)
		return string(encode(list{o["g2"], o["l1"]}))
	}
	for i := range ours {
		if key(ours[i]) != key(theirs[i]) {
			return false
		}
	}
	local["Items"] = ours
	return true
}

// consumed explains capacities: what is not found, and batches, that DynamoDB Local
// counts another way, transactions that it counts once, and what nobody asked for.
func consumed(d *Difference) bool {
	mine, _ := d.Mine.Body.(object)
	local, _ := d.Local.Body.(object)
	if mine == nil || local == nil || d.Mine.failed() || d.Local.failed() {
		return false
	}
	if asked := d.Request.Body["ReturnConsumedCapacity"]; asked == "NONE" || asked == nil || d.Request.Mangle != nil && mine["ConsumedCapacity"] == nil {
		if local["ConsumedCapacity"] == nil || mine["ConsumedCapacity"] != nil {
			return false
		}
		delete(local, "ConsumedCapacity")
		return true
	}
	switch op := d.Request.Op; {
	case d.Indexed && slices.Contains([]string{"PutItem", "UpdateItem", "DeleteItem"}, op):
		// It counts an entry that was not there and is not, once its keys change.
		return indexCapacity(mine["ConsumedCapacity"], local["ConsumedCapacity"])
	case op == "Query" || op == "Scan":
		fetched := 0.0 // from the table, a unit at most for each item of a local index
		if d.Request.Body["IndexName"] == "l_one" {
			fetched, _ = mine["ScannedCount"].(float64)
		}
		return capacities(d, func(mine, local float64) bool {
			return local == 0 && mine <= 1 || local < mine && mine <= local+fetched
		})
	case op == "BatchGetItem":
		return capacities(d, func(mine, local float64) bool { return local < mine && mine <= 100 })
	case op == "BatchWriteItem":
		ours, _ := mine["ConsumedCapacity"].(list)
		theirs, _ := local["ConsumedCapacity"].(list)
		counted := false
		for i := range min(len(ours), len(theirs)) {
			counted = d.Indexed && indexCapacity(ours[i], theirs[i]) || counted
		}
		doubled := capacities(d, func(mine, local float64) bool { return mine < local && local <= 2*mine })
		return counted || doubled
	case strings.Contains(op, "Execute"): // it counts nothing
		if mine["ConsumedCapacity"] == nil || local["ConsumedCapacity"] != nil {
			return false
		}
		delete(mine, "ConsumedCapacity")
		return true
	case strings.HasPrefix(op, "Transact"):
		before := string(encode(mine))
		dropMembers(mine["ConsumedCapacity"], "ReadCapacityUnits", "WriteCapacityUnits")
		doubled := capacities(d, func(mine, local float64) bool {
			return local < mine && mine <= 4*local || mine < local && local <= 2*mine
		})
		return doubled || string(encode(mine)) != before
	}
	return false
}

// passing explains the statuses of tables that change, which DynamoDB Local passes by,
// and what it tells more of a table that is deleted.
func passing(d *Difference) bool {
	mine, local := description(d.Mine), description(d.Local)
	if mine == nil || local == nil {
		return false
	}
	changed := false
	status := map[string]string{"CreateTable": "CREATING", "UpdateTable": "UPDATING", "DeleteTable": "DELETING"}[d.Request.Op]
	if status != "" && mine["TableStatus"] == status && local["TableStatus"] == "ACTIVE" {
		local["TableStatus"] = status
		changed = true
	}
	if d.Request.Op == "DeleteTable" {
		for _, member := range names(local) {
			if _, has := mine[member]; !has {
				delete(local, member)
				changed = true
			}
		}
	}
	return changed
}

// description returns the table that an answer describes.
func description(a *Answer) object {
	body, _ := a.Body.(object)
	for _, member := range []string{"Table", "TableDescription"} {
		if table, ok := body[member].(object); ok {
			return table
		}
	}
	return nil
}

// descriptions takes out what only one of the servers shows of a table.
func descriptions(d *Difference) bool {
	mine, local := description(d.Mine), description(d.Local)
	if mine == nil || local == nil {
		return false
	}
	changed := false
	drop := func(o, other object, member string) {
		if _, has := o[member]; has && other[member] == nil {
			delete(o, member)
			changed = true
		}
	}
	drop(mine, local, "TableId")
	drop(mine, local, "WarmThroughput")
	drop(mine, local, "TableClassSummary")
	drop(mine, local, "SSEDescription")
	drop(mine, local, "OnDemandThroughput")
	if d.Remade && local["StreamSpecification"] == nil { // of the table before it
		drop(local, mine, "LatestStreamArn")
		drop(local, mine, "LatestStreamLabel")
	}
	if a, ok := local["AttributeDefinitions"].(list); ok && string(encode(sorted(a))) != string(encode(a)) {
		local["AttributeDefinitions"] = sorted(a)
		changed = true
	}
	billing, _ := local["BillingModeSummary"].(object)
	if ours, _ := mine["BillingModeSummary"].(object); ours != nil && billing != nil { // it comes with ACTIVE
		drop(billing, ours, "LastUpdateToPayPerRequestDateTime")
	}
	if billing["BillingMode"] == "PROVISIONED" {
		drop(local, mine, "BillingModeSummary")
	}
	each := func(one, two object) {
		a, _ := one["ProvisionedThroughput"].(object)
		b, _ := two["ProvisionedThroughput"].(object)
		if a == nil || b == nil {
			return
		}
		for _, member := range []string{"LastIncreaseDateTime", "LastDecreaseDateTime"} {
			drop(b, a, member)
			drop(a, b, member)
		}
		// DynamoDB Local counts no decreases, and answers a change with what comes of it.
		copied := []string{"NumberOfDecreasesToday"}
		if mine["TableStatus"] == "UPDATING" {
			copied = append(copied, "ReadCapacityUnits", "WriteCapacityUnits")
		}
		for _, member := range copied {
			if a[member] != nil && b[member] != nil && a[member] != b[member] {
				b[member] = a[member]
				changed = true
			}
		}
	}
	each(mine, local)
	for _, member := range []string{"GlobalSecondaryIndexes", "LocalSecondaryIndexes"} {
		a, _ := mine[member].(list)
		b, _ := local[member].(list)
		for i := range min(len(a), len(b)) {
			one, _ := a[i].(object)
			two, _ := b[i].(object)
			drop(two, one, "Backfilling")
			drop(two, one, "OnDemandThroughput")
			if two["IndexStatus"] == "CREATING" || two["IndexStatus"] == "DELETING" {
				drop(one, two, "ItemCount")
				drop(one, two, "IndexSizeBytes")
			}
			drop(one, two, "WarmThroughput")
			// DynamoDB Local counts whole items, those that are not in the index too.
			size, _ := one["IndexSizeBytes"].(float64)
			if larger, _ := two["IndexSizeBytes"].(float64); larger > size {
				two["IndexSizeBytes"] = size
				changed = true
			}
			if two["ProvisionedThroughput"] == nil { // on demand: zeros
				drop(one, two, "ProvisionedThroughput")
			} else if billing["BillingMode"] == "PAY_PER_REQUEST" { // DynamoDB Local keeps what was provisioned
				two["ProvisionedThroughput"] = one["ProvisionedThroughput"]
				changed = true
			} else if units, _ := one["ProvisionedThroughput"].(object); units != nil {
				drop(units, two["ProvisionedThroughput"].(object), "NumberOfDecreasesToday")
			}
			if d.Request.Op == "CreateTable" && one["IndexStatus"] == "CREATING" && two["IndexStatus"] == "ACTIVE" {
				two["IndexStatus"] = "CREATING"
				changed = true
			}
			each(one, two)
		}
	}
	return changed
}

var settingClause = regexp.MustCompile(`(?i)\b(SET|ADD)\s`)

var removeClause = regexp.MustCompile(`(?i)\bREMOVE\s`)

// updatesOf returns the bodies of a request's updates: its own, or those of a
// transaction's actions.
func updatesOf(r *Request) []object {
	if r.Op == "UpdateItem" {
		return []object{r.Body}
	}
	var out []object
	if r.Op == "TransactWriteItems" {
		actions, _ := r.Body["TransactItems"].(list)
		for _, a := range actions {
			action, _ := a.(object)
			if update, ok := action["Update"].(object); ok {
				out = append(out, update)
			}
		}
	}
	return out
}

// removals explains updates that take away from an item that is not there: DynamoDB
// Local makes the item, or refuses the path.
func removals(d *Difference) bool {
	updates := updatesOf(d.Request)
	if d.Mine.failed() {
		return false
	}
	if d.Local.failed() {
		if !strings.HasPrefix(d.Local.Message, "The document path provided in the update expression is invalid for update") || !slices.ContainsFunc(updates, removes) {
			return false
		}
		*d.Local = *d.Mine
		return true
	}
	mine, _ := d.Mine.Body.(object)
	local, _ := d.Local.Body.(object)
	if !slices.ContainsFunc(updates, removesOnly) || mine["Attributes"] != nil || local["Attributes"] == nil {
		return false
	}
	delete(local, "Attributes")
	return true
}

// removes reports whether an update takes away.
func removes(update object) bool {
	text, ok := update["UpdateExpression"].(string)
	return ok && removeClause.MatchString(text)
}

// updated explains what DynamoDB Local returns of lists and maps that were updated at
// one place inside: all of them.
func updated(d *Difference) bool {
	returned, _ := d.Request.Body["ReturnValues"].(string)
	text, _ := d.Request.Body["UpdateExpression"].(string)
	mine, _ := d.Mine.Body.(object)
	local, _ := d.Local.Body.(object)
	if !strings.HasPrefix(returned, "UPDATED_") || !strings.ContainsAny(text, "[.") || mine == nil || local == nil {
		return false
	}
	before := string(encode(local))
	one, _ := mine["Attributes"].(object)
	two, _ := local["Attributes"].(object)
	for _, name := range names(one) {
		if value, both := two[name]; both {
			two[name] = packed(one[name], value)
		}
	}
	return string(encode(local)) != before
}

// packed returns whole, a value, with no more than mine has of its lists and maps.
func packed(mine, whole any) any {
	switch v := whole.(type) {
	case object:
		o, ok := mine.(object)
		if !ok {
			return whole
		}
		out := object{}
		for _, name := range names(o) {
			if _, both := v[name]; !both {
				return whole
			}
			out[name] = packed(o[name], v[name])
		}
		return out
	case list:
		part, ok := mine.(list)
		if !ok {
			return whole
		}
		rest := v
		for _, e := range part {
			i := slices.IndexFunc(rest, func(w any) bool { return string(encode(packed(e, w))) == string(encode(e)) })
			if i < 0 {
				return whole
			}
			rest = rest[i+1:]
		}
		return mine
	}
	return whole
}

// tokens explains what comes of client tokens: DynamoDB Local sends no text, and
// keeps those of what it alone refused or carried out.
func tokens(d *Difference) bool {
	const mismatch = "IdempotentParameterMismatchException"
	switch {
	case d.Mine.code() == mismatch && d.Local.code() == mismatch && d.Local.Message == "":
		d.Local.Message, d.Local.Member = d.Mine.Message, d.Mine.Member
	case d.OtherPayload && d.Mine.code() == mismatch && !d.Local.failed(): // it compares hashes, which collide
		*d.Local = *d.Mine
	case d.Remade && (d.Mine.code() == mismatch) != (d.Local.code() == mismatch):
		*d.Local = *d.Mine
	default:
		return false
	}
	return true
}

// emptyKeys explains empty keys in transactions, for which DynamoDB Local cancels.
func emptyKeys(d *Difference) bool {
	if !strings.HasPrefix(d.Request.Op, "Transact") || d.Mine.code() != "ValidationException" || d.Local.code() != "TransactionCanceledException" ||
		!strings.Contains(d.Mine.Message, "key attribute cannot contain an empty") {
		return false
	}
	*d.Local = *d.Mine
	return true
}

// cancellations compares what was cancelled and why: DynamoDB Local has texts of its
// own, and answers many faults of one action for the whole request.
func cancellations(d *Difference) bool {
	if d.Mine.code() != "TransactionCanceledException" {
		return false
	}
	reasons, _ := d.Mine.Body.(object)["CancellationReasons"].(list)
	invalid := false
	for _, r := range reasons {
		invalid = invalid || r.(object)["Code"] == "ValidationError"
	}
	if invalid && d.Local.failed() && d.Local.Status == 400 {
		*d.Local = *d.Mine
		return true
	}
	others, _ := d.Local.Body.(object)
	theirs, _ := others["CancellationReasons"].(list)
	if d.Local.code() != d.Mine.code() || len(theirs) != len(reasons) {
		return false
	}
	changed := false
	for i := range reasons {
		one, two := reasons[i].(object), theirs[i].(object)
		if one["Code"] == two["Code"] && one["Message"] != two["Message"] && two["Message"] != nil {
			two["Message"] = one["Message"]
			changed = true
		}
	}
	return changed
}

// indexCapacity takes out of a write's capacity what only DynamoDB Local counts of
// indexes, a unit of each.
func indexCapacity(mine, local any) bool {
	one, _ := mine.(object)
	two, _ := local.(object)
	left, _ := one["CapacityUnits"].(float64)
	right, _ := two["CapacityUnits"].(float64)
	if left >= right || right > left+3 {
		return false
	}
	two["CapacityUnits"] = left
	for _, member := range []string{"GlobalSecondaryIndexes", "LocalSecondaryIndexes"} {
		ours, _ := one[member].(object)
		theirs, _ := two[member].(object)
		for _, name := range names(theirs) {
			if _, both := ours[name]; !both {
				delete(theirs, name)
			}
		}
		if theirs != nil && len(theirs) == 0 {
			delete(two, member)
		}
	}
	return true
}

// refusals are the texts of what an answer refuses: its own, or those of a
// transaction's actions.
func refusals(a *Answer) []string {
	if a.code() == "ValidationException" || a.code() == "LimitExceededException" {
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

// statementTexts are the texts of errors of PartiQL, Millstream's and DynamoDB Local's.
var statementTexts = []string{
	"Statement wasn't well formed, can't be processed: |Unrecognized function|^Supplied AttributeValue is empty|Unexpected path component|Aliasing is not supported|Unsupported |not supported$|^Expected |WHERE clause must contain", "Statement wasn't well formed, can't be processed: |^Unsupported operation|^Invalid operation|^Aliasing is not supported|^Unsupported data type: |^EXISTS can only be used",
	"^1 validation error detected: .*[sS]tatements?'", "^The statement was empty|Statement wasn't well formed, can't be processed: ",
	"^Requested resource not found$", "^Cannot do operations on a non-existent table",
	"", "^Table name should be within the length",
	"^One or more parameter values were invalid: Type mismatch for Index Key ", "^One or more parameter values were invalid: Type mismatch for Index Key$",
	"^One or more parameter values were invalid: Missing the key ", "^Key attribute should be present in the item: Key ",
	"", "^Only single item select is supported",
}

// statementErrors compares the errors of the statements of a batch, which DynamoDB
// Local answers without the table and with texts of its own.
func statementErrors(d *Difference) bool {
	if d.Mine.code() == "DuplicateItemException" && d.Local.code() == "DuplicateItem" {
		d.Local.Type = d.Mine.Type
		return true
	}
	mine, _ := d.Mine.Body.(object)
	local, _ := d.Local.Body.(object)
	if reasons, _ := mine["CancellationReasons"].(list); d.Request.Op == "ExecuteTransaction" && reasons != nil {
		theirs, _ := local["CancellationReasons"].(list)
		return duplicateItems(d, reasons, theirs)
	}
	if d.Mine.Message == "Provided list of item keys contains duplicates" && d.Request.Op == "BatchExecuteStatement" && !d.Local.failed() {
		*d.Local = *d.Mine // it finds another fault in one of the two
		return true
	}
	if d.Request.Op == "ExecuteTransaction" && d.Mine.code() == "ValidationException" && strings.HasPrefix(d.Local.Message, "ValidationError ") {
		*d.Local = *d.Mine // it cancels for what AWS refuses
		return true
	}
	ours, _ := mine["Responses"].(list)
	theirs, _ := local["Responses"].(list)
	if d.Local.code() == "ValidationException" && slices.ContainsFunc(ours, func(r any) bool {
		response, _ := r.(object)
		e, _ := response["Error"].(object)
		return e["Message"] == d.Local.Message
	}) {
		*d.Local = *d.Mine // it refuses the batch for the value of one statement
		return true
	}
	statements, _ := d.Request.Body["Statements"].(list)
	if d.Request.Op == "ExecuteTransaction" {
		statements, _ = d.Request.Body["TransactStatements"].(list)
	}
	if !strings.Contains(d.Request.Op, "Execute") || len(ours) != len(theirs) {
		return false
	}
	changed := false
	for i := range ours {
		one, _ := ours[i].(object)
		two, _ := theirs[i].(object)
		if i < len(statements) {
			statement, _ := statements[i].(object)
			text, _ := statement["Statement"].(string)
			changed = lastComponent(text, one["Item"], two["Item"]) || changed
		}
		left, _ := one["Error"].(object)
		right, _ := two["Error"].(object)
		if left == nil || right == nil {
			continue
		}
		if left["Code"] == "ResourceNotFound" && regexp.MustCompile("^Table name should be").MatchString(fmt.Sprint(right["Message"])) {
			right["Code"] = left["Code"] // it checks the name of what is not there
		}
		if left["Code"] != right["Code"] {
			continue
		}
		if two["TableName"] == nil && one["TableName"] != nil {
			delete(one, "TableName")
			changed = true
		}
		said, _ := left["Message"].(string)
		other, _ := right["Message"].(string)
		for pair := range slices.Chunk(statementTexts, 2) {
			if said != other && regexp.MustCompile(pair[0]).MatchString(said) && regexp.MustCompile(pair[1]).MatchString(other) {
				right["Message"] = said
				changed = true
				break
			}
		}
	}
	return changed
}

// lastComponent names what SELECT m.a and SELECT l[0] return as AWS does: in batches,
// transactions too, DynamoDB Local returns the map and the list.
func lastComponent(statement string, mine, local any) bool {
	one, _ := mine.(object)
	two, _ := local.(object)
	for path, in := range map[string]struct{ attribute, name string }{"SELECT m.a ": {"m", "a"}, "SELECT l[0] ": {"l", "l[0]"}} {
		if !strings.HasPrefix(statement, path) || one[in.name] == nil || two[in.attribute] == nil {
			continue
		}
		inner, _ := two[in.attribute].(object)
		if m, ok := inner["M"].(object); ok {
			two[in.name] = m[in.name]
		} else if l, ok := inner["L"].(list); ok && len(l) == 1 {
			two[in.name] = l[0]
		}
		delete(two, in.attribute)
		return true
	}
	return false
}

// duplicateItems explains the reason that DynamoDB Local gives for an INSERT of what
// is there: ValidationError.
func duplicateItems(d *Difference, ours, theirs list) bool {
	changed := false
	for i := range min(len(ours), len(theirs)) {
		one, _ := ours[i].(object)
		two, _ := theirs[i].(object)
		if one["Code"] == "DuplicateItem" && two["Code"] == "ValidationError" && one["Message"] == two["Message"] {
			two["Code"] = "DuplicateItem"
			changed = true
		}
	}
	if changed {
		d.Local.Message = d.Mine.Message // it lists the codes
	}
	return changed
}

func dropMembers(tree any, members ...string) {
	switch v := tree.(type) {
	case object:
		for _, m := range members {
			delete(v, m)
		}
		for _, member := range v {
			dropMembers(member, members...)
		}
	case list:
		for _, member := range v {
			dropMembers(member, members...)
		}
	}
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

// emptyMaps writes the empty maps inside of attribute values in full.
func emptyMaps(tree any) {
	switch v := tree.(type) {
	case object:
		for name, member := range v {
			if inner, ok := member.(object); ok && (name == "M" || strings.HasSuffix(name, "Image")) {
				for attribute, value := range inner {
					inner[attribute] = fullMap(value)
				}
			}
			if inner, ok := member.(list); ok && name == "L" {
				for i, value := range inner {
					inner[i] = fullMap(value)
				}
			}
			emptyMaps(member)
		}
	case list:
		for _, member := range v {
			emptyMaps(member)
		}
	}
}

func fullMap(value any) any {
	if v, ok := value.(object); ok && len(v) == 0 {
		return object{"M": object{}}
	}
	return value
}

// removesOnly reports whether an update can only take away.
func removesOnly(update object) bool {
	if updates, ok := update["AttributeUpdates"].(object); ok {
		for _, name := range names(updates) {
			if u, _ := updates[name].(object); u["Action"] != "DELETE" {
				return false
			}
		}
		return len(updates) > 0
	}
	text, ok := update["UpdateExpression"].(string)
	return ok && !settingClause.MatchString(text)
}

// defaultAction reports whether an update of the older kind leaves an action out,
// which means PUT, and which DynamoDB Local ignores.
func defaultAction(update object) bool {
	updates, _ := update["AttributeUpdates"].(object)
	for _, name := range names(updates) {
		if u, ok := updates[name].(object); ok && u["Action"] == nil {
			return true
		}
	}
	return false
}

// capacities makes the capacities of the answers equal where both have one and
// allowed says so.
func capacities(d *Difference, allowed func(mine, local float64) bool) bool {
	changed := false
	var walk func(one, two any)
	walk = func(one, two any) {
		switch a := one.(type) {
		case object:
			b, ok := two.(object)
			if !ok {
				return
			}
			for _, name := range names(a) {
				left, isNumber := a[name].(float64)
				right, alsoNumber := b[name].(float64)
				if isNumber && alsoNumber && strings.HasSuffix(name, "CapacityUnits") {
					if left != right && allowed(left, right) {
						b[name] = left
						changed = true
					}
					continue
				}
				walk(a[name], b[name])
			}
		case list:
			if b, ok := two.(list); ok && len(a) == len(b) {
				for i := range a {
					walk(a[i], b[i])
				}
			}
		}
	}
	mine, _ := d.Mine.Body.(object)
	local, _ := d.Local.Body.(object)
	if mine != nil && local != nil {
		walk(mine["ConsumedCapacity"], local["ConsumedCapacity"])
	}
	return changed
}
