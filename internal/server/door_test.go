package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/door"
)

// told is an answer that shows how a request was read.
func told(host, target string, body []byte) string {
	return fmt.Sprintf("%s|%s|%d|%x", host, target, len(body), body[:min(len(body), 64)])
}

// telling is DynamoDB, by net/http and by the door, telling what it reads.
func telling(c Config) Config {
	c.DynamoDB = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", amzJSON)
		_, _ = io.WriteString(w, told(r.Host, r.Header.Get("X-Amz-Target"), body))
	})
	c.Answer = func(_ context.Context, r *door.Request, dst []byte) door.Reply {
		return door.Reply{Status: 200, ContentType: amzJSON, ID: "door", Body: append(dst, told(string(r.Host), string(r.Target), r.Body)...)}
	}
	c.Plain = func() bool { return true }
	return c
}

const requestHead = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Target: DynamoDB_20120810.GetItem\r\n" +
	"X-Amz-Date: 20261129T060000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=0\r\n"

// post is a request of the door's kind.
func post(body string, further ...string) string {
	return requestHead + strings.Join(append(further, ""), "\r\n") + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

// conversation sends text and then nothing more, and returns the answers up to the end of the connection: status, body, whether
// it says that it is the last; and whether the door gave it.
func conversation(t testing.TB, addr, text string) (answers []string, byDoor int) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	go func() {
		_, _ = io.WriteString(c, text) // the server may have closed
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	in := bufio.NewReader(c)
	for {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("no end of the connection after %q", answers)
			}
			return answers, byDoor
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if res.Header.Get("X-Amzn-Requestid") == "door" {
			byDoor++
		}
		answers = append(answers, fmt.Sprint(res.StatusCode, " ", string(body), " ", res.Close))
	}
}

// conversations are what clients and attackers send, and how many answers the door gives itself; the rest is net/http's.
var conversations = map[string]struct {
	text   string
	byDoor int
}{
	"one":                       {post("{}"), 1},
	"pipelined":                 {post("{}") + post(`{"a":1}`) + post("[]"), 3},
	"large":                     {post(strings.Repeat("x", 100_000)) + post("{}"), 2},
	"no length":                 {requestHead + "\r\n" + post("{}"), 0},
	"then net/http":             {post("{}") + "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + post("{}"), 1},
	"then HEAD":                 {post("{}") + "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n" + post("{}"), 1},
	"then OPTIONS":              {post("{}") + "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n" + post("{}"), 1},
	"then HTTP/1.0":             {post("{}") + strings.Replace(post("{}"), "1.1", "1.0", 1), 1},
	"then chunks":               {post("{}") + requestHead + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + post("{}"), 1},
	"then garbage":              {post("{}") + "\x16\x03\x01\x02\x00\x01\x00\x01", 1},
	"then half a head":          {post("{}") + post("{}")[:80], 1},
	"then half a body":          {post("{}") + post("{}")[:len(post("{}"))-1], 1},
	"half a large body":         {post(strings.Repeat("x", 300_000))[:200_000], 0},
	"length and coding":         {post("0\r\n\r\n"+post("{}"), "Transfer-Encoding: chunked"), 0},
	"coding and length":         {requestHead + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + post("[]"), 0},
	"two lengths":               {post("{}", "Content-Length: 60") + post("{}"), 0},
	"two equal lengths":         {post("{}", "Content-Length: 2") + post("[]"), 0},
	"a folded coding":           {post("{}", "Transfer-Encoding:\r\n chunked") + post("[]"), 0},
	"lines that end with LF":    {strings.ReplaceAll(post("{}"), "\r\n", "\n") + post("[]"), 0},
	"a head that ends with LF":  {strings.Replace(post("{}"), "\r\n\r\n", "\r\n\n", 1) + post("[]"), 0},
	"CR in a value":             {post("{}", "X-A: a\rContent-Length: 60") + post("[]"), 0},
	"a header in a value":       {post("{}", "X-A: a\nContent-Length: 60") + post("[]"), 0},
	"a blank before the colon":  {post("{}", "Content-Length : 60") + post("[]"), 0},
	"a waiting client":          {post("{}", "Expect: 100-continue") + post("[]"), 0},
	"a line between":            {post("{}") + "\r\n" + post("[]"), 2},
	"a line before another":     {post("{}") + "\r\n" + "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 1},
	"four ends of lines":        {post("{}") + "\n\r\r\n" + post("[]") + "\r\n\r\n", 2},
	"five ends of lines":        {post("{}") + "\n\r\r\n\n" + post("[]"), 1},
	"a line first":              {"\r\n" + post("{}"), 0},
	"an end in the name":        {post("{}") + "\rD / HTTP/1.1\nt:st\r\n\r\n", 1},
	"ends of lines, then half":  {post("{}") + "\r\n\r\n" + post("{}")[:30], 1},
	"ends of lines, then one":   {post("{}") + "\r\n\r\nP", 1},
	"no request, and long":      {"\ntItem\r\nX-A:" + strings.Repeat("\xd6", 14<<10), 0},
	"then none, and long":       {post("{}") + strings.Repeat("x: y\r\n", 10<<10), 1},
	"another host":              {strings.Replace(post("{}"), "Host: localhost", "Host: evil.example", 1) + post("{}"), 0},
	"two hosts":                 {post("{}", "Host: evil.example") + post("{}"), 0},
	"a page":                    {post("{}", "Origin: http://evil.example") + post("[]"), 0},
	"the last":                  {post("{}", "Connection: close") + post("[]"), 0},
	"a head of the usual limit": {post("{}", "X-A: "+strings.Repeat("a", 10<<10)) + post("[]"), 0},
	"a head of too much":        {post("{}", "X-A: "+strings.Repeat("a", 30<<10)) + post("[]"), 0},
	"a body of too much":        {requestHead + "Content-Length: 99999999\r\n\r\nx", 0},
}

// However a connection goes on, its answers are those that net/http alone gives.
func TestConversations(t *testing.T) {
	quick := start(t, New(telling(Config{})))
	plain := telling(Config{})
	plain.Answer = nil
	slow := start(t, New(plain))
	for name, row := range conversations {
		got, byDoor := conversation(t, quick, row.text)
		want, _ := conversation(t, slow, row.text)
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s:\ngot  %q\nwant %q", name, got, want)
		}
		if byDoor != row.byDoor {
			t.Errorf("%s: the door gave %d answers, want %d", name, byDoor, row.byDoor)
		}
	}
}

// FuzzConnection is TestConversations for anything that may be sent.
func FuzzConnection(f *testing.F) {
	for _, row := range conversations {
		if len(row.text) < 4000 {
			f.Add([]byte(row.text))
		}
	}
	plain := telling(Config{})
	plain.Answer = nil
	quick, slow := start(f, New(telling(Config{}))), start(f, New(plain))
	f.Fuzz(func(t *testing.T, in []byte) {
		if bytes.Contains(in, []byte("HEAD ")) {
			return // a length without a body, which conversation does not know
		}
		got, _ := conversation(t, quick, string(in))
		want, _ := conversation(t, slow, string(in))
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}

// A request may come byte by byte, whoever serves it.
func TestBytewise(t *testing.T) {
	addr := start(t, New(telling(Config{})))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for range 2 {
		for _, b := range []byte(post("{}")) {
			if _, err := c.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		if want := told("localhost", "DynamoDB_20120810.GetItem", []byte("{}")); string(body) != want || res.Header.Get("X-Amzn-Requestid") != "door" {
			t.Fatalf("%s: %s", res.Status, body)
		}
	}
}

// What comes too slowly is ended, whatever part it is; so is a connection on which nothing comes.
func TestSlowSendersAreEnded(t *testing.T) {
	c := telling(Config{Limits: Limits{HeaderTime: 60 * time.Millisecond, BodyTime: 60 * time.Millisecond, IdleTime: 60 * time.Millisecond, Requests: 1}})
	s := New(c)
	addr := start(t, s)
	for name, text := range map[string]string{
		"nothing": "", "idle": post("{}"), "a part of the line": "POST /", "a part of a head": post("{}")[:100], "a part of a body": post("xxxx")[:len(post("xxxx"))-1],
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection was kept", name)
		}
		conn.Close()
		for began := time.Now(); s.requests.running.Load() > 0; time.Sleep(time.Millisecond) {
			if time.Since(began) > 20*time.Second {
				t.Fatalf("%s: its place was kept", name)
			}
		}
		if answers, _ := conversation(t, addr, post("{}")); len(answers) != 1 || !strings.HasPrefix(answers[0], "200") {
			t.Errorf("%s: the next request: %q", name, answers)
		}
	}
}

// A reader gets an answer that takes it longer than WriteTime, as long as it takes some of it; one that takes nothing loses
// its connection.
func TestSlowReaders(t *testing.T) {
	const size = 24 << 20 // more than a socket's buffers hold
	answer := bytes.Repeat([]byte{'a'}, size)
	c := telling(Config{Limits: Limits{WriteTime: 300 * time.Millisecond}})
	c.Answer = func(_ context.Context, r *door.Request, dst []byte) door.Reply {
		return door.Reply{Status: 200, ContentType: amzJSON, Body: append(dst, answer...)}
	}
	c.DynamoDB = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		_, _ = w.Write(answer)
	})
	addr := start(t, New(c))
	for name, request := range map[string]string{"door": post("{}"), "net/http": "PUT / HTTP/1.1\r\nHost: localhost\r\n\r\n"} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		fmt.Fprint(conn, request)
		began := time.Now()
		// A piece in each tenth of a second: the whole takes more than twice WriteTime.
		for got := 0; got < size; {
			n, err := io.CopyN(io.Discard, conn, int64(min(size/10, size-got)))
			if got += int(n); err != nil && got < size {
				t.Fatalf("%s: after %d bytes and %v: %v", name, got, time.Since(began), err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if time.Since(began) < 700*time.Millisecond {
			t.Fatalf("%s: too quick to tell", name)
		}
	}
	lazy, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer lazy.Close()
	fmt.Fprint(lazy, post("{}"))
	if _, err := lazy.Read(make([]byte, 1)); err != nil { // the answer has begun
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	_ = lazy.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, _ := io.Copy(io.Discard, lazy); n >= size {
		t.Error("an answer of which nothing was taken for a second is there whole")
	}
}

// A request that is refused has its error, although its body is still being sent.
func TestRefusedWhileSending(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	c := telling(Config{Limits: Limits{Requests: 1}})
	answer := c.Answer
	c.Answer = func(ctx context.Context, r *door.Request, dst []byte) door.Reply {
		if string(r.Body) == "hold" {
			entered <- struct{}{}
			<-release
		}
		return answer(ctx, r, dst)
	}
	addr := start(t, New(c))
	go func() { _, _ = conversation(t, addr, post("hold")) }()
	<-entered
	large := strings.Repeat("x", 12<<20)
	for name, request := range map[string]string{
		"small by the door": post("{}"), "large by the door": post(large), "large by net/http": strings.Replace(post(large), " / ", " /?a ", 1),
	} {
		for range 5 {
			answers, _ := conversation(t, addr, request)
			if len(answers) != 1 || !strings.HasPrefix(answers[0], "400") || !strings.Contains(answers[0], "ThrottlingException") {
				t.Fatalf("%s: %.200q", name, answers)
			}
		}
	}
	close(release)
}

// Whoever announces a large body, or is sent a large answer, and stands still makes room for others who wait for it.
func TestStalledPeersLoseTheirRoom(t *testing.T) {
	c := telling(Config{Limits: Limits{BodyBytes: 4 << 20, BodyWait: 5 * time.Second}})
	addr := start(t, New(c))
	large := post(strings.Repeat("x", 4<<20))
	for name, stalled := range map[string]string{
		"door": large, "net/http": strings.Replace(large, " / ", " /?a ", 1), "in small pieces": large,
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, stalled[:1000])
		stop := make(chan struct{})
		if name == "in small pieces" {
			go func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(10 * time.Millisecond):
						_, _ = conn.Write([]byte{'x'})
					}
				}
			}()
		}
		time.Sleep(20 * time.Millisecond)
		began := time.Now()
		if answers, _ := conversation(t, addr, large); len(answers) != 1 || !strings.HasPrefix(answers[0], "200") {
			t.Errorf("%s: %.100q", name, answers)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("%s: room was made after %v", name, took)
		}
		close(stop)
		conn.Close()
	}
}

// A reader that is slow and steady keeps its connection while others wait for the room that its answer holds.
func TestSlowReaderIsNoStalledOne(t *testing.T) {
	const size, step = 12 << 20, 20_000 // 400 KB a second
	room := door.NewRoom(size, 2*time.Second)
	body := bytes.Repeat([]byte{'a'}, size)
	c := telling(Config{})
	c.Answer = func(ctx context.Context, r *door.Request, dst []byte) door.Reply {
		held, _ := room.Take(ctx, r.Peer, size)
		return door.Reply{Status: 200, ContentType: amzJSON, Held: held, Body: append(dst, body...)}
	}
	conn, err := net.Dial("tcp", start(t, New(c)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, post("{}"))
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		for ctx.Err() == nil {
			if held, ok := room.Take(ctx, nil, size); ok {
				held.Release()
				return
			}
		}
	}()
	tick := time.NewTicker(time.Second * step / 400_000)
	defer tick.Stop()
	got, err := int64(0), error(nil)
	for began := time.Now(); err == nil && time.Since(began) < 4*time.Second; <-tick.C {
		var n int64
		n, err = io.CopyN(io.Discard, res.Body, step)
		got += n
	}
	if err == nil {
		var n int64
		n, err = io.Copy(io.Discard, res.Body) // the rest
		got += n
	}
	if err != nil || got != size {
		t.Errorf("after %d bytes: %v", got, err)
	}
	cancel()
	<-waited
}

// An answer that has become small by its coding holds room as a large one does: who does not take it gives it up.
func TestStalledReadersOfCodedAnswersLoseTheirRoom(t *testing.T) {
	room := door.NewRoom(100, 5*time.Second)
	taken := make(chan struct{}, 100)
	body := bytes.Repeat([]byte{'a'}, 48<<10)
	c := telling(Config{})
	c.Answer = func(ctx context.Context, r *door.Request, dst []byte) door.Reply {
		held, _ := room.Take(ctx, r.Peer, 100)
		taken <- struct{}{}
		return door.Reply{Status: 200, ContentType: amzJSON, Coding: "gzip", Held: held, Body: append(dst, body...)}
	}
	conn, err := net.Dial("tcp", start(t, New(c)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(16 << 10)
	fmt.Fprint(conn, strings.Repeat(post("{}"), cap(taken)))
	for stuck := false; !stuck; { // until an answer is no longer taken
		select {
		case <-taken:
		case <-time.After(200 * time.Millisecond):
			stuck = true
		}
	}
	held, ok := room.Take(t.Context(), nil, 100)
	if !ok {
		t.Fatal("nobody made room")
	}
	held.Release()
}

// A panic on the door's way is one on net/http's: told once, health red, no further answer.
func TestPanicByTheDoor(t *testing.T) {
	panics := make(chan any, 2)
	c := telling(Config{OnPanic: func(v any, _ []byte) { panics <- v }})
	c.Answer = func(context.Context, *door.Request, []byte) door.Reply { panic("under a lock") }
	testPanic(t, c, panics)
}

// So is one in what comes before the request.
func TestPanicBeforeTheDoor(t *testing.T) {
	panics := make(chan any, 2)
	c := telling(Config{OnPanic: func(v any, _ []byte) { panics <- v }})
	c.Plain = func() bool { panic("under a lock") }
	testPanic(t, c, panics)
}

func testPanic(t *testing.T, c Config, panics chan any) {
	addr := start(t, New(c))
	if answers, _ := conversation(t, addr, post("{}")+post("{}")); len(answers) != 0 {
		t.Fatalf("answers %q", answers)
	}
	select {
	case v := <-panics:
		if v != "under a lock" {
			t.Fatalf("OnPanic got %v", v)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("OnPanic was not called")
	}
	if answers, _ := conversation(t, addr, post("{}")); len(answers) != 1 || !strings.HasPrefix(answers[0], "500") {
		t.Fatalf("another request: %q", answers)
	}
}

// What the door answers is counted as what net/http answers, also what nobody knows.
func TestUnknownTargetsAreCounted(t *testing.T) {
	addr := start(t, New(telling(Config{})))
	for target, want := range map[string]string{
		"DynamoDBStreams_20120810.X": `api="streams",code="OK",operation="other"`, "DynamoDB_20120810.X": `api="dynamodb",code="OK",operation="other"`,
	} {
		if _, byDoor := conversation(t, addr, strings.Replace(post("{}"), "DynamoDB_20120810.GetItem", target, 1)); byDoor != 1 {
			t.Fatal("not by the door")
		}
		if _, text := get(t, "http://"+addr+"/metrics"); !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}

// Stopping lets a request of the door's kind end, tells that it is the last, and ends connections that have none.
func TestStopByTheDoor(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	c := telling(Config{})
	answer := c.Answer
	c.Answer = func(ctx context.Context, r *door.Request, dst []byte) door.Reply {
		entered <- struct{}{}
		<-release
		return answer(ctx, r, dst)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- New(c).Serve(ctx, ln) }()
	idle, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	// A connection of net/http that waits for a request: it is not to begin one that the end would cut.
	kept, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	_ = kept.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprint(kept, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if res, err := http.ReadResponse(bufio.NewReader(kept), nil); err != nil || res.StatusCode != 200 {
		t.Fatal(res, err)
	}
	answers := make(chan []string)
	go func() {
		all, _ := conversation(t, ln.Addr().String(), post("{}")+post("{}"))
		answers <- all
	}()
	<-entered
	cancel()
	for _, c := range []net.Conn{idle, kept} {
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	if got := <-answers; len(got) != 1 || !strings.HasPrefix(got[0], "200") || !strings.HasSuffix(got[0], "true") {
		t.Fatalf("%q", got)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
}

// Stopping takes no answer back from a caller who has sent further requests already: they are read to their end, so that the
// connection is not reset.
func TestStopLosesNoAnswer(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	c := telling(Config{})
	body := bytes.Repeat([]byte{'a'}, 60<<10) // more than the caller's buffer, and less than that and the server's
	c.Answer = func(ctx context.Context, r *door.Request, dst []byte) door.Reply {
		entered <- struct{}{}
		<-release
		return door.Reply{Status: 200, ContentType: amzJSON, Body: append(dst, body...)}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- New(c).Serve(ctx, ln) }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(16 << 10)
	fmt.Fprint(conn, strings.Repeat(post("{}"), 100))
	_ = conn.(*net.TCPConn).CloseWrite()
	<-entered
	idle, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	cancel()
	_, _ = io.Copy(io.Discard, idle) // its end, or a reset: the door is closing
	close(release)
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(res.Body); err != nil || len(got) != len(body) || !res.Close {
		t.Fatalf("%d bytes, the last: %v: %v", len(got), res.Close, err)
	}
}
