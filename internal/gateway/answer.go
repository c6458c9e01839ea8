package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// form is how a function's answer is read and how failures are told.
type form byte

const (
	formHTTP form = iota // API Gateway's HTTP APIs
	formREST             // API Gateway's REST APIs
	formURL              // function URLs
)

// trouble is a way in which a request can fail.
type trouble byte

const (
	noRoute          trouble = iota
	tooLarge                 // the request
	failed                   // the function, or its answer makes no sense
	timedOut                 // the function took longer than the route allows
	throttled                // no room to run it
	forbidden                // no signature
	unauthorized             // an authorizer needs what the request does not have
	notAllowed               // an authorizer does not let it through
	denied                   // nor does it, by saying so
	authorizerFailed         // an authorizer could not say
)

// failures are the answers of AWS, by form and trouble.
var failures = [...]map[trouble]failure{
	formHTTP: {
		noRoute: {404, `{"message":"Not Found"}`}, tooLarge: {413, `{"message":"Request Entity Too Large"}`}, failed: {500, `{"message":"Internal Server Error"}`},
		timedOut: {503, `{"message":"Service Unavailable"}`}, throttled: {503, `{"message":"Service Unavailable"}`},
		unauthorized: {401, `{"message":"Unauthorized"}`}, notAllowed: {403, `{"message":"Forbidden"}`}, denied: {403, `{"message":"Forbidden"}`},
		authorizerFailed: {500, `{"message":"Internal Server Error"}`},
	},
	formREST: {
		noRoute: {403, `{"message":"Missing Authentication Token"}`}, tooLarge: {413, `{"message":"Request Too Long"}`}, failed: {502, `{"message": "Internal server error"}`},
		timedOut: {504, `{"message": "Endpoint request timed out"}`}, throttled: {500, `{"message": "Internal server error"}`},
		unauthorized: {401, `{"message":"Unauthorized"}`}, notAllowed: {403, `{"Message":"User is not authorized to access this resource"}`},
		denied: {403, `{"Message":"User is not authorized to access this resource with an explicit deny"}`}, authorizerFailed: {500, `{"message":null}`},
	},
	formURL: {
		noRoute: {404, `{"Message":null}`}, tooLarge: {413, `{"message":"Request Entity Too Large"}`}, failed: {502, `Internal Server Error`},
		timedOut: {502, `Internal Server Error`}, throttled: {429, `{"Reason":"ConcurrentInvocationLimitExceeded","message":"Rate Exceeded."}`},
		forbidden: {403, `{"Message":"Forbidden"}`},
	},
}

type failure struct {
	status int
	body   string
}

// fail answers a request that has failed.
func (f form) fail(w http.ResponseWriter, t trouble, requestID string) {
	answer := failures[f][t]
	h := w.Header()
	if f == formREST {
		h.Set("x-amzn-RequestId", requestID)
		switch t {
		case noRoute:
			h.Set("x-amzn-ErrorType", "MissingAuthenticationTokenException")
		case failed:
			h.Set("x-amzn-ErrorType", "InternalServerErrorException")
		case unauthorized:
			h.Set("x-amzn-ErrorType", "UnauthorizedException")
		case notAllowed, denied:
			h.Set("x-amzn-ErrorType", "AccessDeniedException")
		case authorizerFailed:
			h.Set("x-amzn-ErrorType", "AuthorizerConfigurationException")
		}
	}
	answer.send(w)
}

// reply is a function's answer, read.
type reply struct {
	status  int
	header  http.Header
	cookies []string
	body    []byte
}

// document is what a function answers with.
type document struct {
	StatusCode        json.RawMessage            `json:"statusCode"`
	Headers           map[string]json.RawMessage `json:"headers"`
	MultiValueHeaders map[string][]scalarText    `json:"multiValueHeaders"`
	Cookies           []string                   `json:"cookies"`
	Body              json.RawMessage            `json:"body"`
	IsBase64Encoded   bool                       `json:"isBase64Encoded"`
}

// scalarText reads a JSON text, number or boolean as text.
type scalarText string

func (s *scalarText) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var t string
		if err := json.Unmarshal(b, &t); err != nil {
			return err
		}
		*s = scalarText(t)
		return nil
	}
	if len(b) > 0 && (b[0] == '{' || b[0] == '[') {
		return &json.UnmarshalTypeError{Value: "object"}
	}
	*s = scalarText(b)
	return nil
}

// restMembers are all that a REST API takes in an answer; anything else makes it
// malformed there.
var restMembers = map[string]bool{"statusCode": true, "headers": true, "multiValueHeaders": true, "body": true, "isBase64Encoded": true}

// read makes an HTTP answer of a function's. ok is false for one that AWS calls
// malformed. payload is the format of the event that the function got.
func (f form) read(answer []byte, payload string) (r reply, ok bool) {
	answer = bytes.TrimSpace(answer)
	var members map[string]json.RawMessage
	isObject := len(answer) > 0 && answer[0] == '{' && json.Unmarshal(answer, &members) == nil
	if payload == "2.0" && (!isObject || members["statusCode"] == nil) {
		return inferred(answer), true
	}
	if !isObject {
		return reply{}, false
	}
	if f == formREST {
		for name := range members {
			if !restMembers[name] {
				return reply{}, false
			}
		}
	}
	var d document
	if json.Unmarshal(answer, &d) != nil {
		return reply{}, false
	}
	r = reply{status: http.StatusOK, header: http.Header{}}
	if d.StatusCode != nil {
		n, err := strconv.Atoi(strings.Trim(string(d.StatusCode), `"`))
		if err != nil || n < 200 || n > 599 {
			return reply{}, false
		}
		r.status = n
	}
	for name, raw := range d.Headers {
		var value scalarText
		if string(raw) == "null" {
			continue
		}
		if json.Unmarshal(raw, &value) != nil {
			return reply{}, false
		}
		r.header.Set(name, string(value))
	}
	if payload == "1.0" {
		for name, values := range d.MultiValueHeaders {
			r.header.Del(name)
			for _, v := range values {
				r.header.Add(name, string(v))
			}
		}
	} else {
		r.cookies = d.Cookies
	}
	if d.Body != nil && string(d.Body) != "null" {
		var body scalarText
		if json.Unmarshal(d.Body, &body) != nil {
			return reply{}, false
		}
		r.body = []byte(body)
	}
	if d.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(string(r.body))
		if err != nil {
			return reply{}, false
		}
		r.body = decoded
	}
	if r.header.Get("Content-Type") == "" {
		kind := "application/json"
		if f == formHTTP {
			kind = "text/plain; charset=utf-8"
		}
		r.header.Set("Content-Type", kind)
	}
	return r, true
}

// inferred is the answer that format 2.0 makes of a value without a status code: a
// JSON body, or the text itself.
func inferred(answer []byte) reply {
	r := reply{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: answer}
	var text string
	if json.Unmarshal(answer, &text) == nil && len(answer) > 0 && answer[0] == '"' {
		r.body = []byte(text)
	}
	return r
}

// hop are the headers that belong to the connection, which is not the function's.
var hop = []string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// send answers with a failure.
func (f failure) send(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(f.body)))
	w.WriteHeader(f.status)
	_, _ = w.Write([]byte(f.body)) // the caller has gone
}

// head sets the headers of an answer.
func (r *reply) head(w http.ResponseWriter) {
	h := w.Header()
	for name, values := range r.header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	for _, name := range hop {
		h.Del(name)
	}
	for _, c := range r.cookies {
		h.Add("Set-Cookie", c)
	}
}

// write sends an answer.
func (r *reply) write(w http.ResponseWriter, method string) {
	r.head(w)
	h := w.Header()
	if r.status == http.StatusNoContent || r.status == http.StatusNotModified {
		h.Del("Content-Type")
		w.WriteHeader(r.status)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(r.body)))
	w.WriteHeader(r.status)
	if method != http.MethodHead {
		_, _ = w.Write(r.body) // the caller has gone
	}
}
