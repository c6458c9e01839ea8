package request

import (
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
)

// grammar is what an operation takes: its expression parameters and those they
// replaced, each in the order in which AWS names them.
type grammar struct {
	expressions []member
	legacy      []member
}

var (
	putGrammar    = grammar{[]member{mConditionExpression}, []member{mExpected, mConditionalOperator}}
	updateGrammar = grammar{[]member{mUpdateExpression, mConditionExpression}, []member{mAttributeUpdates, mExpected, mConditionalOperator}}
	getGrammar    = grammar{[]member{mProjectionExpression}, []member{mAttributesToGet}}
	queryGrammar  = grammar{
		[]member{mProjectionExpression, mFilterExpression, mKeyConditionExpression},
		[]member{mAttributesToGet, mQueryFilter, mConditionalOperator, mKeyConditions},
	}
	scanGrammar = grammar{
		[]member{mProjectionExpression, mFilterExpression},
		[]member{mAttributesToGet, mScanFilter, mConditionalOperator},
	}
)

// named returns the names of those of list that were given.
func (m *members) named(list []member, except member) []string {
	var names []string
	for _, id := range list {
		if m.given(id &^ except) {
			names = append(names, id.String())
		}
	}
	return names
}

// mixing makes the checks that AWS makes before it looks at any value: no
// expressions beside older parameters, no placeholders without expressions.
func (m *members) mixing(g *grammar, l layer) *awserr.Error {
	if !m.given(anyExpression | mExpressionAttributeNames | mExpressionAttributeValues) {
		return nil
	}
	var expressions, valued member
	for _, id := range g.expressions {
		expressions |= id
	}
	valued = expressions &^ mProjectionExpression
	if m.given(expressions) {
		// KeyConditions may stand beside a filter or projection expression.
		var except member
		if !m.given(mKeyConditionExpression) {
			except = mKeyConditions
		}
		if legacy := m.named(g.legacy, except); legacy != nil {
			return awserr.MixedParameters(legacy, m.named(g.expressions, 0))
		}
	} else if m.given(mExpressionAttributeNames) {
		return awserr.NamesWithoutExpression()
	}
	if m.given(mExpressionAttributeValues) && !m.given(valued) {
		var names []string
		for _, id := range g.expressions {
			if id != mProjectionExpression {
				names = append(names, id.String())
			}
		}
		return l.texts.ValuesWithoutExpression(names)
	}
	return nil
}

// parsed are the expressions of one request.
type parsed struct {
	update       *expr.Update
	condition    *expr.Condition
	keyCondition *expr.KeyCondition
	filter       *expr.Condition
	projection   *expr.Projection
}

const anyExpression = mUpdateExpression | mConditionExpression | mKeyConditionExpression |
	mFilterExpression | mProjectionExpression

// parse reads the placeholders and then the expressions, in AWS's order.
func (m *members) parse(l layer) (p parsed, failure *awserr.Error) {
	if !m.given(anyExpression) {
		if m.given(mAttributesToGet) {
			p.projection = expr.NewProjection(m.attributesToGet)
		}
		return p, nil
	}
	params, failure := expr.NewParams(m.givenNames(), m.givenValues())
	if failure != nil {
		return p, failure
	}
	if m.given(mExpressionAttributeValues) && m.badValue != nil {
		return p, l.placeholder(m.badValue, m.badValueKey)
	}
	params.Layer = l.texts
	if l.texts == awserr.Current {
		if failure := m.emptyExpression(); failure != nil {
			return p, failure
		}
	}
	if m.given(mUpdateExpression) {
		if p.update, failure = expr.ParseUpdate(m.update, params); failure != nil {
			return p, failure
		}
	}
	if m.given(mConditionExpression) {
		if p.condition, failure = expr.ParseCondition(expr.ConditionExpression, m.condition, params); failure != nil {
			return p, failure
		}
	}
	if m.given(mKeyConditionExpression) {
		if p.keyCondition, failure = expr.ParseKeyCondition(m.keyCondition, params, expr.MaxIndexKeyConditions); failure != nil {
			return p, failure
		}
	}
	if m.given(mFilterExpression) {
		if p.filter, failure = expr.ParseCondition(expr.FilterExpression, m.filter, params); failure != nil {
			return p, failure
		}
	}
	if m.given(mProjectionExpression) {
		if p.projection, failure = expr.ParseProjection(m.projection, params); failure != nil {
			return p, failure
		}
	}
	return p, params.Unused()
}

// emptyExpression finds the first empty expression: the current layer tells it before
// anything of the others.
func (m *members) emptyExpression() *awserr.Error {
	var empty awserr.Expression
	switch {
	case m.given(mConditionExpression) && m.condition == "":
		empty = awserr.ConditionExpression
	case m.given(mUpdateExpression) && m.update == "":
		empty = awserr.UpdateExpression
	case m.given(mKeyConditionExpression) && m.keyCondition == "":
		empty = awserr.KeyConditionExpression
	case m.given(mFilterExpression) && m.filter == "":
		empty = awserr.FilterExpression
	case m.given(mProjectionExpression) && m.projection == "":
		empty = awserr.ProjectionExpression
	default:
		return nil
	}
	return empty.Empty()
}

// givenNames and givenValues return the maps of placeholders, nil when the last
// word of the request was null.
func (m *members) givenNames() []expr.Name {
	if !m.given(mExpressionAttributeNames) {
		return nil
	}
	return m.names
}

func (m *members) givenValues() []item.Entry {
	if !m.given(mExpressionAttributeValues) {
		return nil
	}
	return m.values
}
