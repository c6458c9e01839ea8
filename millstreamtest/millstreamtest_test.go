package millstreamtest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream"
	"github.com/millstreamdb/millstream/millstreamtest"
)

// failing is a test whose end can be looked at.
type failing struct {
	testing.TB
	text string
}

func (f *failing) Helper()           {}
func (f *failing) Fatal(args ...any) { f.end(fmt.Sprint(args...)) }
func (f *failing) Fatalf(format string, args ...any) {
	f.end(fmt.Sprintf(format, args...))
}

func (f *failing) end(text string) {
	f.text = text
	panic(f)
}

// fails returns the words with which a test ended.
func fails(t *testing.T, run func(tb testing.TB)) (text string) {
	t.Helper()
	f := &failing{TB: t}
	defer func() {
		if recover() != f {
			t.Error("the test did not end")
		}
		text = f.text
	}()
	run(f)
	return ""
}

func TestHelpers(t *testing.T) {
	srv := millstreamtest.Open(t, millstream.Options{ManualClock: true})
	db := dynamodb.NewFromConfig(srv.Config())
	if _, err := db.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("orders"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		StreamSpecification:  &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages},
	}); err != nil {
		t.Fatal(err)
	}
	seen := millstreamtest.Record(t, srv, "orders")
	put := func(id, state string) {
		t.Helper()
		item := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}, "state": &types.AttributeValueMemberS{Value: state}}
		if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("orders"), Item: item}); err != nil {
			t.Fatal(err)
		}
	}
	put("a", "new")
	put("a", "paid")
	seen.RequireKinds("INSERT", "MODIFY")
	if c := seen.RequireOne("MODIFY", nil); c.Kind != "MODIFY" {
		t.Errorf("%+v", c)
	}
	seen.RequireNone("REMOVE", nil)
	millstreamtest.RequireNoFailures(t, srv)

	// What they say when it is not so.
	for _, c := range []struct {
		run  func(tb testing.TB)
		want string
	}{
		{func(tb testing.TB) { millstreamtest.Record(tb, srv, "none") }, "table none is not there"},
		{func(tb testing.TB) {
			r := millstreamtest.Record(tb, srv, "orders")
			put("b", "new")
			r.RequireKinds("REMOVE")
		}, "the changes of orders are not REMOVE but:\n  INSERT id=b"},
		{func(tb testing.TB) { millstreamtest.Record(tb, srv, "orders").RequireOne("INSERT", nil) }, "orders has 0 changes that were asked for (INSERT), not 1; all are: none"},
		{func(tb testing.TB) {
			r := millstreamtest.Record(tb, srv, "orders")
			put("c", "new")
			r.RequireNone("", func(*millstream.Change) bool { return true })
		}, "orders has 1 changes that must not be (of any kind); all are:\n  INSERT id=c"},
	} {
		if got := fails(t, c.run); !strings.Contains(got, c.want) {
			t.Errorf("%q does not say %q", got, c.want)
		}
	}

	none := 0
	if err := srv.OnChange("orders", millstream.Trigger{Name: "mail", Latest: true, MaxRetries: &none}, func(context.Context, []millstream.Change) error {
		return errors.New("no such address")
	}); err != nil {
		t.Fatal(err)
	}
	put("d", "new")
	millstreamtest.Advance(t, srv, time.Hour)
	if got := fails(t, func(tb testing.TB) { millstreamtest.RequireNoFailures(tb, srv) }); !strings.Contains(got, "mail on orders: 1 records dropped, 0 parked") {
		t.Error(got)
	}
}
