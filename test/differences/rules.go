package differences

import (
	"regexp"
)

var settingClause = regexp.MustCompile(`(?i)\b(SET|ADD)\s`)

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

// descriptions takes out what only one of the servers shows of a table.
func descriptions(d *Difference) bool {
	mine, other := description(d.Mine), description(d.Other)
	if mine == nil || other == nil {
		return false
	}
	before := string(encode(list{mine, other}))
	drop := func(o, than object, member string) {
		if than[member] == nil {
			delete(o, member)
		}
	}
	drop(other, mine, "TableThroughputModeSummary") // no member of the API
	drop(mine, other, "WarmThroughput")
	drop(mine, other, "DeletionProtectionEnabled")
	if definitions, ok := other["AttributeDefinitions"].(list); ok {
		other["AttributeDefinitions"] = sorted(definitions)
	}
	if definitions, ok := mine["AttributeDefinitions"].(list); ok { // sorted by bytes, not by their JSON
		mine["AttributeDefinitions"] = sorted(definitions)
	}
	ours, _ := mine["BillingModeSummary"].(object)
	if theirs, _ := other["BillingModeSummary"].(object); ours != nil && theirs != nil {
		drop(ours, theirs, "LastUpdateToPayPerRequestDateTime")
	}
	for _, member := range []string{"GlobalSecondaryIndexes", "LocalSecondaryIndexes"} {
		a, _ := mine[member].(list)
		b, _ := other[member].(list)
		for i := range min(len(a), len(b)) {
			one, _ := a[i].(object)
			two, _ := b[i].(object)
			drop(one, two, "WarmThroughput")
		}
	}
	return string(encode(list{mine, other})) != before
}
