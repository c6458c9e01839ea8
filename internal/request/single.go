package request

import (
	"cmp"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

const (
	writeMembers = mTableName | mReturnValues | mReturnConsumedCapacity | mReturnItemCollectionMetrics |
		mReturnValuesOnConditionCheckFailure | mExpressionAttributeNames | mExpressionAttributeValues |
		mConditionExpression | mExpected | mConditionalOperator
	putMembers    = writeMembers | mItem
	deleteMembers = writeMembers | mKey
	updateMembers = writeMembers | mKey | mUpdateExpression | mAttributeUpdates
	getMembers    = mTableName | mKey | mReturnConsumedCapacity | mConsistentRead |
		mExpressionAttributeNames | mProjectionExpression | mAttributesToGet
)

// DecodePutItem decodes and checks a PutItem request.
func DecodePutItem(body []byte) (*PutItem, error) {
	m := members{takes: putMembers}
	if err := m.decode(body); err != nil {
		return nil, err
	}
	op := new(PutItem)
	if failure := op.check(&m); failure != nil {
		return nil, failure
	}
	return op, nil
}

func (op *PutItem) check(m *members) *awserr.Error {
	var v violations
	op.ReturnConsumedCapacity = m.checkCapacity(&v)
	badName := op.itemTable(&v, m.given(mTableName), m.tableName)
	if !m.given(mItem) {
		v.null("item")
	}
	m.checkOperator(&v)
	m.comparisons.checkComparators(&v, "expected", false)
	op.ReturnValues = m.checkReturnValues(&v)
	op.ReturnItemCollectionMetrics = m.checkMetrics(&v)
	op.ReturnOldOnConditionFailure = m.checkOnFailure(&v)
	if failure := firstOf(v.err(), badName, m.mixing(&putGrammar), m.item.invalid); failure != nil {
		return failure
	}
	if op.ReturnValues > ReturnAllOld {
		return awserr.ReturnValuesNotAllowed()
	}
	if m.item.item.Size() > schema.MaxItemSize {
		return awserr.ItemTooLarge()
	}
	var o older
	if failure := m.olderCondition(&o); failure != nil {
		return failure
	}
	p, failure := m.parse()
	op.Item, op.Condition = m.item.item, cmp.Or(p.condition, o.condition)
	return failure
}

// DecodeDeleteItem decodes and checks a DeleteItem request.
func DecodeDeleteItem(body []byte) (*DeleteItem, error) {
	m := members{takes: deleteMembers}
	if err := m.decode(body); err != nil {
		return nil, err
	}
	op := new(DeleteItem)
	if failure := op.check(&m); failure != nil {
		return nil, failure
	}
	return op, nil
}

func (op *DeleteItem) check(m *members) *awserr.Error {
	var v violations
	op.ReturnConsumedCapacity = m.checkCapacity(&v)
	badName := op.itemTable(&v, m.given(mTableName), m.tableName)
	m.checkOperator(&v)
	m.comparisons.checkComparators(&v, "expected", false)
	op.ReturnValues = m.checkReturnValues(&v)
	op.ReturnItemCollectionMetrics = m.checkMetrics(&v)
	op.ReturnOldOnConditionFailure = m.checkOnFailure(&v)
	if !m.given(mKey) {
		v.null("key")
	}
	if failure := firstOf(v.err(), badName, m.mixing(&putGrammar), m.key.invalid); failure != nil {
		return failure
	}
	if op.ReturnValues > ReturnAllOld {
		return awserr.ReturnValuesNotAllowed()
	}
	var o older
	if failure := m.olderCondition(&o); failure != nil {
		return failure
	}
	p, failure := m.parse()
	op.Key, op.Condition = m.key.item, cmp.Or(p.condition, o.condition)
	return failure
}

// DecodeUpdateItem decodes and checks an UpdateItem request.
func DecodeUpdateItem(body []byte) (*UpdateItem, error) {
	m := members{takes: updateMembers}
	if err := m.decode(body); err != nil {
		return nil, err
	}
	op := new(UpdateItem)
	if failure := op.check(&m); failure != nil {
		return nil, failure
	}
	return op, nil
}

func (op *UpdateItem) check(m *members) *awserr.Error {
	v := violations{oneEnum: true}
	op.ReturnConsumedCapacity = m.checkCapacity(&v)
	badName := op.itemTable(&v, m.given(mTableName), m.tableName)
	op.ReturnItemCollectionMetrics = m.checkMetrics(&v)
	op.ReturnValues = m.checkReturnValues(&v)
	op.ReturnOldOnConditionFailure = m.checkOnFailure(&v)
	if !m.given(mKey) {
		v.null("key")
	}
	m.checkOperator(&v)
	m.comparisons.checkComparators(&v, "expected", false)
	m.attributeUpdates.checkActions(&v, "attributeUpdates")
	if failure := firstOf(v.err(), badName, m.mixing(&updateGrammar), m.key.invalid); failure != nil {
		return failure
	}
	var o older
	if failure := firstOf(m.olderUpdate(&o), m.olderCondition(&o)); failure != nil {
		return failure
	}
	p, failure := m.parse()
	op.Key, op.Update, op.Condition = m.key.item, cmp.Or(p.update, o.update), cmp.Or(p.condition, o.condition)
	return failure
}

// DecodeGetItem decodes and checks a GetItem request.
func DecodeGetItem(body []byte) (*GetItem, error) {
	m := members{takes: getMembers}
	if err := m.decode(body); err != nil {
		return nil, err
	}
	op := new(GetItem)
	if failure := op.check(&m); failure != nil {
		return nil, failure
	}
	return op, nil
}

func (op *GetItem) check(m *members) *awserr.Error {
	var v violations
	op.ReturnConsumedCapacity = m.checkCapacity(&v)
	m.checkAttributesToGet(&v, "attributesToGet")
	badName := op.itemTable(&v, m.given(mTableName), m.tableName)
	if !m.given(mKey) {
		v.null("key")
	}
	if failure := firstOf(v.err(), badName, m.mixing(&getGrammar), m.key.invalid, m.checkToGet()); failure != nil {
		return failure
	}
	p, failure := m.parse()
	op.Key, op.Projection = m.key.item, p.projection
	op.ConsistentRead = m.given(mConsistentRead) && m.consistentRead
	return failure
}

// firstOf returns the first error that is one.
func firstOf(failures ...*awserr.Error) *awserr.Error {
	for _, failure := range failures {
		if failure != nil {
			return failure
		}
	}
	return nil
}
