package millstream_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/millstreamdb/millstream"
)

func open(t testing.TB, o millstream.Options) *millstream.Server {
	t.Helper()
	srv, err := millstream.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return srv
}

// ordersTable has a stream of both images.
var ordersTable = &dynamodb.CreateTableInput{
	TableName: aws.String("orders"), BillingMode: types.BillingModePayPerRequest,
	AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
	KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
	StreamSpecification:  &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages},
}

func put(t testing.TB, db *dynamodb.Client, item map[string]types.AttributeValue) {
	t.Helper()
	if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("orders"), Item: item}); err != nil {
		t.Fatal(err)
	}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// What is written through Config arrives at OnChange, every type of value whole.
func TestChangesArriveWhole(t *testing.T) {
	srv := open(t, millstream.Options{})
	defer srv.Close()
	db := dynamodb.NewFromConfig(srv.Config())
	if _, err := db.CreateTable(t.Context(), ordersTable); err != nil {
		t.Fatal(err)
	}
	var got []millstream.Change
	if err := srv.OnChange("orders", millstream.Trigger{}, func(_ context.Context, changes []millstream.Change) error {
		got = append(got, changes...) // one call at a time; read after Settle
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	first := map[string]types.AttributeValue{"id": text("a")}
	second := map[string]types.AttributeValue{
		"id": text("a"), "n": &types.AttributeValueMemberN{Value: "1.5"}, "b": &types.AttributeValueMemberB{Value: []byte{0, 1}},
		"t": &types.AttributeValueMemberBOOL{Value: true}, "nothing": &types.AttributeValueMemberNULL{Value: true},
		"ss": &types.AttributeValueMemberSS{Value: []string{"x"}}, "ns": &types.AttributeValueMemberNS{Value: []string{"7"}}, "bs": &types.AttributeValueMemberBS{Value: [][]byte{{2}}},
		"l": &types.AttributeValueMemberL{Value: []types.AttributeValue{text(""), &types.AttributeValueMemberL{Value: []types.AttributeValue{}}}},
		"m": &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"e": &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{}}}},
	}
	put(t, db, first)
	put(t, db, second)
	if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("orders"), Key: first}); err != nil {
		t.Fatal(err)
	}
	if err := srv.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []struct {
		kind     string
		old, new map[string]types.AttributeValue
	}{{"INSERT", nil, first}, {"MODIFY", first, second}, {"REMOVE", second, nil}}
	if len(got) != len(want) {
		t.Fatalf("%d changes arrived, not %d", len(got), len(want))
	}
	for i := range got {
		keys, err1 := got[i].Keys()
		old, err2 := got[i].Old()
		next, err3 := got[i].New()
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		if got[i].Kind != want[i].kind || !reflect.DeepEqual(keys, first) || !reflect.DeepEqual(old, want[i].old) || !reflect.DeepEqual(next, want[i].new) {
			t.Errorf("change %d is a %s of %v from %v to %v", i, got[i].Kind, keys, old, next)
		}
	}
	event, err := millstream.Event(got)
	if err != nil || len(event.Records) != 3 || event.Records[1].Change.NewImage["n"].Number() != "1.5" || event.Records[2].EventID != got[2].ID {
		t.Errorf("as AWS's event: %+v, %v", event, err)
	}
}

// A function goes on where it was: after FailedFrom with that change, and after a
// restart with what it has not seen.
func TestOnChangeGoesOnWhereItWas(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	var seen []string
	for life := range 2 {
		srv := open(t, millstream.Options{Dir: dir})
		db := dynamodb.NewFromConfig(srv.Config())
		if life == 0 {
			if _, err := db.CreateTable(t.Context(), ordersTable); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 5 {
			put(t, db, map[string]types.AttributeValue{"id": text(fmt.Sprintf("%d-%d", life, i))})
		}
		failed := false
		err := srv.OnChange("orders", millstream.Trigger{Name: "orders-seen"}, func(_ context.Context, changes []millstream.Change) error {
			mu.Lock()
			defer mu.Unlock()
			for i := range changes {
				if i == 2 && !failed {
					failed = true
					return &millstream.FailedFrom{Change: changes[i], Err: errors.New("not this time")}
				}
				keys, err := changes[i].Keys()
				if err != nil {
					return err
				}
				seen = append(seen, keys["id"].(*types.AttributeValueMemberS).Value)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := srv.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if want := "0-0 0-1 0-2 0-3 0-4 1-0 1-1 1-2 1-3 1-4"; strings.Join(seen, " ") != want {
		t.Errorf("seen: %v", seen)
	}
}

// The table must have a stream, and bad settings are refused as AWS refuses them.
func TestOnChangeRefusals(t *testing.T) {
	srv := open(t, millstream.Options{})
	defer srv.Close()
	nothing := func(context.Context, []millstream.Change) error { return nil }
	if err := srv.OnChange("orders", millstream.Trigger{}, nothing); err == nil || !strings.Contains(err.Error(), "StreamSpecification") {
		t.Errorf("no table: %v", err)
	}
	if _, err := dynamodb.NewFromConfig(srv.Config()).CreateTable(t.Context(), ordersTable); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []millstream.Trigger{{BatchSize: 10001}, {Parallel: 11}, {Filters: []string{"{"}}, {Name: "no name"}} {
		if err := srv.OnChange("orders", bad, nothing); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

// The clients of Config speak to the server that they are of, in its region, and get
// AWS's errors.
func TestConfigReachesItsServer(t *testing.T) {
	one, other := open(t, millstream.Options{Region: "eu-west-1"}), open(t, millstream.Options{})
	defer one.Close()
	defer other.Close()
	out, err := dynamodb.NewFromConfig(one.Config()).CreateTable(t.Context(), ordersTable)
	if err != nil || !strings.HasPrefix(*out.TableDescription.TableArn, "arn:aws:dynamodb:eu-west-1:") {
		t.Errorf("%v, %v", out, err)
	}
	var missing *types.ResourceNotFoundException
	if _, err := dynamodb.NewFromConfig(other.Config()).DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("orders")}); !errors.As(err, &missing) {
		t.Errorf("the other server: %v", err)
	}
	if list, err := lambda.NewFromConfig(one.Config()).ListFunctions(t.Context(), &lambda.ListFunctionsInput{}); err != nil || len(list.Functions) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dynamodb.NewFromConfig(one.Config()).ListTables(ended, &dynamodb.ListTablesInput{}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}

// Servers in memory are cheap enough to have one in every test, and leave nothing.
func TestManyServersInMemory(t *testing.T) {
	temporary := func() []string {
		var names []string
		entries, err := os.ReadDir(os.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "millstream") {
				names = append(names, e.Name())
			}
		}
		return names
	}
	t.Setenv("TMPDIR", t.TempDir())
	goroutines := runtime.NumGoroutine()
	start := time.Now()
	const servers = 200
	for range servers {
		openUseClose(t)
	}
	t.Logf("%d servers opened, used and closed in %v", servers, time.Since(start).Round(time.Millisecond))
	if left := temporary(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	// The runtime ends goroutines a moment after Close has returned at the latest.
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > goroutines && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines were left:\n%s", n-goroutines, stacks[:runtime.Stack(stacks, true)])
	}
}

func openUseClose(t testing.TB) {
	srv := open(t, millstream.Options{})
	db := dynamodb.NewFromConfig(srv.Config())
	if _, err := db.CreateTable(t.Context(), ordersTable); err != nil {
		t.Fatal(err)
	}
	put(t, db, map[string]types.AttributeValue{"id": text("a")})
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkServerInMemory: a thousand should take under five seconds.
func BenchmarkServerInMemory(b *testing.B) {
	for b.Loop() {
		openUseClose(b)
	}
}

func Example() {
	srv, err := millstream.Open(millstream.Options{}) // Dir: a folder makes it durable
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	ctx := context.Background()
	db := dynamodb.NewFromConfig(srv.Config())
	if _, err := db.CreateTable(ctx, ordersTable); err != nil {
		panic(err)
	}

	err = srv.OnChange("orders", millstream.Trigger{}, func(_ context.Context, changes []millstream.Change) error {
		for i := range changes {
			order, err := changes[i].New()
			if err != nil {
				return err
			}
			fmt.Println(changes[i].Kind, order["status"].(*types.AttributeValueMemberS).Value)
		}
		return nil
	})
	if err != nil {
		panic(err)
	}

	for _, status := range []string{"placed", "paid"} {
		item := map[string]types.AttributeValue{"id": text("1001"), "status": text(status)}
		if _, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("orders"), Item: item}); err != nil {
			panic(err)
		}
	}
	if err := srv.Settle(ctx); err != nil {
		panic(err)
	}
	// Output:
	// INSERT placed
	// MODIFY paid
}

func ExampleServer_OnChange_filters() {
	srv, err := millstream.Open(millstream.Options{})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	ctx := context.Background()
	db := dynamodb.NewFromConfig(srv.Config())
	if _, err := db.CreateTable(ctx, ordersTable); err != nil {
		panic(err)
	}
	var paid []string
	onlyPaid := millstream.Trigger{Filters: []string{`{"dynamodb":{"NewImage":{"status":{"S":["paid"]}}}}`}, BatchSize: 10}
	err = srv.OnChange("orders", onlyPaid, func(_ context.Context, changes []millstream.Change) error {
		event, err := millstream.Event(changes) // as a function on AWS gets it
		if err != nil {
			return err
		}
		for _, r := range event.Records {
			paid = append(paid, r.Change.Keys["id"].String())
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	for id, status := range map[string]string{"1": "placed", "2": "paid", "3": "paid"} {
		item := map[string]types.AttributeValue{"id": text(id), "status": text(status)}
		if _, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("orders"), Item: item}); err != nil {
			panic(err)
		}
	}
	if err := srv.Settle(ctx); err != nil {
		panic(err)
	}
	slices.Sort(paid)
	fmt.Println(paid)
	// Output: [2 3]
}
