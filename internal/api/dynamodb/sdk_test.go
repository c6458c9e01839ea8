package dynamodb

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/table"
)

// newClient is AWS's own client, talking to the door over HTTP. It verifies
// checksums, and does not retry, so that one call is one request.
func newClient(t *testing.T, f *fake) *dynamodb.Client {
	t.Helper()
	f.t = t
	server := httptest.NewServer(newHandler(f))
	t.Cleanup(server.Close)
	return dynamodb.New(dynamodb.Options{
		BaseEndpoint: aws.String(server.URL), Region: here.Region,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		Retryer:     aws.NopRetryer{},
	})
}

func TestSDKWritesAndReads(t *testing.T) {
	every := map[string]types.AttributeValue{
		"s": &types.AttributeValueMemberS{Value: "text \"é\" \u2028"}, "n": &types.AttributeValueMemberN{Value: "-1.5"},
		"b": &types.AttributeValueMemberB{Value: []byte{0, 255}}, "bool": &types.AttributeValueMemberBOOL{Value: true}, "null": &types.AttributeValueMemberNULL{Value: true},
		"ss": &types.AttributeValueMemberSS{Value: []string{"a", "b"}}, "ns": &types.AttributeValueMemberNS{Value: []string{"1", "2"}}, "bs": &types.AttributeValueMemberBS{Value: [][]byte{{1}, {2}}},
		"l": &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberS{Value: "x"}}},
		"m": &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"k": &types.AttributeValueMemberN{Value: "1"}}},
	}
	f := &fake{write: &table.WriteResult{}}
	client := newClient(t, f)
	_, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{
		TableName: aws.String("abc"), Item: every, ConditionExpression: aws.String("attribute_not_exists(#s)"),
		ExpressionAttributeNames: map[string]string{"#s": "s"}, ReturnValues: types.ReturnValueAllOld,
	})
	if err != nil {
		t.Fatal(err)
	}
	asked := f.asked.(*request.PutItem)
	if asked.Condition == nil || asked.ReturnValues != request.ReturnAllOld || asked.Item.Len() != len(every) {
		t.Errorf("asked %+v", asked)
	}
	f.get = &table.GetResult{Found: true, Item: asked.Item, Capacity: &table.Capacity{TableName: "abc", Units: 0.5}}
	got, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("abc"), Key: map[string]types.AttributeValue{"s": every["s"]}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range every {
		if !sameValue(got.Item[name], want) {
			t.Errorf("%s came back as %#v", name, got.Item[name])
		}
	}
	if aws.ToFloat64(got.ConsumedCapacity.CapacityUnits) != 0.5 {
		t.Errorf("capacity %+v", got.ConsumedCapacity)
	}
}

// sameValue compares by what the door itself makes of values.
func sameValue(a, b types.AttributeValue) bool { return item.Equal(valueOf(a), valueOf(b)) }

func valueOf(v types.AttributeValue) item.Value {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return item.String(v.Value)
	case *types.AttributeValueMemberN:
		n, _ := item.ParseNumber([]byte(v.Value))
		return n
	case *types.AttributeValueMemberB:
		return item.AppendBinary(nil, v.Value)
	case *types.AttributeValueMemberBOOL:
		return item.AppendBool(nil, v.Value)
	case *types.AttributeValueMemberNULL:
		return item.AppendNull(nil)
	case *types.AttributeValueMemberSS:
		return setOf(item.SS, v.Value, func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} })
	case *types.AttributeValueMemberNS:
		return setOf(item.NS, v.Value, func(s string) types.AttributeValue { return &types.AttributeValueMemberN{Value: s} })
	case *types.AttributeValueMemberBS:
		return setOf(item.BS, v.Value, func(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} })
	case *types.AttributeValueMemberL:
		var elements []item.Value
		for _, e := range v.Value {
			elements = append(elements, valueOf(e))
		}
		return item.AppendList(nil, elements...)
	case *types.AttributeValueMemberM:
		var entries []item.Entry
		for name, e := range v.Value {
			entries = append(entries, item.Entry{Name: name, Value: valueOf(e)})
		}
		return item.AppendMap(nil, entries)
	}
	return nil
}

func setOf[T any](kind item.Type, list []T, wrap func(T) types.AttributeValue) item.Value {
	var elements []item.Value
	for _, e := range list {
		elements = append(elements, valueOf(wrap(e)))
	}
	return item.AppendSet(nil, kind, elements)
}

func TestSDKErrors(t *testing.T) {
	f := &fake{err: awserr.ConditionFailed(anItem("stored"))}
	client := newClient(t, f)
	_, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("abc"), Item: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "a"}}})
	var failed *types.ConditionalCheckFailedException
	if !errors.As(err, &failed) || failed.ErrorMessage() != "The conditional request failed" || failed.Item["id"].(*types.AttributeValueMemberS).Value != "stored" {
		t.Errorf("got %#v", err)
	}
	f.err = awserr.TableNotFound("abc")
	_, err = client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("abc")})
	var missing *types.ResourceNotFoundException
	if !errors.As(err, &missing) || missing.ErrorMessage() != "Requested resource not found: Table: abc not found" {
		t.Errorf("got %v", err)
	}
	f.err = errors.New("the disk is gone")
	_, err = client.ListTables(t.Context(), &dynamodb.ListTablesInput{})
	var fault *types.InternalServerError
	if !errors.As(err, &fault) || strings.Contains(err.Error(), "disk") {
		t.Errorf("got %v", err)
	}
}

func TestSDKPages(t *testing.T) {
	f := &fake{page: &table.QueryResult{Items: []item.Item{anItem("a")}, Count: 1, ScannedCount: 2, LastEvaluatedKey: anItem("a")}}
	client := newClient(t, f)
	page, err := client.Query(t.Context(), &dynamodb.QueryInput{
		TableName: aws.String("abc"), KeyConditionExpression: aws.String("id = :id"), Limit: aws.Int32(2), ScanIndexForward: aws.Bool(false),
		ExpressionAttributeValues: map[string]types.AttributeValue{":id": &types.AttributeValueMemberS{Value: "a"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	asked := f.asked.(*request.Query)
	if page.Count != 1 || page.ScannedCount != 2 || len(page.Items) != 1 || page.LastEvaluatedKey == nil ||
		asked.Limit != 2 || !asked.Descending || asked.KeyCondition.Conditions[0].Op != expr.KeyEQ {
		t.Errorf("page %+v, asked %+v", page, asked)
	}
}

func TestSDKBatches(t *testing.T) {
	f := &fake{
		batchGet:   &table.BatchGetResult{Tables: []table.BatchGetTable{{Requested: "abc", Items: []item.Item{anItem("a")}, Unprocessed: &request.KeysAndAttributes{Keys: []item.Item{anItem("b")}, Raw: []byte(`"ConsistentRead":true`)}}}},
		batchWrite: &table.BatchWriteResult{Unprocessed: []request.TableWrites{{Common: request.Common{Requested: "abc"}, Writes: []request.WriteRequest{{Key: anItem("b")}}}}},
	}
	client := newClient(t, f)
	id := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "a"}}
	got, err := client.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{"abc": {Keys: []map[string]types.AttributeValue{id}}}})
	if err != nil {
		t.Fatal(err)
	}
	if left := got.UnprocessedKeys["abc"]; len(got.Responses["abc"]) != 1 || len(left.Keys) != 1 || !aws.ToBool(left.ConsistentRead) {
		t.Errorf("got %+v", got)
	}
	written, err := client.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{"abc": {{PutRequest: &types.PutRequest{Item: id}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if left := written.UnprocessedItems["abc"]; len(left) != 1 || left[0].DeleteRequest == nil {
		t.Errorf("got %+v", written)
	}
}

func TestSDKTables(t *testing.T) {
	created := time.UnixMilli(1728400000123)
	f := &fake{described: &table.Description{
		Name: "abc", Status: "ACTIVE", Created: created, PayPerRequest: true, BillingMode: "PAY_PER_REQUEST",
		Attributes: []schema.Attribute{{Name: "id", Type: item.S}}, Keys: schema.Keys{Hash: schema.Attribute{Name: "id", Type: item.S}},
		StreamEnabled: true, StreamView: "NEW_IMAGE", LatestStreamARN: "arn", LatestStreamLabel: "label",
	}}
	client := newClient(t, f)
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("abc"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		StreamSpecification:  &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewImage},
	})
	if err != nil {
		t.Fatal(err)
	}
	if asked := f.asked.(*request.CreateTable); !asked.PayPerRequest || asked.Stream.View != "NEW_IMAGE" || asked.Keys.Hash.Type != item.S {
		t.Errorf("asked %+v", asked)
	}
	out, err := client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("abc")})
	if err != nil {
		t.Fatal(err)
	}
	d := out.Table
	if !d.CreationDateTime.Equal(created) || d.StreamSpecification.StreamViewType != types.StreamViewTypeNewImage || aws.ToString(d.LatestStreamLabel) != "label" ||
		d.BillingModeSummary.BillingMode != types.BillingModePayPerRequest || d.KeySchema[0].KeyType != types.KeyTypeHash {
		t.Errorf("got %+v", d)
	}
}
