package differences

import (
	"fmt"
	"slices"
	"strings"
)

// newTable makes a CreateTable that is right, with a name of its own.
func (g *gen) newTable() *Request {
	g.made++
	return &Request{Op: "CreateTable", Body: object{
		"TableName":            fmt.Sprintf("x%d.%d", g.episode, g.made),
		"KeySchema":            keySchema("pk", ""),
		"AttributeDefinitions": definitions("pk"),
		"BillingMode":          "PAY_PER_REQUEST",
	}}
}

func (g *gen) newRangeTable() *Request {
	r := g.newTable()
	r.Body["KeySchema"], r.Body["AttributeDefinitions"] = keySchema("pk", "sk"), definitions("pk", "sk")
	return r
}

func definitions(attributes ...string) list {
	out := list{}
	for _, a := range attributes {
		out = append(out, object{"AttributeName": a, "AttributeType": "S"})
	}
	return out
}

var units = object{"ReadCapacityUnits": 2, "WriteCapacityUnits": 3}

func (g *gen) anyUpdateTable() *Request {
	return &Request{Op: "UpdateTable", Body: object{"TableName": g.table().name}}
}

func (g *gen) startKey() object {
	t := g.table()
	return pick(g, g.key(t), g.badKey(t), object{"pk": s("a")}, object{"pk": n("abc")}, object{"a": s("a")})
}

var operationRecipes = []recipe{
	{"D.1 missing table", 0, func(g *gen) *Request { return set((*gen).anyPlain, "TableName", "no-such-table")(g) }},
	{"D.1 missing table", 0, func(g *gen) *Request {
		return &Request{Op: pick(g, "DescribeTable", "DeleteTable", "UpdateTable"), Body: object{"TableName": "no-such-table", "BillingMode": "PAY_PER_REQUEST"}}
	}},
	{"D.1 condition", 0, conditions("attribute_exists(missing)", "missing = :v", "a < missing")},
	{"D.2 ReturnValues", 0, func(g *gen) *Request {
		return set(pick(g, (*gen).plainPut, (*gen).plainDelete), "ReturnValues", pick(g, "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"))(g)
	}},
	{"D.3 required", 0, func(g *gen) *Request {
		return &Request{Op: pick(g, "BatchGetItem", "BatchWriteItem"), Body: object{"RequestItems": object{}}}
	}},
	{"D.3 no keys", 0, func(g *gen) *Request {
		return &Request{Op: "BatchGetItem", Body: object{"RequestItems": object{g.table().name: pick(g, object{"Keys": list{}}, object{}, object{"ConsistentRead": true})}}}
	}},
	{"D.3 too many", 0, func(g *gen) *Request {
		tables, each := object{}, pick(g, 51, 60, 101, 100)
		for _, t := range g.tables[:1+g.IntN(2)] {
			keys := list{}
			for i := range each {
				k := g.key(t)
				switch t.types["pk"] {
				case "N":
					k["pk"] = n(fmt.Sprint(i))
				case "B":
					k["pk"] = b(fmt.Sprint(i))
				default:
					k["pk"] = s(fmt.Sprint(i))
				}
				keys = append(keys, k)
			}
			tables[t.name] = object{"Keys": keys}
		}
		return &Request{Op: "BatchGetItem", Body: object{"RequestItems": tables}}
	}},
	{"D.3 duplicates", 0, func(g *gen) *Request {
		t := g.table()
		k := g.key(t)
		other := copyTree(k).(object)
		if t.types["pk"] == "N" && g.chance(50) {
			k["pk"], other["pk"] = n("1"), n(pick(g, "1.0", "1e0", "01"))
		}
		return &Request{Op: "BatchGetItem", Body: object{"RequestItems": object{t.name: object{"Keys": list{k, other}}}}}
	}},
	{"D.3 mixed", 0, func(g *gen) *Request {
		part := object{"Keys": list{g.key(g.tables[0])}, "AttributesToGet": list{"a"}}
		if g.chance(50) {
			part["ProjectionExpression"] = "a"
		}
		return &Request{Op: "BatchGetItem", Body: object{"RequestItems": object{g.tables[0].name: part, g.tables[1].name: object{"Keys": list{g.key(g.tables[1])}, "ProjectionExpression": "a"}}}}
	}},
	{"D.4 too many", 0, func(g *gen) *Request {
		tables := object{}
		for _, t := range g.tables {
			writes := list{}
			for i := range 8 + g.IntN(3) {
				k := g.key(t)
				switch t.types["pk"] {
				case "N":
					k["pk"] = n(fmt.Sprint(i))
				case "B":
					k["pk"] = b(fmt.Sprint(i))
				default:
					k["pk"] = s(fmt.Sprint(i))
				}
				writes = append(writes, object{"DeleteRequest": object{"Key": k}})
			}
			tables[t.name] = writes
		}
		return &Request{Op: "BatchWriteItem", Body: object{"RequestItems": tables}}
	}},
	{"D.4 duplicates", 0, func(g *gen) *Request {
		t := g.table()
		k := g.key(t)
		other := copyTree(k).(object)
		if t.types["pk"] == "N" {
			k["pk"], other["pk"] = n("1"), n(pick(g, "1.0", "1e0", "01"))
		}
		return &Request{Op: "BatchWriteItem", Body: object{"RequestItems": object{t.name: list{object{"PutRequest": object{"Item": k}}, pick(g, object{"PutRequest": object{"Item": other}}, object{"DeleteRequest": object{"Key": other}})}}}}
	}},
	{"D.4 both or none", 0, func(g *gen) *Request {
		t := g.table()
		k := g.key(t)
		return &Request{Op: "BatchWriteItem", Body: object{"RequestItems": object{t.name: list{pick(g, object{}, object{"PutRequest": object{"Item": k}, "DeleteRequest": object{"Key": k}}, object{"PutRequest": object{}}, object{"DeleteRequest": object{}}, nil)}}}}
	}},
	{"D.7 key condition required", 0, without((*gen).plainQuery, "KeyConditionExpression")},
	{"D.7 key condition required", 0, func(g *gen) *Request {
		r := g.plainQuery()
		delete(r.Body, "KeyConditionExpression")
		delete(r.Body, "ExpressionAttributeValues")
		return r
	}},
	{"D.7 operator", 0, keyConditions("pk = :p OR sk = :r", "NOT pk = :p", "pk IN (:p)", "pk <> :p", "attribute_exists(pk)", "pk = :p AND contains(sk, :s)", "pk = :p AND attribute_not_exists(sk)", "pk = :p AND sk IN (:r)", "pk = :p AND sk <> :r", "pk = :p AND NOT sk = :r", "pk = :p AND attribute_type(sk, :s)")},
	{"D.7 nested", 0, keyConditions("pk.a = :p", "pk = :p AND sk.a = :r", "pk[0] = :p", "pk = :p AND sk[1] < :r", "pk = :p AND begins_with(sk.a, :s)")},
	{"D.7 nested operation", 0, keyConditions("size(pk) = :n", "pk = :p AND size(sk) > :n", "pk = size(:s)", "size(pk) BETWEEN :n AND :n")},
	{"D.7 one condition per key", 0, keyConditions("pk = :p AND pk = :q", "sk = :r AND sk = :u", "pk = :p AND pk > :q")},
	{"D.7 names in a condition", 0, keyConditions("pk = sk", "pk = a AND sk = :r", ":p = :q", "pk = :p AND :r = :u", ":p BETWEEN pk AND :q", "begins_with(:s, pk)", "pk = :p AND :r BETWEEN sk AND :u", "pk = :p AND begins_with(:s, sk)", "pk = :p AND sk BETWEEN a AND :r", "begins_with(:s, :t)", ":p BETWEEN :p AND :q", "pk = :p AND begins_with(sk, a)", "pk = :p AND sk > a")},
	{"D.7 three conditions", 0, keyConditions("pk = :p AND sk = :r AND a = :s", "pk = :p AND sk > :r AND sk < :u", "pk = :p AND a = :s AND b = :t")},
	{"D.7 three conditions", Legacy, func(g *gen) *Request { // or none
		return &Request{Op: "Query", Body: object{"TableName": g.table().name, "KeyConditions": object{}}}
	}},
	{"D.7 missed key", 0, keyConditions("a = :s", "sk = :r", "pk = :p AND a = :s", "a = :s AND b = :t", "sk > :r")},
	{"D.7 not supported", 0, keyConditions("pk > :p", "pk BETWEEN :p AND :q", "begins_with(pk, :p)", "pk < :p AND sk = :r", "pk = :p AND a = :s")},
	{"D.7 key type", 0, keyConditions("pk = :bool", "pk = :ss", "pk = :n", "pk = :s", "pk = :p AND sk = :s", "pk = :p AND sk > :n", "pk = :p AND begins_with(sk, :n)", "pk = :p AND begins_with(sk, :s)", "pk = :p AND sk BETWEEN :n AND :s", "pk = :p AND sk = :ss")},
	{"D.7 key values", 0, keyConditions("pk = :p AND sk BETWEEN :r AND :u", "pk = :p AND sk BETWEEN :t AND :s", "(pk = :p) AND (sk = :r)", "(pk = :p AND sk = :r)", "((pk = :p))", ":p = pk AND :r < sk")},
	{"D.7 filter on key", 0, func(g *gen) *Request {
		r := g.plainQuery()
		r.Body["FilterExpression"] = pick(g, "attribute_exists(pk)", "attribute_exists(sk)", "a = b AND pk <> a", "size(sk) > size(a)", "sk.a = b")
		return r
	}},
	{"D.7 unknown index", 0, func(g *gen) *Request {
		return set(pick(g, (*gen).plainQuery, (*gen).plainScan), "IndexName", "no-such-index")(g)
	}},
	{"D.7 Select", 0, func(g *gen) *Request {
		r := pick(g, (*gen).plainQuery, (*gen).plainScan)(g)
		r.Body["Select"] = pick(g, "COUNT", "ALL_ATTRIBUTES", "SPECIFIC_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES")
		if g.chance(60) {
			r.Body["ProjectionExpression"] = "a"
		}
		return r
	}},
	{"D.7 start key", 0, func(g *gen) *Request {
		r := g.plainQuery()
		r.Body["ExclusiveStartKey"] = g.startKey()
		return r
	}},
	{"D.7 start key", 0, func(g *gen) *Request {
		t := g.table()
		p := g.keyValue(t.types["pk"])
		r := &Request{Op: "Query", Body: object{"TableName": t.name, "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": object{":p": p}}}
		k := g.key(t)
		if g.chance(60) {
			k["pk"] = p
		}
		if t.rng != "" && g.chance(70) {
			r.Body["KeyConditionExpression"] = "pk = :p AND sk " + pick(g, "=", "<", ">", ">=", "<=") + " :r"
			r.Body["ExpressionAttributeValues"].(object)[":r"] = g.keyValue(t.types["sk"])
		}
		r.Body["ExclusiveStartKey"] = k
		return r
	}},
	{"D.8 start key", 0, func(g *gen) *Request {
		r := g.plainScan()
		r.Body["ExclusiveStartKey"] = g.startKey()
		r.Body["Limit"] = 1 // where a valid one starts is the server's own
		r.Body["Select"] = "COUNT"
		r.Body["FilterExpression"] = "attribute_exists(missing)"
		return r
	}},
	{"D.7 start key value", 0, func(g *gen) *Request {
		r := g.plainQuery()
		r.Body["ExclusiveStartKey"] = object{"pk": pick(g, object{}, object{"S": "a", "N": "1"}), "sk": object{"S": "a"}}
		return r
	}},
	{"D.8 segments", 0, func(g *gen) *Request {
		r := g.plainScan()
		switch g.IntN(4) {
		case 0:
			r.Body["Segment"] = 0
		case 1:
			r.Body["TotalSegments"] = 3
		default:
			total := 1 + g.IntN(4)
			r.Body["TotalSegments"], r.Body["Segment"] = total, total+g.IntN(3)
		}
		return r
	}},
}

// createRecipes change one thing of a CreateTable.
var createRecipes = []recipe{
	{"D.9 exists", 0, func(g *gen) *Request { return set((*gen).newTable, "TableName", g.table().name)(g) }},
	{"D.9 units", 0, func(g *gen) *Request {
		r := g.newTable()
		r.Body["BillingMode"] = pick(g, "PROVISIONED", "PAY_PER_REQUEST")
		if g.chance(30) {
			delete(r.Body, "BillingMode")
		}
		if g.chance(60) {
			r.Body["ProvisionedThroughput"] = pick[any](g, units, object{"ReadCapacityUnits": 1}, object{"WriteCapacityUnits": 1}, object{}, object{"ReadCapacityUnits": 0, "WriteCapacityUnits": 1}, object{"ReadCapacityUnits": -1, "WriteCapacityUnits": 0}, object{"ReadCapacityUnits": 1000000000001, "WriteCapacityUnits": 1}, object{"ReadCapacityUnits": 1, "WriteCapacityUnits": 2000000000000})
		}
		return r
	}},
	{"D.9 definitions", 0, func(g *gen) *Request {
		r := pick(g, (*gen).newTable, (*gen).newRangeTable)(g)
		r.Body["AttributeDefinitions"] = pick(g, list{}, definitions("pk"), definitions("sk"), definitions("a"), definitions("pk", "a"), definitions("a", "b"), definitions("pk", "sk", "a"), definitions("pk", "pk"), definitions("pk", "sk", "sk"), definitions("sk", "pk"))
		return r
	}},
	{"D.9 key schema", 0, func(g *gen) *Request {
		r := pick(g, (*gen).newTable, (*gen).newRangeTable)(g)
		hash, rng := object{"AttributeName": "pk", "KeyType": "HASH"}, object{"AttributeName": "sk", "KeyType": "RANGE"}
		r.Body["KeySchema"] = pick(g, list{rng}, list{rng, hash}, list{hash, hash}, list{hash, object{"AttributeName": "sk", "KeyType": "HASH"}}, list{hash, object{"AttributeName": "pk", "KeyType": "RANGE"}}, list{hash, rng, rng}, list{}, list{object{"AttributeName": "pk"}}, list{object{"KeyType": "HASH"}}, list{object{}}, list{object{"AttributeName": strings300, "KeyType": "HASH"}}, list{object{"AttributeName": "", "KeyType": "HASH"}}, list{rng, rng})
		return r
	}},
	{"D.9 key types", 0, func(g *gen) *Request {
		r := g.newRangeTable()
		hash, rng := object{"AttributeName": "pk", "KeyType": "HASH"}, object{"AttributeName": "sk", "KeyType": "RANGE"}
		r.Body["KeySchema"] = pick(g, list{rng, hash}, list{hash, object{"AttributeName": "sk", "KeyType": "HASH"}}, list{object{"AttributeName": "pk", "KeyType": "RANGE"}, rng})
		return r
	}},
	{"D.9 units bound", 0, func(g *gen) *Request {
		r := g.newTable()
		r.Body["BillingMode"], r.Body["ProvisionedThroughput"] = "PROVISIONED", pick(g, object{"ReadCapacityUnits": 1000000000001, "WriteCapacityUnits": 1}, object{"ReadCapacityUnits": 5000000000000, "WriteCapacityUnits": 1})
		return r
	}},
	{"D.9 streams", 0, func(g *gen) *Request {
		r := g.newTable()
		r.Body["StreamSpecification"] = pick(g, object{"StreamEnabled": true}, object{"StreamEnabled": false, "StreamViewType": "KEYS_ONLY"}, object{}, object{"StreamViewType": "KEYS_ONLY"}, object{"StreamEnabled": false}, object{"StreamEnabled": true, "StreamViewType": "OLD_IMAGE"})
		return r
	}},
	{"D.9 on-demand", 0, func(g *gen) *Request {
		r := g.newTable()
		r.Body["OnDemandThroughput"] = pick(g, object{"MaxReadRequestUnits": 1}, object{"MaxReadRequestUnits": 0}, object{"MaxReadRequestUnits": -1}, object{"MaxWriteRequestUnits": 5, "MaxReadRequestUnits": 1000000000001}, object{"MaxReadRequestUnits": -2})
		if g.chance(50) {
			r.Body["BillingMode"], r.Body["ProvisionedThroughput"] = "PROVISIONED", units
		}
		return r
	}},
	{"D.9 empty indexes", 0, func(g *gen) *Request {
		r := pick(g, (*gen).newTable, (*gen).newRangeTable)(g)
		r.Body[pick(g, "GlobalSecondaryIndexes", "LocalSecondaryIndexes")] = list{}
		return r
	}},
	{"D.9 others", 0, func(g *gen) *Request {
		r := g.newTable()
		switch g.IntN(3) {
		case 0:
			r.Body["TableClass"] = pick(g, "STANDARD", "STANDARD_INFREQUENT_ACCESS")
		case 1:
			r.Body["DeletionProtectionEnabled"] = pick[any](g, true, false)
		default:
			r.Body["SSESpecification"] = pick(g, object{"Enabled": false}, object{"Enabled": true}, object{})
		}
		return r
	}},
}

var updateRecipes = []recipe{
	{"D.10 empty update", 0, func(g *gen) *Request {
		r := g.anyUpdateTable()
		if g.chance(50) {
			maps := pick(g, object{"AttributeDefinitions": definitions("pk")}, object{"GlobalSecondaryIndexUpdates": list{}}, object{"AttributeDefinitions": list{}})
			for name, v := range maps {
				r.Body[name] = v
			}
		}
		return r
	}},
	{"D.10 protected", 0, func(g *gen) *Request {
		name := fmt.Sprintf("p%d", g.episode)
		if g.chance(60) {
			return &Request{Op: "DeleteTable", Body: object{"TableName": name}}
		}
		r := g.newTable()
		r.Body["TableName"], r.Body["DeletionProtectionEnabled"] = name, true
		return r
	}},
	{"D.10 same units", 0, func(g *gen) *Request {
		name := fmt.Sprintf("u%d", g.episode)
		if g.chance(70) {
			return &Request{Op: "UpdateTable", Body: object{"TableName": name, "ProvisionedThroughput": units}}
		}
		r := g.newTable()
		r.Body["TableName"], r.Body["BillingMode"], r.Body["ProvisionedThroughput"] = name, "PROVISIONED", units
		return r
	}},
	{"D.10 protected", 0, func(g *gen) *Request {
		return &Request{Op: "DeleteTable", Body: object{"TableName": fmt.Sprintf("p%d", g.episode)}}
	}},
	{"D.10 same units", 0, func(g *gen) *Request {
		return &Request{Op: "UpdateTable", Body: object{"TableName": fmt.Sprintf("u%d", g.episode), "ProvisionedThroughput": units}}
	}},
	{"D.10 index actions", 0, func(g *gen) *Request {
		r := g.anyUpdateTable()
		r.Body["GlobalSecondaryIndexUpdates"] = pick(g, list{object{}}, list{object{"Delete": object{"IndexName": "no-such-index"}, "Update": object{"IndexName": "no-such-index", "ProvisionedThroughput": units}}})
		return r
	}},
	{"D.10 only operation", 0, func(g *gen) *Request {
		r := g.anyUpdateTable()
		r.Body["BillingMode"] = "PAY_PER_REQUEST"
		switch g.IntN(3) {
		case 0:
			r.Body["DeletionProtectionEnabled"] = true
		case 1:
			r.Body["TableClass"] = "STANDARD"
		default:
			r.Body["SSESpecification"] = object{"Enabled": true}
		}
		return r
	}},
	{"D.10 stream and units", 0, func(g *gen) *Request {
		r := g.anyUpdateTable()
		r.Body["ProvisionedThroughput"] = units
		r.Body["StreamSpecification"] = object{"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"}
		if g.chance(40) {
			r.Body["BillingMode"] = "PROVISIONED"
		}
		return r
	}},
	{"D.10 on-demand combined", 0, func(g *gen) *Request {
		r := g.anyUpdateTable()
		r.Body["OnDemandThroughput"] = object{"MaxReadRequestUnits": 5}
		r.Body[pick(g, "ProvisionedThroughput", "StreamSpecification", "DeletionProtectionEnabled")] = pick[any](g, units)
		if r.Body["ProvisionedThroughput"] == nil {
			r.Body["StreamSpecification"] = object{"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"}
			delete(r.Body, "DeletionProtectionEnabled")
		}
		return r
	}},
	{"D.10 streams", Streams, func(g *gen) *Request {
		r := g.anyUpdateTable()
		r.Body["StreamSpecification"] = pick(g, object{"StreamEnabled": true}, object{"StreamEnabled": false, "StreamViewType": "KEYS_ONLY"}, object{"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"}, object{"StreamEnabled": false}, object{})
		return r
	}},
	{"D.10 units", 0, func(g *gen) *Request {
		r := g.anyUpdateTable()
		if g.chance(60) {
			r.Body["BillingMode"] = pick(g, "PROVISIONED", "PROVISIONED", "PAY_PER_REQUEST")
		}
		if g.chance(60) {
			r.Body["ProvisionedThroughput"] = pick(g, units, units, object{"ReadCapacityUnits": 1}, object{"ReadCapacityUnits": 0, "WriteCapacityUnits": 1}, object{})
		}
		return r
	}},
	{"D.10 index actions", 0, func(g *gen) *Request {
		r := g.anyUpdateTable()
		drop := object{"Delete": object{"IndexName": "no-such-index"}}
		grow := object{"Update": object{"IndexName": "no-such-index", "ProvisionedThroughput": units}}
		both := object{"Delete": object{"IndexName": "no-such-index"}, "Update": object{"IndexName": "no-such-index", "ProvisionedThroughput": units}}
		r.Body["GlobalSecondaryIndexUpdates"] = pick(g, list{object{}}, list{both}, list{grow, grow}, list{drop, grow}, list{drop, drop}, list{object{"Delete": object{}}}, list{object{"Update": object{"IndexName": "x"}}})
		return r
	}},
}

var indexRecipes = []recipe{
	{"D.9 indexes", Indexes, func(g *gen) *Request {
		r := g.newRangeTable()
		r.Body["AttributeDefinitions"] = definitions("pk", "sk", "x")
		global := object{"IndexName": "i-one", "KeySchema": keySchema("x", ""), "Projection": object{"ProjectionType": "ALL"}}
		local := object{"IndexName": "i-two", "KeySchema": keySchema("pk", "x"), "Projection": object{"ProjectionType": "ALL"}}
		which := pick(g, global, local)
		switch g.IntN(14) {
		case 0:
			which["Projection"] = pick(g, object{}, object{"ProjectionType": "INCLUDE"}, object{"ProjectionType": "ALL", "NonKeyAttributes": list{"a"}}, object{"ProjectionType": "KEYS_ONLY", "NonKeyAttributes": list{"a"}},
				object{"ProjectionType": "INCLUDE", "NonKeyAttributes": list{"a", "a"}}, object{"ProjectionType": "INCLUDE", "NonKeyAttributes": list{}}, object{"ProjectionType": "x"}, object{"NonKeyAttributes": list{"a"}})
		case 1:
			local["KeySchema"] = pick(g, keySchema("pk", ""), keySchema("x", "sk"), keySchema("x", ""))
			which = local
		case 2:
			r.Body["KeySchema"] = keySchema("pk", "")
			which = local
		case 3:
			global["IndexName"] = "i-two"
			r.Body["GlobalSecondaryIndexes"] = list{global}
			which = local
		case 4:
			r.Body["GlobalSecondaryIndexes"] = list{global, global}
		case 5:
			r.Body["BillingMode"], r.Body["ProvisionedThroughput"] = "PROVISIONED", units
			which = global
		case 6:
			global["ProvisionedThroughput"] = units
			which = global
		case 7:
			r.Body["AttributeDefinitions"] = pick(g, definitions("pk", "sk"), definitions("pk", "sk", "y"), definitions("pk", "sk", "x", "y"))
		case 8:
			many := list{}
			for i := range 6 {
				many = append(many, object{"IndexName": fmt.Sprintf("l-%d", i), "KeySchema": keySchema("pk", "x"), "Projection": object{"ProjectionType": "ALL"}})
			}
			r.Body["LocalSecondaryIndexes"] = many
			return r
		case 9:
			many := list{}
			for i := range 21 {
				many = append(many, object{"IndexName": fmt.Sprintf("g-%d", i), "KeySchema": keySchema("x", ""), "Projection": object{"ProjectionType": "ALL"}})
			}
			r.Body["GlobalSecondaryIndexes"] = many
			return r
		case 10:
			which["KeySchema"] = pick(g, list{}, keySchema("x", "x"), list{object{"AttributeName": "x", "KeyType": "RANGE"}}, list{object{"AttributeName": "x", "KeyType": "HASH"}, object{"AttributeName": "sk", "KeyType": "HASH"}})
		case 11:
			which["IndexName"] = pick[any](g, "", "ab", "!!!", strings300, nil)
		case 12:
			delete(which, pick(g, "KeySchema", "Projection", "IndexName"))
		}
		if _, isLocal := which["KeySchema"].(list); isLocal && which["IndexName"] == "i-two" {
			r.Body["LocalSecondaryIndexes"] = list{which}
		} else if r.Body["GlobalSecondaryIndexes"] == nil {
			r.Body["GlobalSecondaryIndexes"] = list{which}
		}
		return r
	}},
	{"B.5 index keys", Indexes, func(g *gen) *Request {
		for _, t := range g.tables {
			if len(t.indexes) == 0 {
				continue
			}
			for name, typ := range sortedTypes(t.indexKeys()) {
				wrong := pick(g, n("1"), s("a"), s(""), b(""), object{"BOOL": true}, s(strings.Repeat("k", 2049)), object{typ: ""})
				if g.chance(50) {
					it := g.key(t)
					it[name] = wrong
					return &Request{Op: "PutItem", Body: object{"TableName": t.name, "Item": it}}
				}
				return &Request{Op: "UpdateItem", Body: object{"TableName": t.name, "Key": g.key(t),
					"UpdateExpression": pick(g, "SET "+name+" = :v", "SET "+name+" = :v", "SET "+name+".a = :v"), "ExpressionAttributeValues": object{":v": wrong}}}
			}
		}
		return g.plainPut()
	}},
	{"D.7 indexes", Indexes, func(g *gen) *Request {
		for _, i := range g.Perm(len(g.tables)) {
			t := g.tables[i]
			if len(t.indexes) == 0 {
				continue
			}
			x := pick(g, t.indexes...)
			r := &Request{Op: "Scan", Body: object{"TableName": t.name, "IndexName": x.name}, Whole: allPages}
			if g.chance(70) {
				r = &Request{Op: "Query", Whole: allPages, Body: object{"TableName": t.name, "IndexName": x.name, "KeyConditionExpression": x.hash + " = :v", "ExpressionAttributeValues": object{":v": g.keyFor(t, x.hash)}}}
			}
			switch g.IntN(5) {
			case 0:
				r.Body["ConsistentRead"] = true
			case 1:
				r.Body["Select"] = "ALL_ATTRIBUTES"
			case 2:
				r.Body["ProjectionExpression"] = pick(g, "b", "a", "a, b", "pk", "m.a", "b.c")
			case 3:
				r.Body["FilterExpression"] = pick(g, "attribute_exists(b)", "attribute_exists(pk)", "attribute_exists(g1)", "attribute_exists(a)", "attribute_exists(l1)")
			default:
				r.Body["ExclusiveStartKey"] = pick(g, g.key(t), object{}, g.badKey(t), with(g.key(t), object{x.hash: g.keyFor(t, x.hash)}))
				r.Body["Select"], r.Body["FilterExpression"] = "COUNT", "attribute_exists(missing)"
			}
			return r
		}
		return g.plainScan()
	}},
}

var transactionRecipes = []recipe{
	{"D.5 shapes", Transactions, func(g *gen) *Request {
		t := g.table()
		k := g.key(t)
		del := object{"Delete": object{"TableName": t.name, "Key": k}}
		return &Request{Op: "TransactWriteItems", Body: object{"TransactItems": pick(g, list{}, list{object{}}, list{del, del}, list{object{"Put": object{"TableName": t.name, "Item": k}, "Delete": del["Delete"]}},
			list{object{"ConditionCheck": object{"TableName": t.name, "Key": k}}}, list{object{"Update": object{"TableName": t.name, "Key": k}}}, list{object{"Put": object{"TableName": t.name}}}, list{object{"Delete": object{"Key": k}}}, list{object{"Delete": object{"TableName": "no-such-table", "Key": k}}})}}
	}},
	{"D.5 over 100", Transactions, func(g *gen) *Request {
		t := g.table()
		del := object{"Delete": object{"TableName": t.name, "Key": g.key(t)}}
		return &Request{Op: "TransactWriteItems", Body: object{"TransactItems": slices.Repeat(list{del}, 101)}}
	}},
	{"D.5 tokens", Transactions, func(g *gen) *Request {
		r := g.transactWrite()
		r.Body["ClientRequestToken"] = pick(g, fmt.Sprintf("token-%d", g.episode), fmt.Sprintf("other-%d", g.episode), "", strings.Repeat("t", 37))
		return r
	}},
	{"D.5 other payload", Transactions, func(g *gen) *Request {
		t := g.tables[0]
		return &Request{Op: "TransactWriteItems", Body: object{"ClientRequestToken": fmt.Sprintf("same-%d", g.episode), "TransactItems": list{object{"Delete": object{"TableName": t.name, "Key": g.key(t)}}}}}
	}},
	{"D.5 one action", Transactions, func(g *gen) *Request {
		t := g.table()
		k := g.key(t)
		return &Request{Op: "TransactWriteItems", Body: object{"TransactItems": pick(g, list{object{}}, list{object{"Put": object{"TableName": t.name, "Item": k}, "Delete": object{"TableName": t.name, "Key": k}}})}}
	}},
	{"D.5 cancelled", Transactions, func(g *gen) *Request {
		t, u := g.tables[0], g.tables[1]
		check := object{"ConditionCheck": object{"TableName": t.name, "Key": g.key(t), "ConditionExpression": pick(g, "attribute_exists(missing)", "attribute_exists(pk)"), "ReturnValuesOnConditionCheckFailure": pick(g, "ALL_OLD", "NONE")}}
		return &Request{Op: "TransactWriteItems", Body: object{"TransactItems": list{check, object{"Delete": object{"TableName": u.name, "Key": pick(g, g.key(u), g.badKey(u))}}}}}
	}},
	{"D.6 shapes", Transactions, func(g *gen) *Request {
		t := g.table()
		get := object{"Get": object{"TableName": t.name, "Key": g.key(t)}}
		return &Request{Op: "TransactGetItems", Body: object{"TransactItems": pick(g, list{}, list{get, get}, list{object{}}, list{object{"Get": object{}}}, list{object{"Get": object{"TableName": "no-such-table", "Key": g.key(t)}}}, list{object{"Get": object{"TableName": t.name, "Key": g.badKey(t)}}})}}
	}},
}

var otherRecipes = []recipe{
	{"D.12", TTL, (*gen).timeToLive},
	{"D.12 enabled", TTL, func(g *gen) *Request {
		return &Request{Op: "UpdateTimeToLive", Body: object{"TableName": g.tables[0].name, "TimeToLiveSpecification": object{"Enabled": true, "AttributeName": pick(g, "expires", "expires", "n")}}}
	}},
	{"D.17 enums", Legacy, func(g *gen) *Request {
		r := g.plainScan()
		r.Body["ScanFilter"] = object{"a": object{"ComparisonOperator": pick(g, "x", "eq"), "AttributeValueList": list{s("a")}}}
		if g.chance(50) {
			r.Body["ScanFilter"], r.Body["ConditionalOperator"] = object{"a": object{"ComparisonOperator": "NULL"}, "b": object{"ComparisonOperator": "NULL"}}, "XOR"
		}
		return r
	}},
	{"D.17 duplicate name", Legacy, func(g *gen) *Request {
		return set((*gen).plainGet, "AttributesToGet", list{"a", "b", "a"})(g)
	}},
	{"D.17 run-time type", Legacy, func(g *gen) *Request {
		r := g.plainUpdate()
		action := pick(g, object{"Action": "ADD", "Value": n("1")}, object{"Action": "DELETE", "Value": object{"SS": list{"a"}}})
		r.Body["AttributeUpdates"] = object{"s": action, "m": action, pick(g, "l", "ss", "n"): action}
		return r
	}},
	{"D.13", Tags, func(g *gen) *Request {
		arn := pick[any](g, ref("arn:"+g.table().name), "x", "arn:aws:dynamodb:us-east-1:000000000000:table/no-such-table", "")
		if g.chance(50) {
			return &Request{Op: "TagResource", Body: object{"ResourceArn": arn, "Tags": pick[any](g, list{}, list{object{"Key": "a", "Value": "b"}, object{"Key": "a", "Value": "c"}}, list{object{"Key": "aws:a", "Value": "b"}}, list{object{"Key": "a"}}, list{object{"Key": strings300, "Value": ""}})}}
		}
		return &Request{Op: "UntagResource", Body: object{"ResourceArn": arn, "TagKeys": pick[any](g, list{}, list{"a"}, list{""})}}
	}},
	{"D.14", PartiQL, func(g *gen) *Request {
		t := g.table()
		p := list{}
		where := g.whereKey(t, &p)
		from := `"` + t.name + `"`
		read, write := object{"Statement": "SELECT * FROM " + from + " WHERE " + where}, object{"Statement": "DELETE FROM " + from + " WHERE " + where}
		if len(p) > 0 {
			read["Parameters"], write["Parameters"] = p, p
		}
		switch g.IntN(8) {
		case 0:
			return &Request{Op: "BatchExecuteStatement", Body: object{"Statements": list{read, write}}}
		case 1:
			return &Request{Op: "BatchExecuteStatement", Body: object{"Statements": pick(g, list{write, write}, list{read, read}, list{}, list{object{"Statement": "SELECT * FROM " + from}})}}
		case 2:
			return &Request{Op: "ExecuteTransaction", Body: object{"TransactStatements": pick(g, list{read, write}, list{write, write}, list{})}}
		case 3:
			return &Request{Op: "ExecuteStatement", Body: object{"Statement": "SELECT * FROM " + from, "Parameters": list{}}}
		case 4:
			return &Request{Op: "ExecuteStatement", Body: object{"Statement": "SELECT * FROM " + from, "NextToken": "x"}}
		case 5:
			return &Request{Op: "ExecuteStatement", Body: object{"Statement": pick(g, "DELETE FROM "+from, "UPDATE "+from+" SET a = 1", "UPDATE "+from+" SET a = 1 WHERE a = 1", "SELECT COUNT(*) FROM "+from, "INSERT INTO "+from+" VALUE {'a': 1}", "DROP TABLE "+from, "", "SELECT", "SELECT * FROM \"no-such-table\"")}}
		default:
			return &Request{Op: "ExecuteStatement", Body: pick(g, read, write)}
		}
	}},
	{"D.17", Legacy, func(g *gen) *Request {
		t := g.table()
		switch g.IntN(6) {
		case 0:
			return &Request{Op: "GetItem", Body: object{"TableName": t.name, "Key": g.key(t), "AttributesToGet": pick(g, list{"a", "a"}, list{}, list{"a.b"}, list{""})}}
		case 1:
			return set((*gen).plainPut, "ConditionalOperator", pick(g, "AND", "OR", "x"))(g)
		case 2:
			return &Request{Op: "UpdateItem", Body: object{"TableName": t.name, "Key": g.key(t), "AttributeUpdates": object{"a": pick(g, object{}, object{"Action": "PUT"}, object{"Action": "ADD"}, object{"Action": "ADD", "Value": s("a")}, object{"Action": "DELETE", "Value": s("a")}, object{"Action": "x", "Value": s("a")}, object{"Action": "ADD", "Value": object{"BOOL": true}}, object{"Action": "DELETE", "Value": object{"L": list{}}})}}}
		case 3:
			r := g.plainScan()
			r.Body["ScanFilter"] = object{"a": pick(g, object{}, object{"ComparisonOperator": "x"}, object{"ComparisonOperator": "BETWEEN", "AttributeValueList": list{s("b"), s("a")}}, object{"ComparisonOperator": "BETWEEN", "AttributeValueList": list{s("b")}}, object{"ComparisonOperator": "IN", "AttributeValueList": list{s("b"), n("1")}},
				object{"ComparisonOperator": "LT", "AttributeValueList": list{object{"SS": list{"a"}}}}, object{"ComparisonOperator": "BEGINS_WITH", "AttributeValueList": list{n("1")}}, object{"ComparisonOperator": "NULL", "AttributeValueList": list{n("1")}}, object{"ComparisonOperator": "EQ"}, object{"ComparisonOperator": "EQ", "AttributeValueList": list{}})}
			return r
		case 4:
			r := &Request{Op: "Query", Body: object{"TableName": t.name, "KeyConditions": object{"pk": object{"ComparisonOperator": "EQ", "AttributeValueList": list{g.keyValue(t.types["pk"])}}}}}
			r.Body["QueryFilter"] = object{pick(g, "pk", "sk", "a"): object{"ComparisonOperator": "NOT_NULL"}}
			return r
		default:
			r := g.plainPut()
			r.Body["Expected"] = object{"a": pick(g, object{}, object{"Exists": true}, object{"Exists": false, "Value": s("a")}, object{"Exists": true, "ComparisonOperator": "EQ"}, object{"Value": s("a"), "AttributeValueList": list{s("a")}, "ComparisonOperator": "EQ"}, object{"AttributeValueList": list{s("a")}}, object{"ComparisonOperator": "EQ"})}
			return r
		}
	}},
}
