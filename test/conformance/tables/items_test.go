package tables

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// A scenario runs requests on one item whose key is pk = name, one after the
// other, and compares the members of each answer that are named. Bodies leave
// out TableName and Key; $pk stands for the key.
type step struct {
	op, body string
	want     string // JSON of the whole answer; empty: any success
	err, msg string
}

func scenario(t *testing.T, name string, steps []step) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		target := harness.The(t)
		names := shared(t, target)
		text, err := json.Marshal(t.Name())
		if err != nil {
			t.Fatal(err)
		}
		key := `"pk":{"S":` + string(text) + `}`
		for i, s := range steps {
			body := strings.ReplaceAll(s.body, "$pk", key)
			prefix := `{"TableName":"$H"`
			if s.op != "PutItem" {
				prefix += `,"Key":{` + key + `}`
			}
			if body != "" {
				prefix += ","
			}
			reply := target.Raw(t, s.op, names.Replace(prefix+body+"}"))
			if s.err != "" {
				reply.Want(t, s.err, s.msg)
			} else if reply.Status != 200 {
				t.Errorf("step %d %s: %s: %s", i, s.op, reply.Type, reply.Message)
			}
			if s.want != "" {
				sameJSON(t, fmt.Sprintf("step %d %s %s", i, s.op, s.body), reply.Body, strings.ReplaceAll(s.want, "$pk", key))
			}
		}
	})
}

// sameJSON compares as values; sets compare without order.
func sameJSON(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal(got, &g); err != nil {
		t.Errorf("%s: %v: %s", what, err, got)
		return
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("%s: bad expectation: %v", what, err)
	}
	sortSets(g)
	sortSets(w)
	if !reflect.DeepEqual(g, w) {
		t.Errorf("%s\n got  %s\n want %s", what, got, want)
	}
}

func sortSets(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if set, ok := member.([]any); ok && (name == "SS" || name == "NS" || name == "BS") {
				slices.SortFunc(set, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			}
			sortSets(member)
		}
	case []any:
		for _, member := range v {
			sortSets(member)
		}
	}
}

func TestPutGetDelete(t *testing.T) {
	scenario(t, "absent", []step{
		{op: "GetItem", want: `{}`},
		{op: "DeleteItem", want: `{}`},
		{op: "DeleteItem", body: `"ReturnValues":"ALL_OLD"`, want: `{}`},
		{op: "PutItem", body: `"Item":{$pk},"ReturnValues":"ALL_OLD"`, want: `{}`},
		{op: "PutItem", body: `"Item":{$pk,"a":{"N":"1"}},"ReturnValues":"ALL_OLD"`, want: `{"Attributes":{$pk}}`},
		{op: "PutItem", body: `"Item":{$pk,"b":{"N":"2"}}`, want: `{}`},
		{op: "GetItem", body: `"ConsistentRead":true`, want: `{"Item":{$pk,"b":{"N":"2"}}}`},
		{op: "DeleteItem", body: `"ReturnValues":"ALL_OLD"`, want: `{"Attributes":{$pk,"b":{"N":"2"}}}`},
		{op: "GetItem", body: `"ConsistentRead":true`, want: `{}`},
	})
	scenario(t, "all types", []step{
		{op: "PutItem", body: `"Item":{$pk,"s":{"S":"é\u0001\""},"n":{"N":"-1.50"},"b":{"B":"AP8="},"t":{"BOOL":true},"z":{"NULL":true},"ss":{"SS":["b","a"]},"ns":{"NS":["1","2.0"]},"bs":{"BS":["AA==","AQ=="]},"l":{"L":[{"S":"x"},{"L":[]}]},"m":{"M":{"k":{"M":{}}}}}`},
		{op: "GetItem", body: `"ConsistentRead":true`, want: `{"Item":{$pk,"s":{"S":"é\u0001\""},"n":{"N":"-1.5"},"b":{"B":"AP8="},"t":{"BOOL":true},"z":{"NULL":true},"ss":{"SS":["a","b"]},"ns":{"NS":["1","2"]},"bs":{"BS":["AA==","AQ=="]},"l":{"L":[{"S":"x"},{"L":[]}]},"m":{"M":{"k":{"M":{}}}}}}`},
	})
	scenario(t, "projection", []step{
		{op: "PutItem", body: `"Item":{$pk,"l":{"L":[{"S":"0"},{"S":"1"},{"S":"2"}]},"m":{"M":{"a":{"S":"A"},"b":{"S":"B"}}},"a.b":{"S":"dot"}}`},
		{op: "GetItem", body: `"ProjectionExpression":"l[2], l[0], m.b"`, want: `{"Item":{"l":{"L":[{"S":"0"},{"S":"2"}]},"m":{"M":{"b":{"S":"B"}}}}}`},
		{op: "GetItem", body: `"ProjectionExpression":"#d","ExpressionAttributeNames":{"#d":"a.b"}`, want: `{"Item":{"a.b":{"S":"dot"}}}`},
		{op: "GetItem", body: `"ProjectionExpression":"absent, m.c, l[9]"`, want: `{"Item":{}}`},
	})
}

func TestConditions(t *testing.T) {
	scenario(t, "absent item", []step{
		{op: "PutItem", body: `"Item":{$pk},"ConditionExpression":"attribute_exists(pk)"`, err: failed, msg: "The conditional request failed"},
		{op: "DeleteItem", body: `"ConditionExpression":"attribute_exists(pk)"`, err: failed},
		{op: "UpdateItem", body: `"UpdateExpression":"SET a = :a","ConditionExpression":"pk = :a","ExpressionAttributeValues":{":a":{"S":"x"}}`, err: failed},
		{op: "GetItem", body: `"ConsistentRead":true`, want: `{}`},
		{op: "PutItem", body: `"Item":{$pk,"v":{"N":"1"}},"ConditionExpression":"attribute_not_exists(pk)"`},
		{op: "PutItem", body: `"Item":{$pk,"v":{"N":"2"}},"ConditionExpression":"attribute_not_exists(pk)"`, err: failed},
		{op: "GetItem", body: `"ConsistentRead":true`, want: `{"Item":{$pk,"v":{"N":"1"}}}`},
		{op: "PutItem", body: `"Item":{$pk},"ConditionExpression":"attribute_not_exists(pk)","ReturnValuesOnConditionCheckFailure":"ALL_OLD"`, err: failed,
			want: `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","Message":"The conditional request failed","Item":{$pk,"v":{"N":"1"}}}`},
		{op: "DeleteItem", body: `"ConditionExpression":"v = :v","ExpressionAttributeValues":{":v":{"N":"1.0"}}`},
	})

	const item = `"Item":{$pk,"s":{"S":"hello"},"n":{"N":"10"},"b":{"B":"AQID"},"t":{"BOOL":true},"ss":{"SS":["a","b"]},"l":{"L":[{"S":"x"},{"N":"7"}]},"m":{"M":{"k":{"S":"v"}}},"z":{"NULL":true}}`
	for _, c := range []struct {
		expression, values string
		holds              bool
	}{
		{`s = :v`, `{"S":"hello"}`, true},
		{`:v = s`, `{"S":"hello"}`, true},
		{`s = :v`, `{"N":"1"}`, false},
		{`s <> :v`, `{"N":"1"}`, true},
		{`absent <> :v`, `{"N":"1"}`, true},
		{`absent = :v`, `{"N":"1"}`, false},
		{`absent < :v`, `{"N":"1"}`, false},
		{`n = :v`, `{"N":"1e1"}`, true},
		{`n < :v`, `{"N":"9"}`, false},
		{`n >= :v`, `{"N":"10.0"}`, true},
		{`s < :v`, `{"S":"hellp"}`, true},
		{`t < :v`, `{"S":"x"}`, false},
		{`ss = :v`, `{"SS":["b","a"]}`, true},
		{`l = :v`, `{"L":[{"S":"x"},{"N":"7.0"}]}`, true},
		{`l = :v`, `{"L":[{"N":"7"},{"S":"x"}]}`, false},
		{`m = :v`, `{"M":{"k":{"S":"v"}}}`, true},
		{`m.k = :v`, `{"S":"v"}`, true},
		{`l[1] = :v`, `{"N":"7"}`, true},
		{`n BETWEEN :v AND :v`, `{"N":"10"}`, true},
		{`n IN (:v)`, `{"N":"10"}`, true},
		{`n IN (:v)`, `{"S":"10"}`, false},
		{`begins_with(s, :v)`, `{"S":"hel"}`, true},
		{`begins_with(b, :v)`, `{"B":"AQI="}`, true},
		{`begins_with(n, :v)`, `{"S":"1"}`, false},
		{`contains(s, :v)`, `{"S":"ell"}`, true},
		{`contains(ss, :v)`, `{"S":"a"}`, true},
		{`contains(ss, :v)`, `{"S":"c"}`, false},
		{`contains(l, :v)`, `{"N":"7"}`, true},
		{`contains(n, :v)`, `{"S":"1"}`, false},
		{`size(s) = :v`, `{"N":"5"}`, true},
		{`size(ss) = :v`, `{"N":"2"}`, true},
		{`size(m) = :v`, `{"N":"1"}`, true},
		{`size(b) = :v`, `{"N":"3"}`, true},
		{`size(n) > :v`, `{"N":"0"}`, false},
		{`attribute_type(s, :v)`, `{"S":"S"}`, true},
		{`attribute_type(z, :v)`, `{"S":"NULL"}`, true},
		{`attribute_type(absent, :v)`, `{"S":"S"}`, false},
		{`NOT s = :v`, `{"S":"hello"}`, false},
		{`NOT absent = :v`, `{"S":"hello"}`, true},
		{`s = :v OR absent = :v AND n = :v`, `{"S":"hello"}`, true},
		{`(s = :v OR n = :v) AND n = :v`, `{"S":"hello"}`, false},
		{`attribute_exists(m.k) AND attribute_not_exists(m.j) AND s = :v`, `{"S":"hello"}`, true},
	} {
		s := step{op: "PutItem", body: item + `,"ConditionExpression":"` + c.expression + `","ExpressionAttributeValues":{":v":` + c.values + `}`}
		if !c.holds {
			s.err = failed
		}
		scenario(t, strings.ReplaceAll(c.expression, "/", "÷")+" "+c.values, []step{{op: "PutItem", body: item}, s})
	}
}

func TestUpdateReturnValues(t *testing.T) {
	const first = `"UpdateExpression":"SET a = :v, m = :m","ExpressionAttributeValues":{":v":{"N":"1"},":m":{"M":{"x":{"N":"1"},"y":{"N":"2"}}}}`
	scenario(t, "of a new item", []step{
		{op: "UpdateItem", body: first + `,"ReturnValues":"ALL_OLD"`, want: `{}`},
	})
	scenario(t, "updated old of a new item", []step{
		{op: "UpdateItem", body: first + `,"ReturnValues":"UPDATED_OLD"`, want: `{}`},
	})
	scenario(t, "all new of a new item", []step{
		{op: "UpdateItem", body: first + `,"ReturnValues":"ALL_NEW"`, want: `{"Attributes":{$pk,"a":{"N":"1"},"m":{"M":{"x":{"N":"1"},"y":{"N":"2"}}}}}`},
		{op: "UpdateItem", body: `"UpdateExpression":"SET a = a + :v, m.x = :v","ExpressionAttributeValues":{":v":{"N":"5"}},"ReturnValues":"UPDATED_NEW"`,
			want: `{"Attributes":{"a":{"N":"6"},"m":{"M":{"x":{"N":"5"}}}}}`},
		{op: "UpdateItem", body: `"UpdateExpression":"SET a = a - :v","ExpressionAttributeValues":{":v":{"N":"7"}},"ReturnValues":"UPDATED_OLD"`, want: `{"Attributes":{"a":{"N":"6"}}}`},
		{op: "UpdateItem", body: `"UpdateExpression":"SET a = :v","ExpressionAttributeValues":{":v":{"N":"-1"}},"ReturnValues":"UPDATED_NEW"`, want: `{"Attributes":{"a":{"N":"-1"}}}`},
		{op: "UpdateItem", body: `"UpdateExpression":"REMOVE a","ReturnValues":"UPDATED_NEW"`, want: `{}`},
		{op: "UpdateItem", body: `"UpdateExpression":"REMOVE m.y","ReturnValues":"UPDATED_OLD"`, want: `{"Attributes":{"m":{"M":{"y":{"N":"2"}}}}}`},
		{op: "UpdateItem", body: `"ReturnValues":"ALL_OLD"`, want: `{"Attributes":{$pk,"m":{"M":{"x":{"N":"5"}}}}}`},
		{op: "UpdateItem", body: `"UpdateExpression":"REMOVE absent"`, want: `{}`},
	})
}

func TestUpdateSemantics(t *testing.T) {
	scenario(t, "creates a key-only item without an expression", []step{
		{op: "UpdateItem", want: `{}`},
		{op: "GetItem", body: `"ConsistentRead":true`, want: `{"Item":{$pk}}`},
	})
	scenario(t, "removing creates nothing", []step{
		{op: "UpdateItem", body: `"UpdateExpression":"REMOVE a"`, want: `{}`},
		{op: "UpdateItem", body: `"UpdateExpression":"DELETE a :a","ExpressionAttributeValues":{":a":{"SS":["x"]}}`, want: `{}`},
		{op: "GetItem", body: `"ConsistentRead":true`, want: `{}`},
	})
	scenario(t, "all sides read the old item", []step{
		{op: "PutItem", body: `"Item":{$pk,"a":{"N":"1"},"b":{"N":"2"}}`},
		{op: "UpdateItem", body: `"UpdateExpression":"SET a = b, b = a","ReturnValues":"UPDATED_NEW"`, want: `{"Attributes":{"a":{"N":"2"},"b":{"N":"1"}}}`},
		{op: "UpdateItem", body: `"UpdateExpression":"REMOVE a SET c = a","ReturnValues":"ALL_NEW"`, want: `{"Attributes":{$pk,"b":{"N":"1"},"c":{"N":"2"}}}`},
		{op: "UpdateItem", body: `"UpdateExpression":"SET d = absent"`, err: validation, msg: "The provided expression refers to an attribute that does not exist in the item"},
		{op: "UpdateItem", body: `"UpdateExpression":"SET d = if_not_exists(absent, b) + :n","ExpressionAttributeValues":{":n":{"N":"0.5"}},"ReturnValues":"UPDATED_NEW"`, want: `{"Attributes":{"d":{"N":"1.5"}}}`},
	})
	scenario(t, "lists", []step{
		{op: "PutItem", body: `"Item":{$pk,"l":{"L":[{"N":"0"},{"N":"1"},{"N":"2"}]}}`},
		{op: "UpdateItem", body: `"UpdateExpression":"REMOVE l[1] SET l[2] = :a, l[9] = :b, l[5] = :c","ExpressionAttributeValues":{":a":{"S":"a"},":b":{"S":"b"},":c":{"S":"c"}}`},
		{op: "GetItem", body: `"ConsistentRead":true`, want: `{"Item":{$pk,"l":{"L":[{"N":"0"},{"S":"a"},{"S":"c"},{"S":"b"}]}}}`},
		{op: "UpdateItem", body: `"UpdateExpression":"SET l = list_append(:x, l)","ExpressionAttributeValues":{":x":{"L":[{"S":"x"}]}},"ReturnValues":"UPDATED_NEW"`,
			want: `{"Attributes":{"l":{"L":[{"S":"x"},{"N":"0"},{"S":"a"},{"S":"c"},{"S":"b"}]}}}`},
		{op: "UpdateItem", body: `"UpdateExpression":"REMOVE l[99]"`, want: `{}`},
		{op: "UpdateItem", body: `"UpdateExpression":"REMOVE l[0], l[1], l[2], l[3], l[4]"`},
		{op: "GetItem", body: `"ConsistentRead":true`, want: `{"Item":{$pk,"l":{"L":[]}}}`},
	})
	scenario(t, "ADD and DELETE", []step{
		{op: "UpdateItem", body: `"UpdateExpression":"ADD n :n, s :s","ExpressionAttributeValues":{":n":{"N":"2"},":s":{"SS":["a","b"]}}`},
		{op: "UpdateItem", body: `"UpdateExpression":"ADD n :n, s :s","ExpressionAttributeValues":{":n":{"N":"-0.5"},":s":{"SS":["b","c"]}},"ReturnValues":"UPDATED_NEW"`,
			want: `{"Attributes":{"n":{"N":"1.5"},"s":{"SS":["a","b","c"]}}}`},
		{op: "UpdateItem", body: `"UpdateExpression":"DELETE s :s","ExpressionAttributeValues":{":s":{"SS":["a","b","c","d"]}},"ReturnValues":"ALL_NEW"`, want: `{"Attributes":{$pk,"n":{"N":"1.5"}}}`},
		{op: "UpdateItem", body: `"UpdateExpression":"ADD n :s","ExpressionAttributeValues":{":s":{"SS":["a"]}}`, err: validation, msg: "An operand in the update expression has an incorrect data type"},
	})
	scenario(t, "paths that are not there", []step{
		{op: "UpdateItem", body: `"UpdateExpression":"SET m.a = :v","ExpressionAttributeValues":{":v":{"S":"x"}}`, err: validation, msg: "The document path provided in the update expression is invalid for update"},
		{op: "PutItem", body: `"Item":{$pk,"s":{"S":"x"}}`},
		{op: "UpdateItem", body: `"UpdateExpression":"SET s.a = :v","ExpressionAttributeValues":{":v":{"S":"x"}}`, err: validation, msg: "The document path provided in the update expression is invalid for update"},
		{op: "UpdateItem", body: `"UpdateExpression":"REMOVE m.a"`, err: validation, msg: "The document path provided in the update expression is invalid for update"},
		{op: "GetItem", body: `"ConsistentRead":true`, want: `{"Item":{$pk,"s":{"S":"x"}}}`},
	})
	scenario(t, "arithmetic that does not fit", []step{
		{op: "PutItem", body: `"Item":{$pk,"n":{"N":"1e50"},"m":{"N":"9e125"},"s":{"S":"x"}}`},
		{op: "UpdateItem", body: `"UpdateExpression":"SET n = n + :v","ExpressionAttributeValues":{":v":{"N":"1"}}`, err: validation, msg: "Number overflow. Attempting to store a number with magnitude larger than supported range"},
		{op: "UpdateItem", body: `"UpdateExpression":"SET m = m + :v","ExpressionAttributeValues":{":v":{"N":"9e125"}}`, err: validation, msg: "Number overflow. Attempting to store a number with magnitude larger than supported range"},
		{op: "UpdateItem", body: `"UpdateExpression":"SET s = s + :v","ExpressionAttributeValues":{":v":{"N":"1"}}`, err: validation, msg: "An operand in the update expression has an incorrect data type"},
	})
}

// B.2: what is stored and shown is the plain canonical decimal.
func TestNumberForms(t *testing.T) {
	nines := strings.Repeat("9", 38)
	for _, c := range []struct{ in, out string }{
		{"0", "0"}, {"-0", "0"}, {"+5", "5"}, {"007", "7"}, {".5", "0.5"}, {"5.", "5"}, {"1.50", "1.5"}, {"-1.0", "-1"},
		{"1e3", "1000"}, {"1E+3", "1000"}, {"1000e-3", "1"}, {"1.5e-3", "0.0015"}, {"0.0e126", "0"},
		{"1E125", "1" + strings.Repeat("0", 125)},
		{"1e-130", "0." + strings.Repeat("0", 129) + "1"},
		{"-1e-130", "-0." + strings.Repeat("0", 129) + "1"},
		{nines, nines}, {"-" + nines, "-" + nines}, {"0.1e126", "1" + strings.Repeat("0", 125)},
		{"00000000000000000000000000000000000000000012.0000000000000000000000000000000000000000", "12"},
		{"12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"},
	} {
		scenario(t, c.in, []step{
			{op: "PutItem", body: `"Item":{$pk,"n":{"N":"` + c.in + `"}}`},
			{op: "GetItem", body: `"ConsistentRead":true`, want: `{"Item":{$pk,"n":{"N":"` + c.out + `"}}}`},
			{op: "PutItem", body: `"Item":{$pk},"ConditionExpression":"n = :n","ExpressionAttributeValues":{":n":{"N":"` + c.out + `"}}`},
		})
	}
}

// Equal numbers are one key.
func TestNumberKeys(t *testing.T) {
	target := harness.The(t)
	names := shared(t, target)
	target.Raw(t, "PutItem", names.Replace(`{"TableName":"$N","Item":{"pk":{"N":"1e3"},"v":{"S":"x"}}}`)).Want(t, "", "")
	for _, spelling := range []string{"1000", "+1000.0", "10e2", "0001000"} {
		reply := target.Raw(t, "GetItem", names.Replace(`{"TableName":"$N","Key":{"pk":{"N":"`+spelling+`"}},"ConsistentRead":true}`))
		sameJSON(t, spelling, reply.Body, `{"Item":{"pk":{"N":"1000"},"v":{"S":"x"}}}`)
	}
}

func TestConsumedCapacity(t *testing.T) {
	target := harness.The(t)
	names := shared(t, target)
	capacity := func(op, body string) any {
		var out struct{ ConsumedCapacity map[string]any }
		target.Raw(t, op, names.Replace(body)).JSON(t, &out)
		return out.ConsumedCapacity["CapacityUnits"]
	}
	put := func(n int) string {
		return `{"TableName":"$H","ReturnConsumedCapacity":"TOTAL","Item":{"pk":{"S":"capacity"},"v":{"S":"` + strings.Repeat("x", n) + `"}}}`
	}
	for _, c := range []struct {
		op, body string
		want     float64
	}{
		{"PutItem", put(10), 1},
		{"PutItem", put(1024), 2},
		{"PutItem", put(5000), 5},
		{"PutItem", put(10), 5}, // the larger of old and new
		{"PutItem", put(5000), 5},
		{"GetItem", `{"TableName":"$H","ReturnConsumedCapacity":"TOTAL","Key":{"pk":{"S":"capacity"}}}`, 1},
		{"GetItem", `{"TableName":"$H","ReturnConsumedCapacity":"TOTAL","Key":{"pk":{"S":"capacity"}},"ConsistentRead":true}`, 2},
		{"GetItem", `{"TableName":"$H","ReturnConsumedCapacity":"TOTAL","Key":{"pk":{"S":"nobody"}}}`, 0.5},
		{"DeleteItem", `{"TableName":"$H","ReturnConsumedCapacity":"TOTAL","Key":{"pk":{"S":"capacity"}}}`, 5},
		{"DeleteItem", `{"TableName":"$H","ReturnConsumedCapacity":"TOTAL","Key":{"pk":{"S":"capacity"}}}`, 1},
	} {
		if got := capacity(c.op, c.body); got != c.want {
			t.Errorf("%s %.90s: %v capacity units, want %v", c.op, c.body, got, c.want)
		}
	}
}
