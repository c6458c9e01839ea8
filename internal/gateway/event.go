package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/millstreamdb/millstream/internal/schema"
)

// request is one request on its way to a function.
type request struct {
	http   *http.Request
	id     string // of the request
	at     time.Time
	scope  schema.Scope
	apiID  string
	stage  string
	vars   map[string]string // of the stage
	route  string            // the key of a format 2.0 event: "GET /items/{id}"
	path   string            // of the resource, in format 1.0
	params map[string]string
	raw    string // path as it was sent, without what names the API and its stage
	base   string // what is left out of it that AWS shows: "/stage", or nothing
	body   []byte
	binary bool // the body is given in base64
	secure bool // it came by TLS

	httpAPI      bool   // it came to an HTTP API
	authorized   string // the kind of the authorizer that has let it through
	principal    string // who calls, as that says
	authorizer   object // what that says to the function
	authorizerMS int64  // how long it took
}

// clock is how API Gateway writes a time.
const clock = "02/Jan/2006:15:04:05 -0700"

func (q *request) sourceIP() string {
	host, _, err := net.SplitHostPort(q.http.RemoteAddr)
	if err != nil {
		return q.http.RemoteAddr
	}
	return host
}

// host returns the name that the request was sent to, without its port.
func (q *request) host() string {
	if name, _, err := net.SplitHostPort(q.http.Host); err == nil {
		return name
	}
	return q.http.Host
}

// headers are the request's, with those that AWS adds.
func (q *request) headers() http.Header {
	h := q.http.Header.Clone()
	h.Set("Host", q.http.Host)
	scheme, port := "http", "80"
	if q.secure {
		scheme, port = "https", "443"
	}
	if _, given, err := net.SplitHostPort(q.http.Host); err == nil {
		port = given
	}
	if h.Get("X-Forwarded-For") == "" {
		h.Set("X-Forwarded-For", q.sourceIP())
	}
	h.Set("X-Forwarded-Port", port)
	h.Set("X-Forwarded-Proto", scheme)
	return h
}

// text returns the body as an event carries it.
func (q *request) text() string {
	if q.binary {
		return base64.StdEncoding.EncodeToString(q.body)
	}
	return strings.ToValidUTF8(string(q.body), "\uFFFD")
}

// isText reports whether a body of this media type is given as text by HTTP APIs
// and function URLs. (A form is not: AWS gives it in base64.)
func isText(contentType string, body []byte) bool {
	if !utf8.Valid(body) {
		return false
	}
	kind, _, err := mime.ParseMediaType(contentType)
	if contentType == "" || err != nil {
		return true
	}
	switch kind {
	case "application/json", "application/javascript", "application/xml":
		return true
	}
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml")
}

// isBinary reports whether a media type is one of a REST API's binary ones.
func isBinary(types []string, contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = contentType
	}
	for _, t := range types {
		group, all := strings.CutSuffix(t, "/*")
		if t == "*/*" || strings.EqualFold(t, kind) || all && strings.HasPrefix(kind, group+"/") {
			return true
		}
	}
	return false
}

type object = map[string]any

// nullable is a value that is null when it is empty, as format 1.0 has it.
func nullable[V any](m map[string]V) any {
	if len(m) == 0 {
		return nil
	}
	return m
}

// event20 is the event of format 2.0. account is what requestContext calls it.
func (q *request) event20(account string) ([]byte, error) {
	headers, cookies := map[string]string{}, []string(nil)
	for name, values := range q.headers() {
		if name == "Cookie" {
			for _, line := range values {
				for _, c := range strings.Split(line, ";") {
					cookies = append(cookies, strings.TrimSpace(c))
				}
			}
			continue
		}
		headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	path := decoded(q.raw)
	host := q.host()
	prefix, _, _ := strings.Cut(host, ".")
	e := object{
		"version": "2.0", "routeKey": q.route, "rawPath": q.base + path, "rawQueryString": q.http.URL.RawQuery, "headers": headers,
		"isBase64Encoded": q.binary,
		"requestContext": object{
			"accountId": account, "apiId": q.apiID, "domainName": host, "domainPrefix": prefix, "requestId": q.id, "routeKey": q.route, "stage": q.stage,
			"time": q.at.UTC().Format(clock), "timeEpoch": q.at.UnixMilli(),
			"http": object{
				"method": q.http.Method, "path": q.base + path, "protocol": q.http.Proto, "sourceIp": q.sourceIP(), "userAgent": q.http.UserAgent(),
			},
		},
	}
	if a := q.authorizerContext("2.0"); a != nil {
		e["requestContext"].(object)["authorizer"] = a
	}
	if len(cookies) > 0 {
		e["cookies"] = cookies
	}
	if query := queryOf(q.http.URL.RawQuery); len(query) > 0 {
		joined := map[string]string{}
		for name, values := range query {
			joined[name] = strings.Join(values, ",")
		}
		e["queryStringParameters"] = joined
	}
	if len(q.params) > 0 {
		e["pathParameters"] = q.params
	}
	if len(q.vars) > 0 {
		e["stageVariables"] = q.vars
	}
	if len(q.body) > 0 {
		e["body"] = q.text()
	}
	return render(e)
}

// event10 is the event of format 1.0. An HTTP API adds its version.
func (q *request) event10(httpAPI bool) ([]byte, error) {
	single, multi := map[string]string{}, map[string][]string{}
	for name, values := range q.headers() {
		single[name], multi[name] = values[len(values)-1], values
	}
	query := queryOf(q.http.URL.RawQuery)
	last := map[string]string{}
	for name, values := range query {
		last[name] = values[len(values)-1]
	}
	path := q.raw
	host := q.host()
	prefix, _, _ := strings.Cut(host, ".")
	e := object{
		"resource": q.path, "path": decoded(path), "httpMethod": q.http.Method, "headers": single, "multiValueHeaders": multi,
		"queryStringParameters": nullable(last), "multiValueQueryStringParameters": nullable(query),
		"pathParameters": nullable(q.params), "stageVariables": nullable(q.vars), "body": nil, "isBase64Encoded": q.binary,
		"requestContext": object{
			"accountId": q.scope.Account, "apiId": q.apiID, "domainName": host, "domainPrefix": prefix, "extendedRequestId": q.id, "requestId": q.id,
			"httpMethod": q.http.Method, "path": q.base + decoded(path), "protocol": q.http.Proto, "resourceId": q.http.Method + " " + q.path, "resourcePath": q.path,
			"stage": q.stage, "requestTime": q.at.UTC().Format(clock), "requestTimeEpoch": q.at.UnixMilli(),
			"identity": object{
				"accessKey": nil, "accountId": nil, "caller": nil, "cognitoAuthenticationProvider": nil, "cognitoAuthenticationType": nil,
				"cognitoIdentityId": nil, "cognitoIdentityPoolId": nil, "principalOrgId": nil, "sourceIp": q.sourceIP(), "user": nil,
				"userAgent": q.http.UserAgent(), "userArn": nil,
			},
		},
	}
	if httpAPI {
		e["version"] = "1.0"
	}
	if a := q.authorizerContext("1.0"); a != nil {
		e["requestContext"].(object)["authorizer"] = a
	}
	if len(q.body) > 0 {
		e["body"] = q.text()
	}
	return render(e)
}

// queryOf reads a query string and keeps what can be read of a broken one.
func queryOf(raw string) url.Values {
	values, _ := url.ParseQuery(raw)
	return values
}

func render(e object) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, err
	}
	return bytes.TrimRight(buf.Bytes(), "\n"), nil
}
