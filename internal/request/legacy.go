package request

import (
	"slices"
	"strconv"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
)

// The parameters that expressions replaced. They are read whole, checked where AWS
// checks them, and built into the trees of expressions.

// maxConditions bounds the entries of one parameter, so that many small ones in a
// body of 16 MB cannot take many times its size in memory.
const maxConditions = 16384

// legacyEntry is one entry of Expected, AttributeUpdates, KeyConditions,
// QueryFilter or ScanFilter as it came. A null is an absent member.
type legacyEntry struct {
	attribute string

	operator    string // ComparisonOperator
	hasOperator bool
	list        []item.Value // AttributeValueList
	hasList     bool
	value       item.Value // Value
	hasValue    bool
	exists      bool
	hasExists   bool
	action      string
	hasAction   bool

	invalid *awserr.Error // the first illegal value
}

// legacyMap is such a parameter, in document order.
type legacyMap struct {
	entries []legacyEntry
	tooMany bool
}

// read reads the parameter; shape is the type of its entries. Of two entries of
// one attribute the last counts, in the first's place.
func (l *legacyMap) read(r *item.Reader, shape string) error {
	*l = legacyMap{}
	at := make(map[string]int)
	return r.Map(shape, func(name []byte) error {
		e := legacyEntry{attribute: string(name)}
		if !r.Null() {
			err := r.StructureIn(shape, func(member []byte) error { return e.read(r, shape, member) })
			if err != nil {
				return err
			}
		}
		if i, again := at[e.attribute]; again {
			l.entries[i] = e
			return nil
		}
		if len(l.entries) == maxConditions {
			l.tooMany = true
			return nil
		}
		at[e.attribute] = len(l.entries)
		l.entries = append(l.entries, e)
		return nil
	})
}

func (e *legacyEntry) read(r *item.Reader, shape string, member []byte) (err error) {
	null := r.Null()
	switch name := string(member); {
	case name == "Action" && shape == "AttributeValueUpdate":
		if e.hasAction = !null; e.hasAction {
			return readString(r, &e.action)
		}
	case name == "Value" && shape != "Condition":
		e.value = nil
		if e.hasValue = !null; e.hasValue {
			var invalid *awserr.Error
			e.value, invalid, err = r.ValueMember()
			e.note(invalid)
			return err
		}
	case name == "Exists" && shape == "ExpectedAttributeValue":
		if e.hasExists = !null; e.hasExists {
			return r.ExpectedBool(&e.exists)
		}
	case name == "ComparisonOperator" && shape != "AttributeValueUpdate":
		if e.hasOperator = !null; e.hasOperator {
			return readString(r, &e.operator)
		}
	case name == "AttributeValueList" && shape != "AttributeValueUpdate":
		e.list = nil
		if e.hasList = !null; e.hasList {
			return r.Array(func(int) error {
				v, invalid, err := r.Value()
				e.note(invalid)
				e.list = append(e.list, v)
				return err
			})
		}
	default:
		if !null {
			return r.Skip()
		}
	}
	return nil
}

func (e *legacyEntry) note(invalid *awserr.Error) {
	if e.invalid == nil {
		e.invalid = invalid
	}
}

const (
	comparatorSet = "[IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS]"
	actionSet     = "[ADD, DELETE, PUT]"
)

// checkComparators checks the constraints of a map of comparisons; required says
// that each must have an operator.
func (l *legacyMap) checkComparators(v *violations, path string, required bool) {
	for i := range l.entries {
		e := &l.entries[i]
		at := path + "." + e.attribute + ".member.comparisonOperator"
		if !e.hasOperator {
			if required {
				v.null(at)
			}
			continue
		}
		_, known := expr.ComparatorNamed(e.operator)
		v.enum(known, e.operator, at, comparatorSet)
	}
}

// checkActions checks the constraints of AttributeUpdates.
func (l *legacyMap) checkActions(v *violations, path string) {
	for i := range l.entries {
		if e := &l.entries[i]; e.unknownAction() {
			v.enum(false, e.action, path+"."+e.attribute+".member.action", actionSet)
		}
	}
}

func (e *legacyEntry) unknownAction() bool {
	_, known := actionNamed(e.action)
	return e.hasAction && !known
}

func actionNamed(name string) (a expr.ChangeAction, ok bool) {
	switch name {
	case "PUT":
		return expr.ChangePut, true
	case "ADD":
		return expr.ChangeAdd, true
	case "DELETE":
		return expr.ChangeDelete, true
	}
	return 0, false
}

// checkNames makes the checks of what the entries are named by.
func (l *legacyMap) checkNames() *awserr.Error {
	if l.tooMany {
		return awserr.TooManyConditions()
	}
	for i := range l.entries {
		switch name := l.entries[i].attribute; {
		case name == "":
			return awserr.AttributeNameEmpty()
		case len(name) > maxAttributeName:
			return awserr.AttributeNameTooLong()
		}
	}
	return nil
}

const maxAttributeName = 65535

// lacksOperator reports whether a comparison has no operator.
func (l *legacyMap) lacksOperator() bool {
	return slices.ContainsFunc(l.entries, func(e legacyEntry) bool { return !e.hasOperator })
}

// comparisons checks KeyConditions, QueryFilter or ScanFilter. An empty name is none
// that a filter minds.
func (l *legacyMap) comparisons() ([]expr.Comparison, *awserr.Error) {
	if l.tooMany {
		return nil, awserr.TooManyConditions()
	}
	list := make([]expr.Comparison, len(l.entries))
	for i := range l.entries {
		e := &l.entries[i]
		if e.invalid != nil {
			return nil, e.invalid
		}
		op, known := expr.ComparatorNamed(e.operator)
		if !known {
			return nil, awserr.ComparatorUnknown()
		}
		list[i] = expr.Comparison{Attribute: e.attribute, Op: op, Values: e.list}
		if failure := checkArguments(op, e.list); failure != nil {
			return nil, failure
		}
	}
	return list, nil
}

// checkArguments checks number and types of what an operator compares with.
func checkArguments(op expr.Comparator, values []item.Value) *awserr.Error {
	least, most := 1, 1
	switch op {
	case expr.CompareNull, expr.CompareNotNull:
		least, most = 0, 0
	case expr.CompareBetween:
		least, most = 2, 2
	case expr.CompareIn:
		most = len(values)
	}
	if len(values) < least || len(values) > most {
		return awserr.ComparisonArguments(op.String())
	}
	var mixed, unfit *awserr.Error
	for _, v := range values {
		if v.Type() != values[0].Type() {
			mixed = awserr.ComparisonMixed()
		}
		if t := v.Type(); unfit == nil && !comparable(op, t) {
			unfit = awserr.ComparisonType(op.String(), t.String())
		}
	}
	if failure := firstOf(mixed, unfit); failure != nil {
		if op == expr.CompareIn { // which looks at each value's type first
			failure = firstOf(unfit, mixed)
		}
		return failure
	}
	if op == expr.CompareBetween && item.Compare(values[0], values[1]) > 0 {
		return awserr.ComparisonRange()
	}
	return nil
}

// comparable reports whether an operator takes values of a type. AWS's
// documentation lists S, N, B and their sets for EQ and NE; the service takes
// every type, which object mappers rely on for BOOL.
func comparable(op expr.Comparator, t item.Type) bool {
	switch op {
	case expr.CompareEQ, expr.CompareNE:
		return true
	case expr.CompareBeginsWith:
		return t == item.S || t == item.B
	}
	return t == item.S || t == item.N || t == item.B
}

// expected checks Expected.
func (l *legacyMap) expected() ([]expr.Comparison, *awserr.Error) {
	if failure := l.checkNames(); failure != nil {
		return nil, failure
	}
	list := make([]expr.Comparison, len(l.entries))
	for i := range l.entries {
		c, failure := l.entries[i].expectation()
		if failure != nil {
			return nil, failure
		}
		list[i] = c
	}
	return list, nil
}

func (e *legacyEntry) expectation() (c expr.Comparison, failure *awserr.Error) {
	c.Attribute = e.attribute
	switch {
	case e.invalid != nil:
		return c, e.invalid
	case e.hasList && e.hasValue:
		return c, awserr.ExpectedTwoForms(e.attribute)
	case e.hasOperator:
		var known bool
		if c.Op, known = expr.ComparatorNamed(e.operator); !known {
			return c, awserr.ComparatorUnknown()
		}
		c.Values = e.list
		if e.hasValue {
			c.Values = []item.Value{e.value}
		}
		switch {
		case e.hasExists:
			return c, awserr.ExpectedExistsCompared(e.attribute)
		case !e.hasList && !e.hasValue && c.Op != expr.CompareNull && c.Op != expr.CompareNotNull:
			return c, awserr.ExpectedNothing(e.operator, e.attribute)
		}
		return c, checkArguments(c.Op, c.Values)
	case e.hasList:
		return c, awserr.ExpectedNoOperator(e.attribute)
	case e.hasExists && !e.exists:
		if e.hasValue {
			return c, awserr.ExpectedAbsentValue(e.attribute)
		}
		c.Op = expr.CompareNull
		return c, nil
	case !e.hasValue:
		exists := "null"
		if e.hasExists {
			exists = strconv.FormatBool(e.exists)
		}
		return c, awserr.ExpectedNoValue(exists, e.attribute)
	}
	c.Op, c.Values = expr.CompareEQ, []item.Value{e.value}
	return c, nil
}

// updates checks AttributeUpdates. An update of nothing is nil, which makes an
// item of its key alone.
func (l *legacyMap) updates() (*expr.Update, *awserr.Error) {
	if failure := l.checkNames(); failure != nil {
		return nil, failure
	}
	if len(l.entries) == 0 {
		return nil, nil
	}
	list := make([]expr.Change, len(l.entries))
	for i := range l.entries {
		e := &l.entries[i]
		action, _ := actionNamed(e.action) // PUT when none is given
		list[i] = expr.Change{Attribute: e.attribute, Action: action, Value: e.value}
		switch t := e.value.Type(); {
		case e.invalid != nil:
			return nil, e.invalid
		case t == item.None:
			if action != expr.ChangeDelete {
				return nil, awserr.UpdateNeedsValue()
			}
		case action == expr.ChangeDelete && t.Element() == item.None,
			action == expr.ChangeAdd && t.Element() == item.None && t != item.N && t != item.L:
			return nil, awserr.UpdateActionType(e.action, t.String())
		}
	}
	return expr.NewUpdate(list), nil
}

// older checks and builds Expected, QueryFilter or ScanFilter, which is member. The older
// layer looks at ConditionalOperator here: before the comparisons when there is nothing to
// join, after them when there is one.
func (c *checking) older(of member, comparisons func(*legacyMap) ([]expr.Comparison, *awserr.Error)) *awserr.Error {
	joined := len(c.comparisons.entries)
	old := c.layer.texts == awserr.Older
	if old && c.given(mConditionalOperator) && (!c.given(of) || joined == 0) {
		return awserr.ConditionalOperatorAlone()
	}
	if !c.given(of) {
		return nil
	}
	list, failure := comparisons(&c.comparisons)
	if failure == nil && old && c.given(mConditionalOperator) && joined == 1 {
		failure = awserr.ConditionalOperatorOfOne()
	}
	c.comparison = expr.NewCondition(list, c.given(mConditionalOperator) && c.conditionalOperator == "OR")
	return failure
}

// olderKeys checks and builds KeyConditions.
func (m *members) olderKeys() (*expr.KeyCondition, *awserr.Error) {
	if failure := m.keyConditions.checkNames(); failure != nil {
		return nil, failure
	}
	list, failure := m.keyConditions.comparisons()
	if failure != nil {
		return nil, failure
	}
	return expr.NewKeyCondition(list)
}

// checkToGet checks AttributesToGet, whose names must differ.
func (m *members) checkToGet() *awserr.Error {
	if !m.given(mAttributesToGet) {
		return nil
	}
	seen := make(map[string]bool, len(m.attributesToGet))
	for _, name := range m.attributesToGet {
		switch {
		case name == "":
			return awserr.AttributeNameEmpty()
		case len(name) > maxAttributeName:
			return awserr.AttributeNameTooLong()
		case seen[name]:
			return awserr.DuplicateAttributeToGet(name)
		}
		seen[name] = true
	}
	return nil
}
