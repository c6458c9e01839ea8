package differences

import (
	"bytes"
	"testing"
)

const everything = Streams | Indexes | Transactions | Legacy | PartiQL | TTL | Tags

func TestSeedDecidesRequests(t *testing.T) {
	for episode := range 5 {
		one, two := requests(7, episode, everything), requests(7, episode, everything)
		if len(one) != len(two) {
			t.Fatalf("episode %d: %d and %d requests", episode, len(one), len(two))
		}
		for i := range one {
			if one[i].String() != two[i].String() || one[i].Whole != two[i].Whole {
				t.Fatalf("episode %d request %d:\n%s\n%s", episode, i, one[i], two[i])
			}
		}
	}
	if requests(7, 0, everything)[0].String() == requests(8, 0, everything)[0].String() {
		t.Error("another seed makes the same request")
	}
}

func TestRequestsKeepToFeatures(t *testing.T) {
	for episode := range 20 {
		for _, r := range requests(1, episode, 0) {
			switch r.Op {
			case "TransactWriteItems", "TransactGetItems", "ExecuteStatement", "TagResource", "UpdateTimeToLive", "GetRecords":
				t.Fatalf("%s without its feature", r)
			}
		}
	}
}

func TestEveryOperationIsMade(t *testing.T) {
	seen := map[string]bool{}
	for episode := range 20 {
		for _, r := range requests(1, episode, everything) {
			seen[r.Op] = true
		}
	}
	for _, op := range []string{
		"PutItem", "GetItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchGetItem", "BatchWriteItem", "TransactWriteItems", "TransactGetItems",
		"CreateTable", "DescribeTable", "UpdateTable", "DeleteTable", "ListTables", "DescribeLimits", "ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction",
		"UpdateTimeToLive", "DescribeTimeToLive", "TagResource", "UntagResource", "ListTagsOfResource", "ListStreams", "DescribeStream", "GetShardIterator", "GetRecords",
	} {
		if !seen[op] {
			t.Errorf("no %s was made", op)
		}
	}
}

func TestAnswersAreCompared(t *testing.T) {
	answer := func(op string, status int, body string) *Answer {
		a, _ := newAnswer(&Request{Op: op}, status, []byte(body))
		return a
	}
	for _, c := range []struct {
		name     string
		op       string
		status   int
		one, two string
		equal    bool
	}{
		{"order of a set", "GetItem", 200, `{"Item":{"a":{"SS":["x","y"]}}}`, `{"Item":{"a":{"SS":["y","x"]}}}`, true},
		{"elements of a set", "GetItem", 200, `{"Item":{"a":{"SS":["x"]}}}`, `{"Item":{"a":{"SS":["y"]}}}`, false},
		{"order of a list", "GetItem", 200, `{"Item":{"a":{"L":[{"S":"x"},{"S":"y"}]}}}`, `{"Item":{"a":{"L":[{"S":"y"},{"S":"x"}]}}}`, false},
		{"form of a number", "GetItem", 200, `{"Item":{"a":{"N":"1"}}}`, `{"Item":{"a":{"N":"1.0"}}}`, false},
		{"times", "DescribeTable", 200, `{"Table":{"CreationDateTime":1.5}}`, `{"Table":{"CreationDateTime":2}}`, true},
		{"a time that is missing", "DescribeTable", 200, `{"Table":{"CreationDateTime":1.5}}`, `{"Table":{}}`, false},
		{"accounts", "DescribeTable", 200, `{"Table":{"TableArn":"arn:aws:dynamodb:us-east-1:000000000001:table/t"}}`, `{"Table":{"TableArn":"arn:aws:dynamodb:other:000000000000:table/t"}}`, true},
		{"tables", "DescribeTable", 200, `{"Table":{"TableArn":"arn:aws:dynamodb:us-east-1:000000000001:table/t"}}`, `{"Table":{"TableArn":"arn:aws:dynamodb:other:000000000000:table/u"}}`, false},
		{"texts", "GetItem", 400, `{"__type":"x#E","message":"a"}`, `{"__type":"x#E","message":"b"}`, false},
		{"keys in braces", "GetItem", 400, `{"__type":"x#E","message":"keys: {#a, #b}"}`, `{"__type":"x#E","message":"keys: {#b, #a}"}`, true},
		{"order of violations", "GetItem", 400, `{"__type":"x#E","message":"2 validation errors detected: Value 'a'; Value 'b'"}`, `{"__type":"x#E","message":"2 validation errors detected: Value 'b'; Value 'a'"}`, true},
		{"items of a batch", "BatchGetItem", 200, `{"Responses":{"t":[{"a":{"S":"x"}},{"a":{"S":"y"}}]}}`, `{"Responses":{"t":[{"a":{"S":"y"}},{"a":{"S":"x"}}]}}`, true},
	} {
		if got := answer(c.op, c.status, c.one).equal(answer(c.op, c.status, c.two)); got != c.equal {
			t.Errorf("%s: equal is %v, want %v", c.name, got, c.equal)
		}
	}
}

func TestClassesLeaveAnswersAlone(t *testing.T) {
	d := &Difference{
		Request: &Request{Op: "GetItem", Body: object{}},
		Mine:    &Answer{Status: 400, Type: "x#E", Member: "message", Message: "one"},
		Other:   &Answer{Status: 400, Type: "y#E", Member: "Message", Message: "another"},
	}
	mine, other := *d.Mine, *d.Other
	if got := explain(d); got != nil {
		t.Errorf("explained by %v", got)
	}
	if !d.Mine.equal(&mine) || !d.Other.equal(&other) {
		t.Error("explaining has changed the answers")
	}
}

// A tester that explains everything finds nothing: answers that are changed by hand
// must be seen.
func TestChangedAnswersAreSeen(t *testing.T) {
	failure := func(code, message string) *Answer {
		return &Answer{Status: 400, Type: "com.amazon.coral.validate#" + code, Member: "message", Message: message}
	}
	success := func(body object) *Answer { return &Answer{Status: 200, Body: body} }
	item := func(value string) object { return object{"Item": object{"a": object{"N": value}}} }
	const update = "The document path provided in the update expression is invalid for update"
	for _, c := range []struct {
		name        string
		request     *Request
		mine, other *Answer
	}{
		{"another value", &Request{Op: "GetItem"}, success(item("1")), success(item("2"))},
		{"no item", &Request{Op: "GetItem"}, success(object{}), success(item("2"))},
		{"an error for a result", &Request{Op: "GetItem"}, failure("ValidationException", "The provided key element does not match the schema"), success(item("2"))},
		{"a condition that held", &Request{Op: "PutItem"}, success(object{}), failure("ConditionalCheckFailedException", "The conditional request failed")},
		{"a condition that failed", &Request{Op: "PutItem"}, failure("ConditionalCheckFailedException", "The conditional request failed"), success(object{})},
		{"another code", &Request{Op: "PutItem"}, failure("ResourceNotFoundException", update), failure("ValidationException", update)},
		{"a later check first", &Request{Op: "PutItem"}, failure("ValidationException", update), failure("ValidationException", "Invalid UpdateExpression: Syntax error; token: \"x\", near: \"x\"")},
		{"another token", &Request{Op: "PutItem"}, failure("ValidationException", "Invalid UpdateExpression: Syntax error; token: \"x\", near: \"x\""), failure("ValidationException", "Invalid UpdateExpression: Syntax error; token: \"y\", near: \"y\"")},
		{"a path that is valid", &Request{Op: "UpdateItem", Body: object{"UpdateExpression": "SET a = :v"}}, success(object{}), failure("ValidationException", update)},
		{"another capacity", &Request{Op: "GetItem"}, success(object{"ConsumedCapacity": object{"CapacityUnits": 1.0}}), success(object{"ConsumedCapacity": object{"CapacityUnits": 2.0}})},
		{"another count", &Request{Op: "Scan", Whole: allPages}, success(object{"Count": 1.0}), success(object{"Count": 2.0})},
		{"a token that was not used", &Request{Op: "TransactWriteItems"}, failure("IdempotentParameterMismatchException", "another payload"), success(object{})},
		{"units of an index", &Request{Op: "PutItem", Body: object{"ReturnConsumedCapacity": "TOTAL"}}, success(object{"ConsumedCapacity": object{"CapacityUnits": 1.0}}), success(object{"ConsumedCapacity": object{"CapacityUnits": 2.0}})},
		{"the item of a statement", &Request{Op: "BatchExecuteStatement"}, success(object{"Responses": list{item("1")}}), success(object{"Responses": list{item("2")}})},
		{"the error of a statement", &Request{Op: "BatchExecuteStatement"}, success(object{"Responses": list{object{"Error": object{"Code": "ValidationError", "Message": "x"}}}}), success(object{"Responses": list{object{}}})},
		{"an index that is not there", &Request{Op: "DescribeTable"}, success(object{"Table": object{}}), success(object{"Table": object{"GlobalSecondaryIndexes": list{object{"IndexName": "i", "IndexStatus": "ACTIVE"}}}})},
		{"our own fault", &Request{Op: "GetItem"}, &Answer{Status: 500, Type: "x#InternalServerError"}, success(object{})},
	} {
		if c.request.Body == nil {
			c.request.Body = object{}
		}
		if got := explain(&Difference{Request: c.request, Mine: c.mine, Other: c.other}); got != nil {
			t.Errorf("%s: explained by %v", c.name, got)
		}
	}
}

func TestClassesSayWhy(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range classes {
		if c.name == "" || c.section == "" || c.quote == "" || seen[c.name] {
			t.Errorf("class %q (%s): a class has a name of its own, a section and its words", c.name, c.section)
		}
		seen[c.name] = true
	}
	if len(classes) > 40 {
		t.Errorf("%d classes: at most 40", len(classes))
	}
}

func TestPlainNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"1": "1", "+1.0": "1", "-0": "0", "007": "7", ".5": "0.5", "5.": "5", "1e3": "1000", "12.50e-1": "1.25", "-1E-3": "-0.001", "0.1e2": "10", "abc": "abc", "": "",
	} {
		if got := plain(text); got != want {
			t.Errorf("plain(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestRowsAreOfOneKind(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rows() {
		if seen[r.id] {
			t.Errorf("%s is there twice", r.id)
		}
		seen[r.id] = true
	}
	if len(seen) < 200 {
		t.Errorf("%d rows", len(seen))
	}
}

func TestMangle(t *testing.T) {
	text := []byte(`{"a":1}`)
	if got := (&mangle{Cut: true, At: 0.5}).apply(text); string(got) != `{"a` {
		t.Errorf("cut: %s", got)
	}
	if got := (&mangle{At: 0, Insert: "x"}).apply(text); !bytes.Equal(got, []byte(`x{"a":1}`)) {
		t.Errorf("insert: %s", got)
	}
}
