package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/api/admin"
	"github.com/millstreamdb/millstream/internal/credential"
	"github.com/millstreamdb/millstream/internal/server"
	"github.com/millstreamdb/millstream/internal/sigv4"
)

// A node has no access keys: they are the tables' server's. It asks that server for what a key signs with on one day, in one region and for one
// service, and compares signatures itself. So no secret leaves the server, and a call of Invoke costs no question, as a rule.
const (
	// keyAge is how old an answer may be, and so how long a key that was disabled or deleted goes on at a node.
	keyAge = 5 * time.Second
	// keyOld is how old it may be while the server does not answer.
	keyOld = time.Minute
	// keyWait bounds a question, and keyRetry is how long nobody asks again when there was no answer.
	keyWait, keyRetry = 3 * time.Second, time.Second
	// keyDays is more than how far from now the day of a signature may be.
	keyDays = 10 * 24 * time.Hour
	// maxAsked is how many answers are remembered, and askedAtOnce how many questions are under way.
	maxAsked, askedAtOnce = 4096, 16
)

type askedKey struct{ id, token, date, region, service string }

// nodeKeys implements server.Keys at a node.
type nodeKeys struct {
	own  *credential.Service // of what this node has made: sessions of its functions, and for calls of itself
	ask  func(ctx context.Context, of askedKey, used bool) (wire.SigningKey, error)
	now  func() time.Time
	room chan struct{}

	mu    sync.Mutex
	known map[askedKey]*answeredKey
}

type answeredKey struct {
	mu     sync.Mutex // held over a question
	at     time.Time  // of the answer; zero: there was none yet
	failed time.Time  // when there was none last
	key    *sigv4.Key // nil: nobody may sign with it
	chosen bool       // its secret may be a person's
	caller credential.Caller
	reason credential.Reason
	used   bool        // since the question before
	good   atomic.Bool // at the last answer somebody might sign with it
}

func newNodeKeys(own *credential.Service, ask func(context.Context, askedKey, bool) (wire.SigningKey, error)) *nodeKeys {
	return &nodeKeys{own: own, ask: ask, now: time.Now, room: make(chan struct{}, askedAtOnce), known: map[askedKey]*answeredKey{}}
}

func (k *nodeKeys) entry(of askedKey) *answeredKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.known[of]
	if e == nil {
		if len(k.known) >= maxAsked { // a stranger's inventions go first, then those of days before
			maps.DeleteFunc(k.known, func(_ askedKey, e *answeredKey) bool { return !e.good.Load() })
		}
		if len(k.known) >= maxAsked {
			clear(k.known)
		}
		e = &answeredKey{}
		k.known[of] = e
	}
	return e
}

// Find implements server.Keys.
func (k *nodeKeys) Find(accessKey, token, date, region, service string) (*sigv4.Key, credential.Caller, credential.Reason) {
	if token != "" {
		if key, caller, reason := k.own.Find(accessKey, token, date, region, service); key != nil && strings.HasPrefix(accessKey, "ASIA") {
			return key, caller, reason
		}
	}
	now := k.now()
	if day, err := time.Parse("20060102", date); err != nil || max(now.Sub(day), day.Sub(now)) > keyDays {
		return nil, credential.Caller{}, credential.Unknown // the tables' server would say no more than that it is no such day
	}
	of := askedKey{accessKey, token, date, region, service}
	e := k.entry(of)
	e.mu.Lock()
	defer e.mu.Unlock()
	now = k.now() // another's question may have been under way
	if e.at.IsZero() || now.Sub(e.at) >= keyAge {
		if now.Sub(e.failed) >= keyRetry {
			k.question(of, e, now)
		}
		if e.at.IsZero() || now.Sub(e.at) >= keyOld {
			return nil, credential.Caller{}, credential.Unreached
		}
	}
	return e.key, e.caller, e.reason
}

// question asks the tables' server. The entry's lock is held.
func (k *nodeKeys) question(of askedKey, e *answeredKey, now time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), keyWait)
	defer cancel()
	var answer wire.SigningKey
	err := error(context.DeadlineExceeded)
	select {
	case k.room <- struct{}{}:
		answer, err = k.ask(ctx, of, e.used)
		<-k.room
	case <-ctx.Done():
	}
	if err != nil {
		e.failed = k.now()
		return
	}
	e.at, e.used = now, false
	e.key, e.reason = nil, credential.Unknown
	defer func() { e.good.Store(e.key != nil) }()
	e.caller = credential.Caller{Account: answer.Account, Operator: answer.Operator, Elsewhere: e}
	switch {
	case answer.Over:
		e.reason = credential.ExpiredOne
	case len(answer.Key) == len(sigv4.Key{}):
		key := sigv4.Key(answer.Key)
		e.key, e.chosen, e.reason = &key, answer.Chosen, credential.Known
		if answer.TokenBeside {
			e.reason = credential.TokenBeside
		}
	}
}

// Known implements server.Keys.
func (k *nodeKeys) Known(accessKey, token, date, region, service string) bool {
	key, _, reason := k.Find(accessKey, token, date, region, service)
	return key != nil || reason == credential.Unreached && k.entry(askedKey{accessKey, token, date, region, service}).good.Load()
}

// Unguessable implements server.Keys.
func (k *nodeKeys) Unguessable(accessKey, token, date, region, service string) bool {
	if token != "" && k.own.Unguessable(accessKey, token, date, region, service) {
		return true
	}
	k.mu.Lock()
	e := k.known[askedKey{accessKey, token, date, region, service}]
	k.mu.Unlock()
	if e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.key != nil && !e.chosen && k.now().Sub(e.at) < keyOld
}

// Used implements server.Keys.
func (k *nodeKeys) Used(c credential.Caller) {
	e, is := c.Elsewhere.(*answeredKey)
	if !is {
		k.own.Used(c)
		return
	}
	e.mu.Lock()
	e.used = true
	e.mu.Unlock()
}

// keysThere are the access keys of the tables' server.
func (s *App) keysThere() server.Keys {
	return newNodeKeys(s.credentials, func(ctx context.Context, of askedKey, used bool) (wire.SigningKey, error) {
		return s.node.signingKey(ctx, of, used)
	})
}

// signingKey asks the tables' server what a key signs with.
func (n *node) signingKey(ctx context.Context, of askedKey, used bool) (answer wire.SigningKey, err error) {
	q := url.Values{"id": {of.id}, "date": {of.date}, "region": {of.region}, "service": {of.service}}
	if used {
		q.Set("used", "true")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.client.URL+admin.Prefix+"credentials/signing?"+q.Encode(), nil)
	if err != nil {
		return answer, err
	}
	r.Header.Set(wire.TokenHeader, of.token)
	resp, err := n.signed.Do(r)
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return answer, fmt.Errorf("it answers %s: %s", resp.Status, text)
	}
	return answer, json.NewDecoder(resp.Body).Decode(&answer)
}

// checkLine refuses to ask for what keys sign with where others may listen.
func (n *node) checkLine(insecure bool) error {
	if host := n.there.Hostname(); n.there.Scheme != "https" && !insecure && host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return errors.New("with Auth a node asks the tables' server for what access keys sign with: name it by https (--tables), or say that the network is yours alone (--insecure-listen)")
	}
	return nil
}

// checkKeys refuses to verify signatures where that cannot work, before anybody is refused for it.
func (n *node) checkKeys(ctx context.Context) error {
	by, err := n.client.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	_, err = n.signingKey(ctx, askedKey{by.AccessKeyID, by.SessionToken, time.Now().UTC().Format("20060102"), n.client.Region, "millstream"}, false)
	if err != nil {
		return fmt.Errorf("with Auth a node asks the tables' server for what access keys sign with: that server must verify signatures, too, and this node's own key (%s) must be an operator's: %w", by.AccessKeyID, err)
	}
	return nil
}

// signer signs calls of Millstream's own protocol by which nodes ask their server and each other. Who does not verify does not look.
type signer struct {
	by     aws.CredentialsProvider
	region string
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (s signer) RoundTrip(r *http.Request) (*http.Response, error) {
	by, err := s.by.Retrieve(r.Context())
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	sum := sigv4.EmptyPayload
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		h := sha256.New()
		if _, err := io.Copy(h, body); err != nil {
			return nil, err
		}
		sum = hex.EncodeToString(h.Sum(nil))
	}
	if err := v4.NewSigner().SignHTTP(r.Context(), by, r, sum, "millstream", s.region, time.Now()); err != nil {
		return nil, err
	}
	return s.next.RoundTrip(r)
}
