package tables

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// [9.08 T PS M]
func TestEstimateOfACollection(t *testing.T) {
	target := harness.The(t)
	name := made(t, target, key("pk/sk")+","+definitions("pk:S sk:S lk:S")+`,"LocalSecondaryIndexes":[`+index("lsi", "pk/lk", "ALL")+`]`)
	reply := target.Raw(t, "PutItem", `{"TableName":"`+name+`","Item":{"pk":{"S":"a"},"sk":{"S":"b"}},"ReturnItemCollectionMetrics":"SIZE"}`)
	if !strings.Contains(string(reply.Body), `"SizeEstimateRangeGB":[0.0,1.0]`) {
		t.Errorf("answered %s", reply.Body)
	}
}

// [9.09 T LS 2025-10-08 H]
func TestAFailedConditionWithItsItemHasACapitalMessage(t *testing.T) {
	target := harness.The(t)
	names := shared(t, target)
	target.Raw(t, "PutItem", names.Replace(`{"TableName":"$H","Item":{"pk":{"S":"there"}}}`)).Want(t, "", "")
	for rest, want := range map[string]string{"": "message", `,"ReturnValuesOnConditionCheckFailure":"ALL_OLD"`: "Message"} {
		reply := target.Raw(t, "PutItem", names.Replace(`{"TableName":"$H","Item":{"pk":{"S":"there"}},"ConditionExpression":"attribute_not_exists(pk)"`+rest+`}`))
		var members map[string]json.RawMessage
		if err := json.Unmarshal(reply.Body, &members); err != nil || reply.Status != http.StatusBadRequest {
			t.Fatalf("answered %d %s: %v", reply.Status, reply.Body, err)
		}
		if string(members[want]) != `"The conditional request failed"` {
			t.Errorf("answered %s, want the text in %s", reply.Body, want)
		}
		if _, both := members["message"]; both && want == "Message" {
			t.Errorf("answered %s, want no message", reply.Body)
		}
	}
}

// [9.10 T AL/LS M]
func TestDescriptionOfADeletedTable(t *testing.T) {
	target := harness.The(t)
	name := made(t, target, key("pk")+","+definitions("pk:S"))
	var answer struct{ TableDescription map[string]json.RawMessage }
	target.Raw(t, "DeleteTable", `{"TableName":"`+name+`"}`).JSON(t, &answer)
	for _, member := range []string{"CreationDateTime", "KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "LocalSecondaryIndexes"} {
		if shown, ok := answer.TableDescription[member]; ok {
			t.Errorf("%s is shown: %s", member, shown)
		}
	}
	for _, member := range []string{"BillingModeSummary", "ProvisionedThroughput"} {
		if _, ok := answer.TableDescription[member]; !ok {
			t.Errorf("%s is not shown", member)
		}
	}
}

// [9.12 C DX 10-23 M]
func TestSequenceNumbersAndIterators(t *testing.T) {
	target := harness.The(t)
	table := target.Create(t, harness.Table{View: "KEYS_ONLY"})
	table.Put(t, harness.Item{"pk": harness.S("a")})
	var described struct {
		StreamDescription struct{ Shards []struct{ ShardId string } }
	}
	target.RawStreams(t, "DescribeStream", `{"StreamArn":"`+table.StreamARN+`"}`).JSON(t, &described)
	shard := described.StreamDescription.Shards[0].ShardId
	iterator := func(rest string) harness.Reply {
		return target.RawStreams(t, "GetShardIterator", `{"StreamArn":"`+table.StreamARN+`","ShardId":"`+shard+`",`+rest+`}`)
	}
	for _, kind := range []string{"AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"} {
		iterator(`"ShardIteratorType":"`+kind+`"`).Want(t, validation, "")
	}
	for _, kind := range []string{"TRIM_HORIZON", "LATEST"} {
		iterator(`"ShardIteratorType":"`+kind+`","SequenceNumber":"100000000000000000001"`).Want(t, validation, "")
	}
	var begin struct{ ShardIterator string }
	iterator(`"ShardIteratorType":"TRIM_HORIZON"`).JSON(t, &begin)
	var read struct {
		Records []struct {
			EventID  string                          `json:"eventID"`
			Dynamodb struct{ SequenceNumber string } `json:"dynamodb"`
		}
	}
	target.RawStreams(t, "GetRecords", `{"ShardIterator":"`+begin.ShardIterator+`"}`).JSON(t, &read)
	var ids []string
	for _, record := range read.Records {
		if n := len(record.Dynamodb.SequenceNumber); n < 21 || n > 40 {
			t.Errorf("the sequence number %s has %d digits", record.Dynamodb.SequenceNumber, n)
		}
		if slices.Contains(ids, record.EventID) || record.EventID == "" {
			t.Errorf("the event id %q is not its own", record.EventID)
		}
		ids = append(ids, record.EventID)
	}
	if len(ids) == 0 {
		t.Error("no record")
	}
}
