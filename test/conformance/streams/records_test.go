package streams

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	stypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

var views = []types.StreamViewType{
	types.StreamViewTypeKeysOnly, types.StreamViewTypeNewImage, types.StreamViewTypeOldImage, types.StreamViewTypeNewAndOldImages,
}

// S.7.1 and S.7.2: the members of a record, and which images each view shows.
func TestPresenceMatrix(t *testing.T) {
	target := harness.The(t)
	for _, view := range views {
		t.Run(string(view), func(t *testing.T) {
			table := target.Create(t, harness.Table{Range: "sk:N", View: view})
			key := harness.Item{"pk": harness.S("a"), "sk": harness.Int(1)}
			before := time.Now().Add(-2 * time.Second)
			table.Put(t, harness.Item{"pk": key["pk"], "sk": key["sk"], "v": harness.Int(1)})
			table.Put(t, harness.Item{"pk": key["pk"], "sk": key["sk"], "v": harness.Int(2)})
			table.Delete(t, key)
			records := target.ReadStream(t, table.StreamARN, 3)
			if len(records) != 3 {
				t.Fatalf("%d records, want 3", len(records))
			}
			names := []stypes.OperationType{stypes.OperationTypeInsert, stypes.OperationTypeModify, stypes.OperationTypeRemove}
			newImages := view == types.StreamViewTypeNewImage || view == types.StreamViewTypeNewAndOldImages
			oldImages := view == types.StreamViewTypeOldImage || view == types.StreamViewTypeNewAndOldImages
			ids := map[string]bool{}
			for i, r := range records {
				if r.EventName != names[i] {
					t.Errorf("record %d is %s, want %s", i, r.EventName, names[i])
				}
				if aws.ToString(r.EventSource) != "aws:dynamodb" || aws.ToString(r.EventVersion) != "1.1" || aws.ToString(r.AwsRegion) != target.Region {
					t.Errorf("eventSource %q, eventVersion %q, awsRegion %q", aws.ToString(r.EventSource), aws.ToString(r.EventVersion), aws.ToString(r.AwsRegion))
				}
				if id := aws.ToString(r.EventID); !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(id) || ids[id] {
					t.Errorf("eventID %q is malformed or not unique", id)
				} else {
					ids[id] = true
				}
				if r.UserIdentity != nil {
					t.Errorf("userIdentity is %v", r.UserIdentity)
				}
				if r.Dynamodb.StreamViewType != stypes.StreamViewType(view) {
					t.Errorf("StreamViewType is %s", r.Dynamodb.StreamViewType)
				}
				if n := aws.ToString(r.Dynamodb.SequenceNumber); !regexp.MustCompile(`^[1-9][0-9]{20,39}$`).MatchString(n) {
					t.Errorf("SequenceNumber is %q", n)
				}
				if at := aws.ToTime(r.Dynamodb.ApproximateCreationDateTime); at.Nanosecond() != 0 || at.Before(before) || at.After(time.Now().Add(time.Second)) {
					t.Errorf("ApproximateCreationDateTime is %v", at)
				}
				if len(r.Dynamodb.Keys) != 2 {
					t.Errorf("Keys are %v", r.Dynamodb.Keys)
				}
				if got, want := r.Dynamodb.NewImage != nil, newImages && r.EventName != stypes.OperationTypeRemove; got != want {
					t.Errorf("%s: NewImage present %v, want %v", r.EventName, got, want)
				}
				if got, want := r.Dynamodb.OldImage != nil, oldImages && r.EventName != stypes.OperationTypeInsert; got != want {
					t.Errorf("%s: OldImage present %v, want %v", r.EventName, got, want)
				}
				for _, image := range []map[string]stypes.AttributeValue{r.Dynamodb.NewImage, r.Dynamodb.OldImage} {
					if image != nil && len(image) != 3 {
						t.Errorf("%s: an image has %d attributes, want 3", r.EventName, len(image))
					}
				}
			}
		})
	}
}

// S.7.3: samples published from the live service.
func TestSizeBytes(t *testing.T) {
	target := harness.The(t)
	for _, c := range []struct {
		name  string
		view  types.StreamViewType
		hash  string
		items []harness.Item // written one after the other
		want  int64          // of the last record
	}{
		{"key only, both images", types.StreamViewTypeNewAndOldImages, "id", []harness.Item{{"id": harness.S("Fred")}}, 12},
		{"keys only", types.StreamViewTypeKeysOnly, "Username", []harness.Item{{"Username": harness.S("Fred"), "more": harness.S("text")}}, 12},
		{"modify", types.StreamViewTypeNewAndOldImages, "id", []harness.Item{{"id": harness.S("test")}, {"id": harness.S("test"), "name": harness.S("Fred")}}, 26},
		{"number", types.StreamViewTypeNewImage, "id:N", []harness.Item{{"id": harness.N("101"), "n": harness.N("42")}}, (2 + 3) + (2 + 3) + (1 + 2)},
		{"binary is raw", types.StreamViewTypeNewImage, "id", []harness.Item{{"id": harness.S("a"), "b": harness.B([]byte("foobar"))}}, 3 + 3 + 1 + 6},
		{"containers", types.StreamViewTypeNewImage, "id", []harness.Item{{"id": harness.S("a"), "l": harness.L(harness.S("x"), harness.Bool(true))}}, 3 + 3 + 1 + 3 + (1 + 1) + (1 + 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := target.Create(t, harness.Table{Hash: c.hash, View: c.view})
			for _, item := range c.items {
				table.Put(t, item)
			}
			records := target.ReadStream(t, table.StreamARN, len(c.items))
			if got := aws.ToInt64(records[len(c.items)-1].Dynamodb.SizeBytes); got != c.want {
				t.Errorf("SizeBytes is %d, want %d", got, c.want)
			}
		})
	}
}

// S.7.4: what changes nothing makes no record. A last write that does make one
// shows where the stream ends.
func TestNoRecordWithoutChange(t *testing.T) {
	target := harness.The(t)
	table := target.Create(t, harness.Table{View: types.StreamViewTypeNewAndOldImages})
	name := table.Name
	send := func(op, body, wantError string) {
		t.Helper()
		target.Raw(t, op, `{"TableName":"`+name+`",`+body+`}`).Want(t, wantError, "")
	}
	const key = `"Key":{"pk":{"S":"a"}}`
	const item = `"Item":{"pk":{"S":"a"},"n":{"N":"1.50"},"s":{"SS":["x","y"]},"l":{"L":[{"S":"1"},{"S":"2"}]},"m":{"M":{"p":{"S":"q"},"r":{"NULL":true}}}}`
	send("PutItem", item, "") // INSERT
	send("PutItem", item, "")
	send("PutItem", `"Item":{"m":{"M":{"r":{"NULL":true},"p":{"S":"q"}}},"l":{"L":[{"S":"1"},{"S":"2"}]},"s":{"SS":["y","x"]},"n":{"N":"15e-1"},"pk":{"S":"a"}}`, "")
	send("UpdateItem", key, "")
	send("UpdateItem", key+`,"UpdateExpression":"SET n = :n","ExpressionAttributeValues":{":n":{"N":"1.5"}}`, "")
	send("UpdateItem", key+`,"UpdateExpression":"REMOVE absent"`, "")
	send("UpdateItem", key+`,"UpdateExpression":"ADD n :z","ExpressionAttributeValues":{":z":{"N":"0"}}`, "")
	send("UpdateItem", key+`,"UpdateExpression":"ADD s :x","ExpressionAttributeValues":{":x":{"SS":["x"]}}`, "")
	send("UpdateItem", key+`,"UpdateExpression":"DELETE s :z","ExpressionAttributeValues":{":z":{"SS":["z"]}}`, "")
	send("UpdateItem", key+`,"UpdateExpression":"SET n = :n","ConditionExpression":"n = :n","ExpressionAttributeValues":{":n":{"N":"9"}}`, "ConditionalCheckFailedException")
	send("PutItem", `"Item":{"pk":{"S":"a"}},"ConditionExpression":"attribute_not_exists(pk)"`, "ConditionalCheckFailedException")
	send("DeleteItem", `"Key":{"pk":{"S":"absent"}}`, "")
	send("UpdateItem", `"Key":{"pk":{"S":"absent"}},"UpdateExpression":"REMOVE a"`, "")
	send("PutItem", `"Item":{"pk":{"N":"1"}}`, "ValidationException")
	target.Raw(t, "BatchWriteItem", `{"RequestItems":{"`+name+`":[{"PutRequest":{`+item+`}},{"DeleteRequest":{"Key":{"pk":{"S":"absent"}}}}]}}`).Want(t, "", "")
	send("PutItem", `"Item":{"pk":{"S":"a"},"l":{"L":[{"S":"2"},{"S":"1"}]}}`, "") // MODIFY
	send("UpdateItem", `"Key":{"pk":{"S":"new"}}`, "")                             // INSERT of a key-only item
	send("DeleteItem", key, "")                                                    // REMOVE
	records := target.ReadStream(t, table.StreamARN, 4)
	var got []string
	for _, r := range records {
		got = append(got, fmt.Sprint(r.EventName, " ", r.Dynamodb.Keys["pk"].(*stypes.AttributeValueMemberS).Value))
	}
	if want := "INSERT a, MODIFY a, INSERT new, REMOVE a"; strings.Join(got, ", ") != want && len(describe(t, table.StreamARN)) == 1 {
		t.Errorf("records %v, want %s", got, want)
	}
}

func describe(t *testing.T, arn string) []stypes.Shard {
	t.Helper()
	return harness.The(t).Describe(t, arn).Shards
}

// Every kind of write makes one record a change, in the order of one item.
func TestOneRecordPerChange(t *testing.T) {
	target := harness.The(t)
	table := target.Create(t, harness.Table{View: types.StreamViewTypeNewAndOldImages})
	for i := range 10 {
		table.Put(t, harness.Item{"pk": harness.S("a"), "v": harness.Int(i)})
	}
	out, err := target.DB.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table.Name: {
		{PutRequest: &types.PutRequest{Item: harness.Item{"pk": harness.S("b"), "v": harness.Int(0)}}},
		{DeleteRequest: &types.DeleteRequest{Key: harness.Item{"pk": harness.S("a")}}},
	}}})
	if err != nil || len(out.UnprocessedItems) != 0 {
		t.Fatal(err, out)
	}
	records := target.ReadStream(t, table.StreamARN, 12)
	if len(records) != 12 {
		t.Fatalf("%d records, want 12", len(records))
	}
	next := 0
	for _, r := range records {
		if r.Dynamodb.Keys["pk"].(*stypes.AttributeValueMemberS).Value != "a" {
			continue
		}
		switch {
		case next < 10:
			if v := r.Dynamodb.NewImage["v"].(*stypes.AttributeValueMemberN).Value; v != fmt.Sprint(next) {
				t.Errorf("change %d has v = %s", next, v)
			}
		case r.EventName != stypes.OperationTypeRemove:
			t.Errorf("the last change is %s", r.EventName)
		}
		next++
	}
	if next != 11 {
		t.Errorf("%d changes of a, want 11", next)
	}
}
