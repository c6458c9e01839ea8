package request

import (
	"math/bits"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
)

// member is one bit per parameter that the item operations share.
type member uint32

const (
	mTableName member = 1 << iota
	mItem
	mKey
	mKeys
	mExclusiveStartKey
	mReturnValues
	mReturnConsumedCapacity
	mReturnItemCollectionMetrics
	mReturnValuesOnConditionCheckFailure
	mIndexName
	mSelect
	mLimit
	mSegment
	mTotalSegments
	mConsistentRead
	mScanIndexForward
	mExpressionAttributeNames
	mExpressionAttributeValues
	mUpdateExpression
	mConditionExpression
	mKeyConditionExpression
	mFilterExpression
	mProjectionExpression
	mExpected
	mAttributeUpdates
	mAttributesToGet
	mKeyConditions
	mQueryFilter
	mScanFilter
	mConditionalOperator
)

// memberNames is in the order of the bits.
var memberNames = [...]string{
	"TableName", "Item", "Key", "Keys", "ExclusiveStartKey",
	"ReturnValues", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics", "ReturnValuesOnConditionCheckFailure",
	"IndexName", "Select", "Limit", "Segment", "TotalSegments", "ConsistentRead", "ScanIndexForward",
	"ExpressionAttributeNames", "ExpressionAttributeValues",
	"UpdateExpression", "ConditionExpression", "KeyConditionExpression", "FilterExpression", "ProjectionExpression",
	"Expected", "AttributeUpdates", "AttributesToGet", "KeyConditions", "QueryFilter", "ScanFilter", "ConditionalOperator",
}

func (m member) String() string { return memberNames[bits.TrailingZeros32(uint32(m))] }

// membersByLength has the members by the length of their names, which leaves few to
// compare: this is faster than a map.
var membersByLength = func() (byLength [longestMember + 1][]namedMember) {
	for i, name := range memberNames {
		byLength[len(name)] = append(byLength[len(name)], namedMember{name, 1 << i})
	}
	return byLength
}()

type namedMember struct {
	name string
	id   member
}

const longestMember = len("ReturnValuesOnConditionCheckFailure")

// memberNamed returns 0 for a name that is none.
func memberNamed(name []byte) member {
	if len(name) > longestMember {
		return 0
	}
	for _, m := range membersByLength[len(name)] {
		if m.name == string(name) {
			return m.id
		}
	}
	return 0
}

// members are the parameters of one item operation (or of one table's part of
// BatchGetItem) as they came, before any check but that of their types.
type members struct {
	takes member // what the operation knows; AWS ignores everything else
	has   member // what was there and not null
	// touched is what was there at all.
	touched member

	tableName, indexName                                string
	returnValues, capacity, metrics, onFailure          string
	selected, conditionalOperator                       string
	update, condition, keyCondition, filter, projection string
	item, key, startKey                                 attributes
	keys                                                []attributes
	names                                               []expr.Name
	values                                              []item.Entry
	attributesToGet                                     []string
	comparisons                                         legacyMap // Expected, QueryFilter or ScanFilter: no operation has two
	keyConditions, attributeUpdates                     legacyMap
	limit, segment, totalSegments                       int64
	consistentRead, scanIndexForward                    bool

	// badValue is the first illegal value of ExpressionAttributeValues.
	badValue    *awserr.Error
	badValueKey string
}

// given reports whether any of these members was given.
func (m *members) given(of member) bool { return m.has&of != 0 }

// read consumes one member. As with every JSON parser, the last of two members
// of one name counts.
func (m *members) read(r *item.Reader, name []byte) error {
	id := memberNamed(name)
	if id&m.takes == 0 {
		return r.Skip()
	}
	m.touched |= id
	if r.Null() {
		m.has &^= id
		switch id {
		case mExpected, mQueryFilter, mScanFilter:
			m.comparisons = legacyMap{}
		case mKeyConditions:
			m.keyConditions = legacyMap{}
		case mAttributeUpdates:
			m.attributeUpdates = legacyMap{}
		}
		return nil
	}
	m.has |= id
	switch id {
	case mTableName:
		return readString(r, &m.tableName)
	case mItem:
		return m.item.read(r)
	case mKey:
		return m.key.read(r)
	case mKeys:
		return m.readKeys(r)
	case mExclusiveStartKey:
		return m.startKey.read(r)
	case mReturnValues:
		return readString(r, &m.returnValues)
	case mReturnConsumedCapacity:
		return readString(r, &m.capacity)
	case mReturnItemCollectionMetrics:
		return readString(r, &m.metrics)
	case mReturnValuesOnConditionCheckFailure:
		return readString(r, &m.onFailure)
	case mIndexName:
		return readString(r, &m.indexName)
	case mSelect:
		return readString(r, &m.selected)
	case mLimit:
		return readInteger(r, &m.limit)
	case mSegment:
		return readInteger(r, &m.segment)
	case mTotalSegments:
		return readInteger(r, &m.totalSegments)
	case mConsistentRead:
		return readBool(r, &m.consistentRead)
	case mScanIndexForward:
		return readBool(r, &m.scanIndexForward)
	case mExpressionAttributeNames:
		return m.readNames(r)
	case mExpressionAttributeValues:
		return m.readValues(r)
	case mUpdateExpression:
		return readString(r, &m.update)
	case mConditionExpression:
		return readString(r, &m.condition)
	case mKeyConditionExpression:
		return readString(r, &m.keyCondition)
	case mFilterExpression:
		return readString(r, &m.filter)
	case mProjectionExpression:
		return readString(r, &m.projection)
	case mAttributesToGet:
		return readStrings(r, &m.attributesToGet)
	case mConditionalOperator:
		return readString(r, &m.conditionalOperator)
	case mExpected:
		return m.comparisons.read(r, "ExpectedAttributeValue")
	case mAttributeUpdates:
		return m.attributeUpdates.read(r, "AttributeValueUpdate")
	case mKeyConditions:
		return m.keyConditions.read(r, "Condition")
	default: // QueryFilter, ScanFilter
		return m.comparisons.read(r, "Condition")
	}
}

func (m *members) readKeys(r *item.Reader) error {
	m.keys = m.keys[:0]
	return r.Array(func(int) error {
		var key attributes
		if !r.Null() {
			if err := readParameterized(r, func() error { return key.read(r) }); err != nil {
				return err
			}
		}
		if len(m.keys) <= maxBatchGet {
			m.keys = append(m.keys, key)
		}
		return nil
	})
}

// fewPlaceholders is room for those of most requests.
const fewPlaceholders = 2

func (m *members) readNames(r *item.Reader) error {
	m.names = make([]expr.Name, 0, fewPlaceholders)
	return r.Map("java.lang.String", func(name []byte) error {
		entry := expr.Name{Key: string(name)}
		var err error
		if entry.Null = r.Null(); !entry.Null {
			err = readString(r, &entry.Attribute)
		}
		if len(m.names) < maxPlaceholders {
			m.names = append(m.names, entry)
		}
		return err
	})
}

func (m *members) readValues(r *item.Reader) error {
	m.values, m.badValue = make([]item.Entry, 0, fewPlaceholders), nil
	return r.Map("AttributeValue", func(name []byte) error {
		key := string(name)
		value, invalid, err := r.Value()
		if invalid != nil && m.badValue == nil {
			m.badValue, m.badValueKey = invalid, key
		}
		if len(m.values) < maxPlaceholders {
			m.values = append(m.values, item.Entry{Name: key, Value: value})
		}
		return err
	})
}
