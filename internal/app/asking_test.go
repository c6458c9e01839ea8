package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/api/dynamodb"
	"github.com/millstreamdb/millstream/internal/api/streams"
)

// openApp opens a server in memory and closes it after the test.
func openApp(t *testing.T) *App {
	t.Helper()
	s, err := Open(Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// targetsOf are the targets that the doors of tables and streams answer.
func targetsOf(s *App) []string {
	p := awsjson.New(awsjson.Options{})
	dynamodb.Register(p, s.tables)
	dynamodb.RegisterKeeping(p, s.keep)
	dynamodb.RegisterSending(p, s.backend)
	streams.Register(p, s.streams)
	return p.Targets()
}

// handled hands the server a request.
func handled(s *App, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// resend hands the server a request that the SDK has made, with another body.
func resend(s *App, sent *http.Request, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(sent.Method, sent.URL.RequestURI(), strings.NewReader(body))
	r.Header, r.Host = sent.Header, "127.0.0.1"
	return handled(s, r)
}

// taking is an HTTP client that keeps the request instead of sending it.
type taking struct {
	request *http.Request
	body    []byte
}

// errTaken ends a call once its request is known.
var errTaken = errors.New("the request was taken")

func (t *taking) Do(r *http.Request) (*http.Response, error) {
	t.request = r
	if r.Body != nil {
		var err error
		if t.body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	return nil, errTaken
}

// requestOf returns the request that the SDK makes of a Lambda operation with every member
// set, and which of them are in its body.
func requestOf(t *testing.T, name string) (*http.Request, []string) {
	t.Helper()
	sent := &taking{}
	client := lambda.New(lambda.Options{
		BaseEndpoint: aws.String("http://127.0.0.1"), Region: "us-east-1", HTTPClient: sent, Retryer: aws.NopRetryer{},
		Credentials: testCredentials,
	})
	method := reflect.ValueOf(client).MethodByName(name)
	in := reflect.New(method.Type().In(1).Elem())
	fill(in.Elem(), 0)
	out := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
	if sent.request == nil {
		t.Fatalf("%s sent nothing: %v", name, out[1])
	}
	var body map[string]json.RawMessage
	_ = json.Unmarshal(sent.body, &body) // a payload is no object
	return sent.request, slices.Collect(maps.Keys(body))
}

// knownToLambda sends the request that the SDK makes of an operation to the server,
// without a body, and reports whether the server knows it.
func knownToLambda(t *testing.T, s *App, name string) bool {
	t.Helper()
	sent, _ := requestOf(t, name)
	w := resend(s, sent, "")
	body := w.Body.String()
	return !strings.Contains(body, "UnknownOperation") && !strings.Contains(body, "Unknown operation") && w.Header().Get("x-amzn-ErrorType") != "UnknownOperationException"
}

// signedPost sends a signed POST, with a target for the DynamoDB protocols, and returns the
// body of the answer.
func signedPost(s *App, path, target, body string, headers ...string) string {
	r := httptest.NewRequest("POST", "http://127.0.0.1"+path, strings.NewReader(body))
	service := "lambda"
	if target != "" {
		if service = "dynamodb"; strings.HasPrefix(target, "AmazonSQS.") {
			service = "sqs"
		}
		r.Header.Set("X-Amz-Target", target)
		r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	}
	r.Header.Set("X-Amz-Date", "20261001T000000Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20261001/us-east-1/"+service+"/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0", 64))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return handled(s, r).Body.String()
}

// operationsOf returns the names of a client's operations.
func operationsOf(client reflect.Type) (names []string) {
	for i := range client.NumMethod() {
		m := client.Method(i)
		if m.Type.NumIn() == 4 && m.Type.In(2).Kind() == reflect.Pointer && m.Type.In(2).Elem().Name() == m.Name+"Input" {
			names = append(names, m.Name)
		}
	}
	return names
}

// fill gives every member a value, so that the SDK finds what it requires.
func fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Interface:
		if body := reflect.ValueOf(strings.NewReader("x")); body.Type().AssignableTo(v.Type()) {
			v.Set(body)
		}
	case reflect.Pointer:
		if depth < 6 && v.CanSet() {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), depth+1)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1_700_000_000, 0)))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		if depth < 6 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			fill(v.Index(0), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	case reflect.String:
		v.SetString("x")
	case reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Bool:
		v.SetBool(true)
	}
}
