package app

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/credential"
)

// A node lets in whom its server knows, refuses all others in each service's words, and hands nothing on that is not signed right.
func TestANodeVerifies(t *testing.T) {
	g := openGuarded(t, "on")
	k, secret, err := g.credentials.Create("000000000000", "a node's", true)
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(g.url)
	if err != nil {
		t.Fatal(err)
	}
	var refused atomic.Int32
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host }}
	pass.ModifyResponse = func(r *http.Response) error {
		if r.StatusCode == 403 || strings.Contains(r.Header.Get("X-Amzn-Errortype"), "Signature") || strings.Contains(r.Header.Get("X-Amzn-Errortype"), "Unrecognized") {
			refused.Add(1)
		}
		return nil
	}
	between := httptest.NewServer(pass)
	defer between.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", g.ordinary.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", g.ordinary.SecretAccessKey)
	t.Setenv("AWS_SESSION_TOKEN", "")
	if _, err := Open(Options{Tables: between.URL, Auth: "on"}, nil); err == nil || !strings.Contains(err.Error(), "operator") {
		t.Errorf("with an ordinary key: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", k.ID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	off := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
		w.WriteHeader(http.StatusForbidden)
	}))
	if _, err := Open(Options{Tables: off.URL, Auth: "on"}, nil); err == nil || !strings.Contains(err.Error(), "must verify signatures, too") {
		t.Errorf("over a server that does not verify: %v", err)
	}
	off.Close()
	if _, err := Open(Options{Tables: "http://192.0.2.1:1", Auth: "on"}, nil); err == nil || !strings.Contains(err.Error(), "https") {
		t.Errorf("without TLS: %v", err)
	}
	s, err := Open(Options{Tables: between.URL, Auth: "on"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	refused.Store(0) // what is asked first is not signed
	h := httptest.NewServer(s.Handler())
	defer func() {
		h.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	n := &guarded{App: s, url: h.URL, root: g.root, ordinary: g.ordinary}
	wrong := aws.Credentials{AccessKeyID: g.ordinary.AccessKeyID, SecretAccessKey: "another"}
	stranger := aws.Credentials{AccessKeyID: "AKIASTRANGER", SecretAccessKey: rootSecret}
	for _, r := range reads {
		if _, out := refusedServices[r.service]; out {
			continue
		}
		for who, key := range map[string]aws.Credentials{"root": g.root, "ordinary": g.ordinary} {
			want := 200
			if r.service == "millstream" && who == "ordinary" {
				want = 403
			}
			if status, body := n.call(t, r, key, nil); status != want {
				t.Errorf("%s %s by %s: %d %s", r.service, r.path, who, status, body)
			}
		}
		if r.service == "lambda" || r.service == "logs" { // account of its key
			continue
		}
		for who, row := range map[string]struct {
			key   aws.Credentials
			words []string
		}{
			"wrong":    {wrong, []string{"InvalidSignatureException", "SignatureDoesNotMatch"}},
			"stranger": {stranger, []string{"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"}},
		} {
			status, body := n.call(t, r, row.key, nil)
			if status < 400 || status >= 500 || !slices.ContainsFunc(row.words, func(w string) bool { return strings.Contains(body, w) }) {
				t.Errorf("%s %s by %s: %d %s", r.service, r.path, who, status, body)
			}
		}
	}
	if got := refused.Load(); got != 0 {
		t.Errorf("the tables' server was sent %d requests that are not signed right", got)
	}
	session, err := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &h.URL, Credentials: credentials.StaticCredentialsProvider{Value: g.ordinary}}).GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	of := aws.Credentials{AccessKeyID: *session.Credentials.AccessKeyId, SecretAccessKey: *session.Credentials.SecretAccessKey, SessionToken: *session.Credentials.SessionToken}
	for _, r := range reads[:4] {
		if status, body := n.call(t, r, of, nil); status != 200 {
			t.Errorf("%s %s by a session: %d %s", r.service, r.path, status, body)
		}
	}
	// What a function of this node signs with is good for its Lambda.
	own, err := s.credentials.Session("000000000000", time.Minute, false)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := n.call(t, reads[2], aws.Credentials{AccessKeyID: own.AccessKeyID, SecretAccessKey: own.SecretAccessKey, SessionToken: own.SessionToken}, nil); status != 200 {
		t.Errorf("by a session of the node: %d %s", status, body)
	}
	keys := s.auth.Keys.(*nodeKeys)
	// A root key's secret may be a person's: it can be guessed, here as at the server, so wrong ones are slowed down.
	today := time.Now().UTC().Format("20060102")
	for id, want := range map[string]bool{g.ordinary.AccessKeyID: true, g.root.AccessKeyID: false} {
		if !keys.Known(id, "", today, "us-east-1", "lambda") || keys.Unguessable(id, "", today, "us-east-1", "lambda") != want {
			t.Errorf("%s: unguessable %v, want %v", id, !want, want)
		}
	}
	// Its last use is known where the keys are.
	keys.now = func() time.Time { return time.Now().Add(keyAge) }
	n.call(t, reads[2], g.ordinary, nil)
	for _, k := range g.credentials.List() {
		if k.ID == g.ordinary.AccessKeyID && k.Used.IsZero() {
			t.Error("the server does not know that a key was used at a node")
		}
	}
	if err := g.credentials.Disable(g.ordinary.AccessKeyID, true); err != nil {
		t.Fatal(err)
	}
	keys.now = func() time.Time { return time.Now().Add(2 * keyAge) }
	if status, body := n.call(t, reads[2], g.ordinary, nil); status != 403 || !strings.Contains(body, "UnrecognizedClient") {
		t.Errorf("by a disabled key: %d %s", status, body)
	}
}

// A node asks now and then, goes on for a while when nobody answers, and then says so; it does not ask again at once.
func TestKeysOfNodes(t *testing.T) {
	today := time.Now().UTC().Format("20060102")
	now, asked, answer, fails := time.Now(), 0, wire.SigningKey{Account: "111122223333", Key: make([]byte, 32)}, error(nil)
	own, err := Open(Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := own.Close(); err != nil {
			t.Error(err)
		}
	}()
	k := newNodeKeys(own.credentials, func(context.Context, askedKey, bool) (wire.SigningKey, error) { asked++; return answer, fails })
	k.now = func() time.Time { return now }
	for i, row := range []struct {
		passes time.Duration
		answer wire.SigningKey
		fails  error
		reason credential.Reason
		asked  int
	}{
		{0, answer, nil, credential.Known, 1},
		{keyAge - 1, wire.SigningKey{}, nil, credential.Known, 1},
		{1, answer, errors.New("none"), credential.Known, 2},
		{keyRetry - 1, answer, errors.New("none"), credential.Known, 2},
		{1, answer, errors.New("none"), credential.Known, 3},
		{keyOld, answer, errors.New("none"), credential.Unreached, 4},
		{keyRetry, wire.SigningKey{Over: true}, nil, credential.ExpiredOne, 5},
		{keyAge, wire.SigningKey{}, nil, credential.Unknown, 6},
	} {
		now, answer, fails = now.Add(row.passes), row.answer, row.fails
		if _, _, reason := k.Find("A", "", today, "us-east-1", "lambda"); reason != row.reason || asked != row.asked {
			t.Errorf("step %d: %v after %d questions, want %v after %d", i, reason, asked, row.reason, row.asked)
		}
	}
	if k.Unguessable("A", "", today, "us-east-1", "lambda") || k.Unguessable("B", "", today, "us-east-1", "lambda") || asked != 6 {
		t.Error("a key that nobody knows is worth a look")
	}
	// What strangers invent costs no question where it cannot be right, is not worth reading, and does not push out what is known.
	answer, fails, asked = wire.SigningKey{Key: make([]byte, 32)}, nil, 0
	now = now.Add(keyAge)
	if !k.Known("A", "", today, "us-east-1", "lambda") || asked != 1 {
		t.Fatal("a key that is known again")
	}
	answer = wire.SigningKey{}
	for i := range maxAsked + 1 {
		if k.Known(strings.Repeat("x", i), "", today, "", "") {
			t.Fatal("an invented key is known")
		}
	}
	if n := len(k.known); n > maxAsked {
		t.Errorf("%d answers are remembered", n)
	}
	asked, fails = 0, errors.New("none")
	for _, day := range []string{"", "99999999", "20011130", "29991130", "x"} {
		if _, _, reason := k.Find("C", "", day, "us-east-1", "lambda"); reason != credential.Unknown || k.Known("C", "", day, "us-east-1", "lambda") || asked != 0 {
			t.Errorf("of the day %q: %v after %d questions", day, reason, asked)
		}
	}
	now = now.Add(keyAge)
	if _, _, reason := k.Find("C", "", today, "us-east-1", "lambda"); reason != credential.Unreached || k.Known("C", "", today, "us-east-1", "lambda") {
		t.Errorf("a key of which nothing is known, while nobody answers: %v, and its body is read", reason)
	}
	if !k.Known("A", "", today, "us-east-1", "lambda") {
		t.Error("a key that is known is pushed out by inventions")
	}
	now = now.Add(keyOld)
	if _, _, reason := k.Find("A", "", today, "us-east-1", "lambda"); reason != credential.Unreached || !k.Known("A", "", today, "us-east-1", "lambda") {
		t.Errorf("a key that was known, while nobody answers: %v", reason)
	}
}
