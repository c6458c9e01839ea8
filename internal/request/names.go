package request

import (
	"slices"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

const maxARN = 1024

// itemTable takes over TableName of an item operation, which may be a table's ARN;
// plain checks a name that is none.
func (c *Common) itemTable(v *violations, name string, plain func(v *violations, name string)) *awserr.Error {
	c.Requested, c.TableName = name, name
	if !arn.Is(name) {
		plain(v, name)
		return nil
	}
	if len(name) > maxARN {
		v.text(name, 1, maxARN, "tableName")
		return nil
	}
	_, table, ok := arn.Table(name)
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
	s, _, ok := arn.Table(c.Requested)
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
	if arn.Is(name) && len(name) <= maxARN {
		_, table, ok := arn.Table(name)
		if !ok {
			return awserr.InvalidTableARN(name)
		}
		c.TableName = table
		return nil
	}
	v.name(name, 3, "tableName")
	return nil
}
