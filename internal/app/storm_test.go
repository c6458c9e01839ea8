package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stormFor is a storm over an in-process server, of which nothing is left.
func stormFor(t *testing.T, ctx context.Context, length time.Duration, between func(http.Handler) http.Handler) (*StormReport, error) {
	t.Helper()
	_, s := opened(t, Options{})
	endpoint := httptest.NewServer(between(s.Handler()))
	defer endpoint.Close()
	_, r, err := Verify(ctx, VerifyOptions{
		URL: endpoint.URL, Storm: length, Rate: 400, Lease: time.Second, Probed: func(Probed) {}, patience: 10 * time.Second,
	})
	if left := s.tables.Count(); left != 0 {
		t.Errorf("%d tables are left", left)
	}
	return r, err
}

func nothing(h http.Handler) http.Handler { return h }

func TestVerifyStorm(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	for name, test := range map[string]func(*testing.T){"over a Millstream": stormIsFair, "faults": stormFindsFaults, "broken off": stormIsBroken, "not removed": tableIsLeft,
		"not answered": stormIsNotAnswered, "without an end": nodesDoNotEnd, "made all the same": tableIsMade} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// Over a Millstream a storm finds no fault.
func stormIsFair(t *testing.T) {
	r, err := stormFor(t, t.Context(), 2*time.Second, nothing)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range r.Faults {
		t.Error(fault)
	}
	if r.Records == 0 || r.Lost > 0 || r.OutOfOrder > 0 || r.Kills+r.Pauses == 0 || r.Faulty == 0 || r.Held != r.Faulty || r.Parked != r.Faulty || r.Counted == nil || *r.Counted != r.Records || len(r.Calls) < 5 || r.Splits != stormSplits || r.NotSplit != "" || r.NewShards != 2*stormSplits ||
		r.Cost.WriteUnits < uint64(r.Records) || r.Cost.ReadUnits == 0 || r.Cost.StreamReads == 0 || r.Cost.Dollars <= 0 {
		t.Errorf("%+v", r)
	}
	t.Logf("%+v", r)
}

// Records that an endpoint loses, or tells out of order, are in the report.
func stormFindsFaults(t *testing.T) {
	planted := &plantedFaults{lost: map[string]bool{}, first: map[string]bool{}, second: map[string]bool{}}
	r, err := stormFor(t, t.Context(), 2*time.Second, planted.between)
	if err != nil {
		t.Fatal(err)
	}
	lost, late := len(planted.lost), 0
	for key := range planted.first {
		if planted.second[key] {
			late++
		} else {
			lost++ // it is told as the second, and there is no other
		}
	}
	if lost == 0 || late == 0 || r.Lost != lost || r.OutOfOrder != late || *r.Counted != r.Records-len(planted.lost) {
		t.Errorf("%d records were lost and %d out of order: %+v", lost, late, r)
	}
	text := strings.Join(r.Faults, "\n")
	for _, want := range []string{"lost: 1 of the item ", "out of order: 1 of the item ", "exactly-once writes have counted "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
}

// plantedFaults takes the first record of some items away, and has the first two of others come the other way round.
type plantedFaults struct {
	mu                  sync.Mutex
	lost, first, second map[string]bool
}

func (p *plantedFaults) between(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetRecords") {
			h.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		body := p.change(answer.Body.Bytes())
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.Header().Del("Content-Length")
		w.Header().Del("X-Amz-Crc32")
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body)
	})
}

func (p *plantedFaults) change(body []byte) []byte {
	var page map[string]json.RawMessage
	var records []json.RawMessage
	if json.Unmarshal(body, &page) != nil || json.Unmarshal(page["Records"], &records) != nil {
		return body
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := []json.RawMessage{}
	for _, raw := range records {
		var r struct {
			DynamoDB struct {
				NewImage struct {
					PK struct{ S string } `json:"pk"`
					N  struct{ N string } `json:"n"`
				}
			} `json:"dynamodb"`
		}
		if json.Unmarshal(raw, &r) != nil {
			return body
		}
		key, n := r.DynamoDB.NewImage.PK.S, r.DynamoDB.NewImage.N.N
		k, err := strconv.Atoi(key)
		if faulty := err != nil || k > 9 || k == 0 || n != "1" && n != "2"; !faulty && k%2 == 1 {
			if n == "1" {
				p.lost[key] = true
				continue
			}
		} else if !faulty {
			other := "2"
			if n == "2" {
				other = "1"
				p.second[key] = true
			} else {
				p.first[key] = true
			}
			raw = bytes.Replace(raw, []byte(`"n":{"N":"`+n+`"}`), []byte(`"n":{"N":"`+other+`"}`), 1)
		}
		kept = append(kept, raw)
	}
	var err error
	if page["Records"], err = json.Marshal(kept); err != nil {
		return body
	}
	if body, err = json.Marshal(page); err != nil {
		panic(err) // it was read from such text
	}
	return body
}

// Whoever is told to end in the middle of a storm removes all the same what was made.
func stormIsBroken(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var once sync.Once
	_, err := stormFor(t, ctx, time.Minute, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".TransactWriteItems") {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return
				}
				if bytes.Contains(body, []byte("-counts")) { // the storm is under way
					once.Do(cancel)
				}
				r.Body = io.NopCloser(bytes.NewReader(body))
			}
			h.ServeHTTP(w, r)
		})
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

// What cannot be removed is named.
func tableIsLeft(t *testing.T) {
	_, s := opened(t, Options{})
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".DeleteTable") {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"x#AccessDeniedException","message":"not you"}`)
			return
		}
		s.Handler().ServeHTTP(w, r)
	}))
	defer endpoint.Close()
	_, _, err := Verify(t.Context(), VerifyOptions{URL: endpoint.URL, Probed: func(Probed) {}})
	if err == nil || !strings.Contains(err.Error(), "the table millstream-verify-") || !strings.Contains(err.Error(), "-probes is left there: AccessDeniedException: not you") {
		t.Errorf("it ended with %v", err)
	}
}

// silentFor is a storm over an endpoint that answers nothing of what is refused, from when nothing is written any more. It is to end.
func silentFor(t *testing.T, refused func(operation string) bool) (r *StormReport, err error) {
	t.Helper()
	_, s := opened(t, Options{})
	var silent atomic.Bool
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); silent.Load() && refused(operation) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"__type":"x#InternalServerError","message":"no"}`)
			return
		}
		s.Handler().ServeHTTP(w, r)
	}))
	defer endpoint.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, r, err = Verify(t.Context(), VerifyOptions{
			URL: endpoint.URL, Storm: time.Second, Rate: 200, Lease: time.Second, Probed: func(Probed) {}, patience: time.Second, over: func() { silent.Store(true) },
		})
	}()
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		t.Fatal("it does not end")
	}
	if left := s.tables.Count(); left != 0 {
		t.Errorf("%d tables are left", left)
	}
	return r, err
}

// An endpoint that goes down when all is written is a fault, and not waited for without end.
func stormIsNotAnswered(t *testing.T) {
	r, err := silentFor(t, func(operation string) bool { return !strings.HasSuffix(operation, "Table") })
	if r == nil {
		t.Fatalf("it ended without a report: %v", err)
	}
	text := strings.Join(r.Faults, "\n")
	for _, want := range []string{"cannot be listed", "cannot be sent again", "cannot be read"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
	if err == nil || !strings.Contains(err.Error(), "InternalServerError") { // the stream cannot be described at the end
		t.Errorf("it ended with %v", err)
	}
}

// Nodes that cannot end, since the endpoint does not answer what they ask then, do not keep the tables there.
func nodesDoNotEnd(t *testing.T) {
	r, err := silentFor(t, func(operation string) bool { return operation == "Query" })
	if err != nil || len(r.Faults) == 0 {
		t.Errorf("it ended with %+v, %v", r, err)
	}
}

// A table that an engine has made though it answered of an error is removed.
func tableIsMade(t *testing.T) {
	_, s := opened(t, Options{})
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".CreateTable") {
			s.Handler().ServeHTTP(httptest.NewRecorder(), r)
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"__type":"x#InternalServerError","message":"no"}`)
			return
		}
		s.Handler().ServeHTTP(w, r)
	}))
	defer endpoint.Close()
	if _, _, err := Verify(t.Context(), VerifyOptions{URL: endpoint.URL, Probed: func(Probed) {}}); err == nil {
		t.Error("it ended without an error")
	}
	if left := s.tables.Count(); left != 0 {
		t.Errorf("%d tables are left", left)
	}
}

// A long answer comes in pieces without a length, and costs what is read of it; a short one costs one unit.
func TestStormCostOfLongReads(t *testing.T) {
	for size, want := range map[int]uint64{2: 1, 4 << 10: 1, 4<<10 + 1: 2, 400 << 10: 100} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", size)) }))
		b := &bill{next: http.DefaultTransport}
		r := httptest.NewRequest("POST", s.URL, strings.NewReader("{}"))
		r.RequestURI = ""
		r.Header.Set("X-Amz-Target", "DynamoDB_20120810.Query")
		resp, err := b.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if got := b.cost().ReadUnits; got != want || n != int64(size) || err != nil || resp.Body.Close() != nil {
			t.Errorf("an answer of %d bytes (%d, %v) counts %d read units, not %d (its length is told as %d)", n, size, err, got, want, resp.ContentLength)
		}
		s.Close()
	}
}
