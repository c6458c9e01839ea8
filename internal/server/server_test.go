package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/door"
)

// start serves s on a loopback port until the test ends, and returns its address.
func start(t testing.TB, s *Server) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return ln.Addr().String()
}

func answer(code int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	})
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestRoutes(t *testing.T) {
	s := New(Config{DynamoDB: answer(200, "dynamodb"), Lambda: answer(200, "lambda"), Admin: answer(200, "admin")})
	for path, want := range map[string]string{
		"/":                                   "dynamodb",
		"/2015-03-31/functions/":              "lambda",
		"/2017-10-31/functions/f/concurrency": "lambda",
		"/2015-03-31/functions/arn%3Aaws%3Alambda%3Ax": "lambda",
		"/_millstream/v1/status":                       "admin",
		"/healthz":                                     "ok\n",
		"/other":                                       "<UnknownOperationException/>\n",
		"/2015-03-31":                                  "<UnknownOperationException/>\n",
		"/_millstream/":                                "<UnknownOperationException/>\n",
	} {
		r := httptest.NewRequest("GET", path, nil)
		r.Host = "localhost"
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Body.String() != want {
			t.Errorf("%s: %q", path, w.Body)
		}
	}
}

func TestHealth(t *testing.T) {
	var sick error
	s := New(Config{Health: func() error { return sick }})
	addr := "http://" + start(t, s)
	if code, _ := get(t, addr+"/healthz"); code != 200 {
		t.Fatalf("well: %d", code)
	}
	sick = errors.New("the store is poisoned")
	if code, body := get(t, addr+"/healthz"); code != 503 || !strings.Contains(body, "poisoned") {
		t.Fatalf("sick: %d %s", code, body)
	}
}

// A request of which only a part arrives is given up, and holds nothing after.
func TestHalfSentRequests(t *testing.T) {
	s := New(Config{
		DynamoDB: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err != nil {
				w.WriteHeader(http.StatusBadRequest)
			}
		}),
		Limits: Limits{HeaderTime: 50 * time.Millisecond, BodyTime: 100 * time.Millisecond, Requests: 1, BodyBytes: 1 << 20},
	})
	addr := start(t, s)
	for name, half := range map[string]string{
		"request line": "POST / HT",
		"header":       "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz",
		"body":         "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nabc",
		"chunk":        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, half); err != nil {
				t.Fatal(err)
			}
			// The server ends the connection; the test's own deadline is far away.
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.Copy(io.Discard, conn); err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal("the connection was kept")
			}
			if code, _ := get(t, "http://"+addr+"/"); code != 200 {
				t.Fatalf("the next request: status %d", code)
			}
		})
	}
}

func TestLargeHeadersAreRefused(t *testing.T) {
	addr := start(t, New(Config{DynamoDB: answer(200, "")}))
	for _, row := range []struct{ path, header, status int }{
		{0, 15 << 10, 200},
		{0, 21 << 10, 400},
		{21 << 10, 0, 400},
		{0, 40 << 10, 400},
	} {
		req, _ := http.NewRequest("POST", "http://"+addr+"/?"+strings.Repeat("x", row.path), nil)
		req.Header.Set("X-Large", strings.Repeat("x", row.header))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != row.status {
			t.Errorf("a path of %d and a header of %d bytes: status %d, want %d", row.path, row.header, res.StatusCode, row.status)
		}
	}
}

// What is told to a request that is refused for lack of room: the wait in milliseconds,
// later for each further one, and what was exceeded. [10.01, 10.12 D SDK 11 H]
func TestThrottledRequestsAreToldWhenToComeBack(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	hold := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-release
	})
	s := New(Config{DynamoDB: hold, Lambda: hold, Limits: Limits{Requests: 1}})
	s.requests.turns.Took(300 * time.Millisecond)
	addr := "http://" + start(t, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if res, err := http.Post(addr, "application/json", nil); err == nil {
			res.Body.Close()
		}
	}()
	<-entered
	last := 0
	for operation, reason := range map[string]string{"Query": "TableReadAccountLimitExceeded", "PutItem": "TableWriteAccountLimitExceeded", "ListTables": ""} {
		req, err := http.NewRequest("POST", addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		wait, err := strconv.Atoi(res.Header.Get("X-Amz-Retry-After"))
		if err != nil || wait < last+100 || wait > 5000 || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s: told to wait %q ms after %d ms, and %q s", operation, res.Header.Get("X-Amz-Retry-After"), last, res.Header.Get("Retry-After"))
		}
		last = wait
		if has := strings.Contains(string(body), `"throttlingReasons":[{"reason":"`+reason+`","resource":"arn:`); has != (reason != "") {
			t.Errorf("%s: %s", operation, body)
		}
	}
	release <- struct{}{}
	<-done
}

// Requests beyond the bounds get an error that SDKs retry, and those inside go on.
func TestAdmission(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	hold := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-release
	})
	s := New(Config{DynamoDB: hold, Lambda: hold, Limits: Limits{Requests: 1, BodyBytes: 1 << 20, BodyWait: time.Millisecond}})
	addr := "http://" + start(t, s)
	for path, want := range map[string]struct {
		status int
		code   string
	}{
		"/":                     {400, "ThrottlingException"},
		"/2015-03-31/functions": {429, "TooManyRequestsException"},
	} {
		done := make(chan int)
		go func() {
			res, err := http.Post(addr+path, "application/json", nil)
			if err != nil {
				done <- 0
				return
			}
			res.Body.Close()
			done <- res.StatusCode
		}()
		<-entered
		code, body := get(t, addr+path)
		if code != want.status || !strings.Contains(body, want.code) {
			t.Errorf("%s: %d %s", path, code, body)
		}
		if code, _ := get(t, addr+"/healthz"); code != 200 {
			t.Errorf("health while busy: %d", code)
		}
		release <- struct{}{}
		if code := <-done; code != 200 {
			t.Errorf("%s: the request inside got %d", path, code)
		}
	}
}

func TestBodyBudget(t *testing.T) {
	a := newAdmission(Limits{Requests: 10, BodyBytes: 3 << 20, BodyWait: time.Millisecond}.withDefaults())
	enter := func(length int64, encoding string) (*door.Held, bool) {
		r := httptest.NewRequest("POST", "/", nil)
		r.ContentLength = length
		if encoding != "" {
			r.Header.Set("Content-Encoding", encoding)
		}
		_, held, ok := a.enterHTTP(r, 16<<20, 1)
		return held, ok
	}
	first, ok := enter(2<<20, "")
	if !ok || first == nil {
		t.Fatalf("first: %v", ok)
	}
	if _, ok := enter(2<<20, ""); ok {
		t.Fatal("the budget was passed")
	}
	if _, ok := enter(-1, ""); ok {
		t.Fatal("a body of unknown length counts as the largest")
	}
	if _, ok := enter(100, "gzip"); ok {
		t.Fatal("a compressed body counts as the largest")
	}
	small, ok := enter(1000, "")
	if !ok || small != nil {
		t.Fatalf("small: %v, %v", small, ok)
	}
	a.leave(small, time.Now())
	a.leave(first, time.Now())
	// A body that is held twice, for its hash and for its protocol, takes twice the room.
	r := httptest.NewRequest("POST", "/", nil)
	r.ContentLength = 1 << 20
	_, twice, ok := a.enterHTTP(r, 16<<20, 2)
	if !ok {
		t.Fatal("twice")
	}
	if _, ok := enter(2<<20, ""); ok {
		t.Fatal("there was room for two bodies beside one that is held twice")
	}
	a.leave(twice, time.Now())
	all, ok := enter(16<<20, "") // more than the budget: takes all of it
	if !ok {
		t.Fatal("all")
	}
	if _, ok := enter(SmallBody+1, ""); ok {
		t.Fatal("there was room beside all of it")
	}
	a.leave(all, time.Now())
	if n := a.running.Load(); n != 0 {
		t.Fatalf("%d places were not given back", n)
	}
}

// A long call is not taken for a lost one when the time for its body has passed.
func TestLongInvocationOutlivesReadTime(t *testing.T) {
	const bodyTime = 20 * time.Millisecond
	s := New(Config{
		Lambda: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body)
			select {
			case <-r.Context().Done():
				w.WriteHeader(http.StatusGone)
			case <-time.After(15 * bodyTime): // the invocation itself, longer than an upload may take
			}
		}),
		Limits: Limits{BodyTime: bodyTime},
	})
	addr := "http://" + start(t, s)
	for _, body := range []string{"", "{}"} {
		res, err := http.Post(addr+"/2015-03-31/functions/f/invocations", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 200 {
			t.Fatalf("body %q: status %d", body, res.StatusCode)
		}
	}
}

// Stopping lets a write under way end, ends a stream that would not, and returns.
func TestStop(t *testing.T) {
	entered, release := make(chan struct{}, 2), make(chan struct{})
	streamEnded := make(chan struct{})
	s := New(Config{
		DynamoDB: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			<-release
			if r.Context().Err() != nil {
				w.WriteHeader(500)
			}
		}),
		Admin: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			entered <- struct{}{}
			<-r.Context().Done()
			close(streamEnded)
		}),
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	addr := "http://" + ln.Addr().String()
	statuses := make(chan int, 2)
	for _, path := range []string{"/", "/_millstream/v1/tail"} {
		go func() {
			res, err := http.Get(addr + path)
			if err != nil {
				statuses <- 0
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			statuses <- res.StatusCode
		}()
	}
	<-entered
	<-entered
	cancel()
	<-streamEnded
	close(release)
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if code := <-statuses; code != 200 {
			t.Fatalf("status %d", code)
		}
	}
}

// Connections beyond the bound wait while all others are busy, and come in when one has ended or been idle for a second.
func TestConnectionsAreBounded(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	addr := start(t, New(Config{
		DynamoDB: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "PUT" {
				entered <- struct{}{}
				<-release
			}
		}),
		Limits: Limits{Connections: 1},
	}))
	dial := func(method string) net.Conn {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprintf(c, "%s / HTTP/1.1\r\nHost: localhost\r\n\r\n", method)
		return c
	}
	answered := func(c net.Conn) {
		t.Helper()
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
	}
	busy := dial("PUT")
	<-entered
	second := dial("GET")
	_ = second.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	if n, err := second.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the second connection was answered: %d, %v", n, err)
	}
	close(release)
	answered(busy)
	answered(second) // busy is idle now, and makes room
	if _, err := busy.Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("the idle connection was kept: %v", err)
	}
	second.Close()
	answered(dial("GET"))
}

// A panic is reported once, and from then on nothing but health is answered.
func TestPanicTurnsHealthRed(t *testing.T) {
	panics := make(chan any, 2)
	s := New(Config{
		DynamoDB: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("under a lock") }),
		Lambda:   answer(200, ""),
		OnPanic:  func(v any, stack []byte) { panics <- v },
	})
	addr := "http://" + start(t, s)
	if res, err := http.Get(addr + "/"); err == nil {
		res.Body.Close()
		t.Fatalf("a panicking handler answered %d", res.StatusCode)
	}
	if v := <-panics; v != "under a lock" {
		t.Fatalf("OnPanic got %v", v)
	}
	if code, _ := get(t, addr+"/healthz"); code != 503 {
		t.Fatalf("health: %d", code)
	}
	if code, _ := get(t, addr+"/2015-03-31/functions"); code != 500 {
		t.Fatalf("another request: %d", code)
	}
}

func TestAbortedAnswerIsNoPanic(t *testing.T) {
	s := New(Config{
		DynamoDB: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		OnPanic:  func(any, []byte) { t.Error("OnPanic was called") },
	})
	addr := "http://" + start(t, s)
	if res, err := http.Get(addr + "/"); err == nil {
		res.Body.Close()
		t.Fatal("an aborted answer arrived")
	}
	if code, _ := get(t, addr+"/healthz"); code != 200 {
		t.Fatalf("health: %d", code)
	}
}

// Without OnPanic the process ends: net/http must not swallow the panic.
func TestPanicEndsTheProcess(t *testing.T) {
	if os.Getenv("SERVER_TEST_PANIC") != "" {
		s := New(Config{DynamoDB: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("under a lock") })})
		ts := httptest.NewServer(s)
		_, _ = http.Get(ts.URL)
		fmt.Println("still alive")
		os.Exit(0)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestPanicEndsTheProcess$")
	cmd.Env = append(os.Environ(), "SERVER_TEST_PANIC=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "under a lock") {
		t.Fatalf("the child ended with %v:\n%s", err, out)
	}
}
