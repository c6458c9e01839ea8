package gateway

import (
	"context"
	"crypto"
	"crypto/rsa"
	_ "crypto/sha256" // RS256
	_ "crypto/sha512" // RS384 and RS512
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// algorithms are those of AWS, which takes RSA's alone (developer guide, "Control access to HTTP
// APIs with JWT authorizers"). The standard library verifies them: a library for all of JOSE
// would weigh more than the rest of this room.
var algorithms = map[string]crypto.Hash{"RS256": crypto.SHA256, "RS384": crypto.SHA384, "RS512": crypto.SHA512}

// token is a JWT in its compact form, taken apart and not verified.
type token struct {
	hash   crypto.Hash
	key    string // kid: which key has signed it
	signed string // what the signature is of
	sig    []byte
	claims map[string]json.RawMessage
}

// readToken takes a JWT apart.
func readToken(text string) (*token, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, errors.New("a JWT has three parts")
	}
	var raw [3][]byte
	for i, part := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return nil, err
		}
	}
	var head struct {
		Alg, Kid string
		Crit     []string
	}
	t := &token{signed: parts[0] + "." + parts[1], sig: raw[2]}
	if err := json.Unmarshal(raw[0], &head); err != nil {
		return nil, err
	}
	var known bool
	if t.hash, known = algorithms[head.Alg]; !known || len(head.Crit) > 0 {
		return nil, fmt.Errorf("algorithm %q", head.Alg)
	}
	t.key = head.Kid
	if err := json.Unmarshal(raw[1], &t.claims); err != nil || t.claims == nil {
		return nil, errors.New("the claims are no object")
	}
	return t, nil
}

// isBy reports whether a key has signed the token.
func (t *token) isBy(key *rsa.PublicKey) bool {
	h := t.hash.New()
	h.Write([]byte(t.signed))
	return rsa.VerifyPKCS1v15(key, t.hash, h.Sum(nil), t.sig) == nil
}

// text is a claim that is a text; empty: another kind, or none.
func (t *token) text(name string) (text string) {
	_ = json.Unmarshal(t.claims[name], &text) // another kind, or none: empty
	return text
}

// list is a claim that is a list of texts, or one text; nil: another kind, or none.
func (t *token) list(name string) (all []string) {
	if json.Unmarshal(t.claims[name], &all) == nil && all != nil {
		return all
	}
	if text := t.text(name); text != "" {
		return []string{text}
	}
	return nil
}

// time is a claim of a time, in seconds since 1970.
func (t *token) time(name string) (at time.Time, there, ok bool) {
	raw, there := t.claims[name]
	if !there {
		return at, false, true
	}
	var seconds float64
	if string(raw) == "null" || json.Unmarshal(raw, &seconds) != nil || seconds < 0 || seconds > 1e11 {
		return at, true, false
	}
	return time.UnixMilli(int64(seconds * 1000)), true, true
}

// wrong tells why a token with a good signature does not count; empty: it does.
func (t *token) wrong(a *authorizer, now time.Time) string {
	audience, name := t.list("aud"), "aud"
	if t.claims[name] == nil { // client_id counts only in its place
		audience = t.list("client_id")
	}
	if t.text("iss") != a.Issuer {
		return "invalid issuer"
	}
	if !slices.ContainsFunc(audience, func(one string) bool { return slices.Contains(a.Audience, one) }) {
		return "invalid audience"
	}
	if expires, there, ok := t.time("exp"); !ok || !there || !now.Before(expires) {
		return "the token has expired"
	}
	for _, name := range []string{"nbf", "iat"} {
		if from, there, ok := t.time(name); !ok || there && now.Before(from) {
			return "the token is not valid yet"
		}
	}
	return ""
}

// scopes are what the token grants.
func (t *token) scopes() (all []string) {
	for _, name := range []string{"scope", "scp"} {
		for _, one := range t.list(name) {
			all = append(all, strings.Fields(one)...)
		}
		if all != nil {
			return all
		}
	}
	return nil
}

// authorizeJWT looks at a token that an issuer has signed.
func (s *Service) authorizeJWT(q *request, a *authorizer, scopes []string) *denial {
	text := a.sources[0].of(q)
	if text == "" {
		return &denial{unauthorized, "Bearer"}
	}
	if scheme, rest, ok := strings.Cut(text, " "); ok && strings.EqualFold(scheme, "Bearer") {
		text = strings.TrimSpace(rest)
	}
	refused := func(t trouble, code, why string) *denial {
		return &denial{t, fmt.Sprintf(`Bearer scope="%s" error="%s" error_description="%s"`, strings.Join(scopes, " "), code, why)}
	}
	invalid := func(why string) *denial { return refused(unauthorized, "invalid_token", why) }
	if len(text) > maxIdentity {
		return invalid("the token is too long")
	}
	t, err := readToken(text)
	if err != nil {
		return invalid("the token is not valid")
	}
	now := s.opts.Now()
	key, err := a.keys.find(q.http.Context(), t.key)
	if err != nil {
		s.opts.Logger.Warn("the keys of an issuer could not be read", "authorizer", a.Name, "issuer", a.Issuer, "error", err)
		return invalid("OIDC discovery endpoint communication error")
	}
	if key == nil {
		return invalid("signing key of the token not found")
	}
	if !t.isBy(key) {
		return invalid("the token is not valid")
	}
	if why := t.wrong(a, now); why != "" {
		return invalid(why)
	}
	granted := t.scopes()
	if len(scopes) > 0 && !slices.ContainsFunc(scopes, func(one string) bool { return slices.Contains(granted, one) }) {
		return refused(notAllowed, "insufficient_scope", "Request does not include any of the required scopes")
	}
	claims := object{}
	for name, raw := range t.claims {
		claims[name] = claimText(raw)
	}
	q.authorized, q.authorizer = kindJWT, object{"claims": claims, "scopes": nil}
	if len(scopes) > 0 {
		q.authorizer["scopes"] = granted
	}
	return nil
}

// claimText is a claim as a function is told it: everything is a text there, and a list is
// written as [a b].
func claimText(raw json.RawMessage) string {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil && list != nil {
		parts := make([]string, len(list))
		for i, one := range list {
			parts[i] = claimText(one)
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	var text string
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// keySet are the keys of an issuer, read when they are needed. It measures their age by the
// monotonic clock.
type keySet struct {
	issuer string
	load   func(ctx context.Context, issuer string) (map[string]*rsa.PublicKey, error) // readKeys, but in tests

	reading sync.Mutex // held while they are read; taken before mu

	mu    sync.Mutex // guards the following
	keys  map[string]*rsa.PublicKey
	read  time.Time // when they were read
	tried time.Time // when they were read, or could not be
	err   error     // of that
}

const (
	keysKept     = 2 * time.Hour    // as on AWS
	keysAgain    = 10 * time.Second // after which they are read again for a key that is not among them
	keysTimeout  = 5 * time.Second
	maxKeys      = 256 << 10 // bytes of a document
	discoveryEnd = "/.well-known/openid-configuration"
)

// find returns the key of an id; nil: the issuer has none. A reading that hangs keeps none waiting
// whose key is known.
func (k *keySet) find(ctx context.Context, id string) (*rsa.PublicKey, error) {
	if key, err, known := k.known(id); known {
		return key, err
	}
	k.reading.Lock()
	defer k.reading.Unlock()
	if key, err, known := k.known(id); known { // another has read them meanwhile
		return key, err
	}
	// Who leaves does not spoil it for those who wait.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
	defer cancel()
	keys, err := k.load(ctx, k.issuer)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried, k.err = time.Now(), err
	if err != nil {
		return nil, err
	}
	k.keys, k.read = keys, k.tried
	return k.keys[id], nil
}

// known answers from what was read; known is false when that is too old to say.
func (k *keySet) known(id string) (key *rsa.PublicKey, err error, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key := k.keys[id]; key != nil && time.Since(k.read) < keysKept {
		return key, nil, true
	}
	return nil, k.err, !k.tried.IsZero() && time.Since(k.tried) < keysAgain
}

// readKeys reads an issuer's RSA keys by their ids.
func readKeys(ctx context.Context, issuer string) (map[string]*rsa.PublicKey, error) {
	var about struct {
		Keys string `json:"jwks_uri"`
	}
	if err := fetch(ctx, strings.TrimSuffix(issuer, "/")+discoveryEnd, &about); err != nil {
		return nil, err
	}
	var set struct {
		Keys []struct{ Kid, Kty, Use, N, E string }
	}
	if err := fetch(ctx, about.Keys, &set); err != nil {
		return nil, err
	}
	keys := map[string]*rsa.PublicKey{}
	for _, k := range set.Keys {
		n, badN := base64.RawURLEncoding.DecodeString(k.N)
		e, badE := base64.RawURLEncoding.DecodeString(k.E)
		if k.Kty != "RSA" || k.Use != "" && k.Use != "sig" || badN != nil || badE != nil || len(e) == 0 || len(e) > 4 || len(n) > 2048 {
			continue // of another use, or a kind that is not taken
		}
		keys[k.Kid] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	}
	return keys, nil
}

// fetch reads a JSON document.
func fetch(ctx context.Context, address string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	if r.URL.Scheme != "http" && r.URL.Scheme != "https" {
		return fmt.Errorf("%q is no http(s) URL", address)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeys))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	return nil
}
