package dynamodb

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/table"
)

func TestSDKStatements(t *testing.T) {
	f := &fake{
		statement: &table.StatementResult{Items: []item.Item{anItem("a")}, NextToken: "next", LastEvaluatedKey: anItem("a"), Capacity: &table.Capacity{TableName: "abc", Units: 0.5}},
		batched: &table.BatchStatementResult{Responses: []table.StatementResponse{
			{Table: "abc", Item: anItem("b")},
			{Table: "abc", Error: &awserr.Error{Code: "ConditionalCheckFailed", Message: "The conditional request failed", Item: anItem("c")}},
			{Error: &awserr.Error{Code: "ValidationError", Message: "text"}},
		}},
		executed: &table.TransactionResult{Items: []item.Item{anItem("d"), nil}},
	}
	client := newClient(t, f)
	params := []types.AttributeValue{&types.AttributeValueMemberS{Value: "a"}}
	one, err := client.ExecuteStatement(t.Context(), &dynamodb.ExecuteStatementInput{
		Statement: aws.String("SELECT * FROM abc WHERE id = ?"), Parameters: params, Limit: aws.Int32(3), NextToken: aws.String("now"),
		ConsistentRead: aws.Bool(true), ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if err != nil {
		t.Fatal(err)
	}
	asked := f.asked.(*request.ExecuteStatement)
	if asked.Limit != 3 || asked.NextToken != "now" || !asked.ConsistentRead || !asked.ReturnOldOnConditionFailure ||
		asked.ReturnConsumedCapacity != request.CapacityTotal || len(asked.Parameters) != 1 || asked.Parameters[0].Text() != "a" {
		t.Errorf("asked %+v", asked)
	}
	if len(one.Items) != 1 || aws.ToString(one.NextToken) != "next" || len(one.LastEvaluatedKey) != 1 || aws.ToFloat64(one.ConsumedCapacity.CapacityUnits) != 0.5 {
		t.Errorf("got %+v", one)
	}
	batch, err := client.BatchExecuteStatement(t.Context(), &dynamodb.BatchExecuteStatementInput{
		Statements: []types.BatchStatementRequest{{Statement: aws.String("x"), Parameters: params}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := batch.Responses; len(r) != 3 || len(r[0].Item) != 1 || r[0].Error != nil || aws.ToString(r[0].TableName) != "abc" ||
		r[1].Error.Code != types.BatchStatementErrorCodeEnumConditionalCheckFailed || len(r[1].Error.Item) != 1 ||
		r[2].TableName != nil || aws.ToString(r[2].Error.Message) != "text" {
		t.Errorf("got %+v", r)
	}
	all, err := client.ExecuteTransaction(t.Context(), &dynamodb.ExecuteTransactionInput{
		TransactStatements: []types.ParameterizedStatement{{Statement: aws.String("x")}}, ClientRequestToken: aws.String("token"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := all.Responses; len(r) != 2 || len(r[0].Item) != 1 || r[1].Item != nil {
		t.Errorf("got %+v", r)
	}
	if token := f.asked.(*request.ExecuteTransaction).Token; token.Text != "token" || token.API != request.TokenExecuteTransaction {
		t.Errorf("token %+v", token)
	}
}
