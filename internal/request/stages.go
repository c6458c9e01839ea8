package request

import (
	"sync"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
)

// The checks of each operation in AWS's order. What stands in one stage is told
// together, in the stage's order; a stage is reached when those before it found nothing.
// An operation of the current layer has the older layer's table as well, for the
// requests that the current one cannot read and hands over whole.

// A check notes what it finds in c.
type check func(c *checking)

type stage struct {
	form   form
	checks []check
}

func together(checks ...check) stage { return stage{checks: checks} }
func alone(c check) stage            { return together(c) }
func uncounted(c check) stage        { return stage{bare, []check{c}} }
func counting(checks ...check) stage { return stage{counted, checks} }

// An itemOperation is an operation with the members of one request, checked by tables.
type itemOperation struct {
	takes   member
	grammar *grammar
	// comparing is the member with comparisons, which ConditionalOperator joins: Expected,
	// QueryFilter or ScanFilter.
	comparing member
	// unreadable reports what the current layer hands to the older one beside values.
	unreadable func(c *checking) bool
	current    []stage
	older      []stage
}

var itemOperations = [...]itemOperation{
	opPutItem: {
		takes: writeMembers | mItem, grammar: &putGrammar, comparing: mExpected,
		current: []stage{
			alone(emptyTable),
			together(tableLength, capacity, returnValues, metrics, onFailure, itemGiven, onlyOld),
			alone(mixing),
			alone(conditionalOperator),
			alone(values),
			alone(expected),
			alone(expressions),
		},
		older: []stage{
			together(capacity, tableOlder, itemGiven, operatorOlder, expectedOperators, returnValuesOlder, metrics, onFailure),
			alone(mixing),
			alone(ownValues),
			alone(onlyOld),
			alone(expected),
			alone(expressions),
		},
	},
	opDeleteItem: {
		takes: writeMembers | mKey, grammar: &putGrammar, comparing: mExpected,
		current: []stage{
			alone(keyGiven),
			alone(emptyTable),
			together(tableLength, capacity, returnValues, metrics, onFailure, onlyOld),
			alone(mixing),
			alone(conditionalOperator),
			alone(values),
			alone(expected),
			alone(expressions),
		},
		older: []stage{
			together(capacity, tableOlder, operatorOlder, expectedOperators, returnValuesOlder, metrics, onFailure, keyGiven),
			alone(onlyOld),
			alone(mixing),
			alone(ownValues),
			alone(expected),
			alone(expressions),
		},
	},
	opUpdateItem: {
		takes: writeMembers | mKey | mUpdateExpression | mAttributeUpdates, grammar: &updateGrammar, comparing: mExpected,
		unreadable: func(c *checking) bool { return !c.given(mKey) || !c.given(mTableName) },
		current: []stage{
			alone(emptyTable),
			alone(tablePattern),
			alone(returnValues),
			uncounted(onFailure),
			alone(metrics),
			uncounted(capacity),
			alone(actions),
			alone(mixing),
			alone(conditionalOperator),
			alone(values),
			alone(attributeUpdates),
			alone(expected),
			alone(expressions),
		},
		older: []stage{
			together(capacity, tableOlder, onFailure, metrics, returnValuesOlder, operatorOlder, expectedOperators, actionsOlder, keyGiven),
			alone(mixing),
			alone(ownValues),
			alone(attributeUpdates),
			alone(expected),
			alone(expressions),
		},
	},
	opGetItem: {
		takes: mTableName | mKey | mReturnConsumedCapacity | mConsistentRead |
			mExpressionAttributeNames | mProjectionExpression | mAttributesToGet,
		grammar: &getGrammar,
		current: []stage{
			alone(emptyTable),
			together(tableLength, capacity, attributesToGetLength, keyGiven),
			alone(mixing),
			alone(values),
			alone(attributesToGet),
			alone(expressions),
		},
		older: []stage{
			together(capacity, attributesToGetLength, tableOlder, keyGiven),
			alone(mixing),
			alone(ownValues),
			alone(attributesToGet),
			alone(expressions),
		},
	},
	opQuery: {
		takes:   readMembers | mKeyConditionExpression | mScanIndexForward | mKeyConditions | mQueryFilter,
		grammar: &queryGrammar, comparing: mQueryFilter,
		unreadable: func(c *checking) bool {
			return !c.given(mTableName) || c.comparisons.lacksOperator() || c.keyConditions.lacksOperator()
		},
		current: []stage{
			together(limit, emptyTable),
			together(tableLength, capacity, indexName, attributesToGetLength),
			alone(mixing),
			alone(conditionalOperator),
			alone(placeholderValues),
			alone(filter),
			alone(startKey),
			alone(attributesToGet),
			alone(keyConditions),
			alone(expressions),
			counting(selectNamed),
			counting(selection),
			alone(keyConditionGiven),
		},
		older: []stage{
			together(selectNamed, indexName, capacity, filterOperators, tableOlder, operatorOlder, attributesToGetLength,
				limitOlder, keyOperators),
			alone(mixing),
			alone(filter),
			alone(startKey),
			counting(selection),
			alone(attributesToGet),
			alone(keyConditions),
			alone(expressions),
			alone(keyConditionGiven),
		},
	},
	opScan: {
		takes: readMembers | mSegment | mTotalSegments | mScanFilter, grammar: &scanGrammar, comparing: mScanFilter,
		unreadable: func(c *checking) bool { return !c.given(mTableName) || c.comparisons.lacksOperator() },
		current: []stage{
			together(limit, segment, totalSegments, emptyTable),
			together(tableLength, capacity, indexName, attributesToGetLength),
			alone(attributesToGet),
			alone(mixing),
			alone(conditionalOperator),
			alone(placeholderValues),
			alone(filter),
			alone(expressions),
			counting(selectNamed),
			counting(selection),
			alone(segments),
			alone(startKey),
		},
		older: []stage{
			together(selectNamed, indexName, totalSegmentsOlder, capacity, tableOfScan, operatorOlder, filterOperators,
				segmentOlder, limitOlder, attributesToGetLength),
			alone(mixing),
			alone(emptyName),
			alone(filter),
			alone(segments),
			alone(startKey),
			alone(selection),
			alone(attributesToGet),
			alone(expressions),
		},
	},
}

const (
	writeMembers = mTableName | mReturnValues | mReturnConsumedCapacity | mReturnItemCollectionMetrics |
		mReturnValuesOnConditionCheckFailure | mExpressionAttributeNames | mExpressionAttributeValues |
		mConditionExpression | mExpected | mConditionalOperator
	readMembers = mTableName | mIndexName | mReturnConsumedCapacity | mConsistentRead | mExclusiveStartKey |
		mSelect | mLimit | mExpressionAttributeNames | mExpressionAttributeValues |
		mFilterExpression | mProjectionExpression | mAttributesToGet | mConditionalOperator
)

// checking is one request on its way through the checks.
type checking struct {
	members
	Common    // the table and the capacity, as the checks found them
	operation *itemOperation
	layer     layer
	reader    *item.Reader // kept with the room

	// What the current stage has found. A bare error is told as it is, whatever the stage.
	found   violations
	own     *awserr.Error
	ownBare bool

	// What the checks have made.
	selected   Select
	parsed     parsed
	comparison *expr.Condition
	changes    *expr.Update
	keys       *expr.KeyCondition
}

// refuse notes an error that has a text of its own; the first one counts. Without one
// nothing is written: a pointer that is costs more than to look.
func (c *checking) refuse(e *awserr.Error) {
	if e != nil && c.own == nil {
		c.own = e
	}
}

// A step is a check, and whether its stage ends with it: the tables as they are walked.
type step struct {
	check check
	last  bool
	form  form
}

// steps are the tables of each operation by layer.
var steps = func() (all [len(itemOperations)][awserr.Current + 1][]step) {
	for op := range itemOperations {
		for l, stages := range [...][]stage{awserr.Older: itemOperations[op].older, awserr.Current: itemOperations[op].current} {
			for _, s := range stages {
				for i, check := range s.checks {
					all[op][l] = append(all[op][l], step{check, i == len(s.checks)-1, s.form})
				}
			}
		}
	}
	return all
}()

// checkings keeps the room of requests between them: it is large, and what the checks
// are called through would put it on the heap each time.
var checkings = sync.Pool{New: func() any { return &checking{reader: new(item.Reader)} }}

// release gives the room back. To empty all of it costs a tenth of reading a small
// request, so after the usual members only that is emptied which is looked at without
// asking whether it was given, or can be large.
func (c *checking) release() {
	const plain = mTableName | mItem | mKey | mConsistentRead | mReturnConsumedCapacity | mReturnValues
	const usual = plain | mUpdateExpression | mConditionExpression | mExpressionAttributeNames | mExpressionAttributeValues
	if c.touched&^usual != 0 || c.own != nil || c.found.list != nil || c.Late != 0 {
		*c = checking{reader: c.reader}
		checkings.Put(c)
		return
	}
	if c.touched&^plain != 0 {
		c.names, c.values, c.parsed = nil, nil, parsed{}
	}
	if c.touched&mItem != 0 {
		c.item = attributes{}
	}
	if c.touched&mKey != 0 {
		c.key = attributes{}
	}
	c.touched, c.has, c.ReturnConsumedCapacity = 0, 0, CapacityNone
	checkings.Put(c)
}

// checked decodes and checks the body of a request. The caller releases what it
// returns when the operation is made of it.
func checked(op operation, body []byte) (*checking, error) {
	c := checkings.Get().(*checking)
	if err := c.check(op, body); err != nil {
		c.release()
		return nil, err
	}
	return c, nil
}

func (c *checking) check(op operation, body []byte) error {
	if err := c.read(op, layers[op], body); err != nil {
		return err
	}
	list := steps[op][c.layer.texts]
	for i := range list {
		s := &list[i]
		s.check(c)
		if !s.last || c.own == nil && len(c.found.list) == 0 {
			continue
		}
		form := s.form
		if c.ownBare {
			form = bare
		}
		return c.layer.refusal(form, c.found.list, c.own)
	}
	return nil
}

// read decodes the body for a layer, or for the older one when the current one cannot
// read it.
func (c *checking) read(op operation, l layer, body []byte) error {
	c.operation, c.layer = &itemOperations[op], l
	c.takes = c.operation.takes
	strange, err := decodeWith(c.reader, l, body, c.members.read)
	if err != nil || l.texts == awserr.Older {
		return err
	}
	if strange || c.operation.unreadable != nil && c.operation.unreadable(c) {
		*c = checking{reader: c.reader}
		return c.read(op, older, body)
	}
	return nil
}
