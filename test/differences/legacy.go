package differences

// The parameters that expressions replaced.

var legacyOperators = []string{"EQ", "NE", "LT", "LE", "GT", "GE", "NULL", "NOT_NULL", "CONTAINS", "NOT_CONTAINS", "BEGINS_WITH", "IN", "BETWEEN"}

// arguments makes an AttributeValueList that fits an operator, now and then one that
// does not.
func (g *gen) arguments(operator, attribute string) list {
	if g.chance(4) {
		out := list{}
		for range g.IntN(4) {
			out = append(out, g.anyValue(1))
		}
		return out
	}
	scalar := func() object {
		if typ := typed[attribute]; typ == "S" || typ == "N" || typ == "B" {
			return g.value(typ, 0)
		}
		return g.value(pick(g, "S", "N", "B"), 0)
	}
	switch operator {
	case "NULL", "NOT_NULL":
		return nil
	case "BETWEEN":
		lo, hi := g.bounds()
		return list{lo, hi}
	case "IN":
		v := scalar()
		out := list{v}
		for typ := range v {
			for range g.IntN(3) {
				out = append(out, g.value(typ, 0))
			}
		}
		return out
	case "EQ", "NE":
		return list{g.valueFor(attribute)}
	case "BEGINS_WITH":
		return list{g.value(pick(g, "S", "S", "B"), 0)}
	default:
		return list{scalar()}
	}
}

func (g *gen) legacyCondition(attribute string) object {
	operator := pick(g, legacyOperators...)
	c := object{"ComparisonOperator": operator}
	if args := g.arguments(operator, attribute); args != nil {
		c["AttributeValueList"] = args
	}
	return c
}

func (g *gen) legacyFilter(body object, member string) {
	filter := object{}
	for range 1 + g.IntN(2) {
		a := pick(g, attributes...)
		filter[a] = g.legacyCondition(a)
	}
	body[member] = filter
	if g.chance(25) {
		body["ConditionalOperator"] = pick(g, "AND", "OR")
	}
}

func (g *gen) expected(body object) {
	out := object{}
	for range 1 + g.IntN(2) {
		a := pick(g, attributes...)
		switch g.IntN(10) {
		case 0, 1:
			out[a] = object{"Exists": false}
		case 2, 3:
			out[a] = object{"Value": g.valueFor(a)}
		case 4:
			out[a] = object{"Exists": true, "Value": g.valueFor(a)}
		case 5:
			out[a] = pick(g, object{}, object{"Exists": true}, object{"Exists": false, "Value": s("a")},
				object{"Exists": true, "ComparisonOperator": "EQ", "AttributeValueList": list{s("a")}},
				object{"Value": s("a"), "AttributeValueList": list{s("a")}},
				object{"AttributeValueList": list{s("a")}}, object{"ComparisonOperator": "EQ"}, object{"ComparisonOperator": "EQ", "Value": s("a")})
		default:
			out[a] = g.legacyCondition(a)
		}
	}
	body["Expected"] = out
	if g.chance(25) {
		body["ConditionalOperator"] = pick(g, "AND", "OR")
	}
}

func (g *gen) legacyWrite() *Request {
	t := g.table()
	body := object{"TableName": g.tableName(t)}
	g.writing(body)
	delete(body, "ReturnValuesOnConditionCheckFailure")
	if g.chance(60) {
		g.expected(body)
	}
	switch g.IntN(4) {
	case 0:
		body["Item"] = g.item(t)
		return &Request{Op: "PutItem", Body: body}
	case 1:
		body["Key"] = g.key(t)
		return &Request{Op: "DeleteItem", Body: body}
	}
	body["Key"] = g.key(t)
	updates := object{}
	for range g.IntN(4) {
		a := pick(g, attributes...)
		u := object{"Value": g.valueFor(a), "Action": "PUT"}
		switch g.IntN(6) {
		case 0:
			if g.chance(20) {
				delete(u, "Action")
			}
		case 1:
			u = object{"Action": "DELETE"}
		case 2:
			u["Action"] = "DELETE"
		case 3:
			a = pick(g, "n", "ss", "ns", "l", "a")
			u = object{"Action": "ADD", "Value": g.valueFor(a)}
		}
		updates[a] = u
	}
	body["AttributeUpdates"] = updates
	if g.chance(60) {
		body["ReturnValues"] = pick(g, "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")
	}
	return &Request{Op: "UpdateItem", Body: body}
}

func (g *gen) attributesToGet() list {
	return g.some(attributes, func(t string) any { return t })
}

func (g *gen) legacyRead() *Request {
	body := object{}
	switch g.IntN(3) {
	case 0:
		t := g.table()
		body["TableName"], body["Key"], body["AttributesToGet"] = t.name, g.key(t), g.attributesToGet()
		return &Request{Op: "GetItem", Body: body}
	case 1:
		g.source(body)
		g.legacyFilter(body, "ScanFilter")
		if g.chance(20) && body["IndexName"] == nil {
			body["AttributesToGet"] = g.attributesToGet()
		}
		return &Request{Op: "Scan", Body: body, Whole: allPages}
	}
	t, ix := g.source(body)
	hash, rng := t.keysOf(ix)
	conditions := object{hash: object{"ComparisonOperator": pick(g, "EQ", "EQ", "EQ", "EQ", "EQ", "EQ", "EQ", "GT"), "AttributeValueList": list{g.keyFor(t, hash)}}}
	if rng != "" && g.chance(50) {
		op := pick(g, "EQ", "LT", "LE", "GT", "GE", "BETWEEN", "BEGINS_WITH", "NE", "IN", "NULL", "CONTAINS")
		c := object{"ComparisonOperator": op, "AttributeValueList": list{g.keyFor(t, rng)}}
		switch op {
		case "BETWEEN":
			c["AttributeValueList"] = list{g.keyFor(t, rng), g.keyFor(t, rng)}
		case "NULL":
			delete(c, "AttributeValueList")
		}
		conditions[rng] = c
	}
	body["KeyConditions"] = conditions
	if g.chance(40) {
		g.legacyFilter(body, "QueryFilter")
	}
	if g.chance(20) && body["IndexName"] == nil {
		body["AttributesToGet"] = g.attributesToGet()
	}
	return &Request{Op: "Query", Body: body, Whole: allPages}
}
