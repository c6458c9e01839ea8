package differences

// Rules for what the servers answer of data and tables.

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	settingClause = regexp.MustCompile(`(?i)\b(SET|ADD)\s`)
	removeClause  = regexp.MustCompile(`(?i)\b(REMOVE|DELETE)\s`)
)

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

// drop takes a member out of o where than has none.
func drop(o, than object, member string) {
	if than[member] == nil {
		delete(o, member)
	}
}

// changed runs a change of both bodies and reports whether there was one.
func changed(one, two object, change func()) bool {
	before := string(encode(list{one, two}))
	change()
	return string(encode(list{one, two})) != before
}

// descriptions takes out what only one of the servers shows of a table.
func descriptions(d *Difference) bool {
	mine, other := description(d.Mine), description(d.Other)
	if mine == nil || other == nil {
		return false
	}
	return changed(mine, other, func() {
		drop(other, mine, "TableThroughputModeSummary") // no member of the API
		drop(mine, other, "WarmThroughput")
		drop(mine, other, "DeletionProtectionEnabled")
		drop(other, mine, "SSEDescription") // of one that is not set
		if billing, _ := mine["BillingModeSummary"].(object); billing["BillingMode"] == "PROVISIONED" {
			drop(mine, other, "BillingModeSummary") // where it was on demand before
		}
		for _, o := range []object{mine, other} {
			if definitions, ok := o["AttributeDefinitions"].(list); ok {
				o["AttributeDefinitions"] = sorted(definitions)
			}
		}
		ours, _ := mine["BillingModeSummary"].(object)
		if theirs, _ := other["BillingModeSummary"].(object); ours != nil && theirs != nil {
			drop(ours, theirs, "LastUpdateToPayPerRequestDateTime")
		}
		eachIndex(mine, other, func(one, two object) {
			drop(one, two, "WarmThroughput")
			if two["IndexStatus"] != nil && one["IndexStatus"] == nil { // of a local index
				delete(two, "IndexStatus")
			}
			if ours["BillingMode"] == "PAY_PER_REQUEST" && two["ProvisionedThroughput"] != nil && one["ProvisionedThroughput"] != nil {
				two["ProvisionedThroughput"] = one["ProvisionedThroughput"]
			}
			for _, count := range []string{"ItemCount", "IndexSizeBytes"} {
				if one[count] != nil && two[count] != nil && one["IndexStatus"] != "ACTIVE" {
					two[count] = one[count]
				}
			}
		})
		if other["StreamSpecification"] == nil { // the latest stream stays when it is switched off
			drop(mine, other, "LatestStreamArn")
			drop(mine, other, "LatestStreamLabel")
		}
	})
}

// eachIndex calls f with what both servers show of an index.
func eachIndex(mine, other object, f func(one, two object)) {
	for _, member := range []string{"GlobalSecondaryIndexes", "LocalSecondaryIndexes"} {
		a, _ := mine[member].(list)
		b, _ := other[member].(list)
		for i := range min(len(a), len(b)) {
			one, _ := a[i].(object)
			two, _ := b[i].(object)
			f(one, two)
		}
	}
}

// changing explains what dynoxide tells of a table that is deleted, its own counting of
// throughput, and the states in between that it passes by.
func changing(d *Difference) bool {
	if d.Request.Op == "DescribeTimeToLive" && !d.Mine.failed() && !d.Other.failed() {
		one, _ := d.Mine.Body.(object)["TimeToLiveDescription"].(object)
		two, _ := d.Other.Body.(object)["TimeToLiveDescription"].(object)
		if one["TimeToLiveStatus"] == "ENABLING" && two["TimeToLiveStatus"] == "ENABLED" {
			two["TimeToLiveStatus"] = "ENABLING"
			return true
		}
		return false
	}
	mine, other := description(d.Mine), description(d.Other)
	if mine == nil || other == nil {
		return false
	}
	return changed(mine, other, func() {
		throughput(mine, other)
		if d.Request.Op == "DeleteTable" {
			for _, member := range names(other) {
				drop(other, mine, member) // BillingModeSummary stays on AWS (9.10)
			}
			other["ItemCount"], other["TableSizeBytes"] = mine["ItemCount"], mine["TableSizeBytes"]
			return
		}
		if d.Request.Op == "UpdateTable" && mine["TableStatus"] != nil {
			other["TableStatus"] = mine["TableStatus"]
			if indexes, ok := mine["GlobalSecondaryIndexes"].(list); ok {
				mine["GlobalSecondaryIndexes"] = slices.DeleteFunc(indexes, func(x any) bool { return x.(object)["IndexStatus"] == "DELETING" })
				if len(mine["GlobalSecondaryIndexes"].(list)) == 0 {
					delete(mine, "GlobalSecondaryIndexes")
				}
			}
		}
		eachIndex(mine, other, func(one, two object) {
			one["TableStatus"] = mine["TableStatus"] // for throughput
			throughput(one, two)
			delete(one, "TableStatus")
		})
		eachIndex(mine, other, func(one, two object) {
			if d.Request.Op == "UpdateTable" && one["IndexStatus"] != nil && one["IndexStatus"] != "ACTIVE" {
				two["IndexStatus"] = one["IndexStatus"]
			}
			drop(one, two, "Backfilling")
		})
	})
}

// throughput takes over the count of decreases, the times of changes, and, while the table
// changes, the old units.
func throughput(mine, other object) {
	one, _ := mine["ProvisionedThroughput"].(object)
	two, _ := other["ProvisionedThroughput"].(object)
	if one == nil || two == nil {
		return
	}
	for _, member := range []string{"LastIncreaseDateTime", "LastDecreaseDateTime", "NumberOfDecreasesToday"} {
		if one[member] == nil {
			delete(two, member)
		} else {
			two[member] = one[member]
		}
	}
	if mine["TableStatus"] == "UPDATING" || mine["IndexStatus"] == "UPDATING" {
		two["ReadCapacityUnits"], two["WriteCapacityUnits"] = one["ReadCapacityUnits"], one["WriteCapacityUnits"]
	}
	for _, member := range []string{"ReadCapacityUnits", "WriteCapacityUnits"} {
		if fmt.Sprint(two[member]) == "0" { // a number with a fraction, whose whole part counts (A.5)
			two[member] = one[member]
		}
	}
}

// streams explains what dynoxide tells of streams.
func streams(d *Difference) bool {
	mine, _ := d.Mine.Body.(object)
	other, _ := d.Other.Body.(object)
	if d.Streamed && d.Request.Streams && !d.Mine.failed() {
		*d.Other = *d.Mine // dynoxide mixes what comes of a stream that was switched off and on
		return true
	}
	if !d.Request.Streams || mine == nil || other == nil || d.Mine.failed() || d.Other.failed() {
		return false
	}
	return changed(mine, other, func() {
		one, _ := mine["StreamDescription"].(object)
		two, _ := other["StreamDescription"].(object)
		if one != nil && two != nil {
			drop(one, two, "KeySchema")
			ours, _ := one["Shards"].(list)
			theirs, _ := two["Shards"].(list)
			for i := range min(len(ours), len(theirs)) {
				a, _ := ours[i].(object)["SequenceNumberRange"].(object)
				b, _ := theirs[i].(object)["SequenceNumberRange"].(object)
				drop(b, a, "EndingSequenceNumber")
				drop(a, b, "EndingSequenceNumber")
				drop(a, b, "StartingSequenceNumber")
			}
		}
		ours, _ := mine["Records"].(list)
		theirs, _ := other["Records"].(list)
		if kept := withoutIdle(ours, theirs); kept != nil {
			theirs, other["Records"] = kept, kept
		}
		for i := range min(len(ours), len(theirs)) {
			a, _ := ours[i].(object)["dynamodb"].(object)
			b, _ := theirs[i].(object)["dynamodb"].(object)
			if a["SizeBytes"] != nil && b["SizeBytes"] != nil {
				b["SizeBytes"] = a["SizeBytes"]
			}
		}
	})
}

// consumed explains capacities that dynoxide counts another way.
func consumed(d *Difference) bool {
	mine, _ := d.Mine.Body.(object)
	other, _ := d.Other.Body.(object)
	if mine == nil || other == nil || d.Mine.failed() || d.Other.failed() {
		return false
	}
	fetched := (d.Request.Op == "Query" || d.Request.Op == "Scan") && d.Request.Body["IndexName"] == "l_one"
	metrics := mine["ItemCollectionMetrics"] != nil
	scanned := d.Request.Op == "Scan" && spread(mine, other)
	if !fetched && !metrics && !scanned && !strings.Contains(d.Request.Op, "Execute") {
		return false
	}
	return changed(mine, other, func() {
		if metrics {
			delete(mine, "ItemCollectionMetrics")
			delete(other, "ItemCollectionMetrics")
			return
		}
		if mine["ConsumedCapacity"] != nil && other["ConsumedCapacity"] != nil {
			other["ConsumedCapacity"] = mine["ConsumedCapacity"]
		}
	})
}

// spread reports whether a scan costs more by a block for each of the four partitions of a table on demand at most (9.07).
func spread(mine, other object) bool {
	units := func(answer object) float64 {
		capacity, _ := answer["ConsumedCapacity"].(object)
		n, err := strconv.ParseFloat(fmt.Sprint(capacity["CapacityUnits"]), 64)
		if err != nil {
			return -1
		}
		return n
	}
	return 0 < units(other) && units(other) < units(mine) && units(mine) <= 4
}

// returned explains attributes that dynoxide returns of items that were not there, and of
// updates that only take away.
func returned(d *Difference) bool {
	mine, _ := d.Mine.Body.(object)
	other, _ := d.Other.Body.(object)
	if d.Request.Op != "UpdateItem" || mine == nil || other == nil || d.Mine.failed() || d.Other.failed() {
		return false
	}
	if places, _ := d.Request.Body["UpdateExpression"].(string); strings.Contains(places, "[") && strings.HasPrefix(fmt.Sprint(d.Request.Body["ReturnValues"]), "UPDATED_") {
		// Of a list that was updated at one place inside, dynoxide returns more.
		ours, _ := mine["Attributes"].(object)
		theirs, _ := other["Attributes"].(object)
		return changed(mine, other, func() {
			for _, name := range names(theirs) {
				one, _ := ours[name].(object)
				if two, _ := theirs[name].(object); two["L"] == nil {
					continue
				}
				if one == nil {
					delete(theirs, name)
				} else {
					theirs[name] = one
				}
			}
			if len(theirs) == 0 {
				delete(other, "Attributes")
			}
		})
	}
	if mine["Attributes"] != nil {
		return false
	}
	attributes, _ := other["Attributes"].(object)
	key, _ := d.Request.Body["Key"].(object)
	old := d.Request.Body["ReturnValues"] == "ALL_OLD" && len(attributes) == len(key)
	if attributes == nil || !old && !removesOnly(d.Request.Body) && len(attributes) > 0 {
		return false
	}
	delete(other, "Attributes")
	return true
}

// removals explains updates that take away from an item that is not there: dynoxide
// refuses the path.
func removals(d *Difference) bool {
	if d.Mine.failed() || !slices.ContainsFunc(updatesOf(d.Request), removes) {
		return false
	}
	text := d.Other.Message
	if d.Other.code() == "TransactionCanceledException" {
		text = strings.Join(refusals(d.Other), "")
	}
	if !strings.HasPrefix(text, "The document path provided in the update expression is invalid for update") {
		return false
	}
	*d.Other = *d.Mine
	return true
}

// removes reports whether an update takes away.
func removes(update object) bool {
	text, ok := update["UpdateExpression"].(string)
	return ok && removeClause.MatchString(text)
}

// reasons explains conditions that dynoxide evaluates beside an action that is invalid.
func reasons(d *Difference) bool {
	mine, _ := d.Mine.Body.(object)
	other, _ := d.Other.Body.(object)
	ours, _ := mine["CancellationReasons"].(list)
	theirs, _ := other["CancellationReasons"].(list)
	invalid := slices.IndexFunc(ours, func(r any) bool { return r.(object)["Code"] == "ValidationError" })
	if d.Mine.code() != d.Other.code() || len(ours) != len(theirs) || d.Request.Op == "ExecuteTransaction" {
		return false
	}
	if invalid < 0 { // dynoxide finds a path that is no fault in an item that is absent
		if !slices.ContainsFunc(refusals(d.Other), func(text string) bool { return strings.HasPrefix(text, "The document path provided") }) || !slices.ContainsFunc(updatesOf(d.Request), removes) {
			return false
		}
		*d.Other = *d.Mine
		return true
	}
	one, two := ours[invalid].(object), theirs[invalid].(object)
	conditions := slices.ContainsFunc(slices.Concat(theirs, ours), func(r any) bool { return r.(object)["Code"] == "ConditionalCheckFailed" })
	if two["Code"] == "ValidationError" && runTime.MatchString(message(one)) && runTime.MatchString(message(two)) {
		*d.Other = *d.Mine // which of the two comes first is not on record
		return true
	}
	if !conditions && (two["Code"] != "ValidationError" || one["Message"] != two["Message"]) {
		return false
	}
	*d.Other = *d.Mine
	return true
}

// statementTables takes out the table's name behind the error of a statement.
func statementTables(d *Difference) bool {
	mine, _ := d.Mine.Body.(object)
	other, _ := d.Other.Body.(object)
	if d.Request.Op != "BatchExecuteStatement" || mine == nil || other == nil {
		return false
	}
	ours, _ := mine["Responses"].(list)
	theirs, _ := other["Responses"].(list)
	return changed(mine, other, func() {
		for i := range min(len(ours), len(theirs)) {
			one, _ := ours[i].(object)
			two, _ := theirs[i].(object)
			left, _ := one["Error"].(object)
			right, _ := two["Error"].(object)
			if left == nil || right == nil {
				continue
			}
			drop(one, two, "TableName")
			drop(two, one, "TableName")
			said, _ := left["Message"].(string)
			if strings.HasPrefix(said, "Two document paths") || strings.HasPrefix(said, "Aliasing") { // which is found first is not on record
				two["Error"] = left
				continue
			}
			if also, _ := right["Message"].(string); left["Code"] == right["Code"] && statementFault.MatchString(said) && statementFault.MatchString(also) {
				right["Message"] = said
			}
		}
	})
}

var statementFault = regexp.MustCompile("Statement wasn't well formed, can't be processed: |not supported|must specify the primary key|operand type|^Unsupported|RETURNING clause")

// tokens explains what comes of client tokens: dynoxide words the refusal in its own way, and
// keeps the tokens of what it alone carried out.
func tokens(d *Difference) bool {
	const mismatch = "IdempotentParameterMismatchException"
	both := d.Mine.code() == mismatch && d.Other.code() == mismatch
	alone := d.Other.code() == mismatch && !d.Mine.failed() && !d.OtherPayload // a token that dynoxide alone has kept
	if !both && !alone && !(d.Remade && (d.Mine.code() == mismatch) != (d.Other.code() == mismatch)) {
		return false
	}
	*d.Other = *d.Mine
	return true
}

// statementErrors explains what is told of one statement of a batch: a syntax error in AWS's
// words, and that an index is missing before that the key is (7.21).
func statementErrors(d *Difference) bool {
	mine, _ := d.Mine.Body.(object)
	other, _ := d.Other.Body.(object)
	if d.Request.Op != "BatchExecuteStatement" || mine == nil || other == nil {
		return false
	}
	ours, _ := mine["Responses"].(list)
	theirs, _ := other["Responses"].(list)
	return changed(mine, other, func() {
		for i := range min(len(ours), len(theirs)) {
			one, _ := ours[i].(object)["Error"].(object)
			two, _ := theirs[i].(object)["Error"].(object)
			if one == nil || two == nil {
				continue
			}
			text, _ := one["Message"].(string)
			if strings.Contains(text, "Statement wasn't well formed") || strings.Contains(text, "does not have the specified index") {
				theirs[i].(object)["Error"] = one
			}
		}
	})
}

// readBack explains keys that dynoxide adds to what a transaction reads, and attributes that
// it does not fetch for a local index.
func readBack(d *Difference) bool {
	mine, _ := d.Mine.Body.(object)
	other, _ := d.Other.Body.(object)
	if mine == nil || other == nil || d.Mine.failed() || d.Other.failed() {
		return false
	}
	switch {
	case d.Request.Op == "Query" && d.Request.Body["IndexName"] != nil && d.Request.Body["IndexName"] != "l_one":
		ours, _ := mine["Items"].(list) // items of one key of an index: in no order
		theirs, _ := other["Items"].(list)
		if len(ours) == 0 || string(encode(sorted(ours))) != string(encode(sorted(theirs))) {
			return false
		}
		return changed(mine, other, func() { other["Items"] = ours })
	case d.Request.Op == "TransactGetItems":
		ours, _ := mine["Responses"].(list)
		theirs, _ := other["Responses"].(list)
		return changed(mine, other, func() {
			for i := range min(len(ours), len(theirs)) {
				one, _ := ours[i].(object)["Item"].(object)
				two, _ := theirs[i].(object)["Item"].(object)
				if two == nil {
					continue
				}
				for _, key := range []string{"pk", "sk"} {
					drop(two, one, key)
				}
				if one == nil && len(two) == 0 {
					delete(theirs[i].(object), "Item")
				}
			}
		})
	case d.Request.Body["IndexName"] == "l_one" && (d.Request.Op == "Scan" || d.Request.Op == "Query"):
		filtered := d.Request.Body["FilterExpression"] != nil || d.Request.Body["ScanFilter"] != nil || d.Request.Body["QueryFilter"] != nil
		if mine["Count"] != other["Count"] && !filtered || mine["ScannedCount"] != other["ScannedCount"] {
			return false
		}
		return changed(mine, other, func() {
			other["Count"] = mine["Count"]
			if mine["Items"] != nil && other["Items"] != nil {
				other["Items"] = mine["Items"]
			}
		})
	}
	return false
}

func message(reason object) string {
	text, _ := reason["Message"].(string)
	return text
}

// withoutIdle returns theirs without records of updates that changed nothing, of which AWS
// makes none; nil when what is left is not ours.
func withoutIdle(ours, theirs list) list {
	of := func(record any) string {
		o, _ := record.(object)
		change, _ := copyTree(o["dynamodb"]).(object)
		delete(change, "SizeBytes")
		return string(encode(list{o["eventName"], change}))
	}
	var kept list
	for _, record := range theirs {
		if len(kept) < len(ours) && of(record) == of(ours[len(kept)]) {
			kept = append(kept, record)
		} else if record.(object)["eventName"] != "MODIFY" {
			return nil
		}
	}
	if len(kept) != len(ours) {
		return nil
	}
	return kept
}
