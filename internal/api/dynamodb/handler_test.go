package dynamodb

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/keep"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/table"
)

var here = schema.Scope{Account: "000000000000", Region: "eu-west-1"}

// fake is a Tables that answers what it was given and remembers what it was
// asked.
type fake struct {
	t     *testing.T
	asked any

	write      *table.WriteResult
	get        *table.GetResult
	page       *table.QueryResult
	batchGet   *table.BatchGetResult
	batchWrite *table.BatchWriteResult
	described  *table.Description
	transacted *table.TransactWriteResult
	statement  *table.StatementResult
	batched    *table.BatchStatementResult
	executed   *table.TransactionResult
	gotten     *table.TransactGetResult
	expiring   *request.UpdateTimeToLive
	expiry     *table.TimeToLive
	tags       *table.TagsResult
	exists     bool
	recovery   *table.ContinuousBackups
	policy     *table.PolicyResult
	list       *table.ListResult
	err        error
}

func answer[R, A any](f *fake, scope schema.Scope, r *R, a *A) (*A, error) {
	if scope != here {
		f.t.Errorf("scope %v", scope)
	}
	f.asked = r
	if f.err != nil {
		return nil, f.err
	}
	return a, nil
}

func (f *fake) PutItem(_ context.Context, s schema.Scope, r *request.PutItem) (*table.WriteResult, error) {
	return answer(f, s, r, f.write)
}
func (f *fake) DeleteItem(_ context.Context, s schema.Scope, r *request.DeleteItem) (*table.WriteResult, error) {
	return answer(f, s, r, f.write)
}
func (f *fake) UpdateItem(_ context.Context, s schema.Scope, r *request.UpdateItem) (*table.WriteResult, error) {
	return answer(f, s, r, f.write)
}
func (f *fake) ViewItem(_ context.Context, s schema.Scope, r *request.GetItem) (*table.GetResult, error) {
	return answer(f, s, r, f.get)
}
func (f *fake) BatchGetItem(_ context.Context, s schema.Scope, r *request.BatchGetItem) (*table.BatchGetResult, error) {
	return answer(f, s, r, f.batchGet)
}
func (f *fake) BatchWriteItem(_ context.Context, s schema.Scope, r *request.BatchWriteItem) (*table.BatchWriteResult, error) {
	return answer(f, s, r, f.batchWrite)
}
func (f *fake) QueryEach(_ context.Context, s schema.Scope, r *request.Query, each func(item.Item)) (*table.QueryResult, error) {
	return answerPage(f, s, r, each)
}
func (f *fake) ScanEach(_ context.Context, s schema.Scope, r *request.Scan, each func(item.Item)) (*table.QueryResult, error) {
	return answerPage(f, s, r, each)
}
func answerPage[R any](f *fake, s schema.Scope, r *R, each func(item.Item)) (*table.QueryResult, error) {
	page, err := answer(f, s, r, f.page)
	if page != nil {
		for _, it := range page.Items {
			each(it)
		}
	}
	return page, err
}
func (f *fake) CreateTable(_ context.Context, s schema.Scope, r *request.CreateTable) (*table.Description, error) {
	return answer(f, s, r, f.described)
}
func (f *fake) UpdateTable(_ context.Context, s schema.Scope, r *request.UpdateTable) (*table.Description, error) {
	return answer(f, s, r, f.described)
}
func (f *fake) DescribeTable(_ context.Context, s schema.Scope, r *request.DescribeTable) (*table.Description, error) {
	return answer(f, s, r, f.described)
}
func (f *fake) DeleteTable(_ context.Context, s schema.Scope, r *request.DeleteTable) (*table.Description, error) {
	return answer(f, s, r, f.described)
}
func (f *fake) ListTables(_ context.Context, s schema.Scope, r *request.ListTables) (*table.ListResult, error) {
	return answer(f, s, r, f.list)
}

func (f *fake) TransactWriteItems(_ context.Context, s schema.Scope, r *request.TransactWriteItems) (*table.TransactWriteResult, error) {
	return answer(f, s, r, f.transacted)
}
func (f *fake) TransactGetItems(_ context.Context, s schema.Scope, r *request.TransactGetItems) (*table.TransactGetResult, error) {
	return answer(f, s, r, f.gotten)
}

func (f *fake) ExecuteStatement(_ context.Context, s schema.Scope, r *request.ExecuteStatement) (*table.StatementResult, error) {
	return answer(f, s, r, f.statement)
}

func (f *fake) BatchExecuteStatement(_ context.Context, s schema.Scope, r *request.BatchExecuteStatement) (*table.BatchStatementResult, error) {
	return answer(f, s, r, f.batched)
}

func (f *fake) ExecuteTransaction(_ context.Context, s schema.Scope, r *request.ExecuteTransaction) (*table.TransactionResult, error) {
	return answer(f, s, r, f.executed)
}

func (f *fake) UpdateContinuousBackups(_ context.Context, s schema.Scope, r *request.UpdateContinuousBackups) (*table.ContinuousBackups, error) {
	return answer(f, s, r, f.recovery)
}
func (f *fake) DescribeContinuousBackups(_ context.Context, s schema.Scope, r *request.DescribeContinuousBackups) (*table.ContinuousBackups, error) {
	return answer(f, s, r, f.recovery)
}
func (f *fake) UpdateTimeToLive(_ context.Context, s schema.Scope, r *request.UpdateTimeToLive) (*request.UpdateTimeToLive, error) {
	return answer(f, s, r, f.expiring)
}
func (f *fake) DescribeTimeToLive(_ context.Context, s schema.Scope, r *request.DescribeTimeToLive) (*table.TimeToLive, error) {
	return answer(f, s, r, f.expiry)
}

func (f *fake) TagResource(_ context.Context, s schema.Scope, r *request.TagResource) (*table.Tagged, error) {
	return answer(f, s, r, &table.Tagged{})
}
func (f *fake) UntagResource(_ context.Context, s schema.Scope, r *request.UntagResource) (*table.Tagged, error) {
	return answer(f, s, r, &table.Tagged{})
}
func (f *fake) ListTagsOfResource(_ context.Context, s schema.Scope, r *request.ListTagsOfResource) (*table.TagsResult, error) {
	return answer(f, s, r, f.tags)
}

func (f *fake) PutResourcePolicy(_ context.Context, s schema.Scope, r *request.PutResourcePolicy) (*table.PolicyResult, error) {
	return answer(f, s, r, f.policy)
}
func (f *fake) GetResourcePolicy(_ context.Context, s schema.Scope, r *request.GetResourcePolicy) (*table.PolicyResult, error) {
	return answer(f, s, r, f.policy)
}
func (f *fake) DeleteResourcePolicy(_ context.Context, s schema.Scope, r *request.DeleteResourcePolicy) (*table.PolicyResult, error) {
	return answer(f, s, r, f.policy)
}

func (f *fake) Exists(context.Context, schema.Scope, string) (bool, error) { return f.exists, f.err }

func newHandler(f *fake) http.Handler {
	p := awsjson.New(awsjson.Options{Authenticate: func(*http.Request) (schema.Scope, *awserr.Error) { return here, nil }})
	Register(p, f)
	RegisterKeeping(p, &keep.Service{})
	return p
}

func (f *fake) call(op, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", target+op)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	w := httptest.NewRecorder()
	newHandler(f).ServeHTTP(w, r)
	return w
}

func anItem(id string) item.Item {
	return item.NewItem([]item.Entry{{Name: "id", Value: item.String(id)}})
}

const (
	put    = `{"TableName":"abc","Item":{"id":{"S":"a"}}}`
	key    = `{"TableName":"abc","Key":{"id":{"S":"a"}}}`
	get    = `{"RequestItems":{"abc":{"Keys":[{"id":{"S":"a"}}]}}}`
	write  = `{"RequestItems":{"abc":[{"PutRequest":{"Item":{"id":{"S":"a"}}}}]}}`
	scan   = `{"TableName":"abc"}`
	create = `{"TableName":"abc","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}`
)

func TestItemAnswers(t *testing.T) {
	full := &table.Capacity{TableName: "abc", Units: 3, Indexes: true, Table: 1, Global: []table.IndexCapacity{{Index: "byX", Units: 1.5}}, Local: []table.IndexCapacity{{Index: "byY", Units: 0.5}}}
	for _, row := range []struct {
		op, body string
		fake     fake
		want     string
	}{
		{"PutItem", put, fake{write: &table.WriteResult{}}, `{}`},
		{"PutItem", put, fake{write: &table.WriteResult{Attributes: anItem("old")}}, `{"Attributes":{"id":{"S":"old"}}}`},
		{"UpdateItem", key, fake{write: &table.WriteResult{Attributes: anItem("x"), Capacity: &table.Capacity{TableName: "abc", Units: 0.5}}}, `{"Attributes":{"id":{"S":"x"}},"ConsumedCapacity":{"TableName":"abc","CapacityUnits":0.5}}`},
		{"DeleteItem", key, fake{write: &table.WriteResult{Capacity: full, Collection: &table.CollectionMetrics{Key: anItem("a"), UpperGB: 1}}},
			`{"ConsumedCapacity":{"TableName":"abc","CapacityUnits":3.0,"Table":{"CapacityUnits":1.0},"GlobalSecondaryIndexes":{"byX":{"CapacityUnits":1.5}},"LocalSecondaryIndexes":{"byY":{"CapacityUnits":0.5}}},"ItemCollectionMetrics":{"ItemCollectionKey":{"id":{"S":"a"}},"SizeEstimateRangeGB":[0.0,1.0]}}`},
		{"GetItem", key, fake{get: &table.GetResult{}}, `{}`},
		{"GetItem", key, fake{get: &table.GetResult{Found: true}}, `{"Item":{}}`},
		{"GetItem", key, fake{get: &table.GetResult{Found: true, Item: anItem("a")}}, `{"Item":{"id":{"S":"a"}}}`},
		{"Scan", scan, fake{page: &table.QueryResult{}}, `{"Items":[],"Count":0,"ScannedCount":0}`},
		{"Scan", scan, fake{page: &table.QueryResult{Items: []item.Item{anItem("a"), anItem("b")}, Count: 2, ScannedCount: 5, LastEvaluatedKey: anItem("b")}}, `{"Items":[{"id":{"S":"a"}},{"id":{"S":"b"}}],"Count":2,"ScannedCount":5,"LastEvaluatedKey":{"id":{"S":"b"}}}`},
		{"Scan", scan, fake{page: &table.QueryResult{CountOnly: true, Count: 2, ScannedCount: 2}}, `{"Count":2,"ScannedCount":2}`},
		{"BatchGetItem", get, fake{batchGet: &table.BatchGetResult{Tables: []table.BatchGetTable{{Requested: "abc"}}}}, `{"Responses":{"abc":[]},"UnprocessedKeys":{}}`},
		{"BatchGetItem", get, fake{batchGet: &table.BatchGetResult{
			Tables: []table.BatchGetTable{
				{Requested: "abc", Items: []item.Item{anItem("a")}},
				{Requested: "def", Unprocessed: &request.KeysAndAttributes{Keys: []item.Item{anItem("b")}, Raw: []byte(`"ConsistentRead":true`)}},
			},
			Capacity: []*table.Capacity{{TableName: "abc", Units: 1}},
		}}, `{"Responses":{"abc":[{"id":{"S":"a"}}],"def":[]},"UnprocessedKeys":{"def":{"Keys":[{"id":{"S":"b"}}],"ConsistentRead":true}},"ConsumedCapacity":[{"TableName":"abc","CapacityUnits":1.0}]}`},
		{"BatchWriteItem", write, fake{batchWrite: &table.BatchWriteResult{}}, `{"UnprocessedItems":{}}`},
		{"BatchWriteItem", write, fake{batchWrite: &table.BatchWriteResult{
			Unprocessed: []request.TableWrites{{Common: request.Common{Requested: "abc"}, Writes: []request.WriteRequest{{Item: anItem("a")}, {Key: anItem("b")}}}},
			Collections: []table.TableCollections{{Requested: "abc", Metrics: []table.CollectionMetrics{{Key: anItem("c"), UpperGB: 1}}}},
		}}, `{"UnprocessedItems":{"abc":[{"PutRequest":{"Item":{"id":{"S":"a"}}}},{"DeleteRequest":{"Key":{"id":{"S":"b"}}}}]},"ItemCollectionMetrics":{"abc":[{"ItemCollectionKey":{"id":{"S":"c"}},"SizeEstimateRangeGB":[0.0,1.0]}]}}`},
	} {
		row.fake.t = t
		w := row.fake.call(row.op, row.body)
		if w.Code != 200 || w.Body.String() != row.want {
			t.Errorf("%s: %d\n got %s\nwant %s", row.op, w.Code, w.Body, row.want)
		}
		if row.fake.asked == nil {
			t.Errorf("%s made no call", row.op)
		}
	}
}

func TestTableAnswers(t *testing.T) {
	created := time.UnixMilli(1728400000007)
	simple := table.Description{
		Name: "abc", ARN: here.TableARN("abc"), ID: "f0000000-0000-4000-8000-000000000000", Status: "ACTIVE", Created: created,
		Attributes: []schema.Attribute{{Name: "id", Type: item.S}, {Name: "n", Type: item.N}},
		Keys:       schema.Keys{Hash: schema.Attribute{Name: "id", Type: item.S}, Range: schema.Attribute{Name: "n", Type: item.N}},
		Throughput: request.Throughput{Read: 5, Write: 6}, ItemCount: 3, SizeBytes: 99,
	}
	const head = `{"TableName":"abc","TableStatus":"ACTIVE","TableArn":"arn:aws:dynamodb:eu-west-1:000000000000:table/abc","TableId":"f0000000-0000-4000-8000-000000000000","ItemCount":3,"TableSizeBytes":99,"DeletionProtectionEnabled":false,"ProvisionedThroughput":{"NumberOfDecreasesToday":0,`
	const provisioned = head + `"ReadCapacityUnits":5,"WriteCapacityUnits":6}`
	const rest = `,"CreationDateTime":1728400000.007,"AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"},{"AttributeName":"n","AttributeType":"N"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"},{"AttributeName":"n","KeyType":"RANGE"}]`
	deleted := simple
	deleted.Deleted = true
	rich := simple
	rich.PayPerRequest, rich.BillingMode, rich.OnDemandSince = true, "PAY_PER_REQUEST", created
	rich.OnDemand, rich.Warm = &request.OnDemandThroughput{MaxRead: 7}, &request.Throughput{Read: 12000, Write: 4000}
	rich.WarmStatus, rich.Changes = "ACTIVE", table.UnitChanges{LastIncrease: created, LastDecrease: created, Today: 2}
	rich.StreamEnabled, rich.StreamView = true, "KEYS_ONLY"
	rich.LatestStreamARN, rich.LatestStreamLabel = here.StreamARN("abc", "l"), "l"
	rich.TableClass, rich.ClassUpdated, rich.Encryption = "STANDARD", created, &table.Encryption{Status: "ENABLED", KeyARN: "k"}
	rich.Local = []table.IndexDescription{{Index: request.Index{Name: "byL", Keys: []request.KeyElement{{Attribute: "id"}, {Attribute: "n", Range: true}}, Projection: "ALL"}, ARN: "a/index/byL"}}
	rich.Global = []table.IndexDescription{{Index: request.Index{Name: "byG", Keys: []request.KeyElement{{Attribute: "n"}}, Projection: "INCLUDE", NonKeyAttributes: []string{"x", "y"}}, ARN: "a/index/byG", Status: "CREATING", Backfilling: true}}
	rich.Global[0].WarmUnits, rich.Global[0].WarmStatus = &request.Throughput{Read: 12000, Write: 4000}, "UPDATING"
	for _, row := range []struct {
		op, body string
		fake     fake
		want     string
	}{
		{"CreateTable", create, fake{described: &simple}, `{"TableDescription":` + provisioned + rest + `}}`},
		{"UpdateTable", `{"TableName":"abc","DeletionProtectionEnabled":true}`, fake{described: &simple}, `{"TableDescription":` + provisioned + rest + `}}`},
		{"DescribeTable", scan, fake{described: &simple}, `{"Table":` + provisioned + rest + `}}`},
		{"DeleteTable", scan, fake{described: &deleted}, `{"TableDescription":` + provisioned + `}}`},
		{"DescribeTable", scan, fake{described: &rich}, `{"Table":` + strings.Replace(head, `"NumberOfDecreasesToday":0`, `"LastIncreaseDateTime":1728400000.007,"LastDecreaseDateTime":1728400000.007,"NumberOfDecreasesToday":2`, 1) + `"ReadCapacityUnits":0,"WriteCapacityUnits":0}` + rest +
			`,"BillingModeSummary":{"BillingMode":"PAY_PER_REQUEST","LastUpdateToPayPerRequestDateTime":1728400000.007},"OnDemandThroughput":{"MaxReadRequestUnits":7},"WarmThroughput":{"ReadUnitsPerSecond":12000,"WriteUnitsPerSecond":4000,"Status":"ACTIVE"},"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"KEYS_ONLY"},"LatestStreamArn":"arn:aws:dynamodb:eu-west-1:000000000000:table/abc/stream/l","LatestStreamLabel":"l","TableClassSummary":{"TableClass":"STANDARD","LastUpdateDateTime":1728400000.007},"SSEDescription":{"Status":"ENABLED","SSEType":"KMS","KMSMasterKeyArn":"k"},` +
			`"LocalSecondaryIndexes":[{"IndexName":"byL","IndexArn":"a/index/byL","KeySchema":[{"AttributeName":"id","KeyType":"HASH"},{"AttributeName":"n","KeyType":"RANGE"}],"Projection":{"ProjectionType":"ALL"},"ItemCount":0,"IndexSizeBytes":0}],` +
			`"GlobalSecondaryIndexes":[{"IndexName":"byG","IndexArn":"a/index/byG","KeySchema":[{"AttributeName":"n","KeyType":"HASH"}],"Projection":{"ProjectionType":"INCLUDE","NonKeyAttributes":["x","y"]},"ItemCount":0,"IndexSizeBytes":0,"IndexStatus":"CREATING","Backfilling":true,"ProvisionedThroughput":{"NumberOfDecreasesToday":0,"ReadCapacityUnits":0,"WriteCapacityUnits":0},"WarmThroughput":{"ReadUnitsPerSecond":12000,"WriteUnitsPerSecond":4000,"Status":"UPDATING"}}]}}`},
		{"ListTables", `{}`, fake{list: &table.ListResult{}}, `{"TableNames":[]}`},
		{"ListTables", `{}`, fake{list: &table.ListResult{Names: []string{"a", "b"}, Last: "b"}}, `{"TableNames":["a","b"],"LastEvaluatedTableName":"b"}`},
		{"DescribeLimits", `{}`, fake{}, `{"AccountMaxReadCapacityUnits":80000,"AccountMaxWriteCapacityUnits":80000,"TableMaxReadCapacityUnits":40000,"TableMaxWriteCapacityUnits":40000}`},
		{"DescribeEndpoints", `{}`, fake{}, `{"Endpoints":[{"Address":"dynamodb.eu-west-1.amazonaws.com","CachePeriodInMinutes":1440}]}`},
	} {
		row.fake.t = t
		w := row.fake.call(row.op, row.body)
		if w.Code != 200 || w.Body.String() != row.want || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %d\n got %s\nwant %s", row.op, w.Code, w.Body, row.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	f := &fake{t: t, err: awserr.ConditionFailed(anItem("stored"))}
	w := f.call("PutItem", put)
	if want := `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","Message":"The conditional request failed","Item":{"id":{"S":"stored"}}}`; w.Code != 400 || w.Body.String() != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	// A request that is refused, and one for another account's table, make no call.
	for _, body := range []string{`{"TableName":"abc"}`, `{"TableName":"arn:aws:dynamodb:eu-west-1:111111111111:table/abc","Item":{}}`} {
		f := &fake{t: t}
		if w := f.call("PutItem", body); w.Code != 400 || f.asked != nil {
			t.Errorf("%s: %d, asked %v", body, w.Code, f.asked)
		}
	}
	other := &fake{t: t}
	if w := other.call("BatchGetItem", `{"RequestItems":{"abc":{"Keys":[{}]},"arn:aws:dynamodb:us-east-1:000000000000:table/abc":{"Keys":[{}]}}}`); w.Code != 400 || other.asked != nil ||
		!strings.Contains(w.Body.String(), "ResourceNotFoundException") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// BenchmarkPutItem is the whole door: body, decoding of a 1 KiB item, the empty
// answer.
func BenchmarkPutItem(b *testing.B) {
	f := &fake{write: &table.WriteResult{}}
	h := newHandler(f)
	body := `{"TableName":"Orders","Item":{"id":{"S":"order-0000001"},"total":{"N":"123.45"},"note":{"S":"` + strings.Repeat("x", 940) + `"}}}`
	benchmark(b, h, "PutItem", body)
}

// BenchmarkGetItem is the whole door: body, decoding, an answer of 1 KiB.
func BenchmarkGetItem(b *testing.B) {
	stored := item.NewItem([]item.Entry{{Name: "id", Value: item.String("order-0000001")}, {Name: "note", Value: item.String(strings.Repeat("x", 980))}})
	h := newHandler(&fake{get: &table.GetResult{Found: true, Item: stored}})
	benchmark(b, h, "GetItem", `{"TableName":"Orders","Key":{"id":{"S":"order-0000001"}}}`)
}

func benchmark(b *testing.B, h http.Handler, op, body string) {
	reader := strings.NewReader(body)
	r := httptest.NewRequest("POST", "/", reader)
	r.Header.Set("X-Amz-Target", target+op)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		h.ServeHTTP(w, r)
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
