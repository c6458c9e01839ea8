package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/activity"
	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/admin/wire"
	api "github.com/millstreamdb/millstream/internal/api/admin"
	"github.com/millstreamdb/millstream/internal/schema"
)

// source is a server that says what it is told to.
type source struct {
	advanced atomic.Int64 // nanoseconds of Advance
	tail     func(ctx context.Context, q api.TailQuery, ready func(), emit func(wire.Change) error) error
	logs     func(ctx context.Context, q api.LogsQuery, ready func(), emit func(wire.LogLine) error) error
	settle   func(ctx context.Context) ([]wire.Trigger, error)
	invoke   func(scope schema.Scope, function string, event []byte) (wire.Invocation, error)
	places   []string
}

var fullTrigger = fill[wire.Trigger]()

func (s *source) Status(context.Context) (wire.Status, error) { return fill[wire.Status](), nil }
func (s *source) Triggers(context.Context) ([]wire.Trigger, error) {
	return []wire.Trigger{fullTrigger}, nil
}
func (s *source) Trigger(_ context.Context, uuid string) (wire.Trigger, error) {
	if uuid != fullTrigger.UUID {
		return wire.Trigger{}, wire.NotFound("There is no trigger " + uuid + ".")
	}
	return fullTrigger, nil
}
func (s *source) Tail(ctx context.Context, q api.TailQuery, ready func(), emit func(wire.Change) error) error {
	return s.tail(ctx, q, ready, emit)
}
func (s *source) Logs(ctx context.Context, q api.LogsQuery, ready func(), emit func(wire.LogLine) error) error {
	return s.logs(ctx, q, ready, emit)
}
func (s *source) Shards(_ context.Context, q api.ShardsQuery) (wire.Shards, error) {
	return wire.Shards{Stream: q.Scope.Region, Table: q.Table, Shards: []wire.Shard{{ID: "root", Closed: true, End: "7"}, {ID: "child", Parent: "root"}}}, nil
}

func (s *source) SplitShards(_ context.Context, _ schema.Scope, table, shard string, into int) (wire.Shards, error) {
	if into > 256 {
		return wire.Shards{}, wire.BadRequest("too many")
	}
	return wire.Shards{Table: table, Shards: []wire.Shard{{ID: fmt.Sprint(shard, into)}}}, nil
}

func (s *source) AsideRecords(_ context.Context, uuid string, f wire.AsideFilter, from string, limit int) (wire.AsideRecords, error) {
	if from == "" {
		return wire.AsideRecords{Records: []wire.AsideRecord{{ID: "1", Error: fmt.Sprintf("%s %s %s %d", uuid, f.Kind, f.Key, limit), Since: f.After}}, Next: "2"}, nil
	}
	return wire.AsideRecords{Records: []wire.AsideRecord{{ID: from, Since: f.Before}}}, nil
}

func (s *source) AsideRecord(_ context.Context, uuid, id string) (wire.AsideRecord, error) {
	r := fill[wire.AsideRecord]()
	r.ID = uuid + id
	return r, nil
}

func (s *source) Redrive(_ context.Context, uuid string, q api.RedriveQuery) (wire.Redriven, error) {
	if q.Drop {
		return wire.Redriven{Records: 1000}, nil
	}
	if uuid != "u" || q.Function != "g" || q.Rate != 2.5 || q.ID != "i" {
		return wire.Redriven{}, wire.BadRequest(fmt.Sprintf("got %s, %+v", uuid, q))
	}
	return wire.Redriven{Records: q.Limit}, nil
}

// TestParked: records that are set aside are listed page by page, shown, redriven and dropped by the client's calls.
func TestParked(t *testing.T) {
	c := connect(t, &source{}, admin.Options{})
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	var got []admin.AsideRecord
	err := c.AsideRecords(t.Context(), "u", admin.AsideFilter{Kind: "held", Key: "k", After: at, Before: at.Add(1)}, func(r admin.AsideRecord) error {
		got = append(got, r)
		return nil
	})
	if err != nil || len(got) != 2 || got[0].Error != "u held k 1000" || !got[0].Since.Equal(at) || got[1].ID != "2" || !got[1].Since.Equal(at.Add(1)) {
		t.Errorf("listed %+v: %v", got, err)
	}
	r, err := c.AsideRecord(t.Context(), "u", "i")
	if want, _ := (&source{}).AsideRecord(t.Context(), "u", "i"); err != nil {
		t.Error(err)
	} else {
		same(t, r, want)
	}
	if n, err := c.Redrive(t.Context(), "u", admin.RedriveOptions{AsideFilter: admin.AsideFilter{ID: "i"}, Function: "g", Rate: 2.5, Limit: 7}); err != nil || n.Records != 7 {
		t.Error(n, err)
	}
	if n, err := c.DropParked(t.Context(), "u", admin.AsideFilter{}); err != nil || n.Records != 1000 {
		t.Error(n, err)
	}
	for what, err := range map[string]error{
		"want held":           c.AsideRecords(t.Context(), "u", admin.AsideFilter{Kind: "lost"}, nil),
		"trigger= is missing": c.AsideRecords(t.Context(), "", admin.AsideFilter{}, nil),
	} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %q", err, what)
		}
	}
}

// TestShards: shards are listed and split by the client's calls.
func TestShards(t *testing.T) {
	c := connect(t, &source{}, admin.Options{})
	s, err := c.Shards(t.Context(), "tab")
	if err != nil || s.Table != "tab" || len(s.Shards) != 2 || s.Shards[0].End != "7" || s.Shards[1].Parent != "root" {
		t.Error(s, err)
	}
	if s, err := c.SplitShards(t.Context(), "tab", 4); err != nil || s.Shards[0].ID != "4" {
		t.Error(s, err)
	}
	if s, err := c.SplitShard(t.Context(), "tab", "x"); err != nil || s.Shards[0].ID != "x0" {
		t.Error(s, err)
	}
	if _, err := c.SplitShards(t.Context(), "tab", 257); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Error(err)
	}
}

func (s *source) Rewind(_ context.Context, uuid string, to api.Place) (wire.Moved, error) {
	return s.moved("rewind", uuid, to)
}

func (s *source) Skip(_ context.Context, uuid string, to api.Place) (wire.Moved, error) {
	return s.moved("skip", uuid, to)
}

func (s *source) moved(what, uuid string, to api.Place) (wire.Moved, error) {
	s.places = append(s.places, fmt.Sprint(what, " ", uuid, " ", to.Horizon, to.Latest, " ", to.Time.Unix(), " ", to.Record))
	return fill[wire.Moved](), nil
}

func (s *source) Pause(_ context.Context, uuid string) error {
	s.places = append(s.places, "pause "+uuid)
	return nil
}

func (s *source) Resume(_ context.Context, uuid string) error {
	s.places = append(s.places, "resume "+uuid)
	return nil
}

func (s *source) Activity(_ context.Context, ready func(), emit func(activity.Event) error) error {
	ready()
	return emit(fill[activity.Event]())
}

// TestActivity: what the server does is told whole.
func TestActivity(t *testing.T) {
	c := connect(t, &source{}, admin.Options{})
	var got []admin.Activity
	if err := c.Activity(t.Context(), nil, func(a admin.Activity) error { got = append(got, a); return nil }); err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	same(t, got[0], fill[activity.Event]())
}

func (s *source) SetWhen(_ context.Context, uuid, when string) error {
	s.places = append(s.places, "when "+uuid+" "+when)
	return nil
}

// TestMoves: the places that a person may write, and which call takes which.
func TestMoves(t *testing.T) {
	s := &source{}
	c := connect(t, s, admin.Options{})
	type move = func(context.Context, string, string) (admin.Moved, error)
	for _, m := range []struct {
		move move
		to   string
		want string // of the place, or of the error
	}{
		{c.Rewind, "HORIZON", "rewind u true false -62135596800 0"},
		{c.Skip, "LATEST", "skip u false true -62135596800 0"},
		{c.Rewind, "2026-01-02T03:04:05Z", "rewind u false false 1767323045 0"},
		{c.Rewind, "2026-01-02T04:04:05+01:00", "rewind u false false 1767323045 0"},
		{c.Skip, "1767323045", "skip u false false 1767323045 0"},
		{c.Skip, "1767323045.5", "skip u false false 1767323045 0"},
		{c.Rewind, "100000000000000000042", "rewind u false false -62135596800 100000000000000000042"},
		{c.Rewind, "LATEST", "to go to LATEST, skip"},
		{c.Skip, "HORIZON", "to go to HORIZON, rewind"},
		{c.Skip, "", "want HORIZON"},
		{c.Skip, "-2h", "want HORIZON"},
		{c.Skip, "2026-01-02", "want HORIZON"},
	} {
		s.places = nil
		got, err := m.move(t.Context(), "u", m.to)
		if err != nil && strings.Contains(err.Error(), m.want) {
			continue
		}
		if err != nil || len(s.places) != 1 || s.places[0] != m.want || got.Records != 8 || got.Shards != 7 {
			t.Errorf("%s: %v, %+v, %v", m.to, s.places, got, err)
		}
	}
	s.places = nil
	if got, err := c.SetWhen(t.Context(), "text", "OLD.a <> NEW.a & b"); err != nil || got.UUID == "" || s.places[0] != "when text OLD.a <> NEW.a & b" {
		t.Error(got, err, s.places)
	}
	s.places = nil
	for _, pause := range []func(context.Context, string) (admin.Trigger, error){c.Pause, c.Resume} {
		if got, err := pause(t.Context(), "text"); err != nil || got.UUID == "" {
			t.Error(got, err)
		}
	}
	if want := []string{"pause text", "resume text"}; !slices.Equal(s.places, want) {
		t.Error(s.places)
	}
}

func (s *source) Settle(ctx context.Context) ([]wire.Trigger, error) { return s.settle(ctx) }
func (s *source) Invoke(_ context.Context, scope schema.Scope, function string, event []byte) (wire.Invocation, error) {
	return s.invoke(scope, function, event)
}

// fill returns a T in which no field has its zero value, so that a field that one
// side of the wire does not know is missed.
func fill[T any]() (v T) {
	fillValue(reflect.ValueOf(&v).Elem())
	return v
}

func fillValue(v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.UnixMilli(1700000000123).UTC()))
		return
	case json.RawMessage:
		v.SetBytes([]byte(`{"a":1}`))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(8)
	case reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Struct:
		for i := range v.NumField() {
			fillValue(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillValue(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillValue(v.Index(0))
	default:
		panic("cannot fill " + v.Type().String())
	}
}

var home = schema.Scope{Account: "000000000000", Region: "us-east-1"}

func connect(t *testing.T, s *source, o admin.Options) *admin.Client {
	t.Helper()
	server := httptest.NewServer(api.New(api.Config{Source: s, Version: "v1.2.3", Scope: home}))
	t.Cleanup(server.Close)
	o.Endpoint = server.URL
	c, err := admin.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// same compares two values by their JSON.
func same(t *testing.T, got, want any) {
	t.Helper()
	g, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	w, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if string(g) != string(w) {
		t.Errorf("got  %s\nwant %s", g, w)
	}
}

func TestDocumentsArriveWhole(t *testing.T) {
	ctx := t.Context()
	s := &source{
		settle: func(context.Context) ([]wire.Trigger, error) { return []wire.Trigger{fullTrigger}, nil },
		invoke: func(scope schema.Scope, function string, event []byte) (wire.Invocation, error) {
			if scope != home || function != "f" || string(event) != `{"x":1}` {
				return wire.Invocation{}, fmt.Errorf("got %v, %s, %s", scope, function, event)
			}
			return fill[wire.Invocation](), nil
		},
	}
	c := connect(t, s, admin.Options{})
	if v, err := c.Version(ctx); err != nil || v.Version != "v1.2.3" || v.Protocol != 1 || !strings.HasPrefix(v.Go, "go") {
		t.Errorf("version: %+v, %v", v, err)
	}
	status, err := c.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	same(t, status, fill[wire.Status]())
	triggers, err := c.Triggers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	same(t, triggers, []wire.Trigger{fullTrigger})
	trigger, err := c.Trigger(ctx, fullTrigger.UUID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, trigger, fullTrigger)
	settled, err := c.Settle(ctx, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	settled.WaitedMS = 0
	same(t, settled, wire.Settled{Behind: []wire.Trigger{fullTrigger}})
	inv, err := c.Invoke(ctx, "f", []byte(`{"x":1}`))
	if err != nil {
		t.Fatal(err)
	}
	same(t, inv, fill[wire.Invocation]())
}

func TestSettleIsBoundedByItsTimeout(t *testing.T) {
	s := &source{settle: func(ctx context.Context) ([]wire.Trigger, error) {
		<-ctx.Done()
		return []wire.Trigger{fullTrigger}, ctx.Err()
	}}
	settled, err := connect(t, s, admin.Options{}).Settle(t.Context(), 10*time.Millisecond)
	if err != nil || settled.Settled || len(settled.Behind) != 1 {
		t.Fatalf("%+v, %v", settled, err)
	}
}

func TestAnswerOfAFunctionThatIsNoJSON(t *testing.T) {
	s := &source{invoke: func(schema.Scope, string, []byte) (wire.Invocation, error) {
		return wire.Invocation{Payload: []byte("not \xff JSON")}, nil
	}}
	inv, err := connect(t, s, admin.Options{}).Invoke(t.Context(), "f", nil)
	if err != nil || string(inv.Payload) != `"not \ufffd JSON"` {
		t.Fatalf("%s, %v", inv.Payload, err)
	}
}

func TestTail(t *testing.T) {
	var got api.TailQuery
	s := &source{tail: func(ctx context.Context, q api.TailQuery, ready func(), emit func(wire.Change) error) error {
		got = q
		ready()
		for i := range 3 {
			if err := emit(wire.Change{Shard: "s", Record: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))}); err != nil {
				return err
			}
		}
		<-ctx.Done() // a table on which nothing happens any more
		return ctx.Err()
	}}
	c := connect(t, s, admin.Options{Account: "111111111111", Region: "eu-west-1"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var seen []string
	ready := false
	err := c.Tail(ctx, admin.TailOptions{Table: "orders", Horizon: true, Ready: func() { ready = true }}, func(c admin.Change) error {
		if seen = append(seen, c.Shard+string(c.Record)); len(seen) == 3 {
			cancel()
		}
		return nil
	})
	if err != nil || !ready || strings.Join(seen, "") != `s{"n":0}s{"n":1}s{"n":2}` {
		t.Fatalf("ready %v, %q, %v", ready, seen, err)
	}
	if want := (api.TailQuery{Scope: schema.Scope{Account: "111111111111", Region: "eu-west-1"}, Table: "orders", Horizon: true}); got != want {
		t.Fatalf("got %+v", got)
	}
}

// The header of a stream says that nothing will be missed: it comes before the
// first document.
func TestStreamIsReadyBeforeItsFirstDocument(t *testing.T) {
	print := make(chan struct{})
	s := &source{logs: func(ctx context.Context, q api.LogsQuery, ready func(), emit func(wire.LogLine) error) error {
		ready()
		<-print
		return emit(wire.LogLine{Text: "hello"})
	}}
	var text string
	err := connect(t, s, admin.Options{}).Logs(t.Context(), admin.LogsOptions{Follow: true, Ready: func() { close(print) }}, func(l admin.LogLine) error {
		text = l.Text
		return nil
	})
	if err != nil || text != "hello" {
		t.Fatalf("%q, %v", text, err)
	}
}

func TestLogsQuery(t *testing.T) {
	var got api.LogsQuery
	s := &source{logs: func(_ context.Context, q api.LogsQuery, ready func(), emit func(wire.LogLine) error) error {
		got = q
		return emit(fill[wire.LogLine]())
	}}
	var lines []admin.LogLine
	err := connect(t, s, admin.Options{}).Logs(t.Context(), admin.LogsOptions{Function: "f", Lines: 5, Follow: true}, func(l admin.LogLine) error {
		lines = append(lines, l)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, lines, []wire.LogLine{fill[wire.LogLine]()})
	if want := (api.LogsQuery{Scope: home, Function: "f", Lines: 5, Follow: true}); got != want {
		t.Fatalf("got %+v", got)
	}
}

func TestErrors(t *testing.T) {
	ctx := t.Context()
	s := &source{
		tail: func(_ context.Context, q api.TailQuery, ready func(), emit func(wire.Change) error) error {
			if q.Table == "late" {
				ready()
				return wire.NotFound("The table was deleted.")
			}
			return wire.NotFound("There is no table " + q.Table + ".")
		},
		invoke: func(schema.Scope, string, []byte) (wire.Invocation, error) {
			return wire.Invocation{}, errors.New("disk on fire")
		},
	}
	c := connect(t, s, admin.Options{})
	each := func(admin.Change) error { return nil }
	_, triggerErr := c.Trigger(ctx, "nobody")
	_, invokeErr := c.Invoke(ctx, "f", nil)
	_, settleErr := c.Settle(ctx, 2*time.Hour)
	for name, want := range map[string]struct {
		err     error
		code    string
		message string
	}{
		"no trigger":      {triggerErr, "NotFound", "There is no trigger nobody."},
		"no table":        {c.Tail(ctx, admin.TailOptions{Table: "t"}, each), "NotFound", "There is no table t."},
		"table goes":      {c.Tail(ctx, admin.TailOptions{Table: "late"}, each), "NotFound", "The table was deleted."},
		"neither":         {c.Tail(ctx, admin.TailOptions{}, each), "BadRequest", "say either table= or stream="},
		"internal":        {invokeErr, "Internal", "disk on fire"},
		"settle too long": {settleErr, "BadRequest", `timeout "2h0m0s": want a duration such as 30s, of at most an hour`},
	} {
		var e *admin.Error
		if !errors.As(want.err, &e) || e.Code != want.code || e.Message != want.message {
			t.Errorf("%s: %#v", name, want.err)
		}
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
