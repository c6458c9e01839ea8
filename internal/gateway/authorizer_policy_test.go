package gateway

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A statement of which a part is not evaluated is none that may be obeyed in part.
func TestPoliciesThatAreNotEvaluated(t *testing.T) {
	const arn = "arn:aws:execute-api:us-east-1:1:api/prod/GET/admin"
	for _, more := range []string{`,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`, `,"NotResource":"x"`, `,"NotAction":"x"`} {
		for _, resource := range []string{`,"Resource":"*"`, ""} {
			if _, err := readPolicy(json.RawMessage(`{"Statement":[{"Effect":"Allow","Action":"execute-api:Invoke"` + resource + more + `}]}`)); err == nil || !strings.Contains(err.Error(), "does not evaluate") {
				t.Errorf("%s%s: %v", resource, more, err)
			}
		}
	}
	if _, err := readPolicy(json.RawMessage(`{"Statement":{"Effect":"Allow","Action":"execute-api:Invoke"}}`)); err == nil {
		t.Error("a statement without a resource is obeyed")
	}
	p, err := readPolicy(json.RawMessage(`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"execute-api:*","Resource":"` + arn + `"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if allowed, explicit := p.allows(arn); allowed || !explicit {
		t.Error("a denial is not obeyed")
	}
}

// Two callers never share what is remembered, though one's values have the bytes between another's.
func TestIdentityKeys(t *testing.T) {
	if identityKey([]string{"a\x00b", "c"}) == identityKey([]string{"a", "b\x00c"}) || identityKey([]string{"ab", "c"}) == identityKey([]string{"a", "bc"}) {
		t.Error("two callers share a key")
	}
}

// Behind TLS functions are told https and its port.
func TestForwardedScheme(t *testing.T) {
	for endpoint, want := range map[string]string{"http://127.0.0.1:80": "http 80", "https://127.0.0.1:443": "https 443"} {
		s := &Service{opts: Options{Endpoint: func() string { return endpoint }, Now: time.Now}}
		h := s.newRequest(&http.Request{Host: "a.example", Header: http.Header{}}, "/").headers()
		if got := h.Get("X-Forwarded-Proto") + " " + h.Get("X-Forwarded-Port"); got != want {
			t.Errorf("%s: %s", endpoint, got)
		}
	}
}

// However a path is spelled, a policy sees what the route does.
func TestPoliciesSeeWhatRoutesDo(t *testing.T) {
	for _, raw := range []string{"/admin", "/admin/", "/%61dmin", "/%61%64min/"} {
		for _, method := range []string{"GET", "get"} {
			q := &request{http: &http.Request{Method: method}, raw: raw, apiID: "api", stage: "prod"}
			if arn := methodARN(q); !strings.HasSuffix(arn, ":api/prod/GET/admin") {
				t.Errorf("%s %s: %s", method, raw, arn)
			}
		}
	}
}
