package request

// The sets as AWS prints them, in its order.
const (
	capacitySet     = "[INDEXES, TOTAL, NONE]"
	metricsSet      = "[SIZE, NONE]"
	returnValuesSet = "[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"
	onFailureSet    = "[ALL_OLD, NONE]"
	selectSet       = "[SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]"
	operatorSet     = "[OR, AND]"
)

func (m *members) checkCapacity(v *violations) (c ReturnConsumedCapacity) {
	if !m.given(mReturnConsumedCapacity) {
		return CapacityNone
	}
	return capacityNamed(v, m.capacity)
}

func capacityNamed(v *violations, name string) (c ReturnConsumedCapacity) {
	switch name {
	case "NONE":
	case "TOTAL":
		c = CapacityTotal
	case "INDEXES":
		c = CapacityIndexes
	default:
		v.enum(false, name, "returnConsumedCapacity", capacitySet)
	}
	return c
}

func (m *members) checkMetrics(v *violations) bool {
	return m.given(mReturnItemCollectionMetrics) && metricsNamed(v, m.metrics)
}

func metricsNamed(v *violations, name string) bool {
	v.enum(name == "SIZE" || name == "NONE", name, "returnItemCollectionMetrics", metricsSet)
	return name == "SIZE"
}

func (m *members) checkReturnValues(v *violations) (rv ReturnValues) {
	if !m.given(mReturnValues) {
		return ReturnNone
	}
	switch m.returnValues {
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
		v.enum(false, m.returnValues, "returnValues", returnValuesSet)
	}
	return rv
}

func (m *members) checkOnFailure(v *violations) bool {
	if !m.given(mReturnValuesOnConditionCheckFailure) {
		return false
	}
	v.enum(m.onFailure == "ALL_OLD" || m.onFailure == "NONE", m.onFailure, "returnValuesOnConditionCheckFailure", onFailureSet)
	return m.onFailure == "ALL_OLD"
}

func (m *members) checkOperator(v *violations) {
	if m.given(mConditionalOperator) {
		v.enum(m.conditionalOperator == "OR" || m.conditionalOperator == "AND", m.conditionalOperator, "conditionalOperator", operatorSet)
	}
}

func (m *members) checkSelect(v *violations) (s Select) {
	if !m.given(mSelect) {
		return SelectDefault
	}
	switch m.selected {
	case "ALL_ATTRIBUTES":
		s = SelectAllAttributes
	case "ALL_PROJECTED_ATTRIBUTES":
		s = SelectAllProjected
	case "SPECIFIC_ATTRIBUTES":
		s = SelectSpecific
	case "COUNT":
		s = SelectCount
	default:
		v.enum(false, m.selected, "select", selectSet)
	}
	return s
}

func (m *members) checkIndexName(v *violations) {
	if m.given(mIndexName) {
		v.name(m.indexName, 3, "indexName")
	}
}

func (m *members) checkAttributesToGet(v *violations, path string) {
	if m.given(mAttributesToGet) {
		v.length(len(m.attributesToGet), 1, 255, path, func() string { return showList(m.attributesToGet) })
	}
}
