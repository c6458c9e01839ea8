package request

import (
	"cmp"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
)

const (
	readMembers = mTableName | mIndexName | mReturnConsumedCapacity | mConsistentRead | mExclusiveStartKey |
		mSelect | mLimit | mExpressionAttributeNames | mExpressionAttributeValues |
		mFilterExpression | mProjectionExpression | mAttributesToGet | mConditionalOperator
	queryMembers = readMembers | mKeyConditionExpression | mScanIndexForward | mKeyConditions | mQueryFilter
	scanMembers  = readMembers | mSegment | mTotalSegments | mScanFilter

	maxSegments = 1_000_000
)

// DecodeQuery decodes and checks a Query request.
func DecodeQuery(body []byte) (*Query, error) {
	m := members{takes: queryMembers}
	if err := m.decode(body); err != nil {
		return nil, err
	}
	op := new(Query)
	if failure := op.check(&m); failure != nil {
		return nil, failure
	}
	return op, nil
}

func (op *Query) check(m *members) *awserr.Error {
	var v violations
	op.Select = m.checkSelect(&v)
	m.checkIndexName(&v)
	op.ReturnConsumedCapacity = m.checkCapacity(&v)
	m.comparisons.checkComparators(&v, "queryFilter", true)
	badName := op.itemTable(&v, m.given(mTableName), m.tableName)
	m.checkOperator(&v)
	m.checkAttributesToGet(&v, "attributesToGet")
	if m.given(mLimit) && m.limit < 1 {
		v.unvalued("Limit", "Member must have value greater than or equal to 1")
	}
	m.keyConditions.checkComparators(&v, "keyConditions", true)
	var o older
	failure := firstOf(v.err(), badName, m.mixing(&queryGrammar))
	if failure == nil {
		failure = firstOf(m.olderFilter(&o, mQueryFilter), m.checkStartKey(), m.checkSelection(op.Select, true), m.checkToGet(), m.olderKeys(&o))
	}
	if failure != nil {
		return failure
	}
	p, failure := m.parse()
	if failure != nil {
		return failure
	}
	op.KeyCondition, op.Filter, op.Projection = cmp.Or(p.keyCondition, o.keys), cmp.Or(p.filter, o.condition), p.projection
	if op.KeyCondition == nil {
		return awserr.KeyConditionRequired()
	}
	op.Descending = m.given(mScanIndexForward) && !m.scanIndexForward
	if m.given(mIndexName) {
		op.IndexName = m.indexName
	}
	if m.given(mLimit) {
		op.Limit = int(m.limit)
	}
	if m.given(mExclusiveStartKey) {
		op.ExclusiveStartKey = m.startKey.item
	}
	op.ConsistentRead = m.given(mConsistentRead) && m.consistentRead
	return nil
}

// DecodeScan decodes and checks a Scan request.
func DecodeScan(body []byte) (*Scan, error) {
	m := members{takes: scanMembers}
	if err := m.decode(body); err != nil {
		return nil, err
	}
	op := new(Scan)
	if failure := op.check(&m); failure != nil {
		return nil, failure
	}
	return op, nil
}

func (op *Scan) check(m *members) *awserr.Error {
	var v violations
	op.Select = m.checkSelect(&v)
	m.checkIndexName(&v)
	if m.given(mTotalSegments) && (m.totalSegments < 1 || m.totalSegments > maxSegments) {
		v.unvalued("totalSegments", "Member must have value between 1 and 1000000")
	}
	op.ReturnConsumedCapacity = m.checkCapacity(&v)
	badName := op.itemTable(&v, m.given(mTableName), m.tableName)
	m.comparisons.checkComparators(&v, "scanFilter", true)
	if m.given(mSegment) {
		v.atLeast(m.segment, 0, "segment")
		v.atMost(m.segment, maxSegments-1, "segment")
	}
	m.checkOperator(&v)
	if m.given(mLimit) {
		v.atLeast(m.limit, 1, "limit")
	}
	m.checkAttributesToGet(&v, "attributesToGet")
	var o older
	failure := firstOf(v.err(), badName, m.mixing(&scanGrammar))
	if failure == nil {
		failure = firstOf(m.olderFilter(&o, mScanFilter), m.checkSegment(), m.checkStartKey(), m.checkSelection(op.Select, false), m.checkToGet())
	}
	if failure != nil {
		return failure
	}
	p, failure := m.parse()
	if failure != nil {
		return failure
	}
	op.Filter, op.Projection = cmp.Or(p.filter, o.condition), p.projection
	if m.given(mIndexName) {
		op.IndexName = m.indexName
	}
	if m.given(mLimit) {
		op.Limit = int(m.limit)
	}
	if m.given(mExclusiveStartKey) {
		op.ExclusiveStartKey = m.startKey.item
	}
	if m.given(mTotalSegments) {
		op.Segment, op.TotalSegments = int(m.segment), int(m.totalSegments)
	}
	op.ConsistentRead = m.given(mConsistentRead) && m.consistentRead
	return nil
}

func (m *members) checkSegment() *awserr.Error {
	switch {
	case m.given(mSegment) && !m.given(mTotalSegments):
		return awserr.SegmentNeedsTotal()
	case m.given(mTotalSegments) && !m.given(mSegment):
		return awserr.TotalNeedsSegment()
	case m.given(mTotalSegments) && m.segment >= m.totalSegments:
		return awserr.SegmentBeyondTotal(m.segment, m.totalSegments)
	}
	return nil
}

// checkStartKey reports an illegal value in ExclusiveStartKey. What AWS finds
// while it converts numbers and sets goes out without the prefix.
func (m *members) checkStartKey() *awserr.Error {
	failure := m.startKey.invalid
	if failure == nil || !m.given(mExclusiveStartKey) {
		return nil
	}
	for _, bare := range [...]string{"The parameter cannot be converted", "Attempting to store more than", "Number overflow", "Number underflow"} {
		if strings.HasPrefix(failure.Message, bare) {
			return failure
		}
	}
	if strings.Contains(failure.Message, "contains duplicates") {
		return failure
	}
	return awserr.InvalidStartKeyBecause(failure)
}

// checkSelection holds Select against the projection that was given.
func (m *members) checkSelection(s Select, query bool) *awserr.Error {
	projection := mProjectionExpression
	if m.given(mAttributesToGet) {
		projection = mAttributesToGet
	}
	switch {
	case s == SelectSpecific && !m.given(projection):
		return awserr.ProjectionRequired(query)
	case s != SelectDefault && s != SelectSpecific && m.given(projection):
		return awserr.ProjectionNotAllowed(projection.String(), m.selected)
	case s == SelectAllProjected && !m.given(mIndexName):
		if query {
			return awserr.ProjectedNeedsIndex("Querying")
		}
		return awserr.ProjectedNeedsIndex("Scanning")
	}
	return nil
}
