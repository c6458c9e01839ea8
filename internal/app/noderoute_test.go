package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/millstreamdb/millstream/internal/backend/remote"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/schema"
)

// The shares of any number of nodes come to the whole, differ by one at most, and of few nodes change when one comes.
func TestSharesOfNodes(t *testing.T) {
	for nodes := range 12 {
		var live []string
		for n := range nodes {
			live = append(live, fmt.Sprintf("node%d", n))
		}
		for places := range 20 {
			var all []int
			sum := 0
			for _, id := range live {
				all = append(all, share(live, id, "arn", places))
				sum += all[len(all)-1]
			}
			if nodes > 0 && (sum != places || slices.Max(all)-slices.Min(all) > 1) {
				t.Errorf("%d places of %d nodes are dealt as %v", places, nodes, all)
			}
		}
		if share(live, "another", "arn", 5) != 0 {
			t.Error("a node that is not there has a share")
		}
	}
	first := map[string]int{}
	for f := range 100 {
		for _, id := range []string{"a", "b", "c"} {
			first[id] += share([]string{"a", "b", "c"}, id, fmt.Sprint("arn", f), 1)
		}
	}
	for id, n := range first {
		if n < 15 {
			t.Errorf("the node %s has the one place of %d of 100 functions", id, n)
		}
	}
}

// Nodes keep to a function's reserved concurrency together, and use all of it, whichever is asked. When one goes the others get its share, and until then there are no
// more than the bound allows.
func TestReservedConcurrencyOverNodes(t *testing.T) {
	const places = 4
	var running, most, calls atomic.Int32
	begun, gate, ended := make(chan struct{}, 1000), make(chan struct{}, 1000), make(chan struct{}, 1000)
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := running.Add(1)
		defer func() { running.Add(-1); ended <- struct{}{} }()
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		calls.Add(1)
		begun <- struct{}{}
		<-gate
		_, _ = io.WriteString(w, `"done"`)
	}))
	defer f.Close()
	primary, _ := opened(t, Options{})
	type member struct {
		app *App
		url string
		end func()
	}
	var all []member
	for range 3 {
		var handler atomic.Pointer[http.Handler]
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handler.Load()).ServeHTTP(w, r) }))
		s, err := Open(Options{Tables: primary.URL, Advertise: h.URL, Lease: 2 * time.Second}, nil)
		if err != nil {
			t.Fatal(err)
		}
		door := s.Handler()
		handler.Store(&door)
		end := sync.OnceFunc(func() {
			h.Close()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		t.Cleanup(end)
		all = append(all, member{s, h.URL, end})
	}
	if status, text := ask(t, all[0].url, "lambda", "POST", "/2015-03-31/functions", "",
		`{"FunctionName":"f","Role":"arn:aws:iam::000000000000:role/r","PackageType":"Image","Timeout":60,"Code":{"ImageUri":"`+f.URL+`/"}}`); status != 201 {
		t.Fatal(status, text)
	}
	if status, text := ask(t, all[0].url, "lambda", "PUT", "/2017-10-31/functions/f/concurrency", "", fmt.Sprintf(`{"ReservedConcurrentExecutions":%d}`, places)); status != 200 {
		t.Fatal(status, text)
	}
	agree := func(n int) { // all see as many
		t.Helper()
		late := time.After(10 * time.Second)
		for _, m := range all[:n] {
			for len(m.app.node.Lately()) != n {
				select {
				case <-late:
					t.Fatal("the nodes do not see each other")
				case <-time.After(time.Millisecond):
				}
			}
		}
	}
	forget := func() { // who had no room a moment ago
		for _, m := range all {
			m.app.node.router.mu.Lock()
			m.app.node.router.full = nil
			m.app.node.router.mu.Unlock()
		}
	}
	var callers sync.WaitGroup
	var throttled atomic.Int32
	call := func(url, function string) {
		callers.Go(func() {
			status, text := ask(t, url, "lambda", "POST", "/2015-03-31/functions/"+function+"/invocations", "", "{}")
			switch {
			case status == 429:
				throttled.Add(1)
				begun <- struct{}{}
			case status != 200 || text != `"done"`:
				t.Errorf("%d %s", status, text)
			}
		})
	}
	// One node is asked for all, one call after the other.
	fill := func(n int) {
		t.Helper()
		calls.Store(0)
		throttled.Store(0)
		for i := range places + 6 {
			call(all[i%n].url, "f")
			<-begun
		}
		if calls.Load() != places || throttled.Load() != 6 || running.Load() != places {
			t.Errorf("over %d nodes %d calls run and %d are throttled, want %d and 6", n, running.Load(), throttled.Load(), places)
		}
		for range places {
			gate <- struct{}{}
		}
		callers.Wait()
		for range places {
			<-ended
		}
		forget()
	}
	agree(3)
	fill(3)
	fill(1)
	if n := most.Load(); n != places {
		t.Errorf("%d calls ran at once, want %d", n, places)
	}
	// Where nothing is reserved each node runs ten at once, also when one alone is asked.
	if status, text := ask(t, all[1].url, "lambda", "POST", "/2015-03-31/functions", "",
		`{"FunctionName":"g","Role":"arn:aws:iam::000000000000:role/r","PackageType":"Image","Timeout":60,"Code":{"ImageUri":"`+f.URL+`/"}}`); status != 201 {
		t.Fatal(status, text)
	}
	for range 30 {
		call(all[0].url, "g")
		<-begun
	}
	if n := running.Load(); n != 30 {
		t.Errorf("%d calls run over three nodes with room for ten each", n)
	}
	for range 30 {
		gate <- struct{}{}
	}
	callers.Wait()
	for range 30 {
		<-ended
	}
	most.Store(0)
	// All places are taken, and the last node goes with what it runs: what others get meanwhile is no more than its share.
	for range places {
		call(all[0].url, "f")
		<-begun
	}
	if err := all[2].app.workers.Stop(); err != nil {
		t.Fatal(err)
	}
	agree(2)
	forget()
	for range 8 {
		call(all[0].url, "f")
		<-begun
		call(all[1].url, "f")
		<-begun
	}
	if n := most.Load(); n < places || n > places+(places+2)/3 {
		t.Errorf("around the end of a node %d calls ran at once, want %d at most", n, places+(places+2)/3)
	}
	for range running.Load() {
		gate <- struct{}{}
	}
	callers.Wait()
	for running.Load() > 0 {
		<-ended
	}
	for len(ended) > 0 {
		<-ended
	}
	forget()
	fill(2)
}

// A node that hangs with a call is lost, and one that is not there, or has no room, has not run it.
func TestNodesThatDoNotAnswer(t *testing.T) {
	hangs := make(chan struct{})
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get(callHeader) {
		case "hang":
			<-hangs
		case "break":
			panic(http.ErrAbortHandler)
		case "full":
			w.WriteHeader(http.StatusTooManyRequests)
		case "proxy": // the node behind it has died with the call, or never had it
			w.WriteHeader(http.StatusBadGateway)
		case "stops":
			w.Header().Set(answerHeader, "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	gone := httptest.NewServer(nil)
	gone.Close()
	defer h.Close()
	defer close(hangs)
	r := &router{n: &node{toPeers: http.DefaultClient}}
	for head, want := range map[string]error{"hang": errUnknownEnd, "break": errUnknownEnd, "full": errNoRoom, "unknown": nil, "gone": errNotCalled, "proxy": errUnknownEnd, "stops": nil} {
		p := remote.NodeInfo{URL: h.URL}
		if head == "gone" {
			p.URL = gone.URL
		}
		_, err := r.ask(t.Context(), p, []byte(head), &function.Invocation{Payload: []byte("{}")}, 100*time.Millisecond)
		if err == nil || want != nil && !errors.Is(err, want) || want == nil && (errors.Is(err, errUnknownEnd) || errors.Is(err, errNoRoom)) {
			t.Errorf("%s: %v, want %v", head, err, want)
		}
	}
}

// A call that could not be sent was not called: where this node has no credentials for a moment, or the other's certificate is not trusted, the call goes elsewhere.
// The log says so, once in a while.
func TestCallsThatCannotBeSent(t *testing.T) {
	asked := func(w http.ResponseWriter, r *http.Request) { t.Error("it is called") }
	plain, tls := httptest.NewServer(http.HandlerFunc(asked)), httptest.NewUnstartedServer(http.HandlerFunc(asked))
	defer plain.Close()
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	defer tls.Close()
	key := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
	})
	none := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("none now") })
	var said bytes.Buffer
	for name, row := range map[string]struct {
		url string
		by  aws.CredentialsProvider
	}{
		"no credentials":          {plain.URL, none},
		"a certificate of nobody": {tls.URL, key},
		"no TLS there":            {strings.Replace(plain.URL, "http:", "https:", 1), key},
	} {
		r := &router{n: &node{toPeers: &http.Client{Transport: signer{row.by, "us-east-1", http.DefaultTransport}}}}
		_, err := r.ask(t.Context(), remote.NodeInfo{URL: row.url}, []byte("{}"), &function.Invocation{Payload: []byte("{}")}, time.Second)
		if !errors.Is(err, errNotCalled) || errors.Is(err, errUnknownEnd) {
			t.Errorf("%s: %v", name, err)
		}
		r.n.Backend, r.n.log = remote.New(remote.Options{}), slog.New(slog.NewTextHandler(&said, nil))
		r.at, r.peers = time.Now(), []remote.NodeInfo{{ID: name, Name: name, URL: row.url}}
		for range 3 {
			r.full, r.away = nil, nil
			if _, taken, err := r.Route(t.Context(), schema.Scope{}, "arn", "f", &function.Invocation{Payload: []byte("{}")}, 0, time.Second); taken || err != nil {
				t.Errorf("%s: taken %v, %v", name, taken, err)
			}
		}
		if n := strings.Count(said.String(), "node=\""+name); n != 1 {
			t.Errorf("%s: it was said %d times: %s", name, n, said.String())
		}
	}
}

// noTables is a tables' server that does not answer.
type noTables struct {
	remote.Endpoint
	asked atomic.Int32
}

func (n *noTables) Part(ctx context.Context, _, _, _ string, _ int, _ bool) ([]remote.Row, string, error) {
	n.asked.Add(1)
	<-ctx.Done()
	return nil, "", ctx.Err()
}

// While the tables' server does not answer, calls without room do not queue for it: one asks for a second, the others use what is known.
func TestWhoIsReachedWhileTablesAreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := &noTables{}
		known := []remote.NodeInfo{{ID: "other"}}
		r := &router{n: &node{Backend: remote.New(remote.Options{Endpoint: away, Log: slog.New(slog.DiscardHandler)})}, peers: known}
		began := time.Now()
		for round := range 3 {
			var callers sync.WaitGroup
			var waited atomic.Int32
			for range 20 {
				callers.Go(func() {
					began := time.Now()
					if got := r.reach(t.Context()); len(got) != 1 || got[0].ID != "other" {
						t.Errorf("reached are %v", got)
					}
					if time.Since(began) > 0 {
						waited.Add(1)
					}
				})
			}
			callers.Wait()
			if n := waited.Load(); n > 1 {
				t.Errorf("in round %d %d calls waited for the tables' server", round, n)
			}
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("three rounds took %v", took)
		}
		// A first question has all wait, who does not know whom to ask; and nobody for longer than its client.
		r.live, r.at = []string{"before"}, time.Time{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/4)
		defer cancel()
		go r.reach(t.Context())
		synctest.Wait()
		began = time.Now()
		r.reach(ctx)
		if took := time.Since(began); took != time.Second/4 {
			t.Errorf("a call whose client has gone waited for %v", took)
		}
		time.Sleep(time.Second)
	})
}
