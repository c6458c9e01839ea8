package dynamodb

import (
	"errors"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/table"
)

const (
	transactWrite = `{"TransactItems":[{"Put":{"TableName":"abc","Item":{"id":{"S":"a"}}}}]}`
	transactGet   = `{"TransactItems":[{"Get":{"TableName":"abc","Key":{"id":{"S":"a"}}}}]}`
)

func TestTransactionAnswers(t *testing.T) {
	for _, row := range []struct {
		op, body string
		fake     fake
		want     string
	}{
		{"TransactWriteItems", transactWrite, fake{transacted: &table.TransactWriteResult{}}, `{}`},
		{"TransactWriteItems", transactWrite, fake{transacted: &table.TransactWriteResult{
			Capacity: []*table.Capacity{{TableName: "abc", Units: 5, Kind: "Write", Indexes: true, Table: 4, Global: []table.IndexCapacity{{Index: "byX", Units: 1}}}, {TableName: "def", Units: 2, Kind: "Write"}},
			Collections: []table.TableCollections{
				{Requested: "abc", Metrics: []table.CollectionMetrics{{Key: anItem("c"), UpperGB: 1}, {Key: anItem("d"), UpperGB: 1}}},
				{Requested: "def", Metrics: []table.CollectionMetrics{{Key: anItem("e"), UpperGB: 1}}},
			},
		}}, `{"ItemCollectionMetrics":{"abc":[{"ItemCollectionKey":{"id":{"S":"c"}},"SizeEstimateRangeGB":[0.0,1.0]},{"ItemCollectionKey":{"id":{"S":"d"}},"SizeEstimateRangeGB":[0.0,1.0]}],"def":[{"ItemCollectionKey":{"id":{"S":"e"}},"SizeEstimateRangeGB":[0.0,1.0]}]},` +
			`"ConsumedCapacity":[{"TableName":"abc","CapacityUnits":5.0,"WriteCapacityUnits":5.0,"Table":{"CapacityUnits":4.0,"WriteCapacityUnits":4.0},"GlobalSecondaryIndexes":{"byX":{"CapacityUnits":1.0,"WriteCapacityUnits":1.0}}},{"TableName":"def","CapacityUnits":2.0,"WriteCapacityUnits":2.0}]}`},
		{"TransactGetItems", transactGet, fake{gotten: &table.TransactGetResult{Items: []item.Item{nil, anItem("a")}, Capacity: []*table.Capacity{{TableName: "abc", Units: 4, Kind: "Read"}}}},
			`{"Responses":[{},{"Item":{"id":{"S":"a"}}}],"ConsumedCapacity":[{"TableName":"abc","CapacityUnits":4.0,"ReadCapacityUnits":4.0}]}`},
		{"TransactWriteItems", transactWrite, fake{err: awserr.TransactionCanceled([]awserr.Reason{awserr.NoReason(), awserr.ConditionReason(anItem("old")), awserr.ValidationReason(awserr.KeySchemaMismatch())})},
			`{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed, ValidationError]","CancellationReasons":[{"Code":"None"},{"Code":"ConditionalCheckFailed","Message":"The conditional request failed","Item":{"id":{"S":"old"}}},{"Code":"ValidationError","Message":"The provided key element does not match the schema"}]}`},
		{"TransactWriteItems", transactWrite, fake{err: awserr.TokenInUse()},
			`{"__type":"com.amazonaws.dynamodb.v20120810#TransactionInProgressException","Message":"The transaction with the given request token is already in progress."}`},
	} {
		row.fake.t = t
		w := row.fake.call(row.op, row.body)
		status := 200
		if row.fake.err != nil {
			status = 400
		}
		if w.Code != status || w.Body.String() != row.want {
			t.Errorf("%s: %d\n got %s\nwant %s", row.op, w.Code, w.Body, row.want)
		}
	}
}

func TestTransactionOfAnotherAccount(t *testing.T) {
	f := &fake{t: t}
	w := f.call("TransactGetItems", `{"TransactItems":[{"Get":{"TableName":"abc","Key":{}}},{"Get":{"TableName":"arn:aws:dynamodb:eu-west-1:111111111111:table/abc","Key":{}}}]}`)
	if w.Code != 400 || f.asked != nil {
		t.Errorf("%d, asked %v", w.Code, f.asked)
	}
}

func TestSDKTransactions(t *testing.T) {
	f := &fake{transacted: &table.TransactWriteResult{}, gotten: &table.TransactGetResult{Items: []item.Item{anItem("a"), nil}}}
	client := newClient(t, f)
	id := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "a"}}
	name := aws.String("abc")
	write := &dynamodb.TransactWriteItemsInput{ClientRequestToken: aws.String("once"), TransactItems: []types.TransactWriteItem{
		{Put: &types.Put{TableName: name, Item: id}},
		{ConditionCheck: &types.ConditionCheck{TableName: name, Key: id, ConditionExpression: aws.String("attribute_exists(id)")}},
		{Delete: &types.Delete{TableName: name, Key: id}},
		{Update: &types.Update{TableName: name, Key: id, UpdateExpression: aws.String("REMOVE x")}},
	}}
	if _, err := client.TransactWriteItems(t.Context(), write); err != nil {
		t.Fatal(err)
	}
	asked := f.asked.(*request.TransactWriteItems)
	var actions []request.TransactAction
	for i := range asked.Writes {
		actions = append(actions, asked.Writes[i].Action)
	}
	if want := []request.TransactAction{request.TransactPut, request.TransactCheck, request.TransactDelete, request.TransactUpdate}; !slices.Equal(actions, want) || asked.Token.Text != "once" {
		t.Errorf("asked %+v", asked)
	}
	got, err := client.TransactGetItems(t.Context(), &dynamodb.TransactGetItemsInput{TransactItems: []types.TransactGetItem{{Get: &types.Get{TableName: name, Key: id}}, {Get: &types.Get{TableName: name, Key: id}}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Responses) != 2 || got.Responses[0].Item == nil || got.Responses[1].Item != nil {
		t.Errorf("got %+v", got.Responses)
	}

	f.err = awserr.TransactionCanceled([]awserr.Reason{awserr.NoReason(), awserr.ConditionReason(anItem("old"))})
	_, err = client.TransactWriteItems(t.Context(), write)
	canceled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok || len(canceled.CancellationReasons) != 2 || aws.ToString(canceled.CancellationReasons[0].Code) != "None" || canceled.CancellationReasons[0].Message != nil ||
		aws.ToString(canceled.CancellationReasons[1].Message) != "The conditional request failed" || canceled.CancellationReasons[1].Item["id"].(*types.AttributeValueMemberS).Value != "old" ||
		canceled.ErrorMessage() != "Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]" {
		t.Errorf("got %v", err)
	}
	f.err = awserr.TokenMismatch()
	_, err = client.TransactWriteItems(t.Context(), write)
	if e, ok := errors.AsType[*types.IdempotentParameterMismatchException](err); !ok || e.ErrorMessage() != awserr.TokenMismatch().Message {
		t.Errorf("got %v", err)
	}
	f.err = awserr.TokenInUse()
	_, err = client.TransactWriteItems(t.Context(), write)
	if e, ok := errors.AsType[*types.TransactionInProgressException](err); !ok || e.ErrorMessage() != awserr.TokenInUse().Message {
		t.Errorf("got %v", err)
	}
	f.err = awserr.ResourceNotFound()
	_, err = client.TransactGetItems(t.Context(), &dynamodb.TransactGetItemsInput{TransactItems: []types.TransactGetItem{{Get: &types.Get{TableName: name, Key: id}}}})
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); !ok {
		t.Errorf("got %v", err)
	}
}
