package differences

import (
	"fmt"
	"strings"
)

// Corners that the grammar does not come to: statements on indexes, indexes with several
// attributes in a key, vectors, and empty index keys in transactions.

// indexed picks a table with indexes, and one of them; ok is false when there is none.
func (g *gen) indexed() (t *shape, x index, ok bool) {
	for _, i := range g.Perm(len(g.tables)) {
		if t := g.tables[i]; len(t.indexes) > 0 {
			return t, pick(g, t.indexes...), true
		}
	}
	return nil, index{}, false
}

// statementOnIndex reads an index, or tries to write one.
func (g *gen) statementOnIndex() *Request {
	t, x, ok := g.indexed()
	if !ok {
		return g.partiql()
	}
	parameters := list{}
	from := `"` + t.name + `"."` + x.name + `"`
	if g.chance(20) {
		from = pick(g, `"`+t.name+`"."no-such-index"`, `"`+t.name+`"."`+t.name+`"`, `"`+t.name+`".""`, `""."`+x.name+`"`, from+`."c"`, `"no-such-table"."i"`)
	}
	key := x.hash + " = " + g.literal(g.keyFor(t, x.hash), &parameters)
	if g.chance(25) {
		key = x.hash + " IN [" + g.literal(g.keyFor(t, x.hash), &parameters) + "]"
	}
	other := pick(g, "b = 'x'", "b IS MISSING", "NOT b = 'x'", "begins_with(b, 'x')", "a IS NOT MISSING", "n > 1", "attribute_exists(a) = true")
	where := pick(g, "", " WHERE "+key, " WHERE "+key+" AND "+other, " WHERE "+other, " WHERE NOT "+other, " WHERE "+key+" OR "+other, " WHERE ("+key+") AND NOT ("+other+")")
	text := "SELECT " + pick(g, "*", "*", "pk", "a", "b", "a, b", "b, n") + " FROM " + from + where
	switch g.IntN(14) {
	case 0:
		text = "INSERT INTO " + from + " VALUE {'pk': 'a'}"
	case 1:
		text = "UPDATE " + from + " SET a = 1 WHERE pk = 'a'"
	case 2:
		text = "DELETE FROM " + from + " WHERE pk = 'a'"
	}
	parameters = parameters[:min(len(parameters), strings.Count(text, "?"))]
	statement := object{"Statement": text}
	if len(parameters) > 0 {
		statement["Parameters"] = parameters
	}
	switch g.IntN(8) {
	case 0:
		return &Request{Op: "BatchExecuteStatement", Body: object{"Statements": list{statement}}}
	case 1:
		return &Request{Op: "ExecuteTransaction", Body: object{"TransactStatements": list{statement}}}
	case 2:
		statement["ConsistentRead"] = true
	}
	return &Request{Op: "ExecuteStatement", Body: statement, Whole: allPages}
}

// multiKeys makes a table with an index of several attributes, uses it, and removes it.
func (g *gen) multiKeys() []*Request {
	g.made++
	name := fmt.Sprintf("t%d.%d-multi", g.episode, g.made)
	attributes := []string{"h1", "h2", "r1", "r2", "r3"}
	definitions := list{object{"AttributeName": "pk", "AttributeType": "S"}}
	schema := list{}
	for _, a := range attributes {
		definitions = append(definitions, object{"AttributeName": a, "AttributeType": "S"})
		kind := "RANGE"
		if a[0] == 'h' {
			kind = "HASH"
		}
		schema = append(schema, object{"AttributeName": a, "KeyType": kind})
	}
	create := func(definitions, schema list) *Request {
		return &Request{Op: "CreateTable", Body: object{
			"TableName": name, "BillingMode": "PAY_PER_REQUEST", "KeySchema": keySchema("pk", ""), "AttributeDefinitions": definitions,
			"GlobalSecondaryIndexes": list{object{"IndexName": "multi", "KeySchema": schema, "Projection": object{"ProjectionType": "ALL"}}},
		}}
	}
	bad, badDefinitions := append(schema[:len(schema):len(schema)], schema[g.IntN(len(schema))]), definitions // one twice
	switch g.IntN(3) {
	case 0:
		bad = list{schema[0], schema[2], schema[1], schema[3], schema[4]}
	case 1:
		bad, badDefinitions = list{}, definitions[:1:1]
		for i := range 5 {
			a := fmt.Sprintf("x%d", i)
			bad = append(bad, object{"AttributeName": a, "KeyType": "HASH"})
			badDefinitions = append(badDefinitions, object{"AttributeName": a, "AttributeType": "S"})
		}
	}
	out := []*Request{
		create(badDefinitions, bad),
		create(definitions[:1+g.IntN(len(definitions)-1)], schema),
		create(append(definitions[:len(definitions):len(definitions)], object{"AttributeName": "unused", "AttributeType": "S"}), schema),
		create(definitions, schema),
	}
	value := func() object { return s(pick(g, "a", "b", "c")) }
	for i := range 4 {
		it := object{"pk": s(fmt.Sprint(i))}
		for _, a := range attributes {
			if !g.chance(10) {
				it[a] = value()
			}
		}
		if g.chance(15) {
			it[pick(g, attributes...)] = pick(g, s(""), n("1"), object{"L": list{}})
		}
		out = append(out, &Request{Op: "PutItem", Body: object{"TableName": name, "Item": it}})
	}
	for range 6 {
		values := object{}
		var clauses []string
		compared := func(a, operator string) {
			v := ":" + a
			values[v] = value()
			clauses = append(clauses, a+" "+operator+" "+v)
		}
		for _, a := range attributes[:2] {
			if !g.chance(12) {
				compared(a, pick(g, "=", "=", "=", "=", "=", "=", "=", ">"))
			}
		}
		for _, a := range attributes[2:] {
			if g.chance(60) {
				compared(a, pick(g, "=", "=", "=", "<", ">="))
			}
		}
		if g.chance(8) {
			compared("other", "=")
		}
		if len(clauses) == 0 {
			compared("h1", "=")
		}
		g.Shuffle(len(clauses), func(i, j int) { clauses[i], clauses[j] = clauses[j], clauses[i] })
		r := &Request{Op: "Query", Whole: allPages, Body: object{
			"TableName": name, "IndexName": "multi", "KeyConditionExpression": strings.Join(clauses, " AND "), "ExpressionAttributeValues": values,
		}}
		switch g.IntN(8) {
		case 0:
			r.Body["FilterExpression"] = "attribute_exists(" + pick(g, attributes...) + ")"
		case 1:
			r.Body["ConsistentRead"] = true
		case 2:
			start := object{"pk": s("0")}
			for _, a := range attributes {
				start[a] = value()
			}
			r.Body["ExclusiveStartKey"] = start
		}
		out = append(out, r)
	}
	if g.features.has(PartiQL) {
		out = append(out, &Request{Op: "ExecuteStatement", Body: object{"Statement": `SELECT * FROM "` + name + `"."multi" WHERE h1 = 'a'`}})
	}
	return append(out, &Request{Op: "DeleteTable", Body: object{"TableName": name}})
}

// vectors asks for vector indexes in ways that are refused: Millstream has none.
func (g *gen) vectors() *Request {
	g.made++
	vector := object{
		"IndexName": "vix", "VectorAttribute": object{"AttributeName": "v"}, "Dimensions": 3, "DistanceFunction": "COSINE",
		"Projection": object{"ProjectionType": "ALL"},
	}
	delete(vector, pick(g, "IndexName", "VectorAttribute", "Dimensions", "DistanceFunction", "Projection"))
	switch g.IntN(3) {
	case 0:
		return &Request{Op: "CreateTable", Body: object{
			"TableName": fmt.Sprintf("t%d.%d-vector", g.episode, g.made), "BillingMode": "PAY_PER_REQUEST", "KeySchema": keySchema("pk", ""),
			"AttributeDefinitions": list{object{"AttributeName": "pk", "AttributeType": "S"}}, "VectorIndexes": list{vector},
		}}
	case 1:
		return &Request{Op: "UpdateTable", Body: object{
			"TableName": g.table().name, "VectorIndexUpdates": list{pick(g, object{"Create": vector}, object{"Delete": object{"IndexName": "vix"}})},
		}}
	}
	body := object{"TableName": g.table().name, "IndexName": "vix", "SearchVector": list{n("1"), n("0.5"), n("-1")}, "TopK": pick(g, 1, 10, 0, 101)}
	if g.chance(40) {
		delete(body, pick(g, "TableName", "IndexName", "SearchVector", "TopK"))
	}
	return &Request{Op: "SearchVectors", Body: body}
}

// emptyIndexKey puts an empty value, or one of another type, into the key of an index
// within a transaction.
func (g *gen) emptyIndexKey() *Request {
	t, x, ok := g.indexed()
	if !ok {
		return g.transactWrite()
	}
	a := x.hash
	if x.local || x.rng != "" && g.chance(50) {
		a = x.rng
	}
	bad := pick(g, s(""), b(""), object{t.typeOf(a): ""}, n("1"), object{"L": list{}}, object{"NULL": true})
	it := g.key(t)
	var action object
	if g.chance(50) {
		it[a] = bad
		action = object{"Put": object{"TableName": t.name, "Item": it}}
	} else {
		action = object{"Update": object{"TableName": t.name, "Key": it, "UpdateExpression": "SET " + a + " = :v", "ExpressionAttributeValues": object{":v": bad}}}
	}
	actions := list{action}
	if g.chance(40) {
		u := g.table()
		check := object{"ConditionCheck": object{"TableName": u.name, "Key": g.key(u), "ConditionExpression": "attribute_exists(pk)"}}
		actions = pick(g, list{check, action}, list{action, check})
	}
	return &Request{Op: "TransactWriteItems", Body: object{"TransactItems": actions}}
}
