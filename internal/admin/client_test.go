package admin_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream"
	"github.com/millstreamdb/millstream/internal/admin"
)

// world is a server in memory with a table that has a stream.
type world struct {
	*admin.Client
	t   *testing.T
	srv *millstream.Server
	db  *dynamodb.Client
}

func start(t *testing.T, o millstream.Options) *world {
	t.Helper()
	o.Version = "v1.2.3"
	srv, err := millstream.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(srv.Handler())
	t.Cleanup(func() {
		server.CloseClientConnections() // the streams that tests have left
		server.Close()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, srv: srv, db: dynamodb.NewFromConfig(srv.Config())}
	if w.Client, err = admin.New(admin.Options{Endpoint: server.URL}); err != nil {
		t.Fatal(err)
	}
	_, err = w.db.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("tab"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("k"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("k"), KeyType: types.KeyTypeHash}},
		StreamSpecification:  &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewImage},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) put(keys ...string) {
	w.t.Helper()
	for _, k := range keys {
		item := map[string]types.AttributeValue{"k": &types.AttributeValueMemberS{Value: k}}
		if _, err := w.db.PutItem(w.t.Context(), &dynamodb.PutItemInput{TableName: aws.String("tab"), Item: item}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// attach has a Go function called for the table's changes, and returns the trigger.
func (w *world) attach(o millstream.Trigger, handle func(ctx context.Context, changes []millstream.Change) error) admin.Trigger {
	w.t.Helper()
	if err := w.srv.OnChange("tab", o, handle); err != nil {
		w.t.Fatal(err)
	}
	all, err := w.Triggers(w.t.Context())
	if err != nil || len(all) != 1 {
		w.t.Fatal(all, err)
	}
	return all[0]
}

func failing(context.Context, []millstream.Change) error { return errors.New("out of order") }
func working(context.Context, []millstream.Change) error { return nil }

// wantError looks for a code and a text in an error of the protocol.
func wantError(t *testing.T, err error, code, text string) {
	t.Helper()
	var e *admin.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Message, text) {
		t.Errorf("got %#v, want %s: %s", err, code, text)
	}
}

func TestVersionAndStatus(t *testing.T) {
	w := start(t, millstream.Options{})
	if v, err := w.Version(t.Context()); err != nil || v.Version != "v1.2.3" || v.Protocol != 1 || !strings.HasPrefix(v.Go, "go") {
		t.Errorf("version: %+v, %v", v, err)
	}
	w.attach(millstream.Trigger{}, working)
	s, err := w.Status(t.Context())
	if err != nil || s.Version != "v1.2.3" || s.Account != millstream.DefaultAccount || s.Region != millstream.DefaultRegion ||
		s.Durability != "sync" || s.Data != "" || !s.Healthy || s.Tables != 1 || s.Functions != 1 || s.Triggers != 1 || s.Started.IsZero() {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestTriggers: a trigger is shown with its settings, place and counts; one that is behind is named by settle, with why.
func TestTriggers(t *testing.T) {
	w := start(t, millstream.Options{})
	made := w.attach(millstream.Trigger{Name: "count", BatchSize: 7}, failing)
	if made.Function != "count" || made.Table != "tab" || made.BatchSize != 7 || made.State != "Enabled" || made.OnFailure != "block-shard" {
		t.Errorf("%+v", made)
	}
	w.put("a", "b")
	// The timeout is what bounds a wait for a trigger that does not come on.
	settled, err := w.Settle(t.Context(), 100*time.Millisecond)
	if err != nil || settled.Settled || len(settled.Behind) != 1 || settled.Behind[0].UUID != made.UUID || settled.Behind[0].LagRecords != 2 {
		t.Fatalf("%+v, %v", settled, err)
	}
	shown, err := w.Trigger(t.Context(), made.UUID)
	if err != nil || len(shown.Shards) != 1 || shown.Shards[0].Blocked == nil || !strings.Contains(shown.Shards[0].Error, "out of order") || shown.Counts.Errors == 0 {
		t.Errorf("%+v, %v", shown, err)
	}
	_, err = w.Trigger(t.Context(), "nobody")
	wantError(t, err, "NotFound", "there is no event source mapping nobody; `millstream triggers ls`")
	_, err = w.Settle(t.Context(), 2*time.Hour)
	wantError(t, err, "BadRequest", `timeout "2h0m0s": want a duration such as 30s, of at most an hour`)

	moved, err := w.Skip(t.Context(), made.UUID, "LATEST")
	if err != nil || moved.Records != 2 || moved.Shards != 1 {
		t.Errorf("skipped %+v, %v", moved, err)
	}
	if settled, err = w.Settle(t.Context(), time.Minute); err != nil || !settled.Settled || len(settled.Behind) != 0 {
		t.Errorf("%+v, %v", settled, err)
	}
	if moved, err = w.Rewind(t.Context(), made.UUID, "HORIZON"); err != nil || moved.Records != 2 {
		t.Errorf("rewound %+v, %v", moved, err)
	}
	if got, err := w.Pause(t.Context(), made.UUID); err != nil || !got.Paused {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := w.Resume(t.Context(), made.UUID); err != nil || got.Paused {
		t.Errorf("%+v, %v", got, err)
	}
	const condition = "attribute_exists(NEW.a) & b"
	_, err = w.SetWhen(t.Context(), made.UUID, condition)
	wantError(t, err, "BadRequest", "the condition is not right: ")
	if got, err := w.SetWhen(t.Context(), made.UUID, "NEW.k <> OLD.k"); err != nil || got.When != "NEW.k <> OLD.k" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, err := range []error{
		second(w.Rewind(t.Context(), made.UUID, "LATEST")), second(w.Skip(t.Context(), made.UUID, "HORIZON")), second(w.Skip(t.Context(), made.UUID, "soon")),
	} {
		wantError(t, err, "BadRequest", "HORIZON")
	}
	for _, err := range []error{
		second(w.Rewind(t.Context(), "nobody", "HORIZON")), second(w.Skip(t.Context(), "nobody", "LATEST")),
		second(w.Pause(t.Context(), "nobody")), second(w.Resume(t.Context(), "nobody")), second(w.SetWhen(t.Context(), "nobody", "")),
	} {
		wantError(t, err, "NotFound", "nobody")
	}
}

func second[T any](_ T, err error) error { return err }

// TestParked: records that are set aside are listed page by page, shown, redriven and dropped.
func TestParked(t *testing.T) {
	w := start(t, millstream.Options{})
	never := 0
	made := w.attach(millstream.Trigger{BatchSize: 1, MaxRetries: &never, Tags: map[string]string{"millstream:on-failure": "park"}}, failing)
	w.put("a", "b", "c")
	if s, err := w.Settle(t.Context(), time.Minute); err != nil || !s.Settled {
		t.Fatal(s, err)
	}
	list := func(f admin.AsideFilter) (all []admin.AsideRecord) {
		t.Helper()
		if err := w.AsideRecords(t.Context(), made.UUID, f, func(r admin.AsideRecord) error { all = append(all, r); return nil }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	all := list(admin.AsideFilter{Kind: "parked"})
	if len(all) != 3 || all[0].Attempts != 1 || !strings.Contains(all[0].Error, "out of order") || all[0].Record != nil {
		t.Fatalf("%+v", all)
	}
	since := all[0].Since
	for _, c := range []struct {
		filter admin.AsideFilter
		want   int
	}{
		{admin.AsideFilter{Kind: "held"}, 0}, {admin.AsideFilter{Key: "b"}, 1}, {admin.AsideFilter{ID: all[2].ID}, 1},
		{admin.AsideFilter{After: since.Add(time.Hour)}, 0}, {admin.AsideFilter{Before: since.Add(time.Hour)}, 3},
	} {
		if got := list(c.filter); len(got) != c.want {
			t.Errorf("%+v chose %d records, want %d", c.filter, len(got), c.want)
		}
	}
	whole, err := w.AsideRecord(t.Context(), made.UUID, all[1].ID)
	if err != nil || whole.ID != all[1].ID || !strings.Contains(string(whole.Record), `"eventName":"INSERT"`) {
		t.Errorf("%+v, %v", whole, err)
	}
	if err := w.srv.RegisterFunction("repair", func(context.Context, []byte) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Redrive(t.Context(), made.UUID, admin.RedriveOptions{AsideFilter: admin.AsideFilter{Key: "a"}, Function: "repair", Rate: 1000, Limit: 7}); err != nil || n.Records != 1 {
		t.Error(n, err)
	}
	if n, err := w.DropParked(t.Context(), made.UUID, admin.AsideFilter{Key: "c"}, "no longer wanted"); err != nil || n.Records != 1 {
		t.Error(n, err)
	}
	none := func(admin.AsideRecord) error { return nil }
	wantError(t, w.AsideRecords(t.Context(), made.UUID, admin.AsideFilter{Kind: "lost"}, none), "BadRequest", "want held, telling or parked")
	wantError(t, w.AsideRecords(t.Context(), "", admin.AsideFilter{}, none), "BadRequest", "trigger= is missing")
	wantError(t, w.AsideRecords(t.Context(), "nobody", admin.AsideFilter{}, none), "NotFound", "nobody")
	wantError(t, second(w.AsideRecord(t.Context(), made.UUID, "x")), "BadRequest", "`millstream parked ls` shows them")
	_, place, _ := strings.Cut(all[0].ID, "/")
	wantError(t, second(w.AsideRecord(t.Context(), made.UUID, strings.Repeat("0", 16)+"/"+place)), "NotFound", "not set aside")
	wantError(t, second(w.Redrive(t.Context(), made.UUID, admin.RedriveOptions{Function: "nothing"})), "BadRequest", "does not exist")
}

// TestShards: shards are listed and split.
func TestShards(t *testing.T) {
	w := start(t, millstream.Options{})
	s, err := w.Shards(t.Context(), "tab")
	if err != nil || s.Table != "tab" || len(s.Shards) != 1 || s.Shards[0].Closed {
		t.Fatal(s, err)
	}
	root := s.Shards[0].ID
	if s, err = w.SplitShard(t.Context(), "tab", root); err != nil || len(s.Shards) != 3 || !s.Shards[0].Closed || s.Shards[1].Parent != root {
		t.Error(s, err)
	}
	if s, err = w.SplitShards(t.Context(), "tab", 4); err != nil || len(s.Shards) != 7 {
		t.Error(s, err)
	}
	wantError(t, second(w.SplitShards(t.Context(), "tab", 257)), "BadRequest", "256")
	wantError(t, second(w.Shards(t.Context(), "none")), "NotFound", "table none is not there or has no stream")
}

// TestInvoke: a function is run once; what is no JSON arrives as text.
func TestInvoke(t *testing.T) {
	w := start(t, millstream.Options{})
	answers := map[string]string{"good": `{"a":1}`, "text": "not \xff JSON"}
	for name, answer := range answers {
		if err := w.srv.RegisterFunction(name, func(_ context.Context, event []byte) ([]byte, error) { return []byte(answer), nil }); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := w.Invoke(t.Context(), "good", []byte(`{"x":1}`)); err != nil || string(got.Payload) != `{"a":1}` || got.RequestID == "" || got.Error != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := w.Invoke(t.Context(), "text", []byte(`{}`)); err != nil || string(got.Payload) != `"not \ufffd JSON"` {
		t.Errorf("%s, %v", got.Payload, err)
	}
	wantError(t, second(w.Invoke(t.Context(), "nobody", nil)), "NotFound", "there is no function nobody")
}

// TestTail: the records of a stream come whole, and nothing is missed from ready on.
func TestTail(t *testing.T) {
	w := start(t, millstream.Options{})
	w.put("a")
	for _, horizon := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		var seen []string
		first := "bc"
		if horizon {
			first = "abc"
		}
		err := w.Tail(ctx, admin.TailOptions{Table: "tab", Horizon: horizon, Ready: func() { w.put("b", "c") }}, func(c admin.Change) error {
			seen = append(seen, string(c.Record))
			if len(seen) == len(first) {
				cancel()
			}
			return nil
		})
		cancel()
		if err != nil || len(seen) != len(first) {
			t.Fatalf("%v, %v", seen, err)
		}
		for i, k := range first {
			if want := fmt.Sprintf(`"Keys":{"k":{"S":"%c"}}`, k); !strings.Contains(seen[i], want) {
				t.Errorf("record %d is %s, want %s", i, seen[i], want)
			}
		}
		w.drop("b", "c")
	}
	none := func(admin.Change) error { return nil }
	wantError(t, w.Tail(t.Context(), admin.TailOptions{Table: "none"}, none), "NotFound", "table none is not there")
	wantError(t, w.Tail(t.Context(), admin.TailOptions{}, none), "BadRequest", "say either table= or stream=")
}

// TestTry: filters are matched with the last records of a stream, oldest first.
func TestTry(t *testing.T) {
	w := start(t, millstream.Options{})
	w.put("a", "b", "c")
	w.drop("b")
	try := func(last int, filters ...string) (seen string) {
		t.Helper()
		if err := w.Try(t.Context(), "tab", filters, last, func(r admin.Trial) error {
			for _, warning := range r.Warnings {
				seen += warning
			}
			_, key, _ := strings.Cut(string(r.Record), `"Keys":{"k":{"S":"`)
			if key = key[:min(1, len(key))]; r.Matches {
				key = strings.ToUpper(key)
			}
			seen += key
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return seen
	}
	for _, c := range []struct {
		last    int
		filters []string
		want    string
	}{
		{100, []string{`{"eventName":["INSERT"]}`}, "ABCb"},
		{3, []string{`{"dynamodb":{"Keys":{"k":{"S":["c"]}}}}`}, "bCb"},
		{1, []string{`{"dynamodb":{"Keys":{"k":{"S":["c"]}}}}`, `{"eventName":["REMOVE"]}`}, "B"},
	} {
		if seen := try(c.last, c.filters...); seen != c.want {
			t.Errorf("the last %d with %s: %s, want %s", c.last, c.filters, seen, c.want)
		}
	}
	if seen := try(1, `{"dynamodb":{"Keys":{"k":["c"]}}}`); len(seen) < 20 || !strings.HasSuffix(seen, "b") {
		t.Errorf("of a filter that can never match one is told %q", seen)
	}
	none := func(admin.Trial) error { return nil }
	wantError(t, w.Try(t.Context(), "tab", []string{`{}`}, 1, none), "BadRequest", "invalid filter pattern")
	wantError(t, w.Try(t.Context(), "tab", nil, 1, none), "BadRequest", "filter= is missing")
	wantError(t, w.Try(t.Context(), "tab", []string{`{"eventName":["INSERT"]}`}, 1001, none), "BadRequest", "want 1 to 1000")
	wantError(t, w.Try(t.Context(), "none", []string{`{"eventName":["INSERT"]}`}, 1, none), "NotFound", "table none is not there")
}

func (w *world) drop(keys ...string) {
	w.t.Helper()
	for _, k := range keys {
		if _, err := w.db.DeleteItem(w.t.Context(), &dynamodb.DeleteItemInput{
			TableName: aws.String("tab"), Key: map[string]types.AttributeValue{"k": &types.AttributeValueMemberS{Value: k}},
		}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestActivity: what the server does is told with what caused it.
func TestActivity(t *testing.T) {
	w := start(t, millstream.Options{})
	w.attach(millstream.Trigger{Name: "count"}, failing)
	stop := errors.New("enough")
	var write, call admin.Activity
	err := w.Activity(t.Context(), func() { w.put("a") }, func(a admin.Activity) error {
		switch a.Kind {
		case "write":
			write = a
		case "call":
			call = a
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || write.Name != "PutItem" || write.Status != http.StatusOK || !strings.Contains(string(write.Body), `"tab"`) {
		t.Errorf("%v, %+v", err, write)
	}
	if call.Name != "count" || !strings.Contains(call.Error, "out of order") || len(call.Changes) != 1 || call.Changes[0].Table != "tab" || call.Changes[0].Event != "INSERT" {
		t.Errorf("%+v", call)
	}
}

func TestErrorsOfOthers(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(403)
		fmt.Fprint(w, `{"__type":"com.amazon.coral.service#AccessDeniedException","message":"Use a loopback name."}`)
	}))
	defer refusing.Close()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	for endpoint, want := range map[string]string{
		refusing.URL: "Use a loopback name.",
		closed.URL:   "millstream serve",
		other.URL:    "is it a Millstream server?",
	} {
		c, err := admin.New(admin.Options{Endpoint: endpoint})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestEndpoint(t *testing.T) {
	t.Setenv("MILLSTREAM_ENDPOINT", "http://db:9000/")
	for endpoint, want := range map[string]string{
		"":                      "http://db:9000",
		"https://example.com/x": "https://example.com/x",
		"localhost:8000":        "",
		"ftp://x":               "",
	} {
		c, err := admin.New(admin.Options{Endpoint: endpoint})
		switch {
		case want == "" && err == nil:
			t.Errorf("%q was taken", endpoint)
		case want != "" && (err != nil || c.Endpoint() != want):
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}
