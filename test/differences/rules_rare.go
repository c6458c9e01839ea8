package differences

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// Rules for what one request in some ten thousand meets.

// otherSpelling is a number of a set that is not spelled as it is stored.
var otherSpelling = regexp.MustCompile(`"NS":\[[^\]]*"[^"]*([eE+]|\.\d*0"|"0\d|"-0\d)`)

// spelled explains a DELETE of a number in another spelling: dynoxide compares texts.
func spelled(d *Difference) bool {
	update, _ := d.Request.Body["UpdateExpression"].(string)
	values, err := json.Marshal(d.Request.Body["ExpressionAttributeValues"])
	if err != nil || d.Request.Op != "UpdateItem" || !strings.Contains(update, "DELETE") || d.Mine.failed() || d.Other.failed() || !otherSpelling.Match(values) {
		return false
	}
	*d.Other = *d.Mine
	return true
}

// indexBehindBlanks explains `l[ 3]`, of which the grammar's tokens are known, but no capture: dynoxide refuses it.
var indexBehindBlanks = regexp.MustCompile(`Syntax error; token: "\d+", near: "\[\s+\d+`)

func blanks(d *Difference) bool {
	if d.Mine.failed() || !indexBehindBlanks.MatchString(d.Other.Message) {
		return false
	}
	*d.Other = *d.Mine
	return true
}

// removesNothing explains the units of an update that only takes away, of an item that is not there:
// dynoxide makes one of its key.
func removesNothing(d *Difference) bool {
	mine, _ := d.Mine.Body.(object)
	other, _ := d.Other.Body.(object)
	alone := func(update object) bool {
		text, _ := update["UpdateExpression"].(string)
		return removes(update) && !settingClause.MatchString(text)
	}
	if d.Request.Op != "TransactWriteItems" || mine == nil || other == nil || d.Mine.failed() || d.Other.failed() || !slices.ContainsFunc(updatesOf(d.Request), alone) {
		return false
	}
	if mine["ConsumedCapacity"] == nil || other["ConsumedCapacity"] == nil {
		return false
	}
	other["ConsumedCapacity"] = mine["ConsumedCapacity"]
	return true
}

// computedIndexKey explains an empty key of an index that only the stored item shows to be one, as
// `SET k = if_not_exists(k, :empty)`: here the action's reason, there the request's error.
func computedIndexKey(d *Difference) bool {
	const text = "attempted to update a secondary index key to a value that is not supported"
	if d.Mine.code() != "TransactionCanceledException" || d.Other.code() != "ValidationException" || !strings.Contains(d.Other.Message, text) ||
		!slices.ContainsFunc(updatesOf(d.Request), func(update object) bool {
			expression, _ := update["UpdateExpression"].(string)
			return strings.Contains(expression, "if_not_exists")
		}) {
		return false
	}
	*d.Other = *d.Mine
	return true
}

// statementRead explains one statement of a batch that dynoxide reads though it is no statement
// (`SET ( = ”`), or runs up to its condition though its key is empty.
func statementRead(d *Difference) bool {
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
			text, _ := left["Message"].(string)
			if right == nil && strings.HasPrefix(text, "Statement wasn't well formed") ||
				right["Code"] == "ConditionalCheckFailed" && strings.Contains(text, "key attribute cannot contain an empty") {
				theirs[i] = one
			}
		}
	})
}

// emptyNameOfTTL explains how UpdateTimeToLive says that a table's name is empty: the least length of names is 1 in
// the models of today and 3 in the answers.
func emptyNameOfTTL(d *Difference) bool {
	if d.Request.Op != "UpdateTimeToLive" || d.Request.Body["TableName"] != "" || !strings.Contains(d.Mine.Message, "'tableName'") || !strings.Contains(d.Other.Message, "'tableName'") {
		return false
	}
	d.Other.Message = d.Mine.Message
	return true
}

// nothingToDo explains an action of a transaction that is null, which is told before the values of others (5.04, 5.07):
// dynoxide does so of an action that is absent.
func nothingToDo(d *Difference) bool {
	if !strings.HasPrefix(d.Mine.Message, "Invalid Request: TransactWriteRequest should contain") || d.Other.code() != "ValidationException" {
		return false
	}
	actions, _ := d.Request.Body["TransactItems"].(list)
	if !slices.ContainsFunc(actions, func(action any) bool {
		a, _ := action.(object)
		for _, member := range a {
			if member == nil {
				return true
			}
		}
		return false
	}) {
		return false
	}
	*d.Other = *d.Mine
	return true
}
