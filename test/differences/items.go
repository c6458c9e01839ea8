package differences

// The operations on single items, Query and Scan.

func (g *gen) table() *shape { return g.tables[g.IntN(len(g.tables))] }

// tableName is how a request names a table.
func (g *gen) tableName(t *shape) any {
	switch {
	case g.chance(97):
		return t.name
	case g.chance(50):
		return ref("arn:" + t.name)
	default:
		return "no-such-table"
	}
}

// common adds parameters that most operations take.
func (g *gen) common(body object) {
	if g.chance(25) {
		body["ReturnConsumedCapacity"] = pick(g, "TOTAL", "INDEXES", "NONE")
	}
}

func (g *gen) writing(body object) {
	g.common(body)
	if g.chance(8) {
		body["ReturnItemCollectionMetrics"] = pick(g, "SIZE", "NONE")
	}
	if g.chance(10) {
		body["ReturnValuesOnConditionCheckFailure"] = pick(g, "ALL_OLD", "NONE")
	}
}

// condition adds a condition to a write, now and then a broken one.
func (g *gen) condition(x *expression, body object, percent int) {
	if !g.chance(percent) {
		return
	}
	text := x.condition(g.IntN(3))
	if g.chance(8) {
		text = x.broken(text)
	}
	body["ConditionExpression"] = text
}

func (g *gen) putItem() *Request {
	t := g.table()
	body := object{"TableName": g.tableName(t), "Item": g.item(t)}
	g.writing(body)
	if g.chance(30) {
		body["ReturnValues"] = pick(g, "ALL_OLD", "ALL_OLD", "NONE", "ALL_NEW")
	}
	x := g.expressions()
	g.condition(x, body, 40)
	x.into(body)
	return &Request{Op: "PutItem", Body: body}
}

func (g *gen) getItem() *Request {
	t := g.table()
	body := object{"TableName": g.tableName(t), "Key": g.key(t)}
	g.common(body)
	if g.chance(30) {
		body["ConsistentRead"] = g.chance(50)
	}
	x := g.expressions()
	g.project(x, body, 30)
	x.into(body)
	return &Request{Op: "GetItem", Body: body}
}

func (g *gen) project(x *expression, body object, percent int) {
	if !g.chance(percent) {
		return
	}
	text := x.projection()
	if g.chance(8) {
		text = x.broken(text)
	}
	body["ProjectionExpression"] = text
}

func (g *gen) deleteItem() *Request {
	t := g.table()
	body := object{"TableName": g.tableName(t), "Key": g.key(t)}
	g.writing(body)
	if g.chance(30) {
		body["ReturnValues"] = pick(g, "ALL_OLD", "ALL_OLD", "NONE", "UPDATED_OLD")
	}
	x := g.expressions()
	g.condition(x, body, 40)
	x.into(body)
	return &Request{Op: "DeleteItem", Body: body}
}

func (g *gen) updateItem() *Request {
	t := g.table()
	body := object{"TableName": g.tableName(t), "Key": g.key(t)}
	g.writing(body)
	if g.chance(60) {
		body["ReturnValues"] = pick(g, "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW", "NONE")
	}
	x := g.expressions()
	if g.chance(97) {
		text := x.update()
		if g.chance(8) {
			text = x.broken(text)
		}
		body["UpdateExpression"] = text
	}
	g.condition(x, body, 25)
	x.into(body)
	return &Request{Op: "UpdateItem", Body: body}
}

// source picks what a read goes over.
func (g *gen) source(body object) (*shape, *index) {
	t := g.table()
	body["TableName"] = g.tableName(t)
	if len(t.indexes) > 0 && g.chance(50) {
		x := &t.indexes[g.IntN(len(t.indexes))]
		body["IndexName"] = x.name
		return t, x
	}
	return t, nil
}

func (g *gen) reading(x *expression, body object, ix *index) {
	g.common(body)
	if g.chance(25) && (ix == nil || ix.local || g.chance(5)) {
		body["ConsistentRead"] = g.chance(50)
	}
	if g.chance(30) {
		text := x.condition(g.IntN(3))
		if g.chance(8) {
			text = x.broken(text)
		}
		body["FilterExpression"] = text
	}
	if ix == nil || ix.project == "ALL" || g.chance(15) {
		g.project(x, body, 20)
	}
	if g.chance(10) {
		body["Select"] = pick(g, "COUNT", "COUNT", "ALL_ATTRIBUTES", "SPECIFIC_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES")
	}
}

func (g *gen) query() *Request {
	body := object{}
	t, ix := g.source(body)
	x := g.expressions()
	text := x.keyCondition(t, ix)
	if g.chance(6) {
		text = x.broken(text)
	}
	body["KeyConditionExpression"] = text
	g.reading(x, body, ix)
	if g.chance(30) {
		body["ScanIndexForward"] = g.chance(40)
	}
	r := &Request{Op: "Query", Body: body}
	if g.chance(35) {
		body["Limit"] = 1 + g.IntN(4)
		switch {
		case ix != nil || g.chance(40): // items of one index key come in an order of the server's own
			r.Whole = allPages
		case g.chance(20):
			body["ExclusiveStartKey"] = g.key(t)
		}
	}
	x.into(body)
	return r
}

func (g *gen) scan() *Request {
	body := object{}
	_, ix := g.source(body)
	x := g.expressions()
	g.reading(x, body, ix)
	r := &Request{Op: "Scan", Body: body, Whole: allPages}
	if g.chance(30) {
		body["Limit"] = 1 + g.IntN(4)
	}
	if g.chance(20) {
		r.Whole = allSegments
		body["TotalSegments"] = 1 + g.IntN(5)
		body["Segment"] = 0
	}
	x.into(body)
	return r
}
