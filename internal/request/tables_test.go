package request

import (
	"reflect"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/schema"
)

// create returns a CreateTable body with a hash key "a" (S), on demand, and the
// members given.
func create(attributes, keys, rest string) string {
	var defs, schemas []string
	for _, name := range strings.Fields(attributes) {
		defs = append(defs, `{"AttributeName":"`+name+`","AttributeType":"S"}`)
	}
	for _, key := range strings.Fields(keys) {
		schemas = append(schemas, element(key))
	}
	return `{"TableName":"abc","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[` + strings.Join(defs, ",") +
		`],"KeySchema":[` + strings.Join(schemas, ",") + `]` + rest + `}`
}

// element returns a KeySchemaElement from "a:HASH".
func element(key string) string {
	name, kind, _ := strings.Cut(key, ":")
	return `{"AttributeName":"` + name + `","KeyType":"` + kind + `"}`
}

// index returns an index's JSON.
func index(name, keys, rest string) string {
	var schemas []string
	for _, key := range strings.Fields(keys) {
		schemas = append(schemas, element(key))
	}
	return `{"IndexName":"` + name + `","KeySchema":[` + strings.Join(schemas, ",") + `]` + rest + `}`
}

const all = `,"Projection":{"ProjectionType":"ALL"}`

func lsi(list ...string) string { return `,"LocalSecondaryIndexes":[` + strings.Join(list, ",") + `]` }
func gsi(list ...string) string { return `,"GlobalSecondaryIndexes":[` + strings.Join(list, ",") + `]` }

func TestCreateTableRules(t *testing.T) {
	const units = `"ProvisionedThroughput":{"ReadCapacityUnits":1,"WriteCapacityUnits":1}`
	const simple = `"TableName":"abc","AttributeDefinitions":[{"AttributeName":"a","AttributeType":"S"}],"KeySchema":[{"AttributeName":"a","KeyType":"HASH"}]`
	var many []string
	for i := range 21 {
		many = append(many, index("index"+strings.Repeat("x", i), "a:HASH b:RANGE", all))
	}
	checkRefusals(t, []refusal{
		{"CreateTable", `{}`, validation + "The parameter 'TableName' is required but was not present in the request"},
		{"CreateTable", `{"TableName":"ab"}`, validation + "3 validation errors detected: Value null at 'attributeDefinitions' failed to satisfy constraint: Member must not be null; Value 'ab' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3; Value null at 'keySchema' failed to satisfy constraint: Member must not be null"},
		{"CreateTable", `{` + simple + `,"BillingMode":"x"}`, one + "Value 'x' at 'billingMode' failed to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]"},
		{"CreateTable", `{` + simple + `,"ProvisionedThroughput":{"ReadCapacityUnits":0}}`, two + "Value null at 'provisionedThroughput.writeCapacityUnits' failed to satisfy constraint: Member must not be null; Value '0' at 'provisionedThroughput.readCapacityUnits' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"CreateTable", create("a", "a:x", ""), one + "Value 'x' at 'keySchema.1.member.keyType' failed to satisfy constraint: Member must satisfy enum value set: [HASH, RANGE]"},
		{"CreateTable", create("a", "", ""), one + "Value '[]' at 'keySchema' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"CreateTable", create("a", "a:HASH b:RANGE c:RANGE", ""), one + "Value '[KeySchemaElement(attributeName=a, keyType=HASH), KeySchemaElement(attributeName=b, keyType=RANGE), KeySchemaElement(attributeName=c, keyType=RANGE)]' at 'keySchema' failed to satisfy constraint: Member must have length less than or equal to 2"},
		{"CreateTable", create("a", "a:HASH", `,"StreamSpecification":{"StreamViewType":"x"}`), two + "Value null at 'streamSpecification.streamEnabled' failed to satisfy constraint: Member must not be null; Value 'x' at 'streamSpecification.streamViewType' failed to satisfy constraint: Member must satisfy enum value set: [OLD_IMAGE, NEW_AND_OLD_IMAGES, NEW_IMAGE, KEYS_ONLY]"},
		{"CreateTable", create("a", "a:HASH", lsi(index("l", "a:HASH", `,"Projection":{}`))+gsi(index("g", "a:HASH", `,"Projection":{}`))), two + "Value 'g' at 'globalSecondaryIndexes.1.member.indexName' failed to satisfy constraint: Member must have length greater than or equal to 3; Value 'l' at 'localSecondaryIndexes.1.member.indexName' failed to satisfy constraint: Member must have length greater than or equal to 3"},
		{"CreateTable", create("a", "a:HASH", gsi(index("x", "", ""))), validation + "3 validation errors detected: Value '[]' at 'globalSecondaryIndexes.1.member.keySchema' failed to satisfy constraint: Member must have length greater than or equal to 1; Value null at 'globalSecondaryIndexes.1.member.projection' failed to satisfy constraint: Member must not be null; Value 'x' at 'globalSecondaryIndexes.1.member.indexName' failed to satisfy constraint: Member must have length greater than or equal to 3"},

		{"CreateTable", `{` + simple + `}`, invalid + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"},
		{"CreateTable", create("a", "a:HASH", `,`+units), invalid + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"},
		{"CreateTable", `{` + simple + `,"ProvisionedThroughput":{"ReadCapacityUnits":1000000000001,"WriteCapacityUnits":1}}`, validation + "Given value 1000000000001 for ReadCapacityUnits is out of bounds"},
		{"CreateTable", `{` + simple + `,` + units + `,"OnDemandThroughput":{"MaxReadRequestUnits":5}}`, invalid + "MaxReadRequestUnits for OnDemandThroughput cannot be specified when table BillingMode is PROVISIONED."},
		{"CreateTable", create("a", "a:HASH", `,"OnDemandThroughput":{"MaxReadRequestUnits":-2}`), invalid + "Requested MaxReadRequestUnits for OnDemandThroughput for table is outside of valid range"},
		{"CreateTable", `{` + simple + `,` + units + `}`, ""},

		{"CreateTable", create("a", "a:HASH b:RANGE", ""), validation + "Invalid KeySchema: Some index key attribute have no definition"},
		{"CreateTable", create("a", "b:HASH", ""), invalid + "Some index key attributes are not defined in AttributeDefinitions. Keys: [b], AttributeDefinitions: [a]"},
		{"CreateTable", create("a a", "a:HASH", ""), validation + "Attribute Name is duplicated: a"},
		{"CreateTable", create("a b", "a:HASH a:RANGE", ""), validation + "Both the Hash Key and the Range Key element in the KeySchema have the same name"},
		{"CreateTable", create("a", "a:RANGE", ""), validation + "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"},
		{"CreateTable", create("a b", "a:HASH b:HASH", ""), validation + "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"},
		{"CreateTable", create("a b", "a:HASH", ""), invalid + "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions"},
		{"CreateTable", create("a b", "a:HASH", gsi(index("ind", "a:HASH", all))), invalid + "Some AttributeDefinitions are not used. AttributeDefinitions: [a, b], keys used: [a]"},
		{"CreateTable", create("a", "a:HASH", gsi(index("ind", "b:HASH", all))), invalid + "Some index key attributes are not defined in AttributeDefinitions. Keys: [b], AttributeDefinitions: [a]"},

		{"CreateTable", create("a", "a:HASH", lsi()), invalid + "List of LocalSecondaryIndexes is empty"},
		{"CreateTable", create("a", "a:HASH", gsi()), invalid + "List of GlobalSecondaryIndexes is empty"},
		{"CreateTable", create("a", "a:HASH", lsi(index("ind", "a:HASH", all))), invalid + "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex"},
		{"CreateTable", create("a b", "a:HASH b:RANGE", lsi(index("ind", "a:HASH", all))), invalid + "Index KeySchema does not have a range key for index: ind"},
		{"CreateTable", create("a b", "a:HASH b:RANGE", lsi(index("ind", "b:HASH a:RANGE", all))), invalid + "Index KeySchema does not have the same leading hash key as table KeySchema for index: ind. index hash key: b, table hash key: a"},
		{"CreateTable", create("a b", "a:HASH b:RANGE", lsi(index("ind", "a:HASH b:RANGE", `,"Projection":{}`))), invalid + "Unknown ProjectionType: null"},
		{"CreateTable", create("a", "a:HASH", gsi(index("ind", "a:HASH", `,"Projection":{"ProjectionType":"KEYS_ONLY","NonKeyAttributes":["x"]}`))), invalid + "ProjectionType is KEYS_ONLY, but NonKeyAttributes is specified"},
		{"CreateTable", create("a", "a:HASH", gsi(index("ind", "a:HASH", `,"Projection":{"ProjectionType":"INCLUDE"}`))), invalid + "ProjectionType is INCLUDE, but NonKeyAttributes is not specified"},
		{"CreateTable", create("a", "a:HASH", gsi(index("ind", "a:HASH", `,"Projection":{"ProjectionType":"INCLUDE","NonKeyAttributes":["x","x"]}`))), invalid + "Duplicate element in NonKeyAttributes: x"},
		{"CreateTable", create("a", "a:HASH", gsi(index("ind", "a:HASH", all), index("ind", "a:HASH", all))), invalid + "Duplicate index name: ind"},
		{"CreateTable", create("a b", "a:HASH b:RANGE", lsi(index("ind", "a:HASH b:RANGE", all))+gsi(index("ind", "a:HASH", all))), invalid + "Duplicate index name: ind"},
		{"CreateTable", create("a b", "a:HASH b:RANGE", lsi(many[:6]...)), invalid + "Number of LocalSecondaryIndexes exceeds per-table limit of 5"},
		{"CreateTable", create("a b", "a:HASH b:RANGE", gsi(many...)), invalid + "GlobalSecondaryIndex count exceeds the per-table limit of 20"},
		{"CreateTable", create("a", "a:HASH", gsi(index("ind", "a:HASH", all+`,`+units))), invalid + "ProvisionedThroughput should not be specified for index: ind when BillingMode is PAY_PER_REQUEST"},
		{"CreateTable", `{` + simple + `,` + units + gsi(index("ind", "a:HASH", all)) + `}`, invalid + "ProvisionedThroughput is not specified for index: ind"},
		{"CreateTable", create("a b c", "a:HASH", gsi(index("ind", "a:HASH b:RANGE c:HASH", all))), invalid + "All HASH key attributes must precede RANGE key attributes in the KeySchema"},
		{"CreateTable", create("a b c d e", "a:HASH", gsi(index("ind", "a:HASH b:HASH c:HASH d:HASH e:HASH", all))), invalid + "The KeySchema exceeds the maximum allowed number of HASH key attributes"},
		{"CreateTable", create("a b", "a:HASH", gsi(index("ind", "a:HASH b:HASH a:RANGE", all))), validation + "The KeySchema contains multiple key attributes with the same name"},
		{"CreateTable", create("a b c", "a:HASH", gsi(index("ind", "b:HASH c:HASH a:RANGE", all))), ""},

		{"CreateTable", create("a", "a:HASH", `,"StreamSpecification":{"StreamEnabled":true}`), invalid + "Table is being created with a stream enabled, UpdateViewType is required"},
		{"CreateTable", create("a", "a:HASH", `,"StreamSpecification":{"StreamEnabled":false,"StreamViewType":"KEYS_ONLY"}`), invalid + "Table is being created with a stream disabled, UpdateViewType should not be specified"},
		{"CreateTable", create("a", "a:HASH", `,"Tags":[{"Key":"aws:x","Value":""}]`), validation + "Tag Key cannot be prefixed with aws:, Key: aws:x"},
		{"CreateTable", create("a", "a:HASH", `,"Tags":[{"Key":"x","Value":""},{"Key":"x","Value":""}]`), validation + "Duplicate Tag Keys provided as input: Duplicate Tag Key found x"},
		{"CreateTable", create("a", "a:HASH", `,"Tags":[{"Key":"x;","Value":""}]`), validation + "The Tag Key provided is invalid, Key: x;"},
	})
}

func TestUpdateTableRules(t *testing.T) {
	const named = `{"TableName":"abc"`
	const defs = `,"AttributeDefinitions":[{"AttributeName":"a","AttributeType":"S"}]`
	const units = `,"ProvisionedThroughput":{"ReadCapacityUnits":1,"WriteCapacityUnits":1}`
	const enable = `,"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"KEYS_ONLY"}`
	const nothing = validation + "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required"
	updates := func(list ...string) string { return `,"GlobalSecondaryIndexUpdates":[` + strings.Join(list, ",") + `]` }
	made := func(name string) string { return `{"Create":` + index(name, "a:HASH", all) + `}` }
	checkRefusals(t, []refusal{
		{"UpdateTable", `{}`, validation + "The parameter 'TableName' is required but was not present in the request"},
		{"UpdateTable", named + `}`, nothing},
		{"UpdateTable", named + defs + `}`, nothing},
		{"UpdateTable", named + updates() + `}`, nothing},
		{"UpdateTable", named + `,"TableClass":"STANDARD"` + enable + `}`, invalid + "TableClass modification must be the only operation in the request"},
		{"UpdateTable", named + `,"DeletionProtectionEnabled":true` + enable + `}`, invalid + "DeletionProtection modification must be the only operation in the request"},
		{"UpdateTable", named + `,"SSESpecification":{"Enabled":true}` + enable + `}`, invalid + "Server-Side Encryption modification must be the only operation in the request"},
		{"UpdateTable", named + `,"WarmThroughput":{"ReadUnitsPerSecond":1}` + enable + `}`, invalid + "WarmThroughput must be the only operation in the request"},
		{"UpdateTable", named + units + enable + `}`, invalid + "You cannot modify stream status while updating table IOPS"},
		{"UpdateTable", named + units + updates(made("ind")) + `}`, invalid + "You cannot create or delete index while updating table IOPS"},
		{"UpdateTable", named + enable + updates(made("ind")) + `}`, invalid + "You cannot create or delete index while changing stream status"},
		{"UpdateTable", named + `,"OnDemandThroughput":{"MaxReadRequestUnits":1}` + enable + `}`, invalid + "OnDemandThroughput can only be combined with BillingMode in an UpdateTable request"},
		{"UpdateTable", named + `,"BillingMode":"PAY_PER_REQUEST"` + enable + `}`, ""},
		{"UpdateTable", named + `,"BillingMode":"PAY_PER_REQUEST"` + units + `}`, invalid + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"},
		{"UpdateTable", named + `,"StreamSpecification":{"StreamEnabled":true}}`, invalid + "If stream is being enabled then UpdateViewType is required"},
		{"UpdateTable", named + `,"StreamSpecification":{"StreamEnabled":false,"StreamViewType":"KEYS_ONLY"}}`, invalid + "If stream is being disabled, then UpdateViewType must not be specified"},
		{"UpdateTable", named + updates(`{}`) + `}`, invalid + "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete must not be null"},
		{"UpdateTable", named + defs + updates(`{"Create":`+index("ind", "a:HASH", all)+`,"Delete":{"IndexName":"ind"}}`) + `}`, invalid + "Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object"},
		{"UpdateTable", named + defs + updates(made("ind"), made("ind")) + `}`, invalid + "Only one global secondary index update per index is allowed simultaneously. Index: ind"},
		{"UpdateTable", named + defs + updates(made("ind"), made("inf")) + `}`, "LimitExceededException: Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"},
		{"UpdateTable", named + updates(made("ind")) + `}`, validation + "Invalid KeySchema: Some index key attribute have no definition"},
		{"UpdateTable", named + defs + updates(made("ind")) + `}`, ""},
		{"UpdateTable", named + updates(`{"Delete":{"IndexName":"x"}}`) + `}`, one + "Value 'x' at 'globalSecondaryIndexUpdates.1.member.delete.indexName' failed to satisfy constraint: Member must have length greater than or equal to 3"},
	})
}

func TestStreamRules(t *testing.T) {
	const arn = "arn:aws:dynamodb:us-east-1:000000000000:table/abc/stream/2015-05-11T21:21:33.291"
	const shard = "shardId-00000001414576573621-f55eea83"
	iterator := func(rest string) string {
		return `{"StreamArn":"` + arn + `","ShardId":"` + shard + `",` + rest + `}`
	}
	checkRefusals(t, []refusal{
		{"ListStreams", `{}`, ""},
		{"ListStreams", `{"Limit":101}`, one + "Value '101' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 100"},
		{"ListStreams", `{"ExclusiveStartStreamArn":"x"}`, one + "Value 'x' at 'exclusiveStartStreamArn' failed to satisfy constraint: Member must have length greater than or equal to 37"},
		{"ListStreams", `{"ExclusiveStartStreamArn":"` + strings.Repeat("x", 40) + `"}`, validation + "Invalid StreamArn: " + strings.Repeat("x", 40)},
		{"DescribeStream", `{}`, one + "Value null at 'streamArn' failed to satisfy constraint: Member must not be null"},
		{"DescribeStream", `{"StreamArn":"` + arn + `","Limit":0}`, one + "Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"DescribeStream", `{"StreamArn":"` + arn + `","ShardFilter":{"Type":"x"}}`, two + "Value 'x' at 'shardFilter.type' failed to satisfy constraint: Member must satisfy enum value set: [CHILD_SHARDS]; Value null at 'shardFilter.shardId' failed to satisfy constraint: Member must not be null"},
		{"DescribeStream", `{"StreamArn":"` + arn + `","ShardFilter":{"Type":"CHILD_SHARDS","ShardId":"` + strings.Repeat("x", 37) + `"}}`, validation + "Invalid ShardFilter: ShardId is not valid: " + strings.Repeat("x", 37)},
		{"DescribeStream", `{"StreamArn":"` + arn + `","ShardFilter":{"Type":"CHILD_SHARDS","ShardId":"` + shard + `"}}`, ""},
		{"GetShardIterator", iterator(`"ShardIteratorType":"x"`), one + "Value 'x' at 'shardIteratorType' failed to satisfy constraint: Member must satisfy enum value set: " + iteratorTypeSet},
		{"GetShardIterator", iterator(`"ShardIteratorType":"LATEST","SequenceNumber":"4421584500000000017450439091"`), validation + "SequenceNumber must not be specified when ShardIteratorType is LATEST"},
		{"GetShardIterator", iterator(`"ShardIteratorType":"AT_SEQUENCE_NUMBER"`), validation + "SequenceNumber must be specified when ShardIteratorType is AT_SEQUENCE_NUMBER"},
		{"GetShardIterator", iterator(`"ShardIteratorType":"AT_SEQUENCE_NUMBER","SequenceNumber":"1"`), one + "Value '1' at 'sequenceNumber' failed to satisfy constraint: Member must have length greater than or equal to 21"},
		{"GetShardIterator", iterator(`"ShardIteratorType":"AT_SEQUENCE_NUMBER","SequenceNumber":"x421584500000000017450439091"`), validation + "Invalid SequenceNumber: x421584500000000017450439091"},
		{"GetShardIterator", iterator(`"ShardIteratorType":"AT_TIMESTAMP"`), validation + "Timestamp must be specified when ShardIteratorType is AT_TIMESTAMP"},
		{"GetShardIterator", iterator(`"ShardIteratorType":"LATEST","Timestamp":1`), validation + "Timestamp must not be specified when ShardIteratorType is LATEST"},
		{"GetShardIterator", iterator(`"ShardIteratorType":"TRIM_HORIZON"`), ""},
		{"GetRecords", `{}`, one + "Value null at 'shardIterator' failed to satisfy constraint: Member must not be null"},
		{"GetRecords", `{"ShardIterator":"x","Limit":1001}`, one + "Value '1001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 1000"},
		{"GetRecords", `{"ShardIterator":"x"}`, ""},
	})

	op, err := DecodeGetShardIterator([]byte(iterator(`"ShardIteratorType":"AT_TIMESTAMP","Timestamp":1791316726.480`)))
	if err != nil || op.TimestampMillis != 1791316726480 || op.Shard != shard || op.Stream.Table != "abc" || op.Stream.Label != "2015-05-11T21:21:33.291" {
		t.Errorf("got %+v, %v", op, err)
	}
}

func TestCreateTableValue(t *testing.T) {
	op, err := DecodeCreateTable([]byte(`{"TableName":"abc","AttributeDefinitions":[{"AttributeName":"z","AttributeType":"S"},{"AttributeName":"b","AttributeType":"N"},{"AttributeName":"c","AttributeType":"B"}],
		"KeySchema":[{"AttributeName":"z","KeyType":"HASH"},{"AttributeName":"b","KeyType":"RANGE"}],
		"ProvisionedThroughput":{"ReadCapacityUnits":3,"WriteCapacityUnits":4},
		"GlobalSecondaryIndexes":[{"IndexName":"byC","KeySchema":[{"AttributeName":"c","KeyType":"HASH"}],"Projection":{"ProjectionType":"INCLUDE","NonKeyAttributes":["y","x"]},"ProvisionedThroughput":{"ReadCapacityUnits":1,"WriteCapacityUnits":2}}],
		"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_IMAGE"},"Tags":[{"Key":"millstream:shards","Value":"8"}],
		"DeletionProtectionEnabled":true,"TableClass":"STANDARD","SSESpecification":{"Enabled":true,"SSEType":"KMS"}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &CreateTable{
		Common:             Common{TableName: "abc", Requested: "abc"},
		Attributes:         []schema.Attribute{{Name: "b", Type: item.N}, {Name: "c", Type: item.B}, {Name: "z", Type: item.S}},
		Keys:               schema.Keys{Hash: schema.Attribute{Name: "z", Type: item.S}, Range: schema.Attribute{Name: "b", Type: item.N}},
		Global:             []Index{{Name: "byC", Keys: []KeyElement{{Attribute: "c"}}, Projection: "INCLUDE", NonKeyAttributes: []string{"x", "y"}, Throughput: &Throughput{Read: 1, Write: 2}}},
		Throughput:         Throughput{Read: 3, Write: 4},
		Stream:             &Stream{Enabled: true, View: "NEW_IMAGE"},
		Tags:               []Tag{{Key: "millstream:shards", Value: "8"}},
		TableClass:         "STANDARD",
		DeletionProtection: true,
		Encryption:         &Encryption{Enabled: true, Type: "KMS"},
	}
	if !reflect.DeepEqual(op, want) {
		t.Errorf("got\n%+v\nwant\n%+v", op, want)
	}
}
