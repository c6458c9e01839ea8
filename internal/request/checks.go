package request

import (
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

// The checks that the tables of stages.go are made of.

// The sets as AWS prints them, in its order.
const (
	capacitySet     = "[INDEXES, TOTAL, NONE]"
	metricsSet      = "[SIZE, NONE]"
	returnValuesSet = "[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"
	onFailureSet    = "[ALL_OLD, NONE]"
	selectSet       = "[SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]"
	operatorSet     = "[OR, AND]"
)

// notEmpty is the constraint of a text or list, of which the current layer shows no value.
const notEmpty = "Member must have length greater than or equal to 1"

// Names of enums; ok is false for a name that is none.

func capacityNamed(name string) (c ReturnConsumedCapacity, ok bool) {
	switch name {
	case "NONE":
	case "TOTAL":
		c = CapacityTotal
	case "INDEXES":
		c = CapacityIndexes
	default:
		return c, false
	}
	return c, true
}

func returnValuesNamed(name string) (rv ReturnValues, ok bool) {
	switch name {
	case "NONE":
	case "ALL_OLD":
		rv = ReturnAllOld
	case "ALL_NEW":
		rv = ReturnAllNew
	case "UPDATED_OLD":
		rv = ReturnUpdatedOld
	case "UPDATED_NEW":
		rv = ReturnUpdatedNew
	default:
		return rv, false
	}
	return rv, true
}

func selectNamedBy(name string) (s Select, ok bool) {
	switch name {
	case "ALL_ATTRIBUTES":
		s = SelectAllAttributes
	case "ALL_PROJECTED_ATTRIBUTES":
		s = SelectAllProjected
	case "SPECIFIC_ATTRIBUTES":
		s = SelectSpecific
	case "COUNT":
		s = SelectCount
	default:
		return s, false
	}
	return s, true
}

// capacityOf, metricsOf and onFailureOf check an enum member of any request.
func capacityOf(v *violations, name string) ReturnConsumedCapacity {
	c, ok := capacityNamed(name)
	v.enum(ok, name, "returnConsumedCapacity", capacitySet)
	return c
}

func metricsOf(v *violations, name string) bool {
	v.enum(name == "SIZE" || name == "NONE", name, "returnItemCollectionMetrics", metricsSet)
	return name == "SIZE"
}

func onFailureOf(v *violations, name, prefix string) bool {
	v.enum(name == "ALL_OLD" || name == "NONE", name, prefix+"returnValuesOnConditionCheckFailure", onFailureSet)
	return name == "ALL_OLD"
}

func capacity(c *checking) {
	if c.given(mReturnConsumedCapacity) {
		c.ReturnConsumedCapacity = capacityOf(&c.found, c.members.capacity)
	}
}

func metrics(c *checking) {
	if c.given(mReturnItemCollectionMetrics) {
		metricsOf(&c.found, c.members.metrics)
	}
}

func onFailure(c *checking) {
	if c.given(mReturnValuesOnConditionCheckFailure) {
		onFailureOf(&c.found, c.members.onFailure, "")
	}
}

// returnValues has AWS's own text, with its slip: what is accepted is UPDATED_NEW.
func returnValues(c *checking) {
	if !c.given(mReturnValues) {
		return
	}
	if _, ok := returnValuesNamed(c.members.returnValues); !ok {
		c.found.append("Failed to satisfy constraint: Member must satisfy enum value set: " +
			"[ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]")
	}
}

func returnValuesOlder(c *checking) {
	if c.given(mReturnValues) {
		_, ok := returnValuesNamed(c.members.returnValues)
		c.found.enum(ok, c.members.returnValues, "returnValues", returnValuesSet)
	}
}

// onlyOld is for the operations that can return the old item only.
func onlyOld(c *checking) {
	if !c.given(mReturnValues) {
		return
	}
	if rv, _ := returnValuesNamed(c.members.returnValues); rv > ReturnAllOld {
		c.refuse(awserr.ReturnValuesNotAllowed())
	}
}

func itemGiven(c *checking) { c.required(mItem) }
func keyGiven(c *checking)  { c.required(mKey) }

func (c *checking) required(id member) {
	if !c.given(id) {
		c.found.null(lowerFirst(id.String()))
	}
}

// emptyTable is told before the other errors of a table's name, and in another form.
func emptyTable(c *checking) {
	if c.given(mTableName) && c.tableName == "" {
		c.found.unvalued("TableName", notEmpty)
	}
}

// tableLength and tablePattern are the other checks of a table's name, which may be its
// ARN. Of a name that is short and malformed they tell the length, or both.
func tableLength(c *checking) {
	c.table(func(v *violations, name string) {
		if isName(name) && len(name) >= 3 && len(name) <= 255 {
			return
		}
		if n := characters(name); n < 3 || n > 255 {
			v.text(name, 3, 255, "tableName")
		} else {
			v.add(name, "tableName", namePattern)
		}
	})
}

func tablePattern(c *checking) {
	c.table(func(v *violations, name string) { v.name(name, 3, "tableName") })
}

// tableOlder is the older layer's check: any length from 1 on.
func tableOlder(c *checking) {
	c.table(func(v *violations, name string) {
		switch {
		case name == "":
			v.add("", "tableName", notEmpty)
		case !isName(name):
			v.add(name, "tableName", namePattern)
		default:
			v.text(name, 1, 255, "tableName")
		}
	})
}

// tableOfScan is that of a Scan in the older layer, where a short name is told as well.
func tableOfScan(c *checking) {
	if n := characters(c.tableName); c.given(mTableName) && isName(c.tableName) && n < 3 {
		c.Requested, c.TableName = c.tableName, c.tableName
		c.found.text(c.tableName, 3, 255, "tableName")
		return
	}
	tableOlder(c)
}

func (c *checking) table(plain func(v *violations, name string)) {
	if !c.given(mTableName) {
		c.found.null("tableName")
		return
	}
	if failure := c.itemTable(&c.found, c.tableName, plain); failure != nil {
		c.refuse(failure)
	}
}

func indexName(c *checking) {
	if c.given(mIndexName) {
		c.found.name(c.members.indexName, 3, "indexName")
	}
}

func attributesToGetLength(c *checking) { c.checkAttributesToGet(&c.found, "attributesToGet") }

func (m *members) checkAttributesToGet(v *violations, path string) {
	if m.given(mAttributesToGet) {
		v.length(len(m.attributesToGet), 1, 255, path, func() string { return showList(m.attributesToGet) })
	}
}

// limit, segment and totalSegments tell what is out of bounds without its value.
func limit(c *checking) {
	if c.given(mLimit) {
		c.found.between("Limit", c.members.limit, 1, 0)
	}
}

func segment(c *checking) {
	if c.given(mSegment) {
		c.found.between("Segment", c.members.segment, 0, maxSegments-1)
	}
}

func totalSegments(c *checking) {
	if c.given(mTotalSegments) {
		c.found.between("TotalSegments", c.members.totalSegments, 1, maxSegments)
	}
}

func limitOlder(c *checking) {
	if c.given(mLimit) {
		c.found.atLeast(c.members.limit, 1, "limit")
	}
}

func segmentOlder(c *checking) {
	if c.given(mSegment) {
		c.found.atLeast(c.members.segment, 0, "segment")
		c.found.atMost(c.members.segment, maxSegments-1, "segment")
	}
}

func totalSegmentsOlder(c *checking) {
	if n := c.members.totalSegments; c.given(mTotalSegments) && (n < 1 || n > maxSegments) {
		c.found.unvalued("totalSegments", "Member must have value between 1 and 1000000")
	}
}

func selectNamed(c *checking) {
	if c.given(mSelect) {
		s, ok := selectNamedBy(c.members.selected)
		c.found.enum(ok, c.members.selected, "select", selectSet)
		c.selected = s
	}
}

// selection holds Select against the projection that was given.
func selection(c *checking) {
	projection := mProjectionExpression
	if c.given(mAttributesToGet) {
		projection = mAttributesToGet
	}
	switch s := c.selected; {
	case s == SelectSpecific && !c.given(projection):
		c.refuse(awserr.ProjectionRequired())
	case s != SelectDefault && s != SelectSpecific && c.given(projection):
		c.refuse(awserr.ProjectionNotAllowed(projection.String(), c.members.selected))
	case s == SelectAllProjected && !c.given(mIndexName):
		c.refuse(awserr.ProjectedNeedsIndex())
	}
}

// segments holds Segment and TotalSegments against each other.
func segments(c *checking) {
	has, n, total := c.given(mSegment), c.members.segment, c.members.totalSegments
	switch {
	case has && !c.given(mTotalSegments):
		c.refuse(awserr.SegmentNeedsTotal())
	case c.given(mTotalSegments) && !has:
		c.refuse(awserr.TotalNeedsSegment())
	case has && n >= total:
		c.refuse(c.layer.texts.SegmentBeyondTotal(n, total))
	}
}

func mixing(c *checking) { c.refuse(c.members.mixing(c.operation.grammar, c.layer)) }

// conditionalOperator needs two comparisons to join, and a value only then.
func conditionalOperator(c *checking) {
	if !c.given(mConditionalOperator) {
		return
	}
	joined := 0
	if c.given(c.operation.comparing) {
		joined = len(c.comparisons.entries)
	}
	switch operator := c.members.conditionalOperator; {
	case joined == 0:
		c.refuse(awserr.ConditionalOperatorAlone())
	case joined == 1:
		c.refuse(awserr.ConditionalOperatorOfOne())
	case operator != "AND" && operator != "OR":
		c.refuse(awserr.ConditionalOperatorUnknown())
	}
}

func operatorOlder(c *checking) {
	if operator := c.members.conditionalOperator; c.given(mConditionalOperator) {
		c.found.enum(operator == "OR" || operator == "AND", operator, "conditionalOperator", operatorSet)
	}
}

func expectedOperators(c *checking) { c.comparisons.checkComparators(&c.found, "expected", false) }
func filterOperators(c *checking) {
	c.comparisons.checkComparators(&c.found, lowerFirst(c.operation.comparing.String()), true)
}
func keyOperators(c *checking) { c.keyConditions.checkComparators(&c.found, "keyConditions", true) }

// actions has AWS's own text, with its stray quote.
func actions(c *checking) {
	for i := range c.members.attributeUpdates.entries {
		if c.members.attributeUpdates.entries[i].unknownAction() {
			c.found.append("Member must satisfy enum value set: " + actionSet + "' for Action")
			return
		}
	}
}

func actionsOlder(c *checking) { c.members.attributeUpdates.checkActions(&c.found, "attributeUpdates") }

// values are all attribute values and their names, wherever they stand: the current layer
// looks at them before anything that they mean.
func values(c *checking) {
	ownValues(c)
	if c.given(mExpected | mAttributeUpdates) {
		c.olderValues(&c.comparisons)
		c.olderValues(&c.members.attributeUpdates)
	}
	placeholderValues(c)
}

// ownValues are those of Item and Key.
func ownValues(c *checking) {
	invalid := c.item.invalid
	if invalid == nil {
		invalid = c.key.invalid
	}
	if emptyValue(invalid) && c.layer.texts == awserr.Current {
		c.Late = lateEmptyValue
	} else if invalid != nil {
		c.refuse(invalid)
	}
}

func (c *checking) olderValues(l *legacyMap) {
	c.value(l.checkNames())
	for i := range l.entries {
		c.value(l.entries[i].invalid)
	}
}

func placeholderValues(c *checking) {
	if c.given(mExpressionAttributeValues) && c.badValue != nil && c.own == nil {
		c.own, c.ownBare = c.layer.placeholder(c.badValue, c.badValueKey), emptyValue(c.badValue)
	}
}

// emptyName is of a Scan in the older layer, which does not wrap this error.
func emptyName(c *checking) {
	if c.given(mExpressionAttributeValues) && c.badValue != nil && c.badValue.Message == awserr.AttributeNameEmpty().Message {
		c.refuse(c.badValue)
	}
}

// value notes an invalid value's error.
func (c *checking) value(invalid *awserr.Error) {
	if invalid != nil && c.own == nil {
		c.own, c.ownBare = invalid, emptyValue(invalid)
	}
}

// expected, attributeUpdates, filter and keyConditions check and build the parameters
// that expressions replaced.
func expected(c *checking) { c.refuse(c.older(mExpected, (*legacyMap).expected)) }
func filter(c *checking)   { c.refuse(c.older(c.operation.comparing, (*legacyMap).comparisons)) }

func attributeUpdates(c *checking) {
	if c.given(mAttributeUpdates) {
		changes, failure := c.members.attributeUpdates.updates()
		c.changes = changes
		c.refuse(failure)
	}
}

func keyConditions(c *checking) {
	if c.given(mKeyConditions) {
		keys, failure := c.olderKeys()
		c.keys = keys
		c.refuse(failure)
	}
}

func keyConditionGiven(c *checking) {
	if c.parsed.keyCondition == nil && c.keys == nil {
		c.refuse(awserr.KeyConditionRequired())
	}
}

// attributesToGet checks the names, which must differ.
func attributesToGet(c *checking) { c.refuse(c.checkToGet()) }

// startKey reports an illegal value in ExclusiveStartKey. What AWS finds while it
// converts the values goes out as it is; for the current layer that is all but a value
// without a member, or with several.
func startKey(c *checking) {
	failure := c.members.startKey.invalid
	if failure == nil || !c.given(mExclusiveStartKey) {
		return
	}
	begins := func(start string) bool { return strings.HasPrefix(failure.Message, start) }
	own := !begins("Supplied AttributeValue")
	if c.layer.texts == awserr.Older {
		converting := []string{
			"The parameter cannot be converted", "Attempting to store more than", "Number overflow", "Number underflow",
			"Empty attribute name",
		}
		own = slices.ContainsFunc(converting, begins) || strings.Contains(failure.Message, "contains duplicates")
	}
	if !own {
		failure = awserr.InvalidStartKeyBecause(failure)
	}
	c.refuse(failure)
}

func expressions(c *checking) {
	if !c.given(anyExpression | mAttributesToGet) {
		return
	}
	parsed, failure := c.parse(c.layer)
	c.parsed = parsed
	c.refuse(failure)
}

const maxSegments = 1_000_000

// tooLarge refuses an item that is put in a batch or a transaction. A single PutItem is
// refused when its table is known.
func tooLarge(a *attributes) *awserr.Error {
	if a.item.Size() > schema.MaxItemSize {
		return awserr.ItemTooLarge()
	}
	return nil
}
