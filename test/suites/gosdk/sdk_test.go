// Package gosdk goes through the helpers that AWS's SDK for Go has for DynamoDB:
// attribute values of structs, the expression builder, paginators and waiters. The
// operations themselves are asked by the acceptance suite (conformance).
package gosdk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// order is an item with what attributevalue knows.
type order struct {
	Customer string            `dynamodbav:"pk"`
	Number   int               `dynamodbav:"sk"`
	Total    float64           `dynamodbav:"total"`
	Placed   time.Time         `dynamodbav:"placed"`
	Expires  time.Time         `dynamodbav:"expires,unixtime"`
	Tags     []string          `dynamodbav:"tags,stringset,omitempty"`
	Sizes    []int             `dynamodbav:"sizes,numberset,omitempty"`
	Blobs    [][]byte          `dynamodbav:"blobs,binaryset,omitempty"`
	Raw      []byte            `dynamodbav:"raw"`
	Lines    []line            `dynamodbav:"lines"`
	Notes    map[string]string `dynamodbav:"notes"`
	Paid     *bool             `dynamodbav:"paid"`
	State    string            `dynamodbav:"state,omitempty"`
	ID       uint64            `dynamodbav:"id,string"`
}

type line struct {
	Product string
	Count   int
}

func newTable(t *testing.T) (*dynamodb.Client, *string) {
	t.Helper()
	client := dynamodb.New(dynamodb.Options{
		Region: os.Getenv("AWS_REGION"), BaseEndpoint: aws.String(os.Getenv("AWS_ENDPOINT_URL")),
		Credentials: credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
	})
	table := aws.String("gosdk-" + t.Name())
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("sk"), AttributeType: types.ScalarAttributeTypeN},
			{AttributeName: aws.String("state"), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}, {AttributeName: aws.String("sk"), KeyType: types.KeyTypeRange},
		},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String("byState"), KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("state"), KeyType: types.KeyTypeHash}},
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := dynamodb.NewTableExistsWaiter(client).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: table}, time.Minute); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		if _, err := client.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: table}); err != nil {
			t.Error(err)
		}
		if err := dynamodb.NewTableNotExistsWaiter(client).Wait(ctx, &dynamodb.DescribeTableInput{TableName: table}, time.Minute); err != nil {
			t.Error(err)
		}
	})
	return client, table
}

func put(t *testing.T, client *dynamodb.Client, table *string, o order) {
	t.Helper()
	item, err := attributevalue.MarshalMap(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: table, Item: item}); err != nil {
		t.Fatal(err)
	}
}

func key(customer string, number int) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: customer}, "sk": &types.AttributeValueMemberN{Value: fmt.Sprint(number)},
	}
}

func TestAttributeValues(t *testing.T) {
	client, table := newTable(t)
	paid := false
	want := order{
		Customer: "c", Number: -1, Total: 12.75, Placed: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Expires: time.Unix(1893456000, 0),
		Tags: []string{"a", "b"}, Sizes: []int{1, 2}, Blobs: [][]byte{{0}, {1, 2}}, Raw: []byte{0, 255}, Lines: []line{{"p", 1}, {"", 0}},
		Notes: map[string]string{"k": "", "ü": "ß"}, Paid: &paid, State: "open", ID: 18446744073709551615,
	}
	put(t, client, table, want)
	out, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: table, Key: key("c", -1), ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	var got order
	if err := attributevalue.UnmarshalMap(out.Item, &got); err != nil {
		t.Fatal(err)
	}
	slices.Sort(got.Tags)
	slices.Sort(got.Sizes)
	slices.SortFunc(got.Blobs, slices.Compare)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestExpressions(t *testing.T) {
	client, table := newTable(t)
	put(t, client, table, order{Customer: "c", Number: 1, Total: 10, Tags: []string{"a"}, Lines: []line{{"p", 1}}, Notes: map[string]string{"k": "v"}, State: "open"})
	name, value := expression.Name, expression.Value
	yes := []expression.ConditionBuilder{
		name("total").Equal(value(10)), name("total").NotEqual(value(11)), name("total").LessThan(value(11)), name("total").LessThanEqual(value(10)),
		name("total").GreaterThan(value(9)), name("total").GreaterThanEqual(value(10)), name("total").Between(value(9), value(10)),
		name("total").In(value(1), value(10)), name("state").BeginsWith("op"), name("tags").Contains("a"), name("state").Contains("pe"),
		name("state").AttributeExists(), name("missing").AttributeNotExists(), name("lines").AttributeType(expression.List), name("state").Size().Equal(value(4)),
		name("lines[0].Product").Equal(value("p")), name("notes.k").Equal(value("v")), expression.Not(name("total").Equal(value(1))),
		expression.And(name("total").Equal(value(10)), expression.Or(name("total").Equal(value(1)), name("state").Equal(value("open"))), expression.Not(name("paid").Equal(value(true)))),
	}
	for i, condition := range yes {
		for _, holds := range []bool{true, false} {
			if !holds {
				condition = expression.Not(condition)
			}
			e, err := expression.NewBuilder().WithCondition(condition).WithUpdate(expression.Set(name("touched"), value(i))).Build()
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
				TableName: table, Key: key("c", 1), ConditionExpression: e.Condition(), UpdateExpression: e.Update(),
				ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
			})
			var failed *types.ConditionalCheckFailedException
			if refused := errors.As(err, &failed); refused == holds || err != nil && !refused {
				t.Errorf("%s: %v", *e.Condition(), err)
			}
		}
	}

	update := expression.Set(name("total"), name("total").Plus(value(5))).
		Set(name("count"), expression.IfNotExists(name("count"), value(0))).
		Set(name("lines"), expression.ListAppend(name("lines"), value([]line{{"q", 2}}))).
		Set(name("left"), value(7).Minus(value(2))).
		Remove(name("notes.k")).Add(name("hits"), value(2)).
		Delete(name("tags"), expression.Value(&types.AttributeValueMemberSS{Value: []string{"a"}}))
	e, err := expression.NewBuilder().WithUpdate(update).Build()
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: table, Key: key("c", 1), UpdateExpression: e.Update(), ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
		ReturnValues: types.ReturnValueAllNew,
	})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Total       float64 `dynamodbav:"total"`
		Count, Hits int
		Left        int
		Lines       []line
		Notes       map[string]string
		Tags        []string
	}
	if err := attributevalue.UnmarshalMap(out.Attributes, &got); err != nil {
		t.Fatal(err)
	}
	if got.Total != 15 || got.Hits != 2 || got.Left != 5 || len(got.Lines) != 2 || len(got.Notes) != 0 || got.Tags != nil {
		t.Errorf("updated to %+v", got)
	}
}

func TestPaginators(t *testing.T) {
	client, table := newTable(t)
	for i := range 45 {
		o := order{Customer: "c", Number: i, Total: float64(i % 10)}
		if i%3 == 0 {
			o.State = "open"
		}
		put(t, client, table, o)
	}
	e, err := expression.NewBuilder().
		WithKeyCondition(expression.KeyAnd(expression.Key("pk").Equal(expression.Value("c")), expression.Key("sk").Between(expression.Value(5), expression.Value(40)))).
		WithFilter(expression.Name("total").GreaterThanEqual(expression.Value(5))).
		WithProjection(expression.NamesList(expression.Name("sk"), expression.Name("total"))).Build()
	if err != nil {
		t.Fatal(err)
	}
	var numbers []int
	pages := dynamodb.NewQueryPaginator(client, &dynamodb.QueryInput{
		TableName: table, KeyConditionExpression: e.KeyCondition(), FilterExpression: e.Filter(), ProjectionExpression: e.Projection(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(), Limit: aws.Int32(7),
	})
	asked := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		asked++
		var orders []order
		if err := attributevalue.UnmarshalListOfMaps(page.Items, &orders); err != nil {
			t.Fatal(err)
		}
		for _, o := range orders {
			numbers = append(numbers, o.Number)
		}
	}
	var want []int
	for i := 5; i <= 40; i++ {
		if i%10 >= 5 {
			want = append(want, i)
		}
	}
	if !slices.Equal(numbers, want) || asked != 6 {
		t.Errorf("%d pages: %v, want %v", asked, numbers, want)
	}

	count := 0
	scan := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: table, IndexName: aws.String("byState"), Limit: aws.Int32(4)})
	for scan.HasMorePages() {
		page, err := scan.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		count += len(page.Items)
	}
	if count != 15 {
		t.Errorf("the sparse index has %d items, want 15", count)
	}
	tables := dynamodb.NewListTablesPaginator(client, &dynamodb.ListTablesInput{Limit: aws.Int32(1)})
	found := false
	for tables.HasMorePages() {
		page, err := tables.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found = found || slices.Contains(page.TableNames, *table)
	}
	if !found {
		t.Errorf("%s is not listed", *table)
	}
}
