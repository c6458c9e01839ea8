package differences

import (
	"fmt"
	"slices"
	"strings"
)

// recipe makes a request that aims at one error, or a few of one kind.
type recipe struct {
	row   string
	needs Features
	make  func(g *gen) *Request
}

func recipesOf(features Features) []recipe {
	all := slices.Concat(wireRecipes, valueRecipes, expressionRecipes, operationRecipes, createRecipes, updateRecipes, indexRecipes, transactionRecipes, otherRecipes, signatureRecipes, rareRecipes)
	return slices.DeleteFunc(all, func(r recipe) bool { return r.needs&^features != 0 })
}

// write makes a write of an attribute value, in one of the places that take one.
func (g *gen) write(v any) *Request {
	t := g.table()
	switch g.IntN(5) {
	case 0:
		it := g.key(t)
		it["a"] = v
		return &Request{Op: "PutItem", Body: object{"TableName": t.name, "Item": it}}
	case 1:
		return &Request{Op: "UpdateItem", Body: object{"TableName": t.name, "Key": g.key(t), "UpdateExpression": "SET a = :v", "ExpressionAttributeValues": object{":v": v}}}
	case 2:
		return &Request{Op: "Scan", Whole: allPages, Body: object{"TableName": t.name, "FilterExpression": "a = :v", "ExpressionAttributeValues": object{":v": v}}}
	case 3:
		it := g.key(t)
		it["a"] = v
		return &Request{Op: "BatchWriteItem", Body: object{"RequestItems": object{t.name: list{object{"PutRequest": object{"Item": it}}}}}}
	default:
		k := g.key(t)
		k[t.hash] = v
		return &Request{Op: "GetItem", Body: object{"TableName": t.name, "Key": k}}
	}
}

// set makes a request with one member set.
func set(make func(g *gen) *Request, member string, value any) func(g *gen) *Request {
	return func(g *gen) *Request {
		r := make(g)
		r.Body[member] = value
		return r
	}
}

func without(make func(g *gen) *Request, member string) func(g *gen) *Request {
	return func(g *gen) *Request {
		r := make(g)
		delete(r.Body, member)
		return r
	}
}

// simple are requests without expressions, so that what is set in them is the only
// fault.
func (g *gen) plainGet() *Request {
	t := g.table()
	return &Request{Op: "GetItem", Body: object{"TableName": t.name, "Key": g.key(t)}}
}

func (g *gen) plainPut() *Request {
	t := g.table()
	return &Request{Op: "PutItem", Body: object{"TableName": t.name, "Item": g.key(t)}}
}

func (g *gen) plainDelete() *Request {
	t := g.table()
	return &Request{Op: "DeleteItem", Body: object{"TableName": t.name, "Key": g.key(t)}}
}

func (g *gen) plainUpdate() *Request {
	t := g.table()
	return &Request{Op: "UpdateItem", Body: object{"TableName": t.name, "Key": g.key(t)}}
}

func (g *gen) plainQuery() *Request {
	t := g.table()
	return &Request{Op: "Query", Body: object{"TableName": t.name, "KeyConditionExpression": "pk = :v", "ExpressionAttributeValues": object{":v": g.keyValue(t.types["pk"])}}}
}

func (g *gen) plainScan() *Request {
	t := g.table()
	return &Request{Op: "Scan", Whole: allPages, Body: object{"TableName": t.name}}
}

func (g *gen) anyPlain() *Request {
	return pick(g, (*gen).plainGet, (*gen).plainPut, (*gen).plainDelete, (*gen).plainUpdate, (*gen).plainQuery, (*gen).plainScan)(g)
}

// wireRecipes are faults of JSON types and of the constraints of shapes.
var wireRecipes = []recipe{
	{"A.2 unparsable JSON", 0, func(g *gen) *Request {
		r := g.anyPlain()
		r.Whole, r.Mangle = onePage, &mangle{Cut: true, At: g.Float64()}
		return r
	}},
	{"A.2 unknown operation", 0, func(g *gen) *Request {
		return &Request{Op: pick(g, "NoSuchOperation", "Putitem", ""), Body: object{}}
	}},
	{"A.5 values", 0, func(g *gen) *Request { return g.write(g.mistyped()) }},
	{"A.5 values", 0, func(g *gen) *Request { return g.write(g.mistyped()) }},
	{"A.5 values", 0, func(g *gen) *Request { return g.write(g.mistyped()) }},
	{"A.5 strings", 0, func(g *gen) *Request {
		return set((*gen).anyPlain, pick(g, "TableName", "ReturnConsumedCapacity", "ReturnValues"), pick[any](g, true, false, 1, 1.5, list{}, object{}))(g)
	}},
	{"A.5 booleans", 0, func(g *gen) *Request {
		return set((*gen).plainGet, "ConsistentRead", pick[any](g, "maybe", "TRUE", "yes", "0", "", 1, 0, 1.5, list{}, object{}))(g)
	}},
	{"A.5 integers", 0, func(g *gen) *Request {
		return set(pick(g, (*gen).plainQuery, (*gen).plainScan), "Limit", pick[any](g, "1", "x", true, false, list{}, object{}, 1.5, 2.9, 1e3))(g)
	}},
	{"A.5 longs", 0, func(g *gen) *Request {
		r := g.newTable()
		r.Body["ProvisionedThroughput"] = object{"ReadCapacityUnits": pick[any](g, "1", true, list{}, object{}, 1.5), "WriteCapacityUnits": 1}
		return r
	}},
	{"A.5 structures", 0, func(g *gen) *Request {
		r := g.newTable()
		r.Body[pick(g, "ProvisionedThroughput", "KeySchema", "AttributeDefinitions", "StreamSpecification", "Tags", "GlobalSecondaryIndexes")] =
			pick[any](g, "x", 1, true, list{}, object{}, list{"x"}, list{list{}}, list{1})
		return r
	}},
	{"A.5 maps", 0, func(g *gen) *Request {
		return set((*gen).anyPlain, pick(g, "Key", "Item", "ExpressionAttributeNames", "ExpressionAttributeValues", "ExclusiveStartKey"), pick[any](g, "x", 1, true, list{}, list{"x"}))(g)
	}},
	{"A.5 names", 0, func(g *gen) *Request {
		return set((*gen).anyPlain, "ExpressionAttributeNames", object{"#a": pick[any](g, 1, true, list{}, object{})})(g)
	}},
	{"A.5 batches", 0, func(g *gen) *Request {
		t := g.table()
		op := pick(g, "BatchGetItem", "BatchWriteItem")
		return &Request{Op: op, Body: object{"RequestItems": pick[any](g, "x", list{}, 1, object{t.name: "x"}, object{t.name: 1}, object{t.name: list{}}, object{t.name: list{"x"}}, object{t.name: list{list{}}},
			object{t.name: object{"Keys": list{"x"}}}, object{t.name: object{"Keys": "x"}}, object{t.name: object{"Keys": object{}}}, object{t.name: list{object{"PutRequest": "x"}}}, object{t.name: list{object{"PutRequest": list{}}}})}}
	}},
	{"A.6 null", 0, func(g *gen) *Request {
		r := pick(g, (*gen).anyPlain, (*gen).newTable, (*gen).batchGet, (*gen).batchWrite)(g)
		delete(r.Body, pick(g, "TableName", "Key", "Item", "KeySchema", "AttributeDefinitions", "RequestItems"))
		return r
	}},
	{"A.6 enums", 0, func(g *gen) *Request {
		r := g.anyPlain()
		for range 1 + g.IntN(3) {
			r.Body[pick(g, "ReturnConsumedCapacity", "ReturnItemCollectionMetrics", "ReturnValues", "ReturnValuesOnConditionCheckFailure", "Select")] = pick(g, "x", "", "none", "ALL")
		}
		return r
	}},
	{"A.6 enums of tables", 0, func(g *gen) *Request {
		r := g.newTable()
		for range 1 + g.IntN(3) {
			switch g.IntN(5) {
			case 0:
				r.Body["BillingMode"] = "x"
			case 1:
				r.Body["TableClass"] = "x"
			case 2:
				r.Body["KeySchema"] = list{object{"AttributeName": "pk", "KeyType": "x"}}
			case 3:
				r.Body["AttributeDefinitions"] = list{object{"AttributeName": "pk", "AttributeType": pick(g, "x", "BOOL", "SS")}}
			default:
				r.Body["StreamSpecification"] = object{"StreamEnabled": true, "StreamViewType": "x"}
			}
		}
		return r
	}},
	{"A.6 names", 0, func(g *gen) *Request {
		bad := pick(g, "", "!", "a b", "ab", "é", strings300, "a/b", "a")
		switch g.IntN(4) {
		case 0:
			return set((*gen).newTable, "TableName", bad)(g)
		case 1:
			return &Request{Op: pick(g, "DescribeTable", "DeleteTable"), Body: object{"TableName": bad}}
		case 2:
			return set(pick(g, (*gen).plainQuery, (*gen).plainScan), "IndexName", bad)(g)
		default:
			return set((*gen).anyPlain, "TableName", bad)(g)
		}
	}},
	{"A.6 empty table name", 0, func(g *gen) *Request { return set((*gen).anyPlain, "TableName", "")(g) }},
	{"A.5 more", 0, func(g *gen) *Request {
		switch g.IntN(4) {
		case 0:
			return set((*gen).plainGet, "ConsistentRead", pick[any](g, 1.5, 2.5, list{}, object{}, 1))(g)
		case 1:
			return set(pick(g, (*gen).plainQuery, (*gen).plainScan), "Limit", pick[any](g, list{}, true, "1"))(g)
		case 2:
			r := g.newTable()
			r.Body["ProvisionedThroughput"] = object{"ReadCapacityUnits": pick[any](g, "1", list{}), "WriteCapacityUnits": 1}
			return r
		default:
			return set((*gen).anyPlain, "ExpressionAttributeNames", pick[any](g, list{}, list{}, object{"#a": list{}}))(g)
		}
	}},
	{"A.6 several errors", 0, func(g *gen) *Request {
		r := g.anyPlain()
		r.Body["ReturnConsumedCapacity"] = "x"
		delete(r.Body, pick(g, "Key", "Item", "TableName"))
		r.Body[pick(g, "ReturnValues", "Select", "ReturnItemCollectionMetrics")] = "y"
		return r
	}},
	{"A.6 Query Limit 0", 0, func(g *gen) *Request { return set((*gen).plainQuery, "Limit", pick(g, 0, 0, -1))(g) }},
	{"A.6 Scan Limit 0", 0, func(g *gen) *Request { return set((*gen).plainScan, "Limit", pick(g, 0, 0, -1))(g) }},
	{"A.6 TotalSegments range", 0, func(g *gen) *Request {
		r := g.plainScan()
		r.Body["Segment"], r.Body["TotalSegments"] = pick(g, 0, -1, 1000000), pick(g, 0, -1, 1000001)
		return r
	}},
	{"A.6 table name required", 0, func(g *gen) *Request {
		return without(pick(g, (*gen).newTable, (*gen).anyUpdateTable, func(g *gen) *Request {
			return &Request{Op: pick(g, "DescribeTable", "DeleteTable"), Body: object{}}
		}), "TableName")(g)
	}},
	{"A.6 batch names", 0, func(g *gen) *Request {
		part := pick[any](g, object{"Keys": list{object{"pk": s("a")}}}, list{object{"DeleteRequest": object{"Key": object{"pk": s("a")}}}})
		op := "BatchGetItem"
		if _, isList := part.(list); isList {
			op = "BatchWriteItem"
		}
		return &Request{Op: op, Body: object{"RequestItems": object{pick(g, "", "!", "ab", strings300): part}}}
	}},
	{"A.6 map value", 0, func(g *gen) *Request {
		t := g.table()
		writes := list{}
		for i := range pick(g, 0, 26, 27) {
			writes = append(writes, object{"DeleteRequest": object{"Key": object{"pk": s(fmt.Sprint(i))}}})
		}
		return &Request{Op: "BatchWriteItem", Body: object{"RequestItems": object{t.name: writes}}}
	}},
}

var valueRecipes = []recipe{
	{"B.1 B.2 values", 0, func(g *gen) *Request { return g.write(g.badValue()) }},
	{"B.1 B.2 values", 0, func(g *gen) *Request { return g.write(g.badValue()) }},
	{"B.1 B.2 values", 0, func(g *gen) *Request { return g.write(g.badValue()) }},
	{"B.1 B.2 values", 0, func(g *gen) *Request { return g.write(g.badValue()) }},
	{"B.1 sets", 0, func(g *gen) *Request {
		return g.write(pick(g, object{"SS": list{}}, object{"NS": list{}}, object{"BS": list{}}, object{"SS": list{"a", "a"}}, object{"NS": list{"1", "1.0"}}, object{"BS": list{"Yg==", "Yg=="}}))
	}},
	{"B.1 NULL false", 0, func(g *gen) *Request { return g.write(object{"NULL": false}) }},
	{"B.1 nesting", 0, func(g *gen) *Request { return g.write(nested(pick(g, 31, 32, 33, 34, 60))) }},
	{"B.1 empty name", 0, func(g *gen) *Request {
		r := g.plainPut()
		r.Body["Item"].(object)[""] = s("x")
		return r
	}},
	{"B.1 long name", 0, func(g *gen) *Request {
		if g.chance(50) {
			return g.plainPut() // such requests are large
		}
		r := g.plainPut()
		r.Body["Item"].(object)[g.big(65535)] = s("x")
		return r
	}},
	{"B.2 numbers", 0, func(g *gen) *Request { return g.write(n(pick(g, badNumbers...))) }},
	{"B.2 numbers", 0, func(g *gen) *Request { return g.write(n(pick(g, badNumbers...))) }},
	{"B.2 numbers", 0, func(g *gen) *Request { return g.write(n(g.number())) }},
	{"B.3 put size", 0, func(g *gen) *Request {
		r := g.plainPut()
		if g.chance(60) {
			r.Body["Item"].(object)["big"] = s(strings.Repeat("x", 409_580+g.IntN(30)))
		}
		return r
	}},
	{"B.3 update size", 0, func(g *gen) *Request {
		r := g.plainUpdate()
		if g.chance(30) {
			r.Body["UpdateExpression"] = "SET big = :v"
			r.Body["ExpressionAttributeValues"] = object{":v": s(strings.Repeat("x", 409_600))}
		}
		return r
	}},
	{"B.4 sizes", 0, func(g *gen) *Request {
		r := pick(g, (*gen).plainGet, (*gen).plainPut, (*gen).plainDelete, (*gen).plainUpdate)(g)
		member := "Key"
		if r.Op == "PutItem" {
			member = "Item"
		}
		k := r.Body[member].(object)
		name := pick(g, names(k)...)
		limit := 1024
		if name == "pk" {
			limit = 2048
		}
		text := strings.Repeat("x", limit+g.IntN(2))
		if g.chance(50) {
			k[name] = b(text)
		} else {
			k[name] = s(text)
		}
		return r
	}},
	{"B.5 keys", 0, func(g *gen) *Request { return g.withKey((*gen).badKey) }},
	{"B.5 keys", 0, func(g *gen) *Request { return g.withKey((*gen).badKey) }},
	{"B.5 keys", 0, func(g *gen) *Request { return g.withKey((*gen).badKey) }},
	{"B.5 empty key", 0, func(g *gen) *Request {
		return g.withKey(func(g *gen, t *shape) object {
			k := g.key(t)
			name := pick(g, names(k)...)
			k[name] = pick(g, s(""), b(""), object{t.types[name]: ""})
			return k
		})
	}},
	{"B.5 update of a key", 0, func(g *gen) *Request {
		t := g.table()
		r := g.plainUpdate()
		r.Body["TableName"], r.Body["Key"] = t.name, g.key(t)
		k := pick(g, "pk", "sk")
		r.Body["UpdateExpression"] = pick(g, "SET "+k+" = :v", "REMOVE "+k, "ADD "+k+" :v", "SET "+k+".a = :v", "SET "+k+"[0] = :v", "REMOVE "+k+".a", "SET a = "+k)
		if strings.Contains(r.Body["UpdateExpression"].(string), ":v") {
			r.Body["ExpressionAttributeValues"] = object{":v": pick(g, n("1"), n("1"), s("a"))}
		}
		return r
	}},
}

// withKey makes a request with a key that the given function makes.
func (g *gen) withKey(make func(g *gen, t *shape) object) *Request {
	t := g.table()
	k := make(g, t)
	switch g.IntN(7) {
	case 0:
		return &Request{Op: "PutItem", Body: object{"TableName": t.name, "Item": k}}
	case 1:
		return &Request{Op: "UpdateItem", Body: object{"TableName": t.name, "Key": k}}
	case 2:
		return &Request{Op: "DeleteItem", Body: object{"TableName": t.name, "Key": k}}
	case 3:
		return &Request{Op: "BatchGetItem", Body: object{"RequestItems": object{t.name: object{"Keys": list{k}}}}}
	case 4:
		return &Request{Op: "BatchWriteItem", Body: object{"RequestItems": object{t.name: list{pick(g, object{"PutRequest": object{"Item": k}}, object{"DeleteRequest": object{"Key": k}})}}}}
	default:
		return &Request{Op: "GetItem", Body: object{"TableName": t.name, "Key": k}}
	}
}

// withExpression puts a text into one of the members that are conditions.
func (g *gen) withCondition(text string, values, names object) *Request {
	r := pick(g, (*gen).plainPut, (*gen).plainDelete, (*gen).plainUpdate, (*gen).plainScan)(g)
	member := "ConditionExpression"
	if r.Op == "Scan" {
		member = "FilterExpression"
	}
	r.Body[member] = text
	placeholders(r.Body, values, names)
	return r
}

func placeholders(body, values, names object) {
	if values != nil {
		body["ExpressionAttributeValues"] = values
	}
	if names != nil {
		body["ExpressionAttributeNames"] = names
	}
}

// withUpdate makes an UpdateItem.
func (g *gen) withUpdate(text string, values, names object) *Request {
	r := g.plainUpdate()
	r.Body["UpdateExpression"] = text
	placeholders(r.Body, values, names)
	return r
}

var one1 = object{":v": object{"N": "1"}}

// anyExpression puts a fault into an expression of any kind; condition, update,
// projection and key are the texts with the fault, "" where it cannot be.
func anyExpression(condition, update, projection, key string, values, names object) func(g *gen) *Request {
	return func(g *gen) *Request {
		for {
			switch g.IntN(4) {
			case 0:
				if condition != "" {
					return g.withCondition(condition, values, names)
				}
			case 1:
				if update != "" {
					return g.withUpdate(update, values, names)
				}
			case 2:
				if projection != "" {
					r := pick(g, (*gen).plainGet, (*gen).plainScan)(g)
					r.Body["ProjectionExpression"] = projection
					placeholders(r.Body, nil, names)
					return r
				}
			default:
				if key != "" {
					r := g.plainQuery()
					r.Body["KeyConditionExpression"] = key
					delete(r.Body, "ExpressionAttributeValues")
					placeholders(r.Body, values, names)
					return r
				}
			}
		}
	}
}

// literals are values that the texts of recipes refer to.
var literals = object{
	":v": n("1"), ":s": s("a"), ":t": s("b"), ":x": s("X"), ":b": b("a"), ":l": object{"L": list{}}, ":m": object{"M": object{}},
	":ss": object{"SS": list{"a"}}, ":bool": object{"BOOL": true}, ":null": object{"NULL": true}, ":n": n("1"),
}

// used returns those of all that a text refers to, nil for none.
func used(text string, all object) object {
	values := object{}
	for _, token := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" (),=<>+-", r) }) {
		if v, ok := all[token]; ok {
			values[token] = v
		}
	}
	if len(values) == 0 {
		return nil
	}
	return values
}

func conditions(texts ...string) func(g *gen) *Request {
	return func(g *gen) *Request {
		text := pick(g, texts...)
		return g.withCondition(text, used(text, literals), nil)
	}
}

func updates(texts ...string) func(g *gen) *Request {
	return func(g *gen) *Request {
		text := pick(g, texts...)
		return g.withUpdate(text, used(text, literals), nil)
	}
}

func keyConditions(texts ...string) func(g *gen) *Request {
	return func(g *gen) *Request {
		t := g.table()
		text := pick(g, texts...)
		all := with(literals, object{":p": g.keyValue(t.types["pk"]), ":q": g.keyValue(t.types["pk"]), ":r": s("a"), ":u": s("b")})
		if t.rng != "" {
			all[":r"], all[":u"] = g.keyValue(t.types["sk"]), g.keyValue(t.types["sk"])
		}
		r := &Request{Op: "Query", Body: object{"TableName": t.name, "KeyConditionExpression": text}}
		placeholders(r.Body, used(text, all), nil)
		return r
	}
}

var expressionRecipes = []recipe{
	{"C.4 empty", 0, func(g *gen) *Request {
		r := anyExpression("attribute_exists(a)", "REMOVE a", "a", "pk = :v", one1, nil)(g)
		for _, member := range []string{"ConditionExpression", "FilterExpression", "UpdateExpression", "ProjectionExpression", "KeyConditionExpression"} {
			if r.Body[member] != nil {
				r.Body[member] = ""
			}
		}
		if g.chance(70) {
			delete(r.Body, "ExpressionAttributeValues")
		}
		return r
	}},
	{"C.4 empty Filter", 0, func(g *gen) *Request {
		r := pick(g, (*gen).plainScan, (*gen).plainQuery, (*gen).plainUpdate)(g)
		member := "FilterExpression"
		if r.Op == "UpdateItem" {
			member = "UpdateExpression"
		}
		r.Body[member] = ""
		return r
	}},
	{"C.4 syntax", 0, func(g *gen) *Request {
		return anyExpression(pick(g, "a =", "a", "=", "a = :v b", "a == :v", "a.:v = :v", "NOT", "a BETWEEN :v", "a IN :v", "a IN ()", "attribute_exists a", "(a = :v", "a = :v)", "!!! INVALID", "a AND b", ":v", "_a = :v", "a[:v] = :v", "a[-1] = :v", "a = 1", "a = 'x'", "a[1.5] = :v"),
			pick(g, "INVALID SYNTAX HERE", "SET", "SET a", "SET a =", "SET a = :v,", "SET _123 = :v", "REMOVE", "ADD a", "DELETE a", "SET a = :v + ", "SET a = :v + :v + :v", "SET a : v", "a = :v", "REMOVE a b", "SET a = 1", "ADD a b", "SET :v = a", "SET a = a - - :v", "SET a = f(a + :v)"),
			pick(g, "a,", ",a", "a b", "a.", "a..b", "a[", "a[x]", "a[1", "*", "a[0].", "1a", "_a", "a,,b", "a[-1]", "(a)", "size(a)"),
			pick(g, "pk", "pk =", "pk = :v AND", "pk : v", "pk == :v", "AND pk = :v", "pk = :v pk", "= :v"), one1, nil)(g)
	}},
	{"C.4 reserved", 0, func(g *gen) *Request {
		w := pick(g, reservedSome...)
		return anyExpression(w+" = :v", "SET "+w+" = :v", "a, "+w, w+" = :v", one1, nil)(g)
	}},
	{"C.4 reserved", 0, func(g *gen) *Request {
		w := pick(g, reservedSome...)
		return anyExpression("a."+w+" = :v", "SET a."+w+" = :v", "a."+w, "pk = :v AND "+w+" = :v", one1, nil)(g)
	}},
	{"C.4 undefined name", 0, anyExpression("#u = :v", "SET #u = :v", "#u", "#u = :v", one1, nil)},
	{"C.4 undefined name", 0, anyExpression("a.#u = :v", "REMOVE #u.a SET a = :v", "a.#u", "#u = :v", one1, object{"#k": "pk"})},
	{"C.4 undefined value", 0, anyExpression("a = :u", "SET a = :u", "", "pk = :u", one1, nil)},
	{"C.4 undefined value", 0, anyExpression("a = :u", "ADD a :u", "", "pk = :u", nil, nil)},
	{"C.4 unknown function", 0, anyExpression("foo(a)", "SET a = foo(a)", "", "pk = :v AND foo(sk)", one1, nil)},
	{"C.4 unknown function", 0, conditions("Contains(a, :s)", "foo(a, :s) = :v", "a = foo(b)", "SIZE(a) > :v")},
	{"C.4 expression size", 0, func(g *gen) *Request {
		long := strings.Repeat("a", 4090+g.IntN(10))
		return anyExpression("attribute_exists("+long+")", "REMOVE "+long, long, "pk = :v AND "+long+" = :v", nil, nil)(g)
	}},
	{"C.4 misused function", 0, conditions("size(a)", "attribute_exists(a) = :v", "if_not_exists(a, :v)", "if_not_exists(a, :v) = :v", "list_append(a, :l) = :v", "begins_with(a, :s) = :bool", "size(attribute_exists(a)) = :v", "contains(a, contains(b, :s))", "a = contains(b, :s)", "a IN (begins_with(b, :s))")},
	{"C.4 misused function", 0, updates("SET a = size(b)", "SET a = attribute_exists(b)", "SET a = begins_with(b, :s)", "SET a = if_not_exists(b, size(c))", "SET a = list_append(if_not_exists(b, :l), list_append(c, :l))")},
	{"C.4 operand count", 0, conditions("attribute_exists(a, b)", "attribute_exists()", "contains(a)", "begins_with(a)", "begins_with(a, :s, :t)", "size(a, b) = :v", "size() = :v", "attribute_type(a)", "contains(a, b, c)", "attribute_not_exists(a, b)")},
	{"C.4 operand count", 0, updates("SET a = if_not_exists(a)", "SET a = list_append(a)", "SET a = list_append(a, :l, :l)", "SET a = if_not_exists(a, :v, :v)", "SET a = if_not_exists()")},
	{"C.4 operand type", 0, conditions("begins_with(a, :v)", "begins_with(:v, a)", "attribute_type(a, :v)", "size(:v) = :v", "size(:bool) = :v", "a < :bool", "a >= :l", "a BETWEEN :l AND :l", "a > :null", "a <= :m", "a < :ss", "contains(:v, a)", "attribute_type(a, b)", "contains(a, :l)", "a IN (:l)", ":ss > a", "size(:null) = :v")},
	{"C.4 operand type", 0, updates("SET a = :s + :v", "SET a = b - :s", "SET a = list_append(:v, a)", "SET a = list_append(a, :s)", "SET a = :l + a", "SET a = b + :bool", "SET a = :ss - :v")},
	{"C.4 ADD operand type", 0, updates("ADD a :s", "ADD a :l", "ADD a :bool", "ADD a :null", "ADD a :m", "ADD a :b")},
	{"C.4 DELETE operand type", 0, updates("DELETE a :s", "DELETE a :v", "DELETE a :l", "DELETE a :bool", "DELETE a :null", "DELETE a :m", "DELETE a :b")},
	{"C.4 path required", 0, conditions("attribute_exists(:v)", "attribute_not_exists(:s)", "attribute_exists(size(a))", "attribute_not_exists(:v)")},
	{"C.4 path required", 0, updates("SET a = if_not_exists(:v, :v)", "SET a = if_not_exists(:v, b)")},
	{"C.4 type name", 0, conditions("attribute_type(a, :x)", "attribute_type(a, :s)", "attribute_type(a, :t)")},
	{"C.4 same operands", 0, conditions("a = a", "a <> a", "a < a", "contains(a, a)", "begins_with(a, a)", "a.b = a.b", "a[0] >= a[0]", "a BETWEEN a AND b", "a IN (a)", "a IN (b, a)", "size(a) = size(a)", "a BETWEEN b AND b")},
	{"C.4 parentheses", 0, conditions("((a = :v))", "(((a = :v)))", "a = :v AND ((b = :v))", "NOT ((a = :v))", "((a)) = :v", "(a) = :v", "(a = :v) AND (b = :v)", "((a = :v) AND (b = :v))")},
	{"C.4 parentheses", 0, updates("SET a = ((:v))", "SET a = (:v)", "SET a = (b + :v)", "SET a = ((b)) + :v", "SET a = (b) + (:v)")},
	{"C.4 BETWEEN", 0, conditions("a BETWEEN :s AND :v", "a BETWEEN :t AND :s", "a BETWEEN :v AND :s", "a BETWEEN :s AND :b", "a BETWEEN :s AND :s", "a BETWEEN :s AND :bool")},
	{"C.4 overlap", 0, anyExpression("", "SET a = :v, a.b = :v", "a, a.b", "", one1, nil)},
	{"C.4 overlap", 0, updates("SET a = :v REMOVE a", "REMOVE a, a", "SET a.b = :v, a.b.c = :v", "ADD a :v SET a = :v", "SET a = :v, a = :s", "REMOVE a[0], a[0].b")},
	{"C.4 overlap", 0, anyExpression("", "SET #a = :v, a = :v", "#a.b, a.b", "", one1, object{"#a": "a"})},
	{"C.4 conflict", 0, anyExpression("", "SET a.b = :v, a[0] = :v", "a.b, a[1]", "", one1, nil)},
	{"C.4 section twice", 0, updates("SET a = :v SET b = :v", "REMOVE a REMOVE b", "ADD a :v ADD b :v", "DELETE a :ss DELETE b :ss", "SET a = :v REMOVE b SET c = :v")},
	{"C.4 operators", 0, func(g *gen) *Request {
		count := 150 + g.IntN(3) // a comparison each, and an AND less
		return g.withCondition(strings.Repeat("a=:v OR ", count)+"a=:v", one1, nil)
	}},
	{"C.4 IN operands", 0, func(g *gen) *Request {
		return g.withCondition("a IN ("+strings.Repeat(":v,", 97+g.IntN(4))+":v)", one1, nil)
	}},
	{"C.4 path depth", 0, func(g *gen) *Request {
		deep := "a" + strings.Repeat(".a", 30+g.IntN(4))
		return anyExpression(deep+" = :v", "SET "+deep+" = :v", deep, "", one1, nil)(g)
	}},
	{"C.4 list index", 0, func(g *gen) *Request {
		deep := "a[" + pick(g, "99999999999999", "2147483647", "2147483648", "4294967296", "00", "99999999999999999999999") + "]"
		return anyExpression(deep+" = :v", "SET "+deep+" = :v", deep, "", one1, nil)(g)
	}},
	{"C.4 empty names", 0, func(g *gen) *Request {
		r := anyExpression("attribute_exists(a)", "REMOVE a", "a", "pk = :v", nil, nil)(g)
		r.Body[pick(g, "ExpressionAttributeNames", "ExpressionAttributeValues")] = object{}
		return r
	}},
	{"C.4 keys of names", 0, func(g *gen) *Request {
		r := anyExpression("attribute_exists(a)", "REMOVE a", "a", "pk = :v", nil, nil)(g)
		if g.chance(50) {
			r.Body["ExpressionAttributeNames"] = object{pick(g, "a", "#", "", "##", "#a-b", "#a b", ":a", "#é", "#a.b", "#_", "#1"): pick(g, "a", "b", "")}
		} else {
			r.Body["ExpressionAttributeValues"] = object{pick(g, "a", ":", "", "::", ":a-b", ":a b", "#a", ":é", ":_", ":1"): n("1")}
		}
		return r
	}},
	{"C.4 value of values", 0, func(g *gen) *Request {
		return anyExpression("a = :v", "SET a = :v", "", "pk = :v", object{":v": g.badValue()}, nil)(g)
	}},
	{"C.4 unused", 0, func(g *gen) *Request {
		r := anyExpression("attribute_exists(a)", "REMOVE a", "a", "pk = :v", nil, nil)(g)
		if g.chance(50) {
			r.Body["ExpressionAttributeNames"] = pick(g, object{"#u": "a"}, object{"#u": "a", "#w": "b"})
		} else {
			r.Body["ExpressionAttributeValues"] = pick(g, object{":u": s("a")}, object{":v": n("1"), ":w": s("b")})
		}
		return r
	}},
	{"C.4 without expressions", 0, func(g *gen) *Request {
		r := g.anyPlain()
		delete(r.Body, "KeyConditionExpression")
		r.Body["ExpressionAttributeNames"] = object{"#a": "a"}
		if g.chance(50) {
			delete(r.Body, "ExpressionAttributeNames")
			r.Body["ExpressionAttributeValues"] = object{":v": s("a")}
		}
		return r
	}},
	{"C.4 mixed", 0, func(g *gen) *Request {
		r := anyExpression("a = :v", "SET a = :v", "a", "pk = :v", one1, nil)(g)
		for range 1 + g.IntN(2) {
			switch g.IntN(5) {
			case 0:
				r.Body["Expected"] = object{"a": object{"Exists": false}}
			case 1:
				r.Body["AttributeUpdates"] = object{"a": object{"Value": n("1")}}
			case 2:
				r.Body["AttributesToGet"] = list{"a"}
			case 3:
				r.Body["ConditionalOperator"] = "AND"
			default:
				r.Body[pick(g, "QueryFilter", "ScanFilter", "KeyConditions")] = object{"a": object{"ComparisonOperator": "NULL"}}
			}
		}
		return r
	}},
	{"C.5 run time", 0, updates("SET a = missing", "SET missing.a = :v", "SET a.missing.x = :v", "SET s.x = :v", "SET l.x = :v", "SET m[0] = :v", "REMOVE missing.a", "REMOVE s.x", "SET a = missing + :v", "SET n = s + :v", "SET n = n + l", "ADD s :v", "ADD n :ss", "DELETE s :ss", "DELETE n :ss", "SET a = list_append(s, :l)", "SET a = list_append(missing, :l)", "SET a = m.missing", "ADD missing.a :v", "REMOVE l[0].x", "SET l[0].x = :v")},
}
