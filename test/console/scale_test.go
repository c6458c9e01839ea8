package console

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// scale is how much the pages are tried with: CONSOLE_SCALE=full is what is promised, else a hundredth of it.
func scale() (items, tables, triggers, parked int) {
	if os.Getenv("CONSOLE_SCALE") == "full" {
		return 1_000_000, 200, 300, 10_000
	}
	return 10_000, 20, 30, 100
}

// usable is how long a page may take until what it is for can be seen and pressed.
const usable = 500 * time.Millisecond

// TestScale opens each page of a large server. With CONSOLE_SCALE=full, which wants a quiet machine, each is usable in half a second.
func TestScale(t *testing.T) {
	items, tables, triggers, parked := scale()
	s := start(t, t.TempDir())
	s.deploy(t)
	for i := range tables - 2 { // the application has two
		s.ask(t, "CreateTable", map[string]any{
			"TableName": fmt.Sprintf("table-%03d", i), "BillingMode": "PAY_PER_REQUEST",
			"AttributeDefinitions": []attributes{{"AttributeName": "pk", "AttributeType": "S"}}, "KeySchema": []attributes{{"AttributeName": "pk", "KeyType": "HASH"}},
			"StreamSpecification": attributes{"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"},
		})
	}
	for i := range triggers - 3 { // the application has three
		table := fmt.Sprintf("table-%03d", i%(tables-2))
		arn := s.ask(t, "DescribeTable", map[string]any{"TableName": table})["Table"].(map[string]any)["LatestStreamArn"]
		s.call(t, http.MethodPost, "/2015-03-31/event-source-mappings", map[string]any{
			"FunctionName": []string{"email", "indexer", "audit"}[i/(tables-2)%3], "EventSourceArn": arn, "StartingPosition": "LATEST",
		})
	}
	for i := 0; i < parked; i += 25 {
		s.batch(t, "orders", i, min(25, parked-i), "bad-%08d")
	}
	var writers sync.WaitGroup
	const writing = 8
	for w := range writing {
		writers.Go(func() {
			for i := w * 25; i < items; i += writing * 25 {
				s.batch(t, "invoices", i, min(25, items-i), "customer-%08d")
			}
		})
	}
	writers.Wait()

	p := open(t, s.link)
	limit, watched := 10*usable, 100*time.Millisecond // the machine does other things, too
	if os.Getenv("CONSOLE_SCALE") == "full" {
		limit, watched = usable, 3*time.Second
	}
	p.until(fmt.Sprintf(`[...document.querySelectorAll('.badt')].some((e) => e.innerText.replace(/\D/g, '') === %s)`, quote(strconv.Itoa(parked))), "see how many are parked")
	for _, page := range []struct{ name, hash, shows string }{
		{"loop", "#/", `document.querySelectorAll('.map .node.mid').length >= 30`},
		{"tables", "#/tables", fmt.Sprintf(`document.querySelectorAll('main tbody tr').length === %d && document.body.innerText.includes('table-000')`, tables)},
		{"items", "#/table/invoices", `document.querySelectorAll('table.items tbody tr').length === 100`},
		{"stream", "#/stream/orders", `document.body.innerText.includes('Waiting for changes')`},
		{"settings", "#/settings/invoices", `document.querySelector('h1')?.innerText === 'Settings of invoices'`},
		{"triggers", "#/triggers", fmt.Sprintf(`document.querySelectorAll('main tbody tr').length === %d`, triggers)},
		{"trigger", "", `document.body.innerText.includes('Shards') && document.body.innerText.includes('Settings')`},
		{"parked", "#/parked/", `document.body.innerText.includes('pk=bad-')`},
		{"functions", "#/functions", `document.body.innerText.includes('indexer')`},
		{"function", "#/function/email", `document.body.innerText.includes('Configuration')`},
		{"requests", "#/requests", `document.body.innerText.includes('Waiting for requests')`},
		{"server", "#/server", `document.body.innerText.includes('Durability')`},
	} {
		if page.name == "trigger" {
			page.hash = runs[string](p, "find a trigger", `[...document.querySelectorAll('main tbody a')].find((a) => a.innerText === 'orders → audit').getAttribute('href')`)
		}
		// From the address to the first frame in which the page shows what it is for; the second time is of a warm page.
		script := fmt.Sprintf(`new Promise((done) => { const began = performance.now(); location.hash = %s;
			const look = () => (%s) ? requestAnimationFrame(() => done(performance.now() - began)) : performance.now() - began > 20000 ? done(1e6) : setTimeout(look, 4); setTimeout(look, 0); })`, quote(page.hash), page.shows)
		took := time.Duration(runs[float64](p, "open "+page.name, script)*1000) * time.Microsecond
		busy := runs[float64](p, "watch "+page.name, fmt.Sprintf(`new Promise((done) => { let sum = 0; const o = new PerformanceObserver((l) => l.getEntries().forEach((e) => { sum += e.duration; })); o.observe({ entryTypes: ['longtask'] }); setTimeout(() => { o.disconnect(); done(sum); }, %d); })`, watched.Milliseconds()))
		t.Logf("%-10s usable after %v, then tasks above 50 ms for %.0f ms of %v", page.name, took.Round(time.Millisecond), busy, watched)
		if took > limit {
			t.Errorf("%s is usable after %v", page.name, took)
		}
	}
	p.goes("#/table/invoices")
	p.until(`document.querySelectorAll('table.items tbody tr').length === 100`, "see items")
	for range 5 {
		took := runs[float64](p, "turn the page", `new Promise((done) => { const began = performance.now(), before = document.querySelector('table.items tbody tr').innerText; [...document.querySelectorAll('button')].find((b) => b.innerText === 'Next page').click();
			const look = () => document.querySelector('table.items tbody tr')?.innerText !== before ? done(performance.now() - began) : setTimeout(look, 4); look(); })`)
		if d := time.Duration(took * float64(time.Millisecond)); d > limit {
			t.Errorf("the next page of items came after %v", d)
		}
	}
}

// TestFirstPage opens the first page from its address, as a browser does that has been there, and as one that has not. With CONSOLE_SCALE=full, which wants
// a quiet machine, it can be used in 200 ms.
func TestFirstPage(t *testing.T) {
	s := start(t, t.TempDir())
	s.deploy(t)
	limit := 2 * time.Second
	if os.Getenv("CONSOLE_SCALE") == "full" {
		limit = 200 * time.Millisecond
	}
	base, _, _ := strings.Cut(s.link, "/open")
	p := open(t, s.link)
	p.sees("orders → email")
	for _, cached := range []bool{true, false} {
		do(p, "keep what was loaded, or not", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: !cached})
			return err
		}))
		fastest := time.Hour
		for range 5 { // the machine does other things, too
			do(p, "leave", chromedp.Navigate("about:blank"))
			began := time.Now()
			do(p, "come back", chromedp.Navigate(base+"/"))
			do(p, "see the map", chromedp.Poll[bool](`!!document.querySelector('.map .node.mid')`, chromedp.WithPollingInterval(5*time.Millisecond), chromedp.WithPollingTimeout(limit*10)))
			fastest = min(fastest, time.Since(began))
		}
		t.Logf("cached %v: usable after %v", cached, fastest.Round(time.Millisecond))
		if fastest > limit {
			t.Errorf("cached %v: the first page can be used after %v", cached, fastest)
		}
	}
}

// TestLiveForLong has the page show a stream at 1,000 changes a second for CONSOLE_LIVE (two seconds unless set), and asks the browser what it keeps.
func TestLiveForLong(t *testing.T) {
	length := 2 * time.Second
	if v := os.Getenv("CONSOLE_LIVE"); v != "" {
		var err error
		if length, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, t.TempDir())
	s.ask(t, "CreateTable", map[string]any{
		"TableName": "live", "BillingMode": "PAY_PER_REQUEST",
		"AttributeDefinitions": []attributes{{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "N"}},
		"KeySchema":            []attributes{{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}},
		"StreamSpecification":  attributes{"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"},
	})
	p := open(t, s.link)
	p.goes("#/stream/live")
	p.sees("Waiting for changes of live")
	heap := func() float64 {
		return runs[float64](p, "ask what the page keeps", `(async () => { if (globalThis.gc) gc(); return performance.memory.usedJSHeapSize / 1e6; })()`)
	}
	tick, n := time.NewTicker(25*time.Millisecond), 0
	defer tick.Stop()
	end, next := time.Now().Add(length), time.Now().Add(length/10)
	for now := range tick.C {
		s.batch(t, "live", n%5000, 25, "customer-%08d")
		n += 25
		if now.After(next) {
			next = now.Add(length / 10)
			nodes := runs[int](p, "count", `document.querySelectorAll('*').length`)
			mb := heap()
			t.Logf("%d changes: %.1f MB of objects, %d elements", n, mb, nodes)
			if mb > 100 || nodes > 10_000 {
				t.Errorf("the page keeps %.1f MB and %d elements", mb, nodes)
			}
		}
		if now.After(end) {
			break
		}
	}
	if got := runs[int](p, "count", `document.querySelectorAll('.changes li').length`); got == 0 || got > 500 {
		t.Errorf("%d changes are shown", got)
	}
}

// call asks the Lambda API.
func (s *server) call(t *testing.T, method, path string, in any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(method, s.endpoint+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Date", "20260101T000000Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode/100 != 2 {
		t.Fatalf("%s: %d %s %v", path, answer.StatusCode, text, err)
	}
}

// batch writes n items, from the number from, whose keys have a form.
func (s *server) batch(t *testing.T, table string, from, n int, form string) {
	var requests []attributes
	for i := from; i < from+n; i++ {
		requests = append(requests, attributes{"PutRequest": attributes{"Item": attributes{
			"pk": attributes{"S": fmt.Sprintf(form, i)}, "sk": attributes{"N": strconv.Itoa(i)}, "at": attributes{"S": time.Now().Format(time.RFC3339Nano)},
			"total": attributes{"N": strconv.Itoa(i * 7)}, "note": attributes{"S": "what the customer said about it"},
		}}})
	}
	s.ask(t, "BatchWriteItem", map[string]any{"RequestItems": map[string]any{table: requests}})
}

// TestViewersCost has ten viewers look at a server that is written to 5,000 times a second, for CONSOLE_COST (a second unless set) without and
// with them, in turns. With CONSOLE_COST they cost less than a twentieth of a core. One more viewer, who never reads, holds nobody up.
func TestViewersCost(t *testing.T) {
	length, strict := time.Second, false
	if v := os.Getenv("CONSOLE_COST"); v != "" {
		var err error
		if length, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
		strict = true
	}
	s := start(t, t.TempDir())
	s.deploy(t)
	base, _, _ := strings.Cut(s.link, "/open")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	viewer := &http.Client{Jar: jar}
	answer, err := viewer.Get(s.link)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer, err)
	}
	_ = answer.Body.Close() // nothing of it is wanted
	processor := func() float64 {
		answer, err := http.Get(s.endpoint + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseFloat(regexp.MustCompile(`(?m)^process_cpu_seconds_total (.*)$`).FindStringSubmatch(string(text))[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := 0
	write := func() (share float64) {
		began, before := time.Now(), processor()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for now := range tick.C {
			if now.Sub(began) > length {
				break
			}
			s.batch(t, "invoices", n%100_000, 25, "customer-%08d")
			n += 25
		}
		return (processor() - before) / time.Since(began).Seconds()
	}
	// learns has a viewer listen to what happens for two of 22 seconds, as the first page does: here at a time of its own in each turn.
	learns := func(i int) {
		time.Sleep(length * time.Duration(i) / 11)
		ctx, cancel := context.WithTimeout(t.Context(), length*2/22)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/_millstream/v1/activity", nil)
		if err != nil {
			t.Error(err)
			return
		}
		if answer, err := viewer.Do(r); err == nil {
			_, _ = io.Copy(io.Discard, answer.Body) // until the time is up
			_ = answer.Body.Close()
		}
	}
	look := func(reads bool) (seen *atomic.Int64, leave func()) {
		ctx, cancel := context.WithCancel(t.Context())
		seen = new(atomic.Int64)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/live", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := viewer.Do(r)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatal(answer, err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer answer.Body.Close()
			if !reads {
				<-ctx.Done()
				return
			}
			lines := bufio.NewScanner(answer.Body)
			lines.Buffer(nil, 16<<20)
			for lines.Scan() {
				if lines.Text() == "event: state" {
					seen.Add(1)
				}
			}
		}()
		return seen, func() { cancel(); <-done }
	}
	write() // warms up
	var without, with float64
	const turns = 3
	for range turns {
		without += write() / turns
		var seen []*atomic.Int64
		var leave []func()
		var learning sync.WaitGroup
		for i := range 10 {
			n, l := look(true)
			seen, leave = append(seen, n), append(leave, l)
			learning.Go(func() { learns(i) })
		}
		_, l := look(false)
		leave = append(leave, l)
		with += write() / turns
		learning.Wait()
		for i, n := range seen {
			if got := n.Load(); got < int64(length.Seconds()) {
				t.Errorf("viewer %d saw %d states in %v", i, got, length)
			}
		}
		for _, l := range leave {
			l()
		}
	}
	t.Logf("%.1f %% of a core without viewers, %.1f %% with ten: %.1f %%", 100*without, 100*with, 100*(with-without))
	if strict && with-without > 0.05 {
		t.Errorf("ten viewers cost %.1f %% of a core", 100*(with-without))
	}
}
