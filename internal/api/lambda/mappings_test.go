package lambda_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/api/lambda"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/trigger"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

var mappingScope = schema.Scope{Account: "111122223333", Region: "us-east-1"}

// mappingBackend keeps nothing: it knows one stream, and lets all be stored.
type mappingBackend struct{ backend.Backend }

func (mappingBackend) Mappings(context.Context) ([]backend.Stored, error) { return nil, nil }

func (mappingBackend) ResolveStream(_ context.Context, arn string) (backend.Stream, error) {
	if arn != mappingScope.StreamARN("t", "2025-11-25T15:47:00.123") {
		return backend.Stream{}, backend.ErrNoStream
	}
	return backend.Stream{ARN: arn, Table: "t", Scope: mappingScope}, nil
}

func (mappingBackend) CreateMapping(context.Context, mapping.Definition) (map[string]lane.Checkpoint, error) {
	return nil, nil
}

func (mappingBackend) UpdateMapping(context.Context, mapping.Definition) error { return nil }
func (mappingBackend) DeleteMapping(context.Context, string) error             { return nil }

type mappingInvoker struct{ trigger.Invoker }

func (mappingInvoker) Resolve(_ context.Context, scope schema.Scope, name string) (string, error) {
	if name != "f" {
		return "", trigger.ErrNoFunction
	}
	return scope.FunctionARN(name), nil
}

func mappingsDoor(t *testing.T) func(method, target, body string) (int, string, *httptest.ResponseRecorder) {
	t.Helper()
	e, err := trigger.New(t.Context(), trigger.Options{
		Backend: mappingBackend{}, Invoker: mappingInvoker{},
		Now:     func() time.Time { return time.UnixMilli(1764085675123) },
		NewUUID: func() string { return "0c2f0000-0000-4000-8000-000000000000" },
	})
	if err != nil {
		t.Fatal(err)
	}
	door := lambda.NewMappings(e, nil)
	return func(method, target, body string) (int, string, *httptest.ResponseRecorder) {
		w := httptest.NewRecorder()
		door.Serve(w, httptest.NewRequest(method, target, nil), mappingScope, []byte(body))
		return w.Code, strings.TrimSpace(w.Body.String()), w
	}
}

const mappingsPath = "/2015-03-31/event-source-mappings"

// mappingCreated is AWS's answer to a Create with defaults, recorded, but for the
// order of its members.
const mappingCreated = `{"UUID":"0c2f0000-0000-4000-8000-000000000000","BatchSize":100,"MaximumBatchingWindowInSeconds":0,"ParallelizationFactor":1,` +
	`"EventSourceArn":"arn:aws:dynamodb:us-east-1:111122223333:table/t/stream/2025-11-25T15:47:00.123",` +
	`"EventSourceMappingArn":"arn:aws:lambda:us-east-1:111122223333:event-source-mapping:0c2f0000-0000-4000-8000-000000000000",` +
	`"FunctionArn":"arn:aws:lambda:us-east-1:111122223333:function:f","LastModified":1764085675.123,` +
	`"LastProcessingResult":"No records processed","State":"Creating","StateTransitionReason":"User action","StartingPosition":"TRIM_HORIZON",` +
	`"DestinationConfig":{"OnFailure":{}},"MaximumRecordAgeInSeconds":-1,"MaximumRetryAttempts":-1,"BisectBatchOnFunctionError":false,` +
	`"TumblingWindowInSeconds":0,"FunctionResponseTypes":[]}`

const mappingCreate = `{"EventSourceArn":"arn:aws:dynamodb:us-east-1:111122223333:table/t/stream/2025-11-25T15:47:00.123","FunctionName":"f","StartingPosition":"TRIM_HORIZON"}`

func TestMappingsLifeOverHTTP(t *testing.T) {
	call := mappingsDoor(t)
	one := mappingsPath + "/0c2f0000-0000-4000-8000-000000000000"
	enabled := strings.Replace(mappingCreated, "Creating", "Enabled", 1)
	steps := []struct {
		method, target, body string
		status               int
		want                 string
	}{
		{"POST", mappingsPath + "/", mappingCreate, 202, mappingCreated},
		{"GET", one, "", 200, enabled},
		{"GET", mappingsPath + "?FunctionName=f&MaxItems=10", "", 200, `{"EventSourceMappings":[` + enabled + `]}`},
		{"GET", mappingsPath + "/?FunctionName=other", "", 200, `{"EventSourceMappings":[]}`},
		{"PUT", one, `{"BatchSize":7}`, 202, strings.NewReplacer("Creating", "Updating", `"BatchSize":100`, `"BatchSize":7`).Replace(mappingCreated)},
		{"PUT", one + "/", `{"Enabled":false}`, 202, strings.NewReplacer("Creating", "Disabling", `"BatchSize":100`, `"BatchSize":7`).Replace(mappingCreated)},
		{"DELETE", one, "", 202, strings.NewReplacer("Creating", "Deleting", `"BatchSize":100`, `"BatchSize":7`).Replace(mappingCreated)},
		{"GET", one, "", 404, `{"Type":"User","message":"The resource you requested does not exist.","Message":"The resource you requested does not exist."}`},
	}
	for _, s := range steps {
		status, body, _ := call(s.method, s.target, s.body)
		if status != s.status || body != s.want {
			t.Errorf("%s %s: %d\n%s\nwant %d\n%s", s.method, s.target, status, body, s.status, s.want)
		}
	}
}

func TestMappingsErrorsOverHTTP(t *testing.T) {
	with := func(member string) string { return mappingCreate[:len(mappingCreate)-1] + "," + member + "}" }
	cases := []struct {
		name, body string
		status     int
		code, text string
	}{
		{"not JSON", `{`, 400, "InvalidRequestContentException", "Could not parse request body into json"},
		{"wrong type", with(`"BatchSize":"many"`), 400, "InvalidRequestContentException", "Could not parse request body into json"},
		{"an array", `[]`, 400, "InvalidRequestContentException", "Could not parse request body into json"},
		{"null", `null`, 400, "ValidationException", "'functionName'"},
		{"unknown member", with(`"Colour":"red"`), 202, "", ""},
		{"foreign member", with(`"Topics":["a"]`), 400, "InvalidParameterValueException", "Unsupported Topics parameter"},
		{"foreign null", with(`"Queues":null`), 202, "", ""},
		{"timestamp", with(`"StartingPositionTimestamp":1`), 400, "InvalidParameterValueException", "Unsupported StartingPositionTimestamp"},
		{"empty filter", with(`"FilterCriteria":{"Filters":[{"Pattern":"{}"}]}`), 400, "InvalidParameterValueException", `"message":"Invalid filter pattern definition."`},
		{"filter", with(`"FilterCriteria":{"Filters":[{"Pattern":"{\"eventName\":[\"INSERT\"]}"}]}`), 202, "",
			`"FilterCriteria":{"Filters":[{"Pattern":"{\"eventName\":[\"INSERT\"]}"}]}`},
		{"no filters", with(`"FilterCriteria":{"Filters":[]}`), 202, "", ""},
		{"range", with(`"BatchSize":0`), 400, "ValidationException", "greater than or equal to 1"},
		{"internal names", with(`"Foreign":["x"],"HasStartingPositionTimestamp":true`), 202, "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			status, body, w := mappingsDoor(t)("POST", mappingsPath, c.body)
			if status != c.status || w.Header().Get("x-amzn-ErrorType") != c.code || !strings.Contains(body, c.text) {
				t.Errorf("%d %s %s", status, w.Header().Get("x-amzn-ErrorType"), body)
			}
			if !json.Valid([]byte(body)) {
				t.Error("the answer is no JSON")
			}
		})
	}
	if status, _, _ := mappingsDoor(t)("PATCH", mappingsPath, ""); status != 405 {
		t.Errorf("PATCH: %d", status)
	}
	if status, _, _ := mappingsDoor(t)("GET", mappingsPath+"?MaxItems=x", ""); status != 400 {
		t.Errorf("MaxItems=x: %d", status)
	}
}
