package gateway

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Kinds of authorizer. Token and request ones are functions.
const (
	kindToken   = "token"
	kindRequest = "request"
	kindJWT     = "jwt"
)

const (
	maxAuthorizers = 10
	maxTTL         = 3600 // seconds, as on AWS
	maxAnswers     = 1000 // that are remembered of one authorizer
	maxIdentity    = 8 << 10
	maxAnswer      = 8 << 10 // bytes of what a function says, as on AWS
)

// authorizer is an authorizer ready to be asked. Its answers are remembered as long as its API
// is not put again.
type authorizer struct {
	*Authorizer
	pattern *regexp.Regexp // of a token; nil: any
	sources []identity
	keys    *keySet // of a JWT authorizer

	mu      sync.Mutex           // guards answers
	answers map[[32]byte]verdict // by the identity that they are about: its sum, so that no token is kept
}

// verdict is what an authorizer has said.
type verdict struct {
	policy    *policy // nil: allowed says it
	allowed   bool
	principal string
	context   object // what the function behind the route is told
	until     time.Time
}

// newAuthorizer compiles an authorizer of an API.
func newAuthorizer(a *Authorizer, kind string) (*authorizer, error) {
	c := &authorizer{Authorizer: a, answers: map[[32]byte]verdict{}}
	bad := func(format string, args ...any) (*authorizer, error) {
		return nil, refuse("authorizer "+a.Name+": "+format, args...)
	}
	if a.Name == "" || len(a.Name) > maxName {
		return nil, refuse("an authorizer's name has 1 to %d characters", maxName)
	}
	switch a.Kind {
	case kindToken:
		if kind != kindREST {
			return bad("kind token is for REST APIs")
		}
		if len(a.Identity) == 0 {
			a.Identity = []string{"method.request.header.Authorization"}
		}
		if a.Pattern != "" {
			var err error
			if c.pattern, err = regexp.Compile("^(?:" + a.Pattern + ")$"); err != nil {
				return bad("the pattern of its tokens: %v", err)
			}
		}
	case kindRequest:
		a.Payload = cmp.Or(a.Payload, map[string]string{kindREST: "1.0", kindHTTP: "2.0"}[kind])
		switch {
		case a.Payload != "1.0" && a.Payload != "2.0" || kind == kindREST && a.Payload != "1.0":
			return bad("payload format %q: want 1.0 or 2.0, and 1.0 for a REST API", a.Payload)
		case a.Simple && a.Payload != "2.0":
			return bad("simple answers are of payload format 2.0")
		case a.TTLSeconds > 0 && len(a.Identity) == 0:
			return bad("answers are remembered by what identifies a caller: name where it is, or give a time of 0")
		}
	case kindJWT:
		if kind != kindHTTP {
			return bad("kind jwt is for HTTP APIs")
		}
		if len(a.Identity) == 0 {
			a.Identity = []string{"$request.header.Authorization"}
		}
		if !strings.HasPrefix(a.Issuer, "http://") && !strings.HasPrefix(a.Issuer, "https://") {
			return bad("issuer %q: want the http(s) URL where its keys are found", a.Issuer)
		}
		if len(a.Audience) == 0 {
			return bad("it has no audience")
		}
		c.keys = &keySet{issuer: a.Issuer, load: readKeys}
	default:
		return bad("kind %q: want token, request or jwt", a.Kind)
	}
	if a.Kind != kindJWT && a.Function == "" {
		return bad("it leads to no function")
	}
	if a.Kind != kindRequest && len(a.Identity) > 1 {
		return bad("a token is in one place, and it names %d", len(a.Identity))
	}
	if a.TTLSeconds < 0 || a.TTLSeconds > maxTTL {
		return bad("answers are remembered for 0 to %d seconds", maxTTL)
	}
	for _, text := range a.Identity {
		source, ok := identityOf(text)
		if !ok {
			return bad("identity %q: want method.request.header.NAME and the like for a REST API, $request.header.NAME for an HTTP API", text)
		}
		c.sources = append(c.sources, source)
	}
	return c, nil
}

// identity is a place of a request from which an authorizer takes who calls.
type identity struct{ place, name string }

// identityOf reads one in the words of either kind of API.
func identityOf(text string) (i identity, ok bool) {
	for begin, place := range map[string]string{
		"method.request.header.": "header", "$request.header.": "header", "method.request.querystring.": "query", "$request.querystring.": "query",
		"stageVariables.": "variable", "$stageVariables.": "variable", "context.": "context", "$context.": "context",
	} {
		if name, found := strings.CutPrefix(text, begin); found && name != "" {
			return identity{place, name}, true
		}
	}
	return identity{}, false
}

// of is the identity's value in a request; empty: it is not there.
func (i identity) of(q *request) string {
	switch i.place {
	case "header":
		return strings.Join(q.http.Header.Values(i.name), ",")
	case "query":
		return strings.Join(queryOf(q.http.URL.RawQuery)[i.name], ",")
	case "variable":
		return q.vars[i.name]
	}
	return map[string]string{
		"routeKey": q.route, "httpMethod": q.http.Method, "path": q.base + decoded(q.raw), "resourcePath": q.path, "stage": q.stage, "apiId": q.apiID,
		"accountId": q.scope.Account, "identity.sourceIp": q.sourceIP(), "identity.userAgent": q.http.UserAgent(), "domainName": q.host(),
	}[i.name]
}

// denial is why a request is not let through; header is the challenge of an HTTP API.
type denial struct {
	trouble trouble
	header  string
}

// authorize asks the authorizer of a route. q.authorizer is what its function is told.
func (s *Service) authorize(q *request, l *live, route *compiled) *denial {
	a := l.authorizers[route.Authorizer]
	if a.Kind == kindJWT {
		return s.authorizeJWT(q, a, route.Scopes)
	}
	var who []string
	for _, source := range a.sources {
		value := source.of(q)
		if value == "" || len(value) > maxIdentity {
			return &denial{trouble: unauthorized}
		}
		who = append(who, value)
	}
	if a.pattern != nil && !a.pattern.MatchString(who[0]) {
		return &denial{trouble: unauthorized}
	}
	arn := methodARN(q)
	key := identityKey(who)
	v, known := a.remembered(key)
	if !known {
		var t trouble
		var ok bool
		began := time.Now()
		if v, t, ok = s.ask(q, a, who, arn); !ok {
			return &denial{trouble: t}
		}
		q.authorizerMS = time.Since(began).Milliseconds()
		a.remember(key, v)
	}
	if v.policy != nil {
		allowed, explicit := v.policy.allows(arn)
		switch {
		case !allowed && explicit:
			return &denial{trouble: denied}
		case !allowed:
			return &denial{trouble: notAllowed}
		}
	} else if !v.allowed {
		return &denial{trouble: notAllowed}
	}
	q.principal, q.authorizer, q.authorized = v.principal, v.context, a.Kind
	return nil
}

// identityKey is under what the answer for a caller is remembered. No two callers share one, whatever characters their values have.
func identityKey(who []string) [32]byte {
	var b []byte
	for _, value := range who {
		b = binary.AppendUvarint(b, uint64(len(value)))
		b = append(b, value...)
	}
	return sha256.Sum256(b)
}

// methodARN is what an authorizer's policy allows or denies: the path as routes see it, so that no other spelling of it is another
// resource.
func methodARN(q *request) string {
	parts := split(q.raw)
	for i := range parts {
		parts[i] = decoded(parts[i])
	}
	return q.scope.ARN("execute-api", q.apiID+"/"+q.stage+"/"+strings.ToUpper(q.http.Method)+"/"+strings.Trim(strings.Join(parts, "/"), "/"))
}

// remembered is an answer that still counts. Its time is measured by the monotonic clock.
func (a *authorizer) remembered(key [32]byte) (v verdict, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	v, ok = a.answers[key]
	return v, ok && time.Now().Before(v.until)
}

func (a *authorizer) remember(key [32]byte, v verdict) {
	if a.TTLSeconds == 0 {
		return
	}
	v.until = time.Now().Add(time.Duration(a.TTLSeconds) * time.Second)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.answers) >= maxAnswers { // rare: who calls is asked for again
		clear(a.answers)
	}
	a.answers[key] = v
}

// authorizerTimeout is how long a function may take to authorize.
const authorizerTimeout = 30 * time.Second

// ask calls the function of an authorizer.
func (s *Service) ask(q *request, a *authorizer, who []string, arn string) (v verdict, t trouble, ok bool) {
	event, err := a.event(q, who, arn)
	if err != nil {
		return v, authorizerFailed, false
	}
	limit := authorizerTimeout
	if s.opts.Patient {
		limit = 24 * time.Hour
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(q.http.Context()), limit)
	defer cancel()
	answer, broken, err := s.opts.Functions.Invoke(ctx, q.scope, Call{Function: a.Function, Event: event, Trace: q.http.Header.Get("X-Amzn-Trace-Id")})
	if err == nil && broken {
		var e struct{ ErrorMessage string }
		if json.Unmarshal(answer, &e) == nil && e.ErrorMessage == "Unauthorized" {
			return v, unauthorized, false
		}
		err = errors.New("it has failed")
	}
	if err == nil && len(answer) > maxAnswer {
		err = fmt.Errorf("its answer has %d bytes, and may have %d", len(answer), maxAnswer)
	}
	if err == nil {
		v, err = a.read(answer)
	}
	if err != nil {
		s.opts.Logger.Warn("an authorizer could not say who may call", "authorizer", a.Name, "function", a.Function, "error", err)
		return v, authorizerFailed, false
	}
	return v, 0, true
}

// event is what the function of an authorizer is called with.
func (a *authorizer) event(q *request, who []string, arn string) ([]byte, error) {
	if a.Kind == kindToken {
		return render(object{"type": "TOKEN", "authorizationToken": who[0], "methodArn": arn})
	}
	var body []byte
	var err error
	if a.Payload == "2.0" {
		body, err = q.event20(q.scope.Account)
	} else {
		body, err = q.event10(q.httpAPI)
	}
	if err != nil {
		return nil, err
	}
	var e object
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, err
	}
	delete(e, "body") // which is not read yet
	delete(e, "isBase64Encoded")
	e["type"] = "REQUEST"
	switch {
	case a.Payload == "2.0":
		e["routeArn"], e["identitySource"] = arn, who
	case q.httpAPI:
		e["methodArn"], e["identitySource"], e["authorizationToken"] = arn, strings.Join(who, ","), strings.Join(who, ",")
	default:
		e["methodArn"] = arn
	}
	return render(e)
}

// read reads an authorizer's answer.
func (a *authorizer) read(answer []byte) (v verdict, err error) {
	var d struct {
		IsAuthorized   *bool                      `json:"isAuthorized"`
		PrincipalID    scalarText                 `json:"principalId"`
		PolicyDocument json.RawMessage            `json:"policyDocument"`
		Context        map[string]json.RawMessage `json:"context"`
	}
	if err := json.Unmarshal(answer, &d); err != nil {
		return v, fmt.Errorf("its answer could not be read: %w", err)
	}
	v.principal, v.context = string(d.PrincipalID), object{}
	for name, raw := range d.Context {
		if a.Payload != "2.0" { // texts, numbers and booleans, which become texts
			var text scalarText
			if err := json.Unmarshal(raw, &text); err != nil {
				return v, fmt.Errorf("context.%s is no text, number or boolean", name)
			}
			v.context[name] = string(text)
			continue
		}
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			return v, err
		}
		v.context[name] = value
	}
	if a.Simple {
		if d.IsAuthorized == nil {
			return v, errors.New("its answer has no isAuthorized")
		}
		v.allowed = *d.IsAuthorized
		return v, nil
	}
	if d.PolicyDocument == nil || a.Payload != "2.0" && v.principal == "" {
		return v, errors.New("its answer has no principalId or no policyDocument")
	}
	v.policy, err = readPolicy(d.PolicyDocument)
	return v, err
}

// authorizerContext is requestContext.authorizer of an event; nil: there was no authorizer.
func (q *request) authorizerContext(payload string) object {
	switch {
	case q.authorized == "":
		return nil
	case q.authorized == kindJWT && payload == "2.0":
		return object{"jwt": q.authorizer}
	case q.authorized == kindJWT:
		return q.authorizer
	case payload == "2.0":
		return object{"lambda": q.authorizer}
	}
	all := object{}
	for name, value := range q.authorizer {
		all[name] = value
	}
	if q.principal != "" {
		all["principalId"] = q.principal
	}
	if !q.httpAPI {
		all["integrationLatency"] = q.authorizerMS
	}
	return all
}

// policy is an IAM policy as far as an authorizer's says which methods may be called.
type policy struct {
	statements []statement
}

type statement struct {
	allow     bool
	resources []string
}

// readPolicy reads a policy of an authorizer.
func readPolicy(raw json.RawMessage) (*policy, error) {
	var d struct {
		Statement json.RawMessage
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, fmt.Errorf("its policyDocument could not be read: %w", err)
	}
	type written struct {
		Effect           string
		Action, Resource texts

		Condition, NotAction, NotResource json.RawMessage
	}
	var all []written
	if err := json.Unmarshal(d.Statement, &all); err != nil {
		all = make([]written, 1)
		if json.Unmarshal(d.Statement, &all[0]) != nil {
			return nil, errors.New("its policyDocument has no Statement")
		}
	}
	p := &policy{}
	for _, s := range all {
		if s.Effect != "Allow" && s.Effect != "Deny" {
			return nil, fmt.Errorf("its policyDocument has the Effect %q", s.Effect)
		}
		if s.Condition != nil || s.NotAction != nil || s.NotResource != nil || len(s.Resource) == 0 {
			return nil, errors.New("its policyDocument has a statement with Condition, NotAction or NotResource, or without Resource, which Millstream does not evaluate")
		}
		if slices.ContainsFunc(s.Action, func(a string) bool { return wild(strings.ToLower(a), "execute-api:invoke") }) {
			p.statements = append(p.statements, statement{s.Effect == "Allow", s.Resource})
		}
	}
	return p, nil
}

// texts is a text or a list of them.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(t))
	}
	var one string
	err := json.Unmarshal(b, &one)
	*t = texts{one}
	return err
}

// allows reports whether a method may be called; explicit: a statement denies it.
func (p *policy) allows(arn string) (allowed, explicit bool) {
	for _, s := range p.statements {
		if !slices.ContainsFunc(s.resources, func(r string) bool { return wild(r, arn) }) {
			continue
		}
		if !s.allow {
			return false, true
		}
		allowed = true
	}
	return allowed, false
}

// wild matches a text with a pattern in which * is any characters and ? is one. It takes time
// proportional to the product of the lengths at worst.
func wild(pattern, text string) bool {
	star, from := -1, 0
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p, t = p+1, t+1
		case star >= 0:
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
