package differences

import "fmt"

// Batches and transactions.

func (g *gen) batchGet() *Request {
	body := object{}
	g.common(body)
	tables := object{}
	for range 1 + g.IntN(2) {
		t := g.table()
		keys := list{}
		seen := map[string]bool{}
		for range 1 + g.IntN(5) {
			k := g.key(t)
			if text := string(encode(k)); !seen[text] || g.chance(5) {
				seen[text] = true
				keys = append(keys, k)
			}
		}
		part := object{"Keys": keys}
		if g.chance(20) {
			part["ConsistentRead"] = g.chance(50)
		}
		if g.chance(20) {
			x := g.expressions()
			g.project(x, part, 100)
			x.into(part)
		}
		tables[t.name] = part
	}
	if g.chance(2) {
		tables["no-such-table"] = object{"Keys": list{object{"pk": s("a")}}}
	}
	body["RequestItems"] = tables
	return &Request{Op: "BatchGetItem", Body: body}
}

func (g *gen) batchWrite() *Request {
	body := object{}
	g.common(body)
	if g.chance(8) {
		body["ReturnItemCollectionMetrics"] = pick(g, "SIZE", "NONE")
	}
	tables := object{}
	for range 1 + g.IntN(2) {
		t := g.table()
		writes := list{}
		seen := map[string]bool{}
		for range 1 + g.IntN(6) {
			it := g.item(t)
			k := object{t.hash: it[t.hash]}
			if t.rng != "" {
				k[t.rng] = it[t.rng]
			}
			text := string(encode(k))
			if seen[text] && !g.chance(3) {
				continue
			}
			seen[text] = true
			if g.chance(65) {
				writes = append(writes, object{"PutRequest": object{"Item": it}})
			} else {
				writes = append(writes, object{"DeleteRequest": object{"Key": k}})
			}
		}
		tables[t.name] = writes
	}
	if g.chance(2) {
		tables["no-such-table"] = list{object{"DeleteRequest": object{"Key": object{"pk": s("a")}}}}
	}
	body["RequestItems"] = tables
	return &Request{Op: "BatchWriteItem", Body: body}
}

// transactWrite makes one to five actions, mostly on different items.
func (g *gen) transactWrite() *Request {
	body := object{}
	g.common(body)
	if g.chance(8) {
		body["ReturnItemCollectionMetrics"] = pick(g, "SIZE", "NONE")
	}
	if g.chance(10) {
		body["ClientRequestToken"] = fmt.Sprintf("%s-%d", pick(g, "one", "two", "t"), g.episode)
	}
	actions := list{}
	seen := map[string]bool{}
	for range 1 + g.IntN(5) {
		t := g.table()
		k := g.key(t)
		if text := t.name + string(encode(k)); seen[text] && !g.chance(3) {
			continue
		} else {
			seen[text] = true
		}
		part := object{"TableName": g.tableName(t)}
		x := g.expressions()
		if g.chance(15) {
			part["ReturnValuesOnConditionCheckFailure"] = pick(g, "ALL_OLD", "NONE")
		}
		var action string
		switch g.IntN(5) {
		case 0:
			action, part["Key"] = "ConditionCheck", k
			g.condition(x, part, 97)
		case 1, 2:
			it := g.item(t)
			for name, v := range k {
				it[name] = v
			}
			action, part["Item"] = "Put", it
			g.condition(x, part, 40)
		case 3:
			action, part["Key"] = "Update", k
			part["UpdateExpression"] = x.update()
			g.condition(x, part, 30)
		default:
			action, part["Key"] = "Delete", k
			g.condition(x, part, 30)
		}
		if g.chance(3) {
			if _, put := part["Key"]; put {
				part["Key"] = g.badKey(t)
			}
		}
		x.into(part)
		actions = append(actions, object{action: part})
	}
	body["TransactItems"] = actions
	return &Request{Op: "TransactWriteItems", Body: body}
}

func (g *gen) transactGet() *Request {
	body := object{}
	g.common(body)
	gets := list{}
	seen := map[string]bool{}
	for range 1 + g.IntN(5) {
		t := g.table()
		k := g.key(t)
		if text := t.name + string(encode(k)); seen[text] && !g.chance(3) {
			continue
		} else {
			seen[text] = true
		}
		if g.chance(3) {
			k = g.badKey(t)
		}
		part := object{"TableName": g.tableName(t), "Key": k}
		x := g.expressions()
		g.project(x, part, 25)
		x.into(part)
		gets = append(gets, object{"Get": part})
	}
	body["TransactItems"] = gets
	return &Request{Op: "TransactGetItems", Body: body}
}
