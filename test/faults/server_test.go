package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/millstreamdb/millstream"
)

// full reports whether the faults are made in full.
var full = os.Getenv("MILLSTREAM_FAULTS") != ""

// alone: nothing else runs on the machine, so that goodput can be judged. go test ./... runs other packages beside this one.
var alone = full || os.Getenv("MILLSTREAM_FAULTS_ALONE") != ""

// scaled is quick, or what the full tier does.
func scaled(quick, all int) int {
	if full {
		return all
	}
	return quick
}

// A copy of the test's program is the server when serverVariable is set, to how many files it may have open; 0 is what the process has.
// Its data is in the folder that dirVariable names, each write synced, or in memory.
const (
	serverVariable = "MILLSTREAM_FAULTS_SERVER"
	dirVariable    = "MILLSTREAM_FAULTS_DIR"
)

func TestMain(m *testing.M) {
	run := func() error { os.Exit(m.Run()); return nil }
	if files := os.Getenv(serverVariable); files != "" {
		run = func() error { return runServer(files, os.Getenv(dirVariable)) }
	} else if dir := os.Getenv(diskVariable); dir != "" {
		run = func() error { return runDisk(dir) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runServer(files, dir string) error {
	if n, err := strconv.ParseUint(files, 10, 64); err != nil {
		return err
	} else if n > 0 {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			return err
		}
	}
	options := millstream.Options{Durability: "none", Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	if dir != "" {
		options.Dir, options.Durability = dir, "sync"
	}
	srv, err := millstream.Open(options)
	if err != nil {
		return err
	}
	defer srv.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	own, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr(), own.Addr())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() { _ = srv.ServeAdmin(ctx, own) }()
	return srv.Serve(ctx, ln)
}

// server is a running copy.
type server struct {
	t         testing.TB
	addr, own string
	pid       int
	command   *exec.Cmd
	said      *log
}

// log is what a server writes to its standard error.
type log struct {
	mu   sync.Mutex
	text []byte
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// start runs a server that may have so many files open, in 512 MiB, and has an item in a table.
func start(t testing.TB, files int) *server {
	t.Helper()
	s, err := startOn(t, files, "")
	if err != nil {
		t.Fatal(err)
	}
	s.begin()
	return s
}

// startOn runs a server whose data is in dir, or in memory. It fails when the server ends before it listens; then said has the reason.
func startOn(t testing.TB, files int, dir string) (*server, error) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), serverVariable+"="+strconv.Itoa(files), dirVariable+"="+dir, "GOMEMLIMIT=512MiB")
	s := &server{t: t, command: c, said: new(log)}
	c.Stderr = s.said
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait() // it is not to be kept
		if t.Failed() {
			t.Logf("the server said: %.4000s", s.said)
		}
	})
	s.pid = c.Process.Pid
	_, err = fmt.Fscan(bufio.NewReader(out), &s.addr, &s.own)
	return s, err
}

// begin makes the table and its first item.
func (s *server) begin() {
	s.t.Helper()
	s.must("CreateTable", `{"TableName":"faults","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],`+
		`"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}]}`)
	s.must("PutItem", small)
}

const small = `{"TableName":"faults","Item":{"pk":{"S":"small"},"v":{"S":"x"}}}`

// fill puts items of 400 KB: 16 MB of them are what BatchGetItem answers at most.
func (s *server) fill() (batch string) {
	var keys []string
	value := strings.Repeat("x", 399_000)
	for i := range 40 {
		key := fmt.Sprintf(`{"pk":{"S":"large%02d"}`, i)
		s.must("PutItem", `{"TableName":"faults","Item":`+key+`,"v":{"S":"`+value+`"}}}`)
		keys = append(keys, key+"}")
	}
	return `{"RequestItems":{"faults":{"Keys":[` + strings.Join(keys, ",") + `]}}}`
}

// message is a request as bytes; length is announced.
func message(operation, body string, length int) string {
	return "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Target: DynamoDB_20120810." + operation +
		"\r\nX-Amz-Date: 20261129T060000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=FAULTS/20261129/us-east-1/dynamodb/aws4_request, " +
		"SignedHeaders=host, Signature=0\r\nContent-Length: " + strconv.Itoa(length) + "\r\n\r\n" + body
}

// dial opens a connection and sends text.
func (s *server) dial(text string) net.Conn {
	s.t.Helper()
	c, err := net.DialTimeout("tcp", s.addr, 20*time.Second)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		s.t.Log("while sending:", err)
	}
	return c
}

// do sends a request on a connection of its own.
func (s *server) do(operation, body string) (status int, answer []byte, err error) {
	c, err := net.DialTimeout("tcp", s.addr, 20*time.Second)
	if err != nil {
		return 0, nil, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, message(operation, body, len(body))); err != nil {
		return 0, nil, err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

func (s *server) must(operation, body string) []byte {
	s.t.Helper()
	status, answer, err := s.do(operation, body)
	if err != nil || status != 200 {
		s.t.Fatalf("%s: %d %v %.300s", operation, status, err, answer)
	}
	return answer
}

// others are served: a client that reads and writes for so long, and how long it waited at most.
func (s *server) others(length time.Duration) {
	s.t.Helper()
	var worst time.Duration
	n := 0
	for began := time.Now(); time.Since(began) < length; n++ {
		sent := time.Now()
		s.must("PutItem", small)
		s.must("GetItem", `{"TableName":"faults","Key":{"pk":{"S":"small"}}}`)
		worst = max(worst, time.Since(sent))
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Logf("others: %d writes and reads, the slowest of both together %v", n, worst.Round(time.Millisecond))
}

// memory is the largest resident size that the server has had.
func (s *server) memory() (bytes int) {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		s.t.Fatal("the server has gone: ", err)
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	kilobytes, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		s.t.Fatal(err)
	}
	return kilobytes << 10
}

// healthy asks the operator's own listener.
func (s *server) healthy() time.Duration {
	s.t.Helper()
	began := time.Now()
	for _, path := range []string{"/healthz", "/_millstream/v1/status"} {
		client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Get("http://" + s.own + path)
		if err != nil {
			s.t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 200 {
			s.t.Fatalf("%s: %s %s %v", path, res.Status, text, err)
		}
	}
	return time.Since(began)
}

// throttled reports whether an answer tells SDKs to come back.
func throttled(status int, answer []byte) bool {
	var doc struct {
		Type string `json:"__type"`
	}
	return status == 400 && json.Unmarshal(answer, &doc) == nil && strings.HasSuffix(doc.Type, "#ThrottlingException")
}
