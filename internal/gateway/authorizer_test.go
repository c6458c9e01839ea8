package gateway

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/schema"
)

// alone is a service with one API and no store, so that it may live in a bubble.
func alone(t *testing.T, f Functions, a API) *Service {
	t.Helper()
	if err := check(&a); err != nil {
		t.Fatal(err)
	}
	l, err := newLive(scope, a)
	if err != nil {
		t.Fatal(err)
	}
	return &Service{opts: Options{Functions: f, Endpoint: func() string { return "" }, Now: time.Now, Logger: slog.New(slog.DiscardHandler)}, byID: map[string]*live{"one": l}}
}

func get(s *Service, path, name, value string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if name != "" {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// gates counts how often an authorizer is asked, and lets everyone through.
type gates struct {
	mu    sync.Mutex
	asked int
}

func (g *gates) Invoke(_ context.Context, _ schema.Scope, c Call) ([]byte, bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.Function != "gate" {
		return []byte(`{"statusCode":200}`), false, nil
	}
	g.asked++
	return []byte(`{"isAuthorized":true}`), false, nil
}

func (g *gates) URL(string) (FunctionURL, bool) { return FunctionURL{}, false }
func (g *gates) Sole() (FunctionURL, bool)      { return FunctionURL{}, false }

// An answer counts as long as it is said to, for the identity that it is about, and a bounded
// number of them is remembered.
func TestAnswersAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gates{}
		s := alone(t, g, API{Name: "one", Authorizers: []Authorizer{
			{Name: "a", Kind: "request", Function: "gate", Simple: true, Identity: []string{"$request.header.Who"}, TTLSeconds: 10},
			{Name: "never", Kind: "request", Function: "gate", Simple: true, Identity: []string{"$request.header.Who"}},
		}, Routes: []Route{{Path: "/", Function: "f", Authorizer: "a"}, {Path: "/never", Function: "f", Authorizer: "never"}}})
		expect := func(path, who string, want int) {
			t.Helper()
			if w := get(s, path, "Who", who); w.Code != 200 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if g.asked != want {
				t.Fatalf("asked %d times, not %d", g.asked, want)
			}
		}
		expect("/", "you", 1)
		expect("/", "you", 1)
		expect("/", "me", 2)
		time.Sleep(10*time.Second - time.Nanosecond)
		expect("/", "you", 2)
		time.Sleep(time.Nanosecond)
		expect("/", "you", 3)
		expect("/never", "you", 4)
		expect("/never", "you", 5)
		for i := range 2 * maxAnswers {
			expect("/", fmt.Sprint(i), 6+i)
			if n := len(s.byID["one"].authorizers["a"].answers); n > maxAnswers {
				t.Fatalf("%d answers are kept", n)
			}
		}
	})
}

// An answer as long as AWS refuses it is refused, and not kept.
func TestLongAnswerOfAnAuthorizer(t *testing.T) {
	s := alone(t, &fake{answer: `{"isAuthorized":true,"context":{"x":"` + strings.Repeat("x", maxAnswer) + `"}}`}, API{Name: "one",
		Authorizers: []Authorizer{{Name: "a", Kind: "request", Function: "gate", Simple: true, Identity: []string{"$request.header.Who"}, TTLSeconds: 10}},
		Routes:      []Route{{Path: "/", Function: "f", Authorizer: "a"}}})
	if w := get(s, "/", "Who", "you"); w.Code != 500 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

// issuer signs tokens and shows its keys.
type issuer struct {
	*httptest.Server
	key *rsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case discoveryEnd:
			fmt.Fprintf(w, `{"issuer": %q, "jwks_uri": %q}`, i.URL, i.URL+"/keys")
		default:
			n, e := base64.RawURLEncoding.EncodeToString(key.N.Bytes()), base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes())
			fmt.Fprintf(w, `{"keys": [{"kty": "EC", "kid": "ec", "crv": "P-256", "x": "", "y": ""}, {"kty": "RSA", "use": "enc", "kid": "enc", "n": %q, "e": %q}, {"kty": "RSA", "use": "sig", "kid": "k1", "n": %q, "e": %q}]}`, n, e, n, e)
		}
	}))
	t.Cleanup(i.Close)
	return i
}

func encoded(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func (i *issuer) sign(t *testing.T, head, claims object) string {
	t.Helper()
	signed := encoded(head) + "." + encoded(claims)
	h := crypto.SHA256.New()
	io.WriteString(h, signed)
	sig, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, h.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// told keeps the event of the function behind a route.
type told struct {
	fake
	event object
}

func (f *told) Invoke(_ context.Context, _ schema.Scope, c Call) ([]byte, bool, error) {
	f.event = object{}
	return []byte(`{"statusCode":200}`), false, json.Unmarshal(c.Event, &f.event)
}

func TestJWT(t *testing.T) {
	i := newIssuer(t)
	f := &told{}
	s := alone(t, f, API{Name: "one", Authorizers: []Authorizer{{Name: "jwt", Kind: "jwt", Issuer: i.URL, Audience: []string{"app", "other"}}},
		Routes: []Route{{Path: "/", Function: "f", Authorizer: "jwt"}, {Path: "/old", Function: "f", Payload: "1.0", Authorizer: "jwt"},
			{Path: "/write", Function: "f", Authorizer: "jwt", Scopes: []string{"write", "admin"}}}})
	now := time.Now().Unix()
	head := object{"alg": "RS256", "kid": "k1", "typ": "JWT"}
	good := func(change object) object {
		claims := object{"iss": i.URL, "aud": "app", "exp": now + 3600, "iat": now - 10, "sub": "you", "groups": []any{"a", "b"}, "ok": true, "scope": "read write"}
		for name, value := range change {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
		return claims
	}
	swapped := func(text string, part int, with string) string {
		parts := strings.Split(text, ".")
		parts[part] = with
		return strings.Join(parts, ".")
	}
	token := i.sign(t, head, good(nil))
	for _, c := range []struct {
		what, path, header string
		code               int
		challenge          string
	}{
		{"good", "/", "Bearer " + token, 200, ""},
		{"without the word Bearer", "/", token, 200, ""},
		{"in another case", "/", "bearer " + token, 200, ""},
		{"scope", "/write", token, 200, ""},
		{"scopes of scp", "/write", i.sign(t, head, good(object{"scope": nil, "scp": []string{"x", "admin"}})), 200, ""},
		{"an audience of several", "/", i.sign(t, head, good(object{"aud": []string{"x", "other"}})), 200, ""},
		{"client_id in place of an audience", "/", i.sign(t, head, good(object{"aud": nil, "client_id": "app"})), 200, ""},
		{"no token", "/", "", 401, `Bearer`},
		{"no scope", "/write", i.sign(t, head, good(object{"scope": "read"})), 403, `Bearer scope="write admin" error="insufficient_scope" error_description="Request does not include any of the required scopes"`},
		{"no JWT", "/", "Bearer x", 401, `Bearer scope="" error="invalid_token" error_description="the token is not valid"`},
		{"other claims", "/", swapped(token, 1, encoded(good(object{"sub": "me"}))), 401, `the token is not valid`},
		{"no signature", "/", swapped(token, 2, ""), 401, `the token is not valid`},
		{"algorithm none", "/", encoded(object{"alg": "none", "kid": "k1"}) + "." + encoded(good(nil)) + ".", 401, `the token is not valid`},
		{"an HMAC by the public key", "/", i.sign(t, object{"alg": "HS256", "kid": "k1"}, good(nil)), 401, `the token is not valid`},
		{"another hash than was signed", "/", i.sign(t, object{"alg": "RS512", "kid": "k1"}, good(nil)), 401, `the token is not valid`},
		{"what must be understood", "/", i.sign(t, object{"alg": "RS256", "kid": "k1", "crit": []string{"b64"}}, good(nil)), 401, `the token is not valid`},
		{"another key", "/", i.sign(t, object{"alg": "RS256", "kid": "k2"}, good(nil)), 401, `signing key of the token not found`},
		{"a key for something else", "/", i.sign(t, object{"alg": "RS256", "kid": "enc"}, good(nil)), 401, `signing key of the token not found`},
		{"another issuer", "/", i.sign(t, head, good(object{"iss": i.URL + "/"})), 401, `invalid issuer`},
		{"another audience", "/", i.sign(t, head, good(object{"aud": "x"})), 401, `invalid audience`},
		{"an audience before client_id", "/", i.sign(t, head, good(object{"aud": "x", "client_id": "app"})), 401, `invalid audience`},
		{"expired", "/", i.sign(t, head, good(object{"exp": now - 1})), 401, `the token has expired`},
		{"without an end", "/", i.sign(t, head, good(object{"exp": nil})), 401, `the token has expired`},
		{"an end that is none", "/", i.sign(t, head, good(object{"exp": "never"})), 401, `the token has expired`},
		{"not yet", "/", i.sign(t, head, good(object{"nbf": now + 1000})), 401, `the token is not valid yet`},
		{"of later", "/", i.sign(t, head, good(object{"iat": now + 1000})), 401, `the token is not valid yet`},
	} {
		name := "Authorization"
		if c.header == "" {
			name = ""
		}
		w := get(s, c.path, name, c.header)
		if w.Code != c.code || !strings.Contains(w.Header().Get("WWW-Authenticate"), c.challenge) {
			t.Errorf("%s: %d %s, challenge %q", c.what, w.Code, w.Body, w.Header().Get("WWW-Authenticate"))
		}
	}
	claims := `{"aud":"app","exp":"` + fmt.Sprint(now+3600) + `","groups":"[a b]","iat":"` + fmt.Sprint(now-10) + `","iss":"` + i.URL + `","ok":"true","scope":"read write","sub":"you"}`
	for _, c := range []struct{ path, want string }{
		{"/", `{"jwt":{"claims":` + claims + `,"scopes":null}}`},
		{"/write", `{"jwt":{"claims":` + claims + `,"scopes":["read","write"]}}`},
		{"/old", `{"claims":` + claims + `,"scopes":null}`},
	} {
		get(s, c.path, "Authorization", token)
		if got, _ := json.Marshal(f.event["requestContext"].(object)["authorizer"]); string(got) != c.want {
			t.Errorf("%s: the function is told %s, not %s", c.path, got, c.want)
		}
	}
}

// Keys are read again for one that is not among them, but not each time, and an issuer that does
// not answer spoils no key that is known.
func TestKeysAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read, kid, down := 0, "k1", false
		k := &keySet{load: func(context.Context, string) (map[string]*rsa.PublicKey, error) {
			if read++; down {
				return nil, errors.New("down")
			}
			return map[string]*rsa.PublicKey{kid: {}}, nil
		}}
		expect := func(id string, found, fails bool, times int) {
			t.Helper()
			key, err := k.find(t.Context(), id)
			if found != (key != nil) || fails != (err != nil) || read != times {
				t.Fatalf("%s: found %v, error %v, read %d times", id, key != nil, err, read)
			}
		}
		expect("k1", true, false, 1)
		kid = "k2"
		expect("k2", false, false, 1) // a moment ago
		time.Sleep(keysAgain)
		expect("k1", true, false, 1)
		expect("k2", true, false, 2)
		down = true
		time.Sleep(keysAgain)
		expect("k3", false, true, 3)
		expect("k3", false, true, 3)
		expect("k2", true, false, 3)
		time.Sleep(keysKept)
		expect("k2", false, true, 4)
		expect("k2", false, true, 4)
		down = false
		time.Sleep(keysAgain)
		expect("k2", true, false, 5)
	})
}

// Who has a key that is known does not wait while others are read.
func TestKnownKeysDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		k := &keySet{load: func(ctx context.Context, _ string) (map[string]*rsa.PublicKey, error) {
			if first {
				first = false
				return map[string]*rsa.PublicKey{"k1": {}}, nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		find := func(id string) error {
			_, err := k.find(t.Context(), id)
			return err
		}
		if err := find("k1"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(keysAgain)
		began := time.Now()
		slow := make(chan error)
		go func() { slow <- find("k2") }()
		synctest.Wait()
		if err := find("k1"); err != nil || time.Since(began) != 0 {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		if err := <-slow; err == nil || time.Since(began) != keysTimeout {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
	})
}

// FuzzToken: nothing that calls itself a token does harm.
func FuzzToken(f *testing.F) {
	for _, seed := range []string{"", "a.b.c", encoded(object{"alg": "RS256", "kid": "k"}) + "." + encoded(object{"aud": []string{"a"}, "exp": 1e300, "iss": nil}) + ".", encoded(object{"alg": "RS256"}) + ".bnVsbA."} {
		f.Add(seed)
	}
	a, err := newAuthorizer(&Authorizer{Name: "a", Kind: "jwt", Issuer: "https://a.example", Audience: []string{"a"}}, kindHTTP)
	if err != nil {
		f.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := readToken(text)
		if err != nil {
			return
		}
		if token.isBy(&key.PublicKey) {
			t.Fatal(errors.New("a key that nobody has signed with has signed it"))
		}
		token.wrong(a, time.Unix(0, 0))
		token.scopes()
		for _, raw := range token.claims {
			claimText(raw)
		}
	})
}
