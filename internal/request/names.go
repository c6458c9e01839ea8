package request

import (
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

const maxARN = 1024

// itemTable takes over TableName of an item operation, which may be a table's ARN;
// plain checks a name that is none.
func (c *Common) itemTable(v *violations, name string, plain func(v *violations, name string)) *awserr.Error {
	c.Requested, c.TableName = name, name
	if !strings.HasPrefix(name, "arn:") {
		plain(v, name)
		return nil
	}
	if len(name) > maxARN {
		v.text(name, 1, maxARN, "tableName")
		return nil
	}
	_, table, ok := parseTableARN(name)
	if !ok {
		return awserr.InvalidTableARN(name)
	}
	c.TableName = table
	return nil
}

// Foreign reports whether the caller named the table by the ARN of another
// account or region than the request's own.
func (c *Common) Foreign(scope schema.Scope) bool {
	if len(c.Requested) == len(c.TableName) {
		return false
	}
	s, _, ok := parseTableARN(c.Requested)
	return ok && s != scope
}

// Foreign reports whether any of the tables is of another account or region.
func (op *BatchGetItem) Foreign(scope schema.Scope) bool {
	return slices.ContainsFunc(op.Tables, func(t KeysAndAttributes) bool { return t.Foreign(scope) })
}

// Foreign reports whether any of the tables is of another account or region.
func (op *BatchWriteItem) Foreign(scope schema.Scope) bool {
	return slices.ContainsFunc(op.Tables, func(t TableWrites) bool { return t.Foreign(scope) })
}

// controlTable checks TableName of an operation on the table itself: its absence
// is reported bare and before all else, and the least length is still 3.
func (c *Common) controlTable(v *violations, present bool, name string) *awserr.Error {
	c.Requested, c.TableName = name, name
	if !present {
		return awserr.TableNameRequired()
	}
	if strings.HasPrefix(name, "arn:") && len(name) <= maxARN {
		_, table, ok := parseTableARN(name)
		if !ok {
			return awserr.InvalidTableARN(name)
		}
		c.TableName = table
		return nil
	}
	v.name(name, 3, "tableName")
	return nil
}

// parseTableARN takes a table's ARN apart; ok is false for any other text, the
// ARNs of indexes and streams included.
func parseTableARN(arn string) (scope schema.Scope, table string, ok bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || !isName(parts[1]) || parts[2] != "dynamodb" {
		return schema.Scope{}, "", false
	}
	table, ok = strings.CutPrefix(parts[5], "table/")
	if !ok || !isName(table) || len(table) > 255 {
		return schema.Scope{}, "", false
	}
	return schema.Scope{Account: parts[4], Region: parts[3]}, table, true
}
