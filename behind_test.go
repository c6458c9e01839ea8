package millstream_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream"
)

func ordersServer(t *testing.T) (*millstream.Server, *dynamodb.Client) {
	t.Helper()
	srv := open(t, millstream.Options{})
	t.Cleanup(func() { _ = srv.Close() })
	db := dynamodb.NewFromConfig(srv.Config())
	if _, err := db.CreateTable(t.Context(), ordersTable); err != nil {
		t.Fatal(err)
	}
	return srv, db
}

// A second function of the same name would take the place of the first without a word.
func TestSecondOnChangeOfANameIsRefused(t *testing.T) {
	srv, db := ordersServer(t)
	calls := 0
	if err := srv.OnChange("orders", millstream.Trigger{}, func(context.Context, []millstream.Change) error { calls++; return nil }); err != nil {
		t.Fatal(err)
	}
	nothing := func(context.Context, []millstream.Change) error { return nil }
	err := srv.OnChange("orders", millstream.Trigger{}, nothing)
	if err == nil || !strings.Contains(err.Error(), "the changes of orders go to a function named on-change-orders already: give this one another Trigger.Name") {
		t.Errorf("%v", err)
	}
	if err := srv.OnChange("orders", millstream.Trigger{Name: "second", BatchSize: -1}, nothing); err == nil {
		t.Error("a batch of -1 is accepted")
	}
	if err := srv.OnChange("orders", millstream.Trigger{Name: "second"}, nothing); err != nil {
		t.Errorf("the name of one that failed stays taken: %v", err)
	}
	put(t, db, map[string]types.AttributeValue{"id": text("a")})
	if err := srv.Settle(t.Context()); err != nil || calls != 1 {
		t.Errorf("%v, %d calls of the first", err, calls)
	}
}

// Settle says who is behind, and its last error, also in the words of the context's error.
func TestSettleSaysWhoIsBehind(t *testing.T) {
	srv, db := ordersServer(t)
	if err := srv.OnChange("orders", millstream.Trigger{Name: "works"}, func(context.Context, []millstream.Change) error { return nil }); err != nil {
		t.Fatal(err)
	}
	failed := make(chan struct{}, 100)
	if err := srv.OnChange("orders", millstream.Trigger{Name: "mail"}, func(_ context.Context, changes []millstream.Change) error {
		failed <- struct{}{}
		return &millstream.FailedFrom{Change: changes[0], Err: errors.New("no such address")}
	}); err != nil {
		t.Fatal(err)
	}
	put(t, db, map[string]types.AttributeValue{"id": text("a")})
	<-failed
	<-failed // the first has been taken in
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := srv.Settle(ctx)
	var behind *millstream.NotSettled
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &behind) || len(behind.Behind) != 1 {
		t.Fatalf("%v", err)
	}
	if b := behind.Behind[0]; b.Name != "mail" || b.Table != "orders" || b.Behind != 1 || b.Attempts < 1 || !strings.HasSuffix(b.Error, " as failed: no such address") || b.Item != `{"id":{"S":"a"}}` {
		t.Errorf("%+v", b)
	}
	if text := err.Error(); !strings.Contains(text, "behind are: mail on orders by 1 records (") || !strings.Contains(text, ` attempts on {"id":{"S":"a"}}: `) || strings.Contains(text, "OK") || strings.Contains(text, "works") {
		t.Error(text)
	}
}

// A panic is told of, with and without a logger.
func TestPanicsAreTold(t *testing.T) {
	srv, db := ordersServer(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = write
	defer func() { os.Stderr = stderr }()
	calls := 0
	if err := srv.OnChange("orders", millstream.Trigger{}, func(context.Context, []millstream.Change) error {
		if calls++; calls == 1 {
			panic("boom")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	put(t, db, map[string]types.AttributeValue{"id": text("a")})
	if err := srv.Settle(t.Context()); err != nil || calls != 2 {
		t.Errorf("%v, %d calls", err, calls)
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	told, err := io.ReadAll(read)
	if err != nil || !strings.Contains(string(told), "millstream: the function on-change-orders panicked: boom\n") || !strings.Contains(string(told), "behind_test.go") {
		t.Errorf("%v: %s", err, told)
	}
}
