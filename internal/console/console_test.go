package console

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// testConsole is one whose server answers a status and a trigger, and says what else it was asked.
func testConsole(t *testing.T, asked *atomic.Int64) *Console {
	t.Helper()
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch r.URL.Path {
		case "/_millstream/v1/status":
			_, _ = io.WriteString(w, `{"healthy":true}`)
		case "/_millstream/v1/triggers":
			_, _ = fmt.Fprintf(w, `{"triggers":[{"uuid":"u","account":"111111111111","lagRecords":%d},{"uuid":"v","account":"222222222222"}]}`, asked.Load())
		default:
			body, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s %s %s %s %s %q", r.Method, r.Host, r.URL, r.Header.Get("Authorization"), body, r.Header["Cookie"])
		}
	})
	return New(Options{
		Endpoint: func() string { return "http://127.0.0.1:8000" },
		Server:   server, Signed: server,
		Ask: func(r *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			server(w, r)
			return w.Result(), nil
		},
		Keys: testKeys{"operator": {Account: "000000000000", Operator: true}, "one": {Account: "111111111111"}, "two": {Account: "222222222222"}},
		Sign: func(r *http.Request, account, service, hash string) error {
			r.Header.Set("Authorization", strings.TrimSpace(account+" "+service+" "+hash[:4]))
			return nil
		},
		Key: []byte("key"), Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
}

// testKeys are access keys whose secrets are their ids, backwards.
type testKeys map[string]Caller

func (k testKeys) Any() bool                       { return len(k) > 0 }
func (k testKeys) Caller(id string) (Caller, bool) { c, ok := k[id]; return c, ok }
func (k testKeys) Opens(id, secret string) bool {
	_, ok := k[id]
	b := []byte(secret)
	slices.Reverse(b)
	return ok && string(b) == id
}

// Who signs in with a key of an account sees that account: its triggers, what is asked with its name, and nothing that spans accounts. An
// operator's key sees all. A key that is gone is signed in no more.
func TestSignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		c := testConsole(t, &asked)
		if err := c.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		signIn := func(id, secret string) (*http.Cookie, int) {
			w := get(c, "POST", "/sign-in", fmt.Sprintf(`{"id":%q,"secret":%q}`, id, secret), nil)
			if w.Code != http.StatusNoContent {
				return nil, w.Code
			}
			return w.Result().Cookies()[0], w.Code
		}
		if _, code := signIn("one", "eno!"); code != http.StatusForbidden {
			t.Errorf("a wrong secret: %d", code)
		}
		r := httptest.NewRequest("POST", "http://127.0.0.1:8002/sign-in", strings.NewReader(`{"id":"one","secret":"eno"}`))
		w := httptest.NewRecorder()
		if c.ServeHTTP(w, r); w.Code != http.StatusForbidden {
			t.Errorf("from another place than the page: %d", w.Code)
		}
		if w := get(c, "GET", "/", "", nil); !strings.Contains(w.Body.String(), "Sign in with an access key") {
			t.Errorf("who has no session is shown %s", w.Body)
		}
		one, _ := signIn("one", "eno")
		if w := get(c, "GET", "/history", "", one); !strings.Contains(w.Body.String(), `"u"`) || strings.Contains(w.Body.String(), `"v"`) {
			t.Errorf("history of one account: %s", w.Body)
		}
		forged := *one
		forged.Value = strings.Replace(one.Value, ".one.", ".two.", 1)
		if w := get(c, "GET", "/history", "", &forged); w.Code != http.StatusUnauthorized {
			t.Errorf("a session made another's: %d", w.Code)
		}
		forged.Value = strings.Replace(one.Value, ".one.", "..", 1)
		if w := get(c, "GET", "/history", "", &forged); w.Code != http.StatusUnauthorized {
			t.Errorf("a session made the owner's: %d", w.Code)
		}
		const own = "/_millstream/v1/"
		for url, want := range map[string]string{
			own + "tail?table=orders&account=222222222222": "account=111111111111&table=orders", own + "logs?function=f:live": "account=111111111111", own + "queues": "account=111111111111",
			own + "triggers/u": "triggers/u", own + "parked?trigger=u": "trigger=u", own + "try?table=t&filter=a&filter=b": "account=111111111111",
			own + "tail?stream=arn:aws:dynamodb:us-east-1:222222222222:table/t/stream/1": "", own + "triggers/v": "", own + "triggers/v/pause": "", own + "triggers": "", own + "parked?trigger=v": "",
			own + "parked?trigger=u&trigger=v": "", own + "parked/redrive?trigger=u&function=arn:aws:lambda:us-east-1:222222222222:function:f": "", own + "status": "", own + "activity": "", own + "credentials": "",
			own + "passed?table=t&number=1&account=222222222222": "account=111111111111", own + "passed?stream=arn:aws:dynamodb:us-east-1:222222222222:table/t/stream/1&number=1": "", own + "tables": "account=111111111111",
			own + "deployments": "account=111111111111", own + "deployments/shop": "", own + "deployments/shop/hold": "", own + "triggers/u/failures": "triggers/u/failures", own + "triggers/v/failures": "", own + "triggers/v/rewind?to=HORIZON": "",
			own + "parked/give-up?trigger=u": "trigger=u", own + "parked/give-up?trigger=v": "",
			own + "clock": "", own + "apis": "", own + "invoke?function=222222222222:function:f": "", own + "invoke?function=222222222222:f": "", own + "queues/purge?queue=q": "", own + "logs?account=111111111111&account=222222222222": "",
			own + "shards/split?table=t": "", own + "settle": "", own + "console": "", own + "promote": "", "/metrics": "",
			own + "tail/../status?table=orders": "", own + "queues/../credentials": "",
		} {
			w := get(c, "GET", url, "", one)
			if want == "" && w.Code == http.StatusOK || want != "" && (w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want)) || strings.Contains(w.Body.String(), "=222222222222") {
				t.Errorf("%s: %d %s", url, w.Code, w.Body)
			}
		}
		for _, path := range []string{"_millstream/v1/credentials", "_millstream/v1/status", "metrics", "healthz", "%5fmillstream/v1/status", "2015-03-31/../_millstream/v1/status", "2015-03-31/%2e%2e/_millstream/v1/status", "2015-03-31/..%2f_millstream/v1/status", "/_millstream/v1/status"} {
			before := asked.Load()
			if w := get(c, "GET", "/aws/lambda/"+path, "", one); w.Code == http.StatusOK || asked.Load() != before {
				t.Errorf("GET %s as if it were AWS's: %d %s", path, w.Code, w.Body)
			}
		}
		if w := get(c, "POST", "/aws/dynamodb/", "{}", one); !strings.Contains(w.Body.String(), " 111111111111 dynamodb ") {
			t.Errorf("signed as %s", w.Body)
		}
		live, end := context.WithTimeout(t.Context(), time.Second/2)
		defer end()
		r = httptest.NewRequest("GET", "http://127.0.0.1:8002/live", nil).WithContext(live)
		r.AddCookie(one)
		w = httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if text := w.Body.String(); !strings.Contains(text, `"account":"111111111111"`) || strings.Contains(text, "222222222222") || strings.Contains(text, "healthy") {
			t.Errorf("the state of one account: %s", text)
		}
		operator, _ := signIn("operator", "rotarepo")
		if w := get(c, "GET", own+"status", "", operator); w.Code != http.StatusOK {
			t.Errorf("an operator: %d %s", w.Code, w.Body)
		}
		// Of a key that is gone, what goes on ends; a link that is good takes the place of a session.
		r = httptest.NewRequest("GET", "http://127.0.0.1:8002/live", nil)
		r.AddCookie(one)
		ended := make(chan struct{})
		go func() { defer close(ended); c.ServeHTTP(httptest.NewRecorder(), r) }()
		synctest.Wait()
		token := c.Token()
		if w := get(c, "GET", "/open?token="+token, "", one); w.Code != http.StatusSeeOther || !strings.Contains(w.Result().Cookies()[0].Value, "..") {
			t.Errorf("a link that is followed with a session: %d %v", w.Code, w.Result().Cookies())
		}
		if w := get(c, "GET", "/open?token="+token, "", nil); w.Code != http.StatusUnauthorized {
			t.Errorf("the link once more: %d", w.Code)
		}
		delete(c.Keys.(testKeys), "one")
		if err := c.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-ended
		if w := get(c, "GET", "/history", "", one); w.Code != http.StatusUnauthorized {
			t.Errorf("a key that is gone: %d", w.Code)
		}
		for range 2 * failuresMax {
			signIn("two", "two")
		}
		if _, code := signIn("two", "owt"); code != http.StatusTooManyRequests {
			t.Errorf("after many attempts: %d", code)
		}
		time.Sleep(failuresFor)
		if _, code := signIn("two", "owt"); code != http.StatusNoContent {
			t.Errorf("a second later: %d", code)
		}
	})
}

// session opens the console and returns the cookie.
func session(t *testing.T, c *Console) *http.Cookie {
	t.Helper()
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1:8002/open?token="+c.Token(), nil))
	if w.Code != http.StatusSeeOther {
		t.Fatalf("open: %d", w.Code)
	}
	return w.Result().Cookies()[0]
}

func get(c *Console, method, url, body string, cookie *http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8002"+url, strings.NewReader(body))
	if cookie != nil {
		r.AddCookie(cookie)
	}
	r.Header.Set("Origin", "http://127.0.0.1:8002")
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w
}

// A token is good once, and the oldest of many that nobody used is good no more; a session ends after a week, or with another key.
func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		c := testConsole(t, &asked)
		first := c.Token()
		for range maxTokens {
			c.Token()
		}
		if w := get(c, "GET", "/open?token="+first, "", nil); w.Code != http.StatusUnauthorized {
			t.Errorf("a token of long ago: %d", w.Code)
		}
		cookie := session(t, c)
		if w := get(c, "GET", "/history", "", cookie); w.Code != http.StatusOK {
			t.Errorf("a session: %d", w.Code)
		}
		other := testConsole(t, &asked)
		if w := get(other, "GET", "/history", "", cookie); w.Code != http.StatusOK {
			t.Errorf("a session after a restart: %d", w.Code)
		}
		other.Key = []byte("another")
		if w := get(other, "GET", "/history", "", cookie); w.Code != http.StatusUnauthorized {
			t.Errorf("a session of another key: %d", w.Code)
		}
		time.Sleep(sessionLife - time.Second)
		renewed := get(c, "GET", "/", "", cookie)
		time.Sleep(time.Second)
		if w := get(c, "GET", "/history", "", cookie); w.Code != http.StatusUnauthorized {
			t.Errorf("a session after a week: %d", w.Code)
		}
		if w := get(c, "GET", "/history", "", renewed.Result().Cookies()[0]); w.Code != http.StatusOK {
			t.Errorf("one whose page was opened meanwhile: %d", w.Code)
		}
	})
}

// What the page asks goes on signed, without its cookie, to the path that it means.
func TestQuestionsGoOn(t *testing.T) {
	var asked atomic.Int64
	c := testConsole(t, &asked)
	cookie := session(t, c)
	for _, q := range []struct{ method, url, body, want string }{
		{"POST", "/aws/dynamodb/", "{}", `POST localhost http://localhost/ dynamodb 4413 {} []`},
		{"GET", "/aws/lambda/2015-03-31/functions/a%2Fb/?x=1%202", "", `GET localhost http://localhost/2015-03-31/functions/a%2Fb/?x=1%202 lambda e3b0  []`},
		{"POST", "/_millstream/v1/triggers/u/skip?to=LATEST", "", `POST localhost http://127.0.0.1:8002/_millstream/v1/triggers/u/skip?to=LATEST   []`},
	} {
		if w := get(c, q.method, q.url, q.body, cookie); !strings.HasSuffix(w.Body.String(), q.want) {
			t.Errorf("%s %s: %q, want %q", q.method, q.url, w.Body, q.want)
		}
	}
	if w := get(c, "POST", "/aws/lambda/2015-03-31/x", strings.Repeat("x", maxBody+1), cookie); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that is too long: %d", w.Code)
	}
	if w := get(c, "GET", "/_millstream/v1/status", "", nil); w.Code != http.StatusUnauthorized {
		t.Errorf("without a session: %d", w.Code)
	}
}

// While nobody looks the server is asked for its triggers every thirty seconds, else for all every second; what is remembered ends after a quarter of an hour.
func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		c := testConsole(t, &asked)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		time.Sleep(time.Minute + time.Millisecond)
		if n := asked.Load(); n != 2+1+1 { // at the start for the server's state, too
			t.Errorf("asked %d times in a minute in which nobody looked", n)
		}
		r, w := io.Pipe()
		viewing, leave := context.WithCancel(ctx)
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			c.live(&piped{w: w}, who{}.as(httptest.NewRequest("GET", "/live", nil).WithContext(viewing)))
		}()
		lines := bufio.NewScanner(r)
		for range 3 { // three states are read, the third of them at once
			if !lines.Scan() || lines.Text() != "event: state" || !lines.Scan() || !strings.Contains(lines.Text(), `"uuid":"u"`) || !lines.Scan() {
				t.Fatalf("line %q", lines.Text())
			}
		}
		before := asked.Load()
		time.Sleep(30*time.Second + lookedAt/2) // nothing is read meanwhile, and nothing happens at its end
		if n := (asked.Load() - before) / 2; n != 30 {
			t.Errorf("asked %d times in half a minute in which somebody looked", n)
		}
		for lines.Scan() && lines.Text() != "event: missed" {
		}
		if !lines.Scan() || !regexp.MustCompile(`^data: 2\d$`).MatchString(lines.Text()) {
			t.Errorf("a slow viewer was told %q", lines.Text())
		}
		leave()
		_ = r.Close()
		<-gone
		c.history.viewers.Store(1)
		time.Sleep(time.Hour)
		c.history.mu.Lock()
		n := len(c.history.past["u"])
		c.history.mu.Unlock()
		if n > maxPoints || n < maxPoints-2 {
			t.Errorf("%d points", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// piped is a connection that is read as slowly as one likes.
type piped struct {
	w      *io.PipeWriter
	header http.Header
}

func (p *piped) Header() http.Header {
	if p.header == nil {
		p.header = http.Header{}
	}
	return p.header
}
func (p *piped) WriteHeader(int)             {}
func (p *piped) Write(b []byte) (int, error) { return p.w.Write(b) }
func (p *piped) Flush()                      {}

// What was not written here is as it was published, and is listed.
func TestVendored(t *testing.T) {
	list, err := os.ReadFile("assets/vendor/README.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, row := range regexp.MustCompile(`(?m)^\| (\S+\.js) \|.* ([0-9a-f]{64}) \|$`).FindAllStringSubmatch(string(list), -1) {
		text, err := os.ReadFile("assets/vendor/" + row[1])
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != row[2] {
			t.Errorf("%s is not as it was published", row[1])
		}
		n++
	}
	if files, err := os.ReadDir("assets/vendor"); err != nil || len(files) != n+1 {
		t.Errorf("%d files, %d listed (%v)", len(files)-1, n, err)
	}
}

// The page takes no markup from data, sets no style as text and loads nothing from elsewhere: its policy would refuse it, in a browser.
func TestAssetsKeepToThePolicy(t *testing.T) {
	total := 0
	var packed bytes.Buffer
	packer := gzip.NewWriter(&packed)
	err := fs.WalkDir(embedded, "assets", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(embedded, path)
		total += len(text)
		_, _ = packer.Write(text) // to memory
		if strings.HasPrefix(path, "assets/vendor/") || !strings.HasSuffix(path, ".js") && !strings.HasSuffix(path, ".html") {
			return err
		}
		for _, bad := range []string{"innerHTML", "dangerouslySetInnerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "http://", "https://", "onclick=", "<style"} {
			if strings.Contains(string(text), bad) {
				t.Errorf("%s has %s", path, bad)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = packer.Close()
	if total > 230<<10 || packed.Len() > 75<<10 {
		t.Errorf("the page has %d bytes, %d compressed", total, packed.Len())
	}
	t.Logf("%d bytes, %d compressed", total, packed.Len())
}

// The page names all of its modules, so that a browser asks for them at once, and not for those of a module when it has read that one.
func TestModulesAreAskedForAtOnce(t *testing.T) {
	page, err := fs.ReadFile(embedded, "assets/index.html")
	if err != nil {
		t.Fatal(err)
	}
	var modules, named []string
	err = fs.WalkDir(embedded, "assets", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".js") && path != "assets/app.js" && path != "assets/signin.js" {
			modules = append(modules, "/"+path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range regexp.MustCompile(`<link rel="modulepreload" href="([^"]+)">`).FindAllStringSubmatch(string(page), -1) {
		named = append(named, link[1])
	}
	if !slices.Equal(modules, named) {
		t.Errorf("the page names %v, and has %v", named, modules)
	}
}

// What a point says was lost is records. That some may have been lost is counted in times.
func TestLostRecordsOfAPoint(t *testing.T) {
	var h history
	trigger := wire.Trigger{UUID: "u", Counts: wire.Counts{Dropped: 1, Expired: 2, Losses: 40}}
	if p := h.points(time.Now(), []wire.Trigger{trigger})["u"]; p.lost != 3 {
		t.Errorf("%d records were lost, want 3", p.lost)
	}
}
