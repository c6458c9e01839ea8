package request

import (
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
)

// ReturnValues, ReturnConsumedCapacity and the other enums; the zero value is
// AWS's default.
type ReturnValues byte

const (
	ReturnNone ReturnValues = iota
	ReturnAllOld
	ReturnAllNew
	ReturnUpdatedOld
	ReturnUpdatedNew
)

type ReturnConsumedCapacity byte

const (
	CapacityNone ReturnConsumedCapacity = iota
	CapacityTotal
	CapacityIndexes
)

// Common is what most operations share. TableName is the plain name (an ARN
// has been reduced to it); Requested is the text as the caller sent it.
type Common struct {
	TableName              string
	Requested              string
	ReturnConsumedCapacity ReturnConsumedCapacity
	Late                   Late
}

// Late is an error of a request that AWS finds only when it has found the table; the zero
// value is none. It is a byte and no pointer, which would make each request larger.
type Late byte

const (
	lateEmptyValue Late = iota + 1 // an attribute value without a member
	lateTooLarge                   // an update that takes too much by itself
)

// Error returns the error; nil: none.
func (l Late) Error() *awserr.Error {
	switch l {
	case lateEmptyValue:
		return awserr.ValueEmpty()
	case lateTooLarge:
		return awserr.UpdateTooLarge()
	}
	return nil
}

type PutItem struct {
	Common
	Item                        item.Item
	Condition                   *expr.Condition
	ReturnValues                ReturnValues // None or AllOld
	ReturnItemCollectionMetrics bool
	ReturnOldOnConditionFailure bool // ReturnValuesOnConditionCheckFailure=ALL_OLD
}

type DeleteItem struct {
	Common
	Key                         item.Item // the attributes as given; schema checks them
	Condition                   *expr.Condition
	ReturnValues                ReturnValues // None or AllOld
	ReturnItemCollectionMetrics bool
	ReturnOldOnConditionFailure bool
}

type UpdateItem struct {
	Common
	Key                         item.Item
	Update                      *expr.Update // nil: create a key-only item or change nothing
	Condition                   *expr.Condition
	ReturnValues                ReturnValues
	ReturnItemCollectionMetrics bool
	ReturnOldOnConditionFailure bool
}

type GetItem struct {
	Common
	Key            item.Item
	Projection     *expr.Projection
	ConsistentRead bool
}

// KeysAndAttributes is one table's part of BatchGetItem.
type KeysAndAttributes struct {
	Common
	Keys           []item.Item
	Projection     *expr.Projection
	ConsistentRead bool
	// Raw holds ProjectionExpression, ExpressionAttributeNames, ConsistentRead and
	// AttributesToGet as the JSON members that UnprocessedKeys echoes (without
	// Keys, without braces); empty when none was given.
	Raw []byte
}

type BatchGetItem struct {
	ReturnConsumedCapacity ReturnConsumedCapacity
	Tables                 []KeysAndAttributes // in document order
}

// WriteRequest is a put (Item set) or a delete (Key set).
type WriteRequest struct {
	Item item.Item
	Key  item.Item
}

type TableWrites struct {
	Common
	Writes []WriteRequest
}

type BatchWriteItem struct {
	ReturnConsumedCapacity      ReturnConsumedCapacity
	ReturnItemCollectionMetrics bool
	Tables                      []TableWrites
}

type Select byte

const (
	SelectDefault Select = iota
	SelectAllAttributes
	SelectAllProjected
	SelectSpecific
	SelectCount
)

// Query; Scan shares its tail.
type Query struct {
	Common
	IndexName         string
	KeyCondition      *expr.KeyCondition
	Filter            *expr.Condition
	Projection        *expr.Projection
	Select            Select
	Limit             int // 0: none given
	Descending        bool
	ConsistentRead    bool
	ExclusiveStartKey item.Item // nil: none
	FilterKeys        bool      // the filter may read key attributes, as that of PartiQL may
	EntryFilter       bool      // the filter sees what the entries of an index hold, as that of PartiQL does
}

type Scan struct {
	Common
	IndexName         string
	Filter            *expr.Condition
	Projection        *expr.Projection
	Select            Select
	Limit             int
	ConsistentRead    bool
	ExclusiveStartKey item.Item
	Segment           int
	TotalSegments     int // 0: not parallel
}
