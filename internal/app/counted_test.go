package app

import (
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestEveryOperationIsCounted asks for each operation of tables and of Millstream's own protocol once: /metrics has each by its name.
// The names are listed in internal/server/operations.go, so that what a caller sends never becomes one.
func TestEveryOperationIsCounted(t *testing.T) {
	s := openApp(t)
	for _, target := range targetsOf(s) {
		r := httptest.NewRequest("POST", "/", strings.NewReader("{}"))
		r.Host = "127.0.0.1"
		r.Header.Set("X-Amz-Target", target)
		handled(s, r)
	}
	source, err := os.ReadFile("../api/admin/handler.go")
	if err != nil {
		t.Fatal(err)
	}
	routes := regexp.MustCompile(`h\.(?:document\("([A-Z]+)", "|mux\.HandleFunc\("([A-Z]+) "\+Prefix\+")([a-z]+)`).FindAllStringSubmatch(string(source), -1)
	if len(routes) < 40 {
		t.Fatalf("only %d routes were found in the source of api/admin", len(routes))
	}
	for _, route := range routes {
		r := httptest.NewRequest("PATCH", "/_millstream/v1/"+route[3], nil) // no route has that method, so nothing is done
		r.Host = "127.0.0.1"
		r.Header.Set("X-Millstream", "1")
		handled(s, r)
	}
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Host = "127.0.0.1"
	page := handled(s, r).Body.String()
	for _, target := range targetsOf(s) {
		service, name, _ := strings.Cut(target, ".")
		api := map[string]string{"DynamoDB_20120810": "dynamodb", "DynamoDBStreams_20120810": "streams", "DynamoDBMillstream_20261130": "dynamodb"}[service]
		if !regexp.MustCompile(`millstream_requests_total\{api="` + api + `",code="[^"]*",operation="` + name + `"\}`).MatchString(page) {
			t.Errorf("%s of %s is not in /metrics by its name: list it in internal/server/operations.go", name, api)
		}
	}
	for _, route := range routes {
		if route[3] == "credentials" {
			continue // who has no operator's key is refused before it is counted
		}
		if !regexp.MustCompile(`millstream_requests_total\{api="admin",code="[^"]*",operation="` + route[3] + `"\}`).MatchString(page) {
			t.Errorf("%s of Millstream's own protocol is not in /metrics by its name: list it in internal/server/operations.go", route[3])
		}
	}
}
