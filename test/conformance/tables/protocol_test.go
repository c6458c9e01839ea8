package tables

import (
	"bytes"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

func TestEnvelope(t *testing.T) {
	target := harness.The(t)
	ok := target.Raw(t, "ListTables", "{}")
	ok.Want(t, "", "")
	bad := target.Raw(t, "ListTables", `{"Limit":0}`)
	for name, reply := range map[string]harness.Reply{"success": ok, "error": bad} {
		if id := reply.Header.Get("X-Amzn-Requestid"); !regexp.MustCompile(`^[0-9A-Z]{52}$`).MatchString(id) {
			t.Errorf("%s: x-amzn-RequestId is %q, want 52 of [0-9A-Z]", name, id)
		}
		if kind := reply.Header.Get("Content-Type"); kind != "application/x-amz-json-1.0" {
			t.Errorf("%s: Content-Type is %q", name, kind)
		}
	}
	if ok.Header.Get("X-Amzn-Requestid") == bad.Header.Get("X-Amzn-Requestid") {
		t.Error("two replies carry one request id")
	}
	if bad.Namespace != "com.amazon.coral.validate" {
		t.Errorf("namespace of a ValidationException is %q", bad.Namespace)
	}
	missing := target.Raw(t, "DescribeTable", `{"TableName":"conf-there-is-none"}`)
	if missing.Namespace != "com.amazonaws.dynamodb.v20120810" {
		t.Errorf("namespace of a ResourceNotFoundException is %q", missing.Namespace)
	}
	plain := target.RawRequest(t, func(r *http.Request) {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Amz-Target", "DynamoDB_20120810.ListTables")
	}, []byte("{}"), true)
	if kind := plain.Header.Get("Content-Type"); plain.Status != 200 || kind != "application/json" {
		t.Errorf("application/json is answered with %d, %q", plain.Status, kind)
	}
}

func TestRequestsThatAreNotOperations(t *testing.T) {
	target := harness.The(t)
	operation := func(name string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("X-Amz-Target", name) }
	}
	for _, c := range []struct {
		name string
		edit func(*http.Request)
		body string
		want string
	}{
		{"malformed JSON wins over the target", operation("DynamoDB_20120810.Nonsense"), `{"a":`, serialization},
		{"unknown operation", operation("DynamoDB_20120810.Nonsense"), `{}`, "UnknownOperationException"},
		{"unknown version", operation("DynamoDB_20111205.ListTables"), `{}`, "UnknownOperationException"},
		{"no target", func(*http.Request) {}, `{}`, "UnknownOperationException"},
		{"empty body", operation("DynamoDB_20120810.ListTables"), ``, serialization},
		{"array at the top", operation("DynamoDB_20120810.ListTables"), `[]`, serialization},
		{"text after the object", operation("DynamoDB_20120810.ListTables"), `{} x`, serialization},
	} {
		t.Run(c.name, func(t *testing.T) {
			reply := target.RawRequest(t, c.edit, []byte(c.body), true)
			reply.Want(t, c.want, "")
			if c.name != "array at the top" && reply.Message != "" {
				t.Errorf("text %q, want none", reply.Message)
			}
		})
	}
	reply := target.RawRequest(t, func(r *http.Request) {
		r.Header.Set("Content-Type", "text/plain")
		r.Header.Set("X-Amz-Target", "DynamoDB_20120810.ListTables")
	}, []byte("{}"), true)
	if reply.Status != http.StatusNotFound || string(reply.Body) != "<UnknownOperationException/>\n" {
		t.Errorf("a wrong content type is answered with %d %q", reply.Status, reply.Body)
	}
}

func TestAuthorization(t *testing.T) {
	target := harness.The(t)
	for _, c := range []struct{ name, header, want, message string }{
		{"none", "", "MissingAuthenticationTokenException", "Request is missing Authentication Token"},
		{"not AWS4", "Basic Zm9vOmJhcg==", "MissingAuthenticationTokenException", "Request is missing Authentication Token"},
		{"no parts", "AWS4-HMAC-SHA256 ", "IncompleteSignatureException", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			target.RawRequest(t, func(r *http.Request) {
				r.Header.Set("X-Amz-Target", "DynamoDB_20120810.ListTables")
				if c.header != "" {
					r.Header.Set("Authorization", c.header)
				}
			}, []byte("{}"), false).Want(t, c.want, c.message)
		})
	}
}

func TestBodySizeLimit(t *testing.T) {
	target := harness.The(t)
	names := shared(t, target)
	big := bytes.Repeat([]byte(" "), 16<<20+1)
	copy(big, names.Replace(`{"TableName":"$H","Key":{"pk":{"S":"a"}}}`))
	req := target.RawRequest(t, func(r *http.Request) { r.Header.Set("X-Amz-Target", "DynamoDB_20120810.GetItem") }, big, true)
	if req.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body over 16 MiB is answered with %d", req.Status)
	}
	largest := big[:16<<20]
	target.RawRequest(t, func(r *http.Request) { r.Header.Set("X-Amz-Target", "DynamoDB_20120810.GetItem") }, largest, true).Want(t, "", "")
}

func TestDeepNestingIsRefused(t *testing.T) {
	target := harness.The(t)
	names := shared(t, target)
	nested := func(levels int) string {
		return names.Replace(`{"TableName":"$H","Item":{"pk":{"S":"deep"},"a":` +
			strings.Repeat(`{"L":[`, levels-1) + `{"S":"x"}` + strings.Repeat(`]}`, levels-1) + `}}`)
	}
	target.Raw(t, "PutItem", nested(32)).Want(t, "", "")
	target.Raw(t, "PutItem", nested(33)).Want(t, validation, "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit")
	if reply := target.Raw(t, "PutItem", nested(200_000)); reply.Status != http.StatusBadRequest {
		t.Errorf("200,000 levels are answered with %d", reply.Status)
	}
	target.Raw(t, "GetItem", names.Replace(`{"TableName":"$H","Key":{"pk":{"S":"deep"}}}`)).Want(t, "", "")
}

// A.5: what cannot be converted to the member's type.
func TestSerializationErrors(t *testing.T) {
	rows := []row{
		{"N as number", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"n":{"N":3}}}`, serialization, "NUMBER_VALUE cannot be converted to String"},
		{"N as fraction", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"n":{"N":3.5}}}`, serialization, "DECIMAL_VALUE cannot be converted to String"},
		{"S as true", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":true}}}`, serialization, "TRUE_VALUE cannot be converted to String"},
		{"S as false", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":false}}}`, serialization, "FALSE_VALUE cannot be converted to String"},
		{"S as array", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":[]}}}`, serialization, "Unrecognized collection type class java.lang.String"},
		{"S as object", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":{}}}}`, serialization, "Start of structure or map found where not expected"},
		{"BOOL as number", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"b":{"BOOL":1}}}`, serialization, "NUMBER_VALUE cannot be converted to Boolean"},
		{"BOOL as array", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"b":{"BOOL":[]}}}`, serialization, ""},
		{"B not base64 length", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"b":{"B":"abc"}}}`, serialization, "Base64 encoded length is expected a multiple of 4 bytes but found: 3"},
		{"B as number", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"b":{"B":1}}}`, serialization, "only base-64-encoded strings are convertible to bytes"},
		{"L as scalar", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"l":{"L":"x"}}}`, serialization, "Unexpected field type"},
		{"L as object", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"l":{"L":{}}}}`, serialization, "Start of structure or map found where not expected"},
		{"M as scalar", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"m":{"M":1}}}`, serialization, "Unexpected field type"},
		{"Item as scalar", "PutItem", `{"TableName":"$H","Item":1}`, serialization, "Unexpected field type"},
		{"Item as array", "PutItem", `{"TableName":"$H","Item":[]}`, serialization, "Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>"},
		{"value as scalar", "PutItem", `{"TableName":"$H","Item":{"pk":"a"}}`, serialization, "Unexpected value type in payload"},
		{"value as array", "PutItem", `{"TableName":"$H","Item":{"pk":[]}}`, serialization, "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue"},
		{"TableName as number", "PutItem", `{"TableName":1}`, serialization, "NUMBER_VALUE cannot be converted to String"},
		{"Limit as string", "Scan", `{"TableName":"$H","Limit":"1"}`, serialization, "STRING_VALUE cannot be converted to Integer"},
		{"Limit as true", "Scan", `{"TableName":"$H","Limit":true}`, serialization, "TRUE_VALUE cannot be converted to Integer"},
		{"Limit as array", "Scan", `{"TableName":"$H","Limit":[]}`, serialization, "Unrecognized collection type class java.lang.Integer"},
		{"ConsistentRead as word", "GetItem", `{"TableName":"$H","ConsistentRead":"maybe"}`, serialization, "Unexpected token received from parser"},
		{"names as array", "GetItem", `{"TableName":"$H","ExpressionAttributeNames":[]}`, serialization, "Unrecognized collection type java.util.Map<java.lang.String, java.lang.String>"},
		{"null members are absent", "GetItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"ProjectionExpression":null,"Unknown":{"x":1}}`, "", ""},
	}
	check(t, rows)
}
