package server

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func events(t *testing.T, path string) (all []Event) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		all = append(all, e)
	}
	return all
}

// TestAudit: calls about how the server is set up are in the file, with who made them and what came of it; those on data are not,
// and nothing of a body is but the name it is about.
func TestAudit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit", "audit.jsonl")
	a, err := OpenAudit(path, time.Now, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	lambda := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
	dynamodb := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), "DeleteTable") {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"}`))
		}
	})
	s := New(Config{
		DynamoDB: dynamodb, Lambda: lambda, Admin: dynamodb, Audit: a, Auth: &Authenticator{Account: "000000000000", Auth: Auth{Audit: a}},
		Metrics: NewMetrics(Sources{LambdaOperations: []string{"CreateFunction", "Invoke"}, LambdaOperation: func(r *http.Request) string {
			if strings.HasSuffix(r.URL.Path, "/invocations") {
				return "Invoke"
			}
			return "CreateFunction"
		}}),
	})
	do := func(method, path, target, service string) {
		r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(`{"TableName":"t","secret":"of the body"}`))
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=111122223333/20260101/eu-west-1/"+service+"/aws4_request, SignedHeaders=host, Signature=of-the-header")
		r.Header.Set("X-Amz-Date", "20260101T000000Z")
		r.Header.Set("X-Millstream", "1")
		r.Header.Set("User-Agent", "agent/1 "+strings.Repeat("x", 1000))
		if target != "" {
			r.Header.Set("X-Amz-Target", target)
		}
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
	do("POST", "/", "DynamoDB_20120810.CreateTable", "dynamodb")
	do("POST", "/", "DynamoDB_20120810.PutItem", "dynamodb")
	do("POST", "/", "DynamoDB_20120810.DeleteTable", "dynamodb")
	do("POST", "/2015-03-31/functions?X-Amz-Signature=of-the-query", "", "lambda")
	do("POST", "/2015-03-31/functions/f/invocations", "", "lambda")
	do("GET", "/_millstream/v1/status", "", "dynamodb")
	do("POST", "/_millstream/v1/settle", "", "dynamodb")

	all := events(t, path)
	var got []string
	for _, e := range all {
		got = append(got, e.Kind+" "+e.Service+" "+e.Operation+" "+e.Code+" "+e.Path)
		if e.Account != "111122223333" || e.Key != "111122223333" || e.Mode != "off" || e.From == "" || e.Time.IsZero() || len(e.Agent) > maxAuditText+3 {
			t.Errorf("%+v", e)
		}
	}
	want := []string{
		"call dynamodb CreateTable OK ", "call dynamodb DeleteTable ResourceNotFoundException ",
		"call lambda CreateFunction OK POST /2015-03-31/functions", "call admin settle OK POST /_millstream/v1/settle",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"of the body", "of-the-header", "of-the-query"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%q is in the file", secret)
		}
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}

// TestAuditRotates: a file that is full is renamed, and the oldest are let go.
func TestAuditRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	a, err := OpenAudit(path, time.Now, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	for i := range auditFiles + 3 {
		a.write(Event{Operation: string(rune('a' + i))})
		a.mu.Lock()
		a.size = auditFileSize
		a.mu.Unlock()
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(path + "*")
	if err != nil || len(names) != auditFiles {
		t.Errorf("%v, %v", names, err)
	}
	last, before := events(t, path), events(t, path+".1")
	if len(last) != 1 || last[0].Operation != "m" || len(before) != 1 || before[0].Operation != "l" {
		t.Errorf("%+v, %+v", last, before)
	}
}

// TestAuditIsNotFlooded: refusals have some lines a second, and the others are counted; calls have all of theirs.
func TestAuditIsNotFlooded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	now := time.Unix(1_700_000_000, 0)
	a, err := OpenAudit(path, func() time.Time { return now }, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	change, look, show := Event{Kind: "call", Operation: "CreateTable"}, Event{Kind: "call", Operation: "ListTables"}, Event{Kind: "call", Path: "GET /2015-03-31/functions/f"}
	credentials := Event{Kind: "call", Operation: "GetSessionToken"}
	for range maxRefusals + 5 {
		for _, e := range []Event{{Kind: refusedCall}, change, look, show, credentials} {
			a.write(e)
		}
	}
	now = now.Add(time.Second)
	a.write(look)
	a.write(Event{Kind: refusedCall})
	count, last := map[string]int{}, map[string]int{}
	for _, e := range events(t, path) {
		name := e.Kind + " " + e.Operation + e.Path
		count[name]++
		last[name] = e.Before
	}
	const each = maxRefusals + 5
	if count["refused "] != maxRefusals+1 || last["refused "] != 5 {
		t.Errorf("of refusals: %v lines, the last after %v", count, last)
	}
	if looks := count["call ListTables"] + count["call GET /2015-03-31/functions/f"]; looks != maxLooks+1 || last["call ListTables"] != 2*each-maxLooks {
		t.Errorf("of what changes nothing: %v lines, the last after %v", count, last)
	}
	if count["call CreateTable"] != each || count["call GetSessionToken"] != each {
		t.Errorf("of changes: %v", count)
	}
}

// TestAuditTellsOfFailure: what cannot be written is told of, and the call is answered all the same.
func TestAuditTellsOfFailure(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	failed := 0
	a, err := OpenAudit(filepath.Join(dir, "audit.jsonl"), time.Now, func(error) { failed++ })
	if err != nil {
		t.Fatal(err)
	}
	_ = a.file.Close()
	if a.write(Event{}); failed != 1 {
		t.Errorf("%d failures were told of", failed)
	}
}
