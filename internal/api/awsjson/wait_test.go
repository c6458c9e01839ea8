package awsjson

import (
	"context"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/schema"
)

// A request waits as long as its header asks and no longer than MaxWait, of operations that can wait, for who may call them; the
// answer says how long. A request without the header, and an operation without a wait, never see any of it.
func TestWait(t *testing.T) {
	for _, c := range []struct {
		name, asked, target, auth string
		cannot                    bool
		waits                     time.Duration
		waited, answer            string
	}{
		{name: "it waits", asked: "1500", target: "Echo_1.Echo", auth: "x", waits: 1500 * time.Millisecond, waited: "1500", answer: `"body"`},
		{name: "not at all", asked: "0", target: "Echo_1.Echo", auth: "x", waited: "0", answer: `"body"`},
		{name: "too long", asked: "60000", target: "Echo_1.Echo", auth: "x", waits: MaxWait, waited: "20000", answer: `"body"`},
		{name: "no header", target: "Echo_1.Echo", auth: "x", answer: `"body"`},
		{name: "no number", asked: "1s", target: "Echo_1.Echo", auth: "x", answer: "X-Millstream-Wait takes milliseconds, a whole number from 0 to 20000"},
		{name: "negative", asked: "-1", target: "Echo_1.Echo", auth: "x", answer: "X-Millstream-Wait takes milliseconds"},
		{name: "another operation", asked: "1500", target: "Echo_1.Other", auth: "x", answer: `"body"`},
		{name: "nobody", asked: "1500", target: "Echo_1.Echo", answer: "MissingAuthenticationToken"},
		{name: "too many wait", asked: "1500", target: "Echo_1.Echo", auth: "x", cannot: true, answer: `"body"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProtocol(io.Discard)
				p.Register("Echo_1.Other", echo)
				p.RegisterWait("Echo_1.Echo", func(ctx context.Context, scope schema.Scope, body []byte) (string, bool) {
					if scope.Account != "000000000000" || string(body) != "{}" {
						t.Errorf("it waits with %v, %s", scope, body)
					}
					if c.cannot {
						return "7", false
					}
					<-ctx.Done()
					return "7", true
				})
				r := httptest.NewRequest("POST", "/", strings.NewReader("{}"))
				r.Header.Set("X-Amz-Target", c.target)
				r.Header.Set("Content-Type", amzJSON)
				if c.auth != "" {
					r.Header.Set("Authorization", c.auth)
				}
				if c.asked != "" {
					r.Header.Set(waitHeader, c.asked)
				}
				w := httptest.NewRecorder()
				began := time.Now()
				p.ServeHTTP(w, r)
				if took := time.Since(began); took != c.waits {
					t.Errorf("it took %v, want %v", took, c.waits)
				}
				if got := w.Header().Get(waitedHeader); got != c.waited {
					t.Errorf("it says that it has waited %q, want %q", got, c.waited)
				}
				if got, want := w.Header().Get(afterHeader) != "", c.waited != "" || c.cannot; got != want {
					t.Errorf("it tells where it reads: %v, want %v", got, want)
				}
				if !strings.Contains(w.Body.String(), c.answer) {
					t.Errorf("the answer is %s, want %s", w.Body, c.answer)
				}
			})
		})
	}
}
