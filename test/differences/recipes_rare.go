package differences

import (
	"fmt"
	"slices"
	"strings"
)

// rareRecipes aim at errors that the other recipes meet seldom, a few each.
var rareRecipes = []recipe{
	{"A.5 seldom", 0, func(g *gen) *Request {
		if g.chance(20) {
			return set((*gen).plainScan, "Limit", true)(g)
		}
		if g.chance(20) {
			return &Request{Op: "BatchWriteItem", Body: object{"RequestItems": object{g.table().name: list{"x"}}}}
		}
		return g.write(object{"B": pick[any](g, 1, true, list{}, list{"YQ=="}, "YQ=", "abc", "YQ=a", "====")})
	}},
	{"A.6 seldom", 0, func(g *gen) *Request {
		switch g.IntN(4) {
		case 0:
			return set(pick(g, (*gen).plainPut, (*gen).plainDelete), "ReturnValuesOnConditionCheckFailure", pick(g, "x", "ALL_NEW"))(g)
		case 1:
			return set(pick(g, (*gen).plainQuery, (*gen).plainScan), "Select", pick(g, "x", "ALL"))(g)
		case 2:
			return &Request{Op: "ListTables", Body: object{"Limit": pick(g, 101, 1000)}}
		}
		keys := list{}
		for range 101 {
			keys = append(keys, g.key(g.tables[0]))
		}
		return &Request{Op: "BatchGetItem", Body: object{"RequestItems": object{g.tables[0].name: object{"Keys": keys}}}}
	}},
	{"B.1 long name", 0, func(g *gen) *Request {
		return g.write(object{"M": object{strings.Repeat("n", 65535+g.IntN(2)): s("a")}})
	}},
	{"B.4 sizes", 0, func(g *gen) *Request {
		t := g.table()
		k := g.key(t)
		name, length := t.hash, 2049
		if t.rng != "" && g.chance(70) {
			name, length = t.rng, 1025
		}
		switch t.types[name] {
		case "S":
			k[name] = s(strings.Repeat("x", length))
		case "B":
			k[name] = b(strings.Repeat("x", length))
		default:
			delete(k, name)
			return &Request{Op: "PutItem", Body: object{"TableName": t.name, "Item": k}}
		}
		return pick(g, &Request{Op: "PutItem", Body: object{"TableName": t.name, "Item": k}}, &Request{Op: "GetItem", Body: object{"TableName": t.name, "Key": k}})
	}},
	{"D.5 seldom", Transactions, func(g *gen) *Request {
		t := g.tables[0]
		actions := list{object{"Delete": object{"TableName": t.name, "Key": g.key(t)}}}
		if g.chance(20) {
			return &Request{Op: "TransactWriteItems", Body: object{"TransactItems": slices.Repeat(actions, 101)}}
		}
		return &Request{Op: "TransactWriteItems", Body: object{"ClientRequestToken": fmt.Sprintf("seldom-%d", g.episode), "TransactItems": actions}}
	}},
	{"D.7 seldom", 0, keyConditions(":p = :q", "begins_with(:s, :t)", ":s BETWEEN :s AND :t", "pk = :p AND :s < :t", "pk = :p AND foo(sk)", "foo(pk)")},
	{"D.7 seldom, older", Legacy, func(g *gen) *Request {
		t := g.table()
		conditions := object{"pk": object{"ComparisonOperator": "EQ", "AttributeValueList": list{g.keyValue(t.types["pk"])}}}
		r := &Request{Op: "Query", Body: object{"TableName": t.name, "KeyConditions": conditions}}
		if g.chance(50) {
			conditions["sk"] = object{"ComparisonOperator": "BETWEEN", "AttributeValueList": pick(g, list{n("2"), n("1")}, list{s("b"), s("a")})}
			return r
		}
		r.Body["QueryFilter"] = object{"pk": object{"ComparisonOperator": "NOT_NULL"}}
		return r
	}},
	{"D.9 seldom", 0, func(g *gen) *Request {
		r := g.newTable()
		switch g.IntN(7) {
		case 0:
			delete(r.Body, "BillingMode")
		case 1:
			r.Body["AttributeDefinitions"] = definitions("pk", "a")
		case 2:
			r.Body["AttributeDefinitions"] = definitions("pk", "pk")
		case 3:
			r.Body["KeySchema"] = keySchema("pk", "pk")
		case 4:
			r.Body["StreamSpecification"] = object{"StreamEnabled": true}
		case 5:
			r.Body["StreamSpecification"] = object{"StreamEnabled": false, "StreamViewType": "KEYS_ONLY"}
		default:
			r.Body["OnDemandThroughput"] = object{"MaxReadRequestUnits": pick(g, 0, -2, -5)}
		}
		return r
	}},
	{"D.10 seldom", 0, func(g *gen) *Request {
		r := g.anyUpdateTable()
		if g.chance(30) {
			r.Body["BillingMode"] = "PROVISIONED"
			return r
		}
		if g.chance(30) && g.features.has(Streams) {
			r.Body["StreamSpecification"] = object{"StreamEnabled": false, "StreamViewType": "KEYS_ONLY"}
			return r
		}
		for _, t := range g.tables {
			if t.units != nil {
				r.Body["TableName"], r.Body["ProvisionedThroughput"] = t.name, t.units
				return r
			}
		}
		return &Request{Op: "DeleteTable", Body: object{"TableName": "protected"}}
	}},
	{"D.9 hash is range", 0, func(g *gen) *Request { return set((*gen).newTable, "KeySchema", keySchema("pk", "pk"))(g) }},
	{"D.9 units of indexes", Indexes, func(g *gen) *Request {
		r := g.newTable()
		r.Body["AttributeDefinitions"] = pick(g, definitions("pk", "x"), definitions("pk", "x"), definitions("pk", "x", "y"))
		x := index{name: "i-one", hash: "x", project: "ALL"}.create()
		r.Body["GlobalSecondaryIndexes"] = list{x}
		if g.chance(50) {
			x["ProvisionedThroughput"] = units
		} else {
			r.Body["BillingMode"], r.Body["ProvisionedThroughput"] = "PROVISIONED", units
		}
		return r
	}},
	{"D.10 protected", 0, func(g *gen) *Request {
		if g.chance(50) {
			return &Request{Op: "DeleteTable", Body: object{"TableName": "protected"}}
		}
		r := g.newTable()
		r.Body["TableName"], r.Body["DeletionProtectionEnabled"] = "protected", true
		return r
	}},
	{"D.12 seldom", TTL, func(g *gen) *Request {
		return &Request{Op: "UpdateTimeToLive", Body: object{"TableName": g.tables[1].name, "TimeToLiveSpecification": object{"Enabled": true, "AttributeName": pick(g, "expires", "n")}}}
	}},
	{"D.17 seldom", Legacy, func(g *gen) *Request {
		switch g.IntN(3) {
		case 0:
			r := g.plainUpdate()
			r.Body["AttributeUpdates"] = object{"a": object{"Action": pick(g, "ADD", "PUT")}}
			return r
		case 1:
			return set((*gen).plainPut, "ConditionalOperator", pick(g, "AND", "OR"))(g)
		}
		r := g.plainPut()
		r.Body["Expected"] = object{"a": pick(g,
			object{"Exists": false, "Value": s("a")},
			object{"Value": s("a"), "AttributeValueList": list{s("a")}, "ComparisonOperator": "EQ"},
			object{"ComparisonOperator": "IN", "AttributeValueList": list{s("a"), n("1")}},
			object{"ComparisonOperator": "LT", "AttributeValueList": list{object{"SS": list{"a"}}}})}
		return r
	}},
	{"D.17 run-time type", Legacy, func(g *gen) *Request {
		t := g.table()
		action := pick(g, object{"Action": "ADD", "Value": n("1")}, object{"Action": "DELETE", "Value": object{"BS": list{"YQ=="}}})
		return &Request{Op: "UpdateItem", Body: object{"TableName": t.name, "Key": g.key(t), "AttributeUpdates": object{"s": action, "m": action, "l": action, "ss": action, "bin": action}}}
	}},
	{"D.17 run-time type", Legacy, func(g *gen) *Request {
		r := g.plainUpdate()
		action := pick(g, object{"Action": "ADD", "Value": n("1")}, object{"Action": "DELETE", "Value": object{"SS": list{"a"}}})
		r.Body["AttributeUpdates"] = object{"s": action, "m": action, pick(g, "l", "bin", "flag"): action}
		return r
	}},
	{"D.9 seldom, indexes", Indexes, func(g *gen) *Request {
		r := g.newRangeTable()
		r.Body["AttributeDefinitions"] = definitions("pk", "sk", "x")
		x := object{"IndexName": "i-one", "KeySchema": keySchema("x", ""), "Projection": pick(g, object{}, object{"ProjectionType": "x"}, object{"ProjectionType": "INCLUDE"},
			object{"ProjectionType": "ALL", "NonKeyAttributes": list{"a"}}, object{"ProjectionType": "INCLUDE", "NonKeyAttributes": list{"a", "a"}})}
		r.Body["GlobalSecondaryIndexes"] = list{x}
		return r
	}},
	{"D.9 seldom, keys of indexes", Indexes, func(g *gen) *Request {
		r := g.newRangeTable()
		keys := func(types string, attributes ...string) list {
			out := list{}
			for i, a := range attributes {
				out = append(out, object{"AttributeName": a, "KeyType": map[byte]string{'H': "HASH", 'R': "RANGE"}[types[i]]})
			}
			return out
		}
		schema := pick(g, keys("HRH", "x", "y", "z"), keys("HHHHH", "x", "y", "z", "u", "v"), keys("HHR", "x", "y", "x"), keys("HHR", "x", "y", "z"))
		used := []string{"pk", "sk"}
		for _, e := range schema {
			if a := e.(object)["AttributeName"].(string); !slices.Contains(used, a) {
				used = append(used, a)
			}
		}
		r.Body["AttributeDefinitions"] = definitions(used...)
		r.Body["GlobalSecondaryIndexes"] = list{object{"IndexName": "i-one", "KeySchema": schema, "Projection": object{"ProjectionType": "ALL"}}}
		return r
	}},
	{"D.9 seldom, local", Indexes, func(g *gen) *Request {
		r := g.newRangeTable()
		x := object{"IndexName": "i-one", "KeySchema": keySchema("pk", "x"), "Projection": object{"ProjectionType": "ALL"}}
		r.Body["LocalSecondaryIndexes"] = list{x}
		switch g.IntN(3) {
		case 0:
			r.Body["KeySchema"], r.Body["AttributeDefinitions"] = keySchema("pk", ""), definitions("pk", "x")
		case 1:
			x["KeySchema"] = keySchema("pk", "")
		default:
			x["KeySchema"], r.Body["AttributeDefinitions"] = keySchema("x", "y"), definitions("pk", "sk", "x", "y")
		}
		return r
	}},
	{"D.9 seldom, many", Indexes, func(g *gen) *Request {
		r := g.newRangeTable()
		r.Body["AttributeDefinitions"] = definitions("pk", "sk", "x")
		each := object{"KeySchema": keySchema("pk", "x"), "Projection": object{"ProjectionType": "ALL"}}
		member, count := pick(g, "GlobalSecondaryIndexes", "LocalSecondaryIndexes"), 6
		if member == "GlobalSecondaryIndexes" {
			count = 21
		}
		many := list{}
		for i := range count {
			many = append(many, with(each, object{"IndexName": "many-" + strings.Repeat("i", i)}))
		}
		r.Body[member] = many
		return r
	}},
	{"D.10 seldom, indexes", Indexes, func(g *gen) *Request {
		create := func(name string) object {
			return object{"Create": index{name: name, hash: "x", project: "ALL"}.create()}
		}
		r := &Request{Op: "UpdateTable", Body: object{"TableName": "no-such-table", "AttributeDefinitions": definitions("x"), "GlobalSecondaryIndexUpdates": list{create("i-one")}}}
		switch g.IntN(4) {
		case 0:
			r.Body["ProvisionedThroughput"] = units
			return r
		case 1:
			r.Body["StreamSpecification"] = object{"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"}
			return r
		case 2:
			r.Body["TableName"], r.Body["GlobalSecondaryIndexUpdates"] = g.table().name, list{create("i-one"), create("i-two")}
			return r
		}
		for _, t := range g.tables {
			for _, x := range t.indexes {
				if !x.local {
					r.Body["TableName"], r.Body["GlobalSecondaryIndexUpdates"] = t.name, list{create(x.name)}
					return r
				}
			}
		}
		return g.anyUpdateTable()
	}},
	{"B.5 seldom, indexes", Indexes, func(g *gen) *Request {
		for _, t := range g.tables {
			for name, typ := range sortedTypes(t.indexKeys()) {
				if typ == "S" {
					return &Request{Op: "UpdateItem", Body: object{"TableName": t.name, "Key": g.key(t), "UpdateExpression": "SET " + name + " = :v",
						"ExpressionAttributeValues": object{":v": s(strings.Repeat("k", 2049))}}}
				}
			}
		}
		return g.plainUpdate()
	}},
	{"D.13 seldom", Tags, func(g *gen) *Request {
		switch g.IntN(5) {
		case 4:
			return &Request{Op: "TagResource", Body: object{"ResourceArn": ref("arn:no-such-table"), "Tags": list{object{"Key": "a", "Value": "b"}}}}
		case 3:
			return &Request{Op: "UntagResource", Body: object{"ResourceArn": ref("arn:" + g.tables[0].name), "TagKeys": list{}}}
		case 0:
			return &Request{Op: "ListTagsOfResource", Body: object{"ResourceArn": ref("arn:no-such-table")}}
		case 1:
			return &Request{Op: "ListTagsOfResource", Body: object{"ResourceArn": "arn:aws:s3:::bucket"}}
		}
		return &Request{Op: "TagResource", Body: object{"ResourceArn": ref("arn:" + g.tables[0].name), "Tags": pick(g, list{}, list{object{"Key": "aws:a", "Value": "b"}}, list{object{"Key": "a", "Value": "b"}, object{"Key": "a", "Value": "c"}}, list{object{"Key": "b", "Value": ""}, object{"Key": "b", "Value": ""}})}}
	}},
	{"D.14 seldom", PartiQL, func(g *gen) *Request {
		t := g.table()
		p, q := list{}, list{}
		one := object{"Statement": `SELECT * FROM "` + t.name + `" WHERE ` + g.whereKey(t, &p)}
		two := object{"Statement": `DELETE FROM "` + t.name + `" WHERE ` + g.whereKey(t, &q)}
		if len(p) > 0 {
			one["Parameters"] = p
		}
		if len(q) > 0 {
			two["Parameters"] = q
		}
		switch g.IntN(5) {
		case 4:
			return &Request{Op: "BatchExecuteStatement", Body: object{"Statements": list{one, two}}}
		case 0:
			return &Request{Op: "ExecuteTransaction", Body: object{"TransactStatements": list{one, two}}}
		case 1:
			return &Request{Op: "ExecuteTransaction", Body: object{"TransactStatements": list{two, two}}}
		case 2:
			return &Request{Op: "BatchExecuteStatement", Body: object{"Statements": list{two, two}}}
		}
		return &Request{Op: "ExecuteStatement", Body: object{"Statement": `SELECT * FROM "` + t.name + `"`, "NextToken": "x"}}
	}},
	{"D.14 duplicate", PartiQL, func(g *gen) *Request {
		t := g.table()
		parts := []string{}
		p := list{}
		k := g.key(t)
		for _, name := range names(k) {
			parts = append(parts, "'"+name+"': "+g.literal(k[name].(object), &p))
		}
		r := &Request{Op: "ExecuteStatement", Body: object{"Statement": `INSERT INTO "` + t.name + `" VALUE {` + strings.Join(parts, ", ") + "}"}}
		if len(p) > 0 {
			r.Body["Parameters"] = p
		}
		return r
	}},
}
