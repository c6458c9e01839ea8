package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/schema"
)

var scope = schema.Scope{Account: "000000000000", Region: "us-east-1"}

const (
	awsTail = "aws-cli/2.31.0 md/awscrt#0.27 ua/2.1 md/command#logs.tail"
	oldTail = "aws-cli/2.9.19 Python/3.11.2 Linux/6.1 source/x86_64.debian.12 prompt/off command/logs.tail"
	samTail = "Boto3/1.40.0 md/Botocore#1.40.0 aws-sam-cli/1.170.0"
)

// client is a client of the door in a bubble of fake time.
type client struct {
	t       *testing.T
	h       *Handler
	logs    func(text string)
	ctx     context.Context
	address string
	agent   string
	status  int
}

func newClient(t *testing.T, agent string) *client {
	t.Helper()
	s, err := function.Open(function.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	log := s.Logs().Log(scope, "f")
	return &client{
		t: t, agent: agent, address: "127.0.0.1:5001", ctx: t.Context(),
		h:    New(s, Options{Authenticate: func(*http.Request) (schema.Scope, *awserr.Error) { return scope, nil }}),
		logs: func(text string) { log.Write([]byte(text)) },
	}
}

// begin asks for the first time, as any program does, and returns the time to ask for then: that of the newest event that it was shown, and
// so much after it.
func (c *client) begin(empty bool, after int64) (start int64) {
	c.t.Helper()
	if empty {
		if err := c.h.functions.CreateLogGroup(function.LogGroup{Scope: scope, Name: "/aws/lambda/f"}); err != nil {
			c.t.Fatal(err)
		}
	} else {
		c.logs("zero")
	}
	start = time.Now().Add(-10 * time.Minute).UnixMilli()
	seen, newest, token, took := c.filter(start, "")
	if token != "" || took != 0 || (len(seen) == 0) != empty {
		c.t.Fatalf("the first answer: %q, token %q, after %s", seen, token, took)
	}
	if empty {
		return start
	}
	return newest + after
}

// later has a line come in some time.
func (c *client) later(d time.Duration, text string) {
	timer := time.AfterFunc(d, func() { c.logs(text) })
	c.t.Cleanup(func() { timer.Stop() })
}

// filter asks FilterLogEvents, and returns the texts, the time of the newest event (0: none), the token and how long it took.
func (c *client) filter(start int64, token string) (texts []string, newest int64, next string, took time.Duration) {
	c.t.Helper()
	in := map[string]any{"logGroupName": "/aws/lambda/f", "startTime": start}
	if token != "" {
		in["nextToken"] = token
	}
	body, err := json.Marshal(in)
	if err != nil {
		c.t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(c.ctx, http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("X-Amz-Target", target+"FilterLogEvents")
	r.Header.Set("User-Agent", c.agent)
	r.RemoteAddr = c.address
	w, began := httptest.NewRecorder(), time.Now()
	c.h.ServeHTTP(w, r)
	took, c.status = time.Since(began), w.Code
	var out filtered
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		c.t.Fatal(err)
	}
	for _, e := range out.Events {
		texts, newest = append(texts, e.Message), e.Timestamp
	}
	return texts, newest, out.NextToken, took
}

// The AWS CLI that follows a group is answered as soon as there is a line, and is never told that there are no more.
func TestFollowersAreAnsweredAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		agent string
		empty bool // the group has no lines at first
	}{"new": {awsTail, false}, "old": {oldTail, false}, "empty": {awsTail, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newClient(t, c.agent)
				start := p.begin(c.empty, 0)
				time.Sleep(5 * time.Second)
				p.later(3*time.Second, "one")
				seen, _, token, took := p.filter(start, "")
				if fmt.Sprint(seen) != "[one]" || took != 3*time.Second || token == "" {
					t.Fatalf("the second answer: %q, token %q, after %s", seen, token, took)
				}
				// Three lines while the client prints, and one right after them: together, and soon.
				for _, text := range []string{"two", "three", "two"} {
					p.logs(text)
				}
				p.later(followPause/2, "four")
				if seen, _, token, took = p.filter(start, token); fmt.Sprint(seen) != "[two three two four]" || took > followPause || token == "" {
					t.Fatalf("the third answer: %q, token %q, after %s", seen, token, took)
				}
				if seen, _, token, took = p.filter(start, token); len(seen) != 0 || took != awsCLI.hold || token == "" {
					t.Fatalf("the fourth answer: %q, token %q, after %s", seen, token, took)
				}
				p.logs("five")
				if seen, _, _, took = p.filter(start, token); fmt.Sprint(seen) != "[five]" || took > followPause {
					t.Fatalf("the fifth answer: %q, after %s", seen, took)
				}
			})
		})
	}
}

// A function that prints without end, of another group, has a follower look a few times a second, not once for each of its lines; and a line of
// the follower's own is shown within the pause.
func TestFollowersLookSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, awsTail)
		other := c.h.functions.Logs().Log(scope, "other")
		const each = time.Millisecond
		var prints func()
		var timer *time.Timer
		prints = func() {
			other.Write([]byte("x"))
			timer.Reset(each)
		}
		timer = time.AfterFunc(time.Hour, prints)
		timer.Reset(each)
		defer timer.Stop()
		looks, began := 0, time.Now()
		c.h.functions.AwaitLog(t.Context(), scope, followPause, func() bool {
			looks++
			return time.Since(began) >= 10*time.Second
		})
		if want := int(10*time.Second/followPause) + 2; looks > want || looks < want/2 {
			t.Errorf("%d looks in ten seconds", looks)
		}
		start := c.begin(false, 0)
		c.later(3*time.Second, "one")
		if seen, _, _, took := c.filter(start, ""); fmt.Sprint(seen) != "[one]" || took < 3*time.Second || took > 3*time.Second+followPause+each {
			t.Errorf("%q after %s", seen, took)
		}
	})
}

// The SAM CLI that follows a group waits while lines come; soon it is told that there are no more, so that it sees whether it was
// interrupted, and follows again.
func TestSAMFollows(t *testing.T) {
	for _, empty := range []bool{false, true} {
		t.Run(fmt.Sprint("empty=", empty), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newClient(t, samTail)
				start := p.begin(empty, 1)
				for range 3 {
					time.Sleep(time.Second)
					if seen, _, token, took := p.filter(start, ""); len(seen) > 0 || token != "" || took != samCLI.hold {
						t.Fatalf("nothing has come: %q, token %q, after %s", seen, token, took)
					}
				}
				time.Sleep(time.Second)
				p.later(samCLI.hold/2, "one")
				began := time.Now()
				seen, newest, token, took := p.filter(start, "")
				if fmt.Sprint(seen) != "[one]" || token == "" || took != samCLI.hold/2 {
					t.Fatalf("%q, token %q, after %s", seen, token, took)
				}
				for token != "" {
					p.logs("more")
					if seen, newest, token, took = p.filter(start, token); fmt.Sprint(seen) != "[more]" || took != followPause {
						t.Fatalf("%q after %s", seen, took)
					}
				}
				if took := time.Since(began); took < samCLI.chain || took > samCLI.chain+followPause {
					t.Fatalf("it was told that there are no more after %s", took)
				}
				p.logs("while it sleeps")
				time.Sleep(time.Second)
				if seen, _, token, took = p.filter(newest+1, ""); fmt.Sprint(seen) != "[while it sleeps]" || took > followPause || token == "" {
					t.Fatalf("%q, token %q, after %s", seen, token, took)
				}
			})
		})
	}
}

// Who does not follow is answered as he asked: another program, another connection, another time, or who asks for an end.
func TestOthersAreNotHeld(t *testing.T) {
	for name, change := range map[string]func(c *client, start *int64){
		"another program":      func(c *client, _ *int64) { c.agent = "Boto3/1.40.0 md/Botocore#1.40.0" },
		"another connection":   func(c *client, _ *int64) { c.address = "127.0.0.1:5002" },
		"an earlier time":      func(_ *client, start *int64) { *start -= 1000 },
		"long after the first": func(*client, *int64) { time.Sleep(askedFor + time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, awsTail)
				c.logs("zero")
				_, start, _, _ := c.filter(time.Now().Add(-time.Minute).UnixMilli(), "")
				change(c, &start)
				if _, _, token, took := c.filter(start, ""); token != "" || took != 0 {
					t.Errorf("token %q after %s", token, took)
				}
			})
		})
	}
}

// A follower is let go when it hangs up, and when the server ends.
func TestFollowersAreLetGo(t *testing.T) {
	for name, end := range map[string]func(c *client, cancel func()){
		"it hangs up":     func(_ *client, cancel func()) { cancel() },
		"the server ends": func(c *client, _ func()) { _ = c.h.functions.Logs().EndWaits() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, awsTail)
				var cancel func()
				c.ctx, cancel = context.WithCancel(t.Context())
				defer cancel()
				c.logs("zero")
				_, start, _, _ := c.filter(time.Now().Add(-time.Minute).UnixMilli(), "")
				timer := time.AfterFunc(2*time.Second, func() { end(c, cancel) })
				defer timer.Stop()
				if texts, _, _, took := c.filter(start, ""); took != 2*time.Second || len(texts) > 0 {
					t.Errorf("%q after %s", texts, took)
				}
				if c.h.followers.waiting != 0 {
					t.Errorf("%d wait still", c.h.followers.waiting)
				}
			})
		})
	}
}

// What is remembered of clients, and how many wait, is bounded.
func TestFollowersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, awsTail)
		c.logs("zero")
		start := time.Now().Add(-time.Minute).UnixMilli()
		for i := range 2 * maxAsked {
			c.address = fmt.Sprint("127.0.0.1:", i)
			c.filter(start, "")
		}
		if n := len(c.h.followers.asked); n > maxAsked {
			t.Errorf("%d questions are remembered", n)
		}
		c.h.followers.waiting = maxFollowers
		_, newest, _, _ := c.filter(start, position{}.String())
		if _, _, token, took := c.filter(newest, position{}.String()); took != followPause || token == "" {
			t.Errorf("one beyond the bound waited %s, and got token %q", took, token)
		}
	})
}

// A token that nobody was given ends a wait as any other, or is none.
func TestOddTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, samTail)
		c.logs("zero")
		for _, token := range []string{"follow/", "follow/1/", "follow/1/2/", "follow/-1/-2/x", "follow/1/2/3/4", "follow/99999999999999999999/1/2", "x"} {
			for _, start := range []any{nil, 0, -5, int64(1) << 62} {
				body, err := json.Marshal(map[string]any{"logGroupName": "/aws/lambda/f", "startTime": start, "nextToken": token})
				if err != nil {
					t.Fatal(err)
				}
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
				r.Header.Set("X-Amz-Target", target+"FilterLogEvents")
				r.Header.Set("User-Agent", samTail)
				w, began := httptest.NewRecorder(), time.Now()
				c.h.ServeHTTP(w, r)
				if took := time.Since(began); w.Code != http.StatusOK || took > awsCLI.hold {
					t.Errorf("%s, from %v: %d %s after %s", token, start, w.Code, w.Body, took)
				}
			}
		}
	})
}
