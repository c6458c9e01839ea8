package console

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// Caller is who has an access key.
type Caller struct {
	Account  string
	Operator bool // may do all that the server's owner may
}

// Keys are the server's access keys, by which one may sign in.
type Keys interface {
	// Any reports whether there is one.
	Any() bool
	// Caller returns whose key an id is; ok is false when it may not sign, or not any more.
	Caller(id string) (c Caller, ok bool)
	// Opens reports whether a secret is the key's.
	Opens(id, secret string) bool
}

// who has a session: by a link, or by an access key.
type who struct {
	key string // its id; empty: by a link, who is the server's owner
	Caller
}

// all reports whether w may see all accounts.
func (w who) all() bool { return w.key == "" || w.Operator }

type whoKey struct{}

func whoIs(r *http.Request) who { return r.Context().Value(whoKey{}).(who) } // within has set it

const (
	maxSignIn = 4 << 10
	// failuresMax is how many attempts of an address to sign in may fail within failuresFor: secrets of 40 characters are not guessed in so many.
	failuresMax = 20
	failuresFor = time.Second
	// addressesMax are told apart within failuresFor; those beyond share one count.
	addressesMax = 1000
)

// failures counts attempts to sign in that failed.
type failures struct {
	mu    sync.Mutex // guards the following
	since time.Time
	of    map[string]int // by address
}

// counted is where an address is counted, since when the time is over anew. mu is held.
func (f *failures) counted(now time.Time, from string) string {
	if f.of == nil || now.Sub(f.since) >= failuresFor || now.Before(f.since) {
		f.since, f.of = now, map[string]int{}
	}
	if _, known := f.of[from]; !known && len(f.of) >= addressesMax {
		return ""
	}
	return from
}

// full reports whether an address had too many; failed counts one.
func (f *failures) full(now time.Time, from string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.of[f.counted(now, from)] >= failuresMax
}

func (f *failures) failed(now time.Time, from string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of[f.counted(now, from)]++
}

// signIn begins a session for who has an access key: {"id", "secret"}, from the page itself.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	var given struct{ ID, Secret string }
	from, _, _ := net.SplitHostPort(r.RemoteAddr)
	switch err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSignIn)).Decode(&given); {
	case r.Header.Get("Origin") == "":
		http.Error(w, "Only the console's own page may sign in here.", http.StatusForbidden)
	case err != nil:
		http.Error(w, "An access key is sent as JSON.", http.StatusBadRequest)
	case c.failures.full(c.Now(), from):
		http.Error(w, "Too many attempts have failed. Try again in a second.", http.StatusTooManyRequests)
	case !c.Keys.Opens(given.ID, given.Secret):
		c.failures.failed(c.Now(), from)
		c.Logger.Warn("somebody could not sign in to the console", "from", r.RemoteAddr) // what was typed may be a secret
		http.Error(w, "There is no such access key, or its secret is another.", http.StatusForbidden)
	default:
		c.begin(w, r, given.ID)
		w.WriteHeader(http.StatusNoContent)
	}
}

// ofAccount are the first words of Millstream's own protocol's paths that are of one account when they are asked with account=, and
// ofTrigger those that are about the trigger that trigger= names. Anything else spans accounts.
var (
	ofAccount = map[string]bool{"tail": true, "try": true, "passed": true, "deployments": true, "tables": true, "logs": true, "invoke": true, "queues": true, "schedules": true, "topics": true, "shards": true}
	ofTrigger = map[string]bool{"parked": true}
)

// narrowed has a request of Millstream's own protocol be about one account alone, and reports whether it can be: what names something by
// an ARN may be another account's, so only names are let through.
func (c *Console) narrowed(r *http.Request, account string) bool {
	words := strings.Split(strings.TrimPrefix(r.URL.Path, ownPath), "/")
	q := r.URL.Query()
	for name, values := range q {
		if len(values) > 1 && name != "filter" {
			return false
		}
	}
	switch {
	case words[0] == "triggers" && len(words) > 1:
		return c.history.accountOf(words[1]) == account
	case ofTrigger[words[0]]:
		return c.history.accountOf(q.Get("trigger")) == account && q.Get("function") == ""
	case ofAccount[words[0]] && len(words) == 1:
		for _, name := range []string{"stream", "queue", "table", "to", "function"} {
			value := q.Get(name)
			if name == "function" { // it may have a version or alias
				before, after, _ := strings.Cut(value, ":")
				if strings.Contains(after, ":") || strings.Trim(before, "0123456789") == "" && after != "" {
					return false
				}
				continue
			}
			if strings.Contains(value, ":") {
				return false
			}
		}
		q.Set("account", account)
		r.URL.RawQuery = q.Encode()
		return true
	}
	return false
}

// accountOf is the account of a trigger, as of the newest state; empty: there is none.
func (h *history) accountOf(uuid string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.newestState.Triggers {
		if t := &h.newestState.Triggers[i]; t.UUID == uuid {
			return t.Account
		}
	}
	return ""
}

// of is the state as an account may see it.
func (s state) of(account string) state {
	out := state{At: s.At, Endpoint: s.Endpoint, Account: account, Triggers: []wire.Trigger{}, Points: map[string]point{}, Problem: s.Problem}
	for i := range s.Triggers {
		if t := s.Triggers[i]; t.Account == account {
			out.Triggers = append(out.Triggers, t)
			if p, ok := s.Points[t.UUID]; ok {
				out.Points[t.UUID] = p
			}
		}
	}
	return out
}

// textOf is the newest state as an account may see it, as it goes to the page.
func (h *history) textOf(account string) []byte {
	h.mu.Lock()
	s := h.newestState // what is in it does not change
	h.mu.Unlock()
	text, err := json.Marshal(s.of(account))
	if err != nil {
		return []byte(`{"triggers":[],"points":{},"problem":"the state cannot be written"}`) // the whole one could be
	}
	return text
}

// as is a request with who sent it.
func (w who) as(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), whoKey{}, w))
}
