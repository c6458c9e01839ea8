package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The load must be what it says it is: items of 1 KiB, each key once, reads of
// keys that were written.
func TestLoadSendsWhatItSays(t *testing.T) {
	var mu sync.Mutex
	written, read := map[string]int{}, map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=") || r.Header.Get("X-Amz-Date") == "" {
			t.Errorf("headers are %v", r.Header)
		}
		var in struct {
			Item, Key map[string]map[string]string
		}
		if err := json.Unmarshal(body, &in); err != nil {
			t.Errorf("%v: %s", err, body)
		}
		mu.Lock()
		defer mu.Unlock()
		switch r.Header.Get("X-Amz-Target") {
		case "DynamoDB_20120810.PutItem":
			size := 0
			for name, value := range in.Item {
				size += len(name) + len(value["S"])
			}
			if size != itemBytes {
				t.Errorf("an item has %d bytes", size)
			}
			written[in.Item["pk"]["S"]]++
		case "DynamoDB_20120810.GetItem":
			read[in.Key["pk"]["S"]]++
		default:
			t.Errorf("target %q", r.Header.Get("X-Amz-Target"))
		}
		_, _ = io.WriteString(w, "{}")
	}))
	defer server.Close()
	_, n, err := writeFor(t.Context(), server.URL, table, 4, 0, 50*time.Millisecond)
	if err != nil || n == 0 {
		t.Fatalf("%d writes: %v", n, err)
	}
	if int64(len(written)) != n {
		t.Errorf("%d keys in %d writes", len(written), n)
	}
	clear(written)
	if err := writeKnown(t.Context(), server.URL, 4, 20); err != nil {
		t.Fatal(err)
	}
	host, err := hostOf(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := load(t.Context(), server.URL, 4, 50*time.Millisecond, func(client int) func(int) []byte { return gets(host, table, client, 20) }); err != nil {
		t.Fatal(err)
	}
	for key := range read {
		if written[key] != 1 {
			t.Errorf("key %s was read and written %d times", key, written[key])
		}
	}
}

func TestLoadReportsAnErrorOfTheServer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"ValidationException"}`)
	}))
	defer server.Close()
	_, _, err := writeFor(t.Context(), server.URL, table, 2, 0, time.Minute)
	if err == nil || !strings.Contains(err.Error(), "ValidationException") {
		t.Errorf("error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := writeFor(ctx, server.URL, table, 2, 0, time.Minute); err == nil {
		t.Error("a load whose context has ended returned no error")
	}
}

func TestEachKey(t *testing.T) {
	var got [][2]int
	event := []byte(`{"Records":[{"eventID":"a","dynamodb":{"Keys":{"pk":{"S":"0003000000000012"}},"NewImage":{"pk":{"S":"0003000000000012"}}}},` +
		`{"eventID":"b","dynamodb":{"Keys":{"pk":{"S":"0015000000000000"}}}}]}`)
	eachKey(event, func(client, n int) { got = append(got, [2]int{client, n}) })
	if len(got) != 2 || got[0] != [2]int{3, 12} || got[1] != [2]int{15, 0} {
		t.Errorf("keys are %v", got)
	}
	eachKey([]byte(`{"Keys":{"pk":{"S":"00`), func(int, int) { t.Error("a key was found in half a record") })
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		measured, budget float64
		atMost           bool
		want             string
	}{
		{100, 100, false, "MET"},
		{99, 100, false, "NOT MET"},
		{33, 100, false, "NOT MET, and beyond a third of the budget"},
		{100, 100, true, "MET"},
		{101, 100, true, "NOT MET"},
		{301, 100, true, "NOT MET, and beyond a third of the budget"},
	} {
		if got := (&report{}).verdict(result{measured: c.measured, budget: c.budget, atMost: c.atMost}); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	var out bytes.Buffer
	r := &report{out: &out}
	r.add(result{name: "a figure", measured: 1234567, budget: 1000, format: perSecond, why: "because", ceiling: 2000000, ceilingName: "the sky"})
	r.summary()
	if want := "a figure\n  measured 1,234,567/s   budget at least 1,000/s   ceiling 2,000,000/s (the sky)   MET\n  because\n\n1 of 1 budgets met\n"; out.String() != want {
		t.Errorf("printed\n%s", out.String())
	}
}

// A first impression judges nobody, and says what makes its figures worse.
func TestQuickSaysWhatItIs(t *testing.T) {
	var out bytes.Buffer
	r := &report{out: &out, quick: true}
	r.add(result{name: "a figure", measured: 1, budget: 1000, format: perSecond, why: "because"})
	r.summary()
	if text := out.String(); strings.Contains(text, "MET") || !strings.Contains(text, "outside the budget") || !strings.Contains(text, "0 of 1 figures are within the budgets") {
		t.Errorf("printed\n%s", text)
	}
	for _, name := range quick {
		if !slices.Contains(Names(), name) {
			t.Errorf("there is no measurement %s", name)
		}
	}
}

func TestEngineCeilingCommits(t *testing.T) {
	rate, err := engineCeiling(t.Context(), t.TempDir(), 4, 50*time.Millisecond)
	if err != nil || rate <= 0 {
		t.Errorf("%v commits/s: %v", rate, err)
	}
}

func TestUnknownMeasurementIsRefused(t *testing.T) {
	if err := Main(t.Context(), Options{Only: []string{"nonsense"}}, io.Discard); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("error is %v", err)
	}
}

// Each request names as many different keys as its operation says, and the next
// request others.
func TestOperationsNameDifferentKeys(t *testing.T) {
	for _, op := range operations {
		if op.on.filled || strings.HasPrefix(op.name, "Query") {
			continue // names no items
		}
		next := op.next("127.0.0.1:1", table, 3)
		var before string
		for n := range 2 {
			request := string(next(n))
			_, body, _ := strings.Cut(request, "\r\n\r\n")
			if !json.Valid([]byte(body)) {
				t.Fatalf("%s: the body is not JSON: %s", op.name, body)
			}
			keys := map[string]bool{}
			for _, rest := range strings.Split(body, `"pk":{"S":"`)[1:] {
				key := rest[:keyDigits]
				if _, sort, found := strings.Cut(rest[keyDigits:min(keyDigits+20, len(rest))], `"},"sk":{"S":"`); found {
					key += sort
				}
				keys[key] = true
			}
			if len(keys) != op.items {
				t.Errorf("%s: %d keys, not %d", op.name, len(keys), op.items)
			}
			if body == before {
				t.Errorf("%s: two requests are the same", op.name)
			}
			before = body
		}
	}
}

// Items of "growth" have 100 bytes; each number is written once, and what is read and changed is there.
func TestGrowth(t *testing.T) {
	var mu sync.Mutex
	written, others := map[string]int{}, map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Item, Key    map[string]map[string]string
			RequestItems map[string][]struct {
				PutRequest struct{ Item map[string]map[string]string }
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, put := range in.RequestItems[table] {
			it := put.PutRequest.Item
			written[it["pk"]["S"]]++
			if size := len("pk") + len(it["pk"]["S"]) + len("v") + len(it["v"]["S"]); size != 100 {
				t.Errorf("an item has %d bytes", size)
			}
		}
		for _, it := range []map[string]map[string]string{in.Item, in.Key} {
			if it != nil {
				others[it["pk"]["S"]]++
			}
		}
		_, _ = io.WriteString(w, "{}")
	}))
	defer server.Close()
	host, err := hostOf(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	const clients = 4
	for _, step := range [][2]int{{0, 400}, {400, 1000}} {
		if err := grow(t.Context(), host, clients, step[0], step[1]); err != nil {
			t.Fatal(err)
		}
	}
	if len(written) != 1000 {
		t.Errorf("%d items were written", len(written))
	}
	for key, n := range written {
		if n != 1 {
			t.Errorf("item %s was written %d times", key, n)
		}
	}
	for _, source := range []func(string, int, int) func(int) []byte{littleGets, littlePuts} {
		c, err := dial(t.Context(), host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		next := source(host, 1, 1000/clients)
		for n := range 500 {
			if err := c.roundTrip(next(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(others) < 150 {
		t.Errorf("%d of 250 items were read or changed", len(others))
	}
	for key := range others {
		if written[key] == 0 {
			t.Errorf("item %s was read or changed, and is not there", key)
		}
	}
}

// What was measured is kept as a table and a picture.
func TestPointsAreKept(t *testing.T) {
	dir := t.TempDir()
	p := newPoints("items", "GetItem", "PutItem")
	p.add(10_000, 50_000, 20_000.4)
	p.add(100_000, 40_000, 10_000)
	if err := p.write(filepath.Join(dir, "plots"), "growth", "a title", false); err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(dir, "plots", "growth.csv"))
	if want := "items,GetItem,PutItem\n10000,50000,20000\n100000,40000,10000\n"; err != nil || string(table) != want {
		t.Errorf("%s: %v", table, err)
	}
	picture, err := os.ReadFile(filepath.Join(dir, "plots", "growth.svg"))
	if err != nil || !strings.Contains(string(picture), "a title") || !strings.Contains(string(picture), ">100,000</text>") {
		t.Errorf("%s: %v", picture, err)
	}
	if err := p.write("", "growth", "a title", false); err != nil {
		t.Error(err)
	}
}

// Times are told to 5 %, and a chart has its points inside, also without any.
func TestCurvesTell(t *testing.T) {
	var all times
	for ms := 1; ms <= 1000; ms++ {
		all.add(time.Duration(ms) * time.Millisecond)
	}
	for part, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond} {
		if got := all.at(part); got < want*95/100 || got > want*105/100 {
			t.Errorf("%v of the requests took %v, want %v", part, got, want)
		}
	}
	for _, logarithmic := range []bool{false, true} {
		for _, lines := range [][]line{nil, {{name: "a"}}, {{name: "a", points: [][2]float64{{1, 0}}}}, {{name: "a", points: [][2]float64{{1, 2}, {1000, 30000}}}, {name: "b", points: [][2]float64{{1, 1}}}}} {
			text := chart("title", lines, logarithmic)
			if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") || !strings.HasSuffix(text, "</svg>\n") {
				t.Errorf("%v: %s", lines, text)
			}
		}
	}
}

func TestRecordsIn(t *testing.T) {
	record := `{"eventID":"1","eventName":"MODIFY","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1","dynamodb":{"ApproximateCreationDateTime":1,` +
		`"Keys":{"pk":{"S":"a"}},"NewImage":{"pk":{"S":"a"},"v":{"S":"zebra"}},"SequenceNumber":"100000000000000000001","SizeBytes":20,"StreamViewType":"NEW_IMAGE"},` +
		`"eventSourceARN":"arn:aws:dynamodb:us-east-1:000000000000:table/bench/stream/2026-12-01T00:00:00.000"}`
	if n := recordsIn([]byte(`{"Records":[` + record + `,` + record + `,` + record + `]}`)); n != 3 {
		t.Errorf("%d records of 3", n)
	}
}
