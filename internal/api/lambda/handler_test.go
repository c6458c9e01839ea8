package lambda

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/schema"
)

var scope = schema.Scope{Account: "000000000000", Region: "us-east-1"}

// noMappings answers for the other half of the door.
type noMappings struct {
	mappingServer // whose tags nobody asks for
	asked         []string
}

func (n *noMappings) Serve(w http.ResponseWriter, r *http.Request, _ schema.Scope, body []byte) {
	n.asked = append(n.asked, r.Method+" "+r.URL.Path)
	writeJSON(w, http.StatusOK, struct{}{})
}

type door struct {
	url       string
	functions *function.Service
	mappings  *noMappings
	client    *sdk.Client
}

func newDoor(t *testing.T) *door {
	t.Helper()
	d := &door{mappings: &noMappings{}}
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	var err error
	d.functions, err = function.Open(function.Options{Endpoint: func() string { return srv.URL }, Concurrency: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.functions.Close(); err != nil {
			t.Error(err)
		}
	})
	h := New(d.functions, d.mappings, Options{Authenticate: func(r *http.Request, _ []byte) (schema.Scope, *awserr.Error) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
			return schema.Scope{}, &awserr.Error{Code: "MissingAuthenticationTokenException", Message: "Missing Authentication Token", Status: 403}
		}
		return scope, nil
	}})
	mux.Handle("/", h)
	mux.HandleFunc(function.CodePath, d.functions.ServeCode)
	d.url = srv.URL
	d.client = sdk.New(sdk.Options{
		Region: scope.Region, BaseEndpoint: aws.String(srv.URL),
		Credentials: credentials.NewStaticCredentialsProvider("x", "y", ""), RetryMaxAttempts: 1,
	})
	return d
}

// do sends a raw request and returns status, headers and body.
func (d *door) do(t *testing.T, method, path, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 x")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

func zipOf(t *testing.T, name string, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: name, Method: zip.Deflate}
	h.SetMode(0o755)
	f, err := w.CreateHeader(h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func goZip(t *testing.T) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "bootstrap")
	if b, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", out, "../../function/testdata/gofunc").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, b)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return zipOf(t, "bootstrap", b)
}

func echo(_ context.Context, payload []byte) ([]byte, error) {
	if bytes.Contains(payload, []byte("fail")) {
		return nil, errors.New("as asked")
	}
	return payload, nil
}

func TestSDKRoundTrip(t *testing.T) {
	t.Parallel()
	d, ctx := newDoor(t), t.Context()
	code := goZip(t)
	made, err := d.client.CreateFunction(ctx, &sdk.CreateFunctionInput{
		FunctionName: aws.String("f"), Role: aws.String("arn:aws:iam::000000000000:role/r"), Handler: aws.String("x"),
		Runtime: types.RuntimeProvidedal2023, Code: &types.FunctionCode{ZipFile: code}, Timeout: aws.Int32(10),
		Environment:   &types.Environment{Variables: map[string]string{"COLOUR": "blue"}},
		Tags:          map[string]string{"team": "mill"},
		Architectures: []types.Architecture{types.ArchitectureArm64},
		Layers:        []string{"arn:aws:lambda:us-east-1:111111111111:layer:l:1"},
		VpcConfig:     &types.VpcConfig{SubnetIds: []string{"subnet-1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if *made.FunctionArn != "arn:aws:lambda:us-east-1:000000000000:function:f" || *made.Version != "$LATEST" || made.CodeSize != int64(len(code)) ||
		made.PackageType != types.PackageTypeZip || made.Architectures[0] != types.ArchitectureArm64 || *made.Layers[0].Arn == "" || made.VpcConfig.SubnetIds[0] != "subnet-1" ||
		*made.LoggingConfig.LogGroup != "/aws/lambda/f" || *made.EphemeralStorage.Size != 512 {
		t.Errorf("created %+v", made)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000+0000", *made.LastModified); err != nil {
		t.Error(err)
	}
	if err := sdk.NewFunctionActiveV2Waiter(d.client).Wait(ctx, &sdk.GetFunctionInput{FunctionName: aws.String("f")}, time.Minute); err != nil {
		t.Error(err)
	}
	if err := sdk.NewFunctionUpdatedV2Waiter(d.client).Wait(ctx, &sdk.GetFunctionInput{FunctionName: aws.String("f")}, time.Minute); err != nil {
		t.Error(err)
	}

	for _, name := range []string{"f", "f:$LATEST", "000000000000:function:f", *made.FunctionArn} {
		got, err := d.client.GetFunction(ctx, &sdk.GetFunctionInput{FunctionName: &name})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.Tags["team"] != "mill" || *got.Configuration.CodeSha256 != *made.CodeSha256 || got.Configuration.State != types.StateActive {
			t.Errorf("%s: %+v", name, got)
		}
		resp, err := http.Get(*got.Code.Location)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(b, code) {
			t.Errorf("the code's location gives %d, %d bytes, %v", resp.StatusCode, len(b), err)
		}
	}

	out, err := d.client.Invoke(ctx, &sdk.InvokeInput{
		FunctionName: aws.String("f"), Payload: []byte(`{"do":"context"}`), LogType: types.LogTypeTail,
		ClientContext: aws.String(base64.StdEncoding.EncodeToString([]byte("{\"custom\":\n{\"k\":\"v\"}}"))),
	})
	if err != nil || out.StatusCode != 200 || out.FunctionError != nil || *out.ExecutedVersion != "$LATEST" || !bytes.Contains(out.Payload, []byte(`"custom":{"k":"v"}`)) {
		t.Fatalf("%+v, %v", out, err)
	}
	tail, err := base64.StdEncoding.DecodeString(*out.LogResult)
	if err != nil || !bytes.Contains(tail, []byte("REPORT RequestId: ")) {
		t.Errorf("log %s, %v", tail, err)
	}
	out, err = d.client.Invoke(ctx, &sdk.InvokeInput{FunctionName: aws.String("f"), Payload: []byte(`{"do":"error","text":"no"}`)})
	if err != nil || out.StatusCode != 200 || *out.FunctionError != "Unhandled" || string(out.Payload) != `{"errorMessage":"no","errorType":"errorString"}` || out.LogResult != nil {
		t.Errorf("%+v, %v", out, err)
	}
	for kind, status := range map[types.InvocationType]int32{types.InvocationTypeEvent: 202, types.InvocationTypeDryRun: 204} {
		out, err = d.client.Invoke(ctx, &sdk.InvokeInput{FunctionName: aws.String("f"), InvocationType: kind, Payload: []byte(`{"do":"echo"}`)})
		if err != nil || out.StatusCode != status || len(out.Payload) != 0 || out.ExecutedVersion != nil {
			t.Errorf("%s: %+v, %v", kind, out, err)
		}
	}

	upd, err := d.client.UpdateFunctionConfiguration(ctx, &sdk.UpdateFunctionConfigurationInput{FunctionName: aws.String("f"), MemorySize: aws.Int32(256), RevisionId: made.RevisionId})
	if err != nil || *upd.MemorySize != 256 || *upd.Timeout != 10 || upd.LastUpdateStatus != types.LastUpdateStatusSuccessful {
		t.Errorf("%+v, %v", upd, err)
	}
	_, err = d.client.UpdateFunctionConfiguration(ctx, &sdk.UpdateFunctionConfigurationInput{FunctionName: aws.String("f"), RevisionId: made.RevisionId})
	var stale *types.PreconditionFailedException
	if !errors.As(err, &stale) {
		t.Error(err)
	}
	if _, err := d.client.UpdateFunctionCode(ctx, &sdk.UpdateFunctionCodeInput{FunctionName: aws.String("f"), ZipFile: code}); err != nil {
		t.Error(err)
	}

	if _, err := d.client.PutFunctionConcurrency(ctx, &sdk.PutFunctionConcurrencyInput{FunctionName: aws.String("f"), ReservedConcurrentExecutions: aws.Int32(0)}); err != nil {
		t.Error(err)
	}
	_, err = d.client.Invoke(ctx, &sdk.InvokeInput{FunctionName: aws.String("f")})
	var busy *types.TooManyRequestsException
	if !errors.As(err, &busy) || busy.Reason != types.ThrottleReasonReservedFunctionConcurrentInvocationLimitExceeded {
		t.Errorf("%+v", err)
	}
	if got, err := d.client.GetFunctionConcurrency(ctx, &sdk.GetFunctionConcurrencyInput{FunctionName: aws.String("f")}); err != nil || *got.ReservedConcurrentExecutions != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := d.client.DeleteFunctionConcurrency(ctx, &sdk.DeleteFunctionConcurrencyInput{FunctionName: aws.String("f")}); err != nil {
		t.Error(err)
	}

	if _, err := d.client.TagResource(ctx, &sdk.TagResourceInput{Resource: made.FunctionArn, Tags: map[string]string{"a": "b"}}); err != nil {
		t.Error(err)
	}
	if _, err := d.client.UntagResource(ctx, &sdk.UntagResourceInput{Resource: made.FunctionArn, TagKeys: []string{"team"}}); err != nil {
		t.Error(err)
	}
	if tags, err := d.client.ListTags(ctx, &sdk.ListTagsInput{Resource: made.FunctionArn}); err != nil || len(tags.Tags) != 1 || tags.Tags["a"] != "b" {
		t.Errorf("%+v, %v", tags, err)
	}
	if got, err := d.client.GetAccountSettings(ctx, &sdk.GetAccountSettingsInput{}); err != nil || got.AccountUsage.FunctionCount != 1 || got.AccountLimit.ConcurrentExecutions != 1000 {
		t.Errorf("%+v, %v", got, err)
	}
	if list, err := d.client.ListFunctions(ctx, &sdk.ListFunctionsInput{FunctionVersion: types.FunctionVersionAll}); err != nil || len(list.Functions) != 1 || *list.Functions[0].FunctionArn != *made.FunctionArn+":$LATEST" {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := d.client.DeleteFunction(ctx, &sdk.DeleteFunctionInput{FunctionName: aws.String("f")}); err != nil {
		t.Error(err)
	}
	_, err = d.client.GetFunctionConfiguration(ctx, &sdk.GetFunctionConfigurationInput{FunctionName: aws.String("f")})
	var gone *types.ResourceNotFoundException
	if !errors.As(err, &gone) || gone.ErrorMessage() != "Function not found: "+*made.FunctionArn {
		t.Error(err)
	}
}

func TestSDKImageFunction(t *testing.T) {
	t.Parallel()
	d, ctx := newDoor(t), t.Context()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3")
		if r.URL.Path == "/busy" {
			w.WriteHeader(503)
		}
		_, _ = io.Copy(w, r.Body)
	}))
	defer app.Close()
	in := &sdk.CreateFunctionInput{
		FunctionName: aws.String("web"), Role: aws.String("arn:aws:iam::000000000000:role/r"), PackageType: types.PackageTypeImage,
		Code: &types.FunctionCode{ImageUri: aws.String(app.URL)},
	}
	if _, err := d.client.CreateFunction(ctx, in); err != nil {
		t.Fatal(err)
	}
	out, err := d.client.Invoke(ctx, &sdk.InvokeInput{FunctionName: aws.String("web"), Payload: []byte(`{"a":1}`)})
	if err != nil || string(out.Payload) != `{"a":1}` {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := d.client.UpdateFunctionCode(ctx, &sdk.UpdateFunctionCodeInput{FunctionName: aws.String("web"), ImageUri: aws.String(app.URL + "/busy")}); err != nil {
		t.Error(err)
	}
	_, err = d.client.Invoke(ctx, &sdk.InvokeInput{FunctionName: aws.String("web")})
	var busy *types.TooManyRequestsException
	if !errors.As(err, &busy) || *busy.RetryAfterSeconds != "3" {
		t.Errorf("%+v", err)
	}
	in.FunctionName, in.Code.ImageUri = aws.String("other"), aws.String("123.dkr.ecr.us-east-1.amazonaws.com/x:latest")
	_, err = d.client.CreateFunction(ctx, in)
	var refused smithy.APIError
	if !errors.As(err, &refused) || refused.ErrorCode() != "InvalidParameterValueException" || !strings.Contains(refused.ErrorMessage(), "give the http(s) URL of your running service") {
		t.Errorf("%+v", err)
	}
}

func TestWire(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	if err := d.functions.RegisterGo(scope, "g", echo); err != nil {
		t.Fatal(err)
	}
	const arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Ag"
	deep := strings.Repeat("[", 20000) + strings.Repeat("]", 20000)
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		kind, text               string // of an error
		answer                   string
	}{
		{"plain", "GET", "/2015-03-31/functions/g/configuration", "", nil, 200, "", "", `"FunctionName":"g"`},
		{"trailing slash", "GET", "/2015-03-31/functions/", "", nil, 200, "", "", `"Functions":[{`},
		{"encoded ARN", "GET", "/2015-03-31/functions/" + arn, "", nil, 200, "", "", `"Configuration":{`},
		{"encoded qualifier", "POST", "/2015-03-31/functions/g%3A%24LATEST/invocations", `[1]`, nil, 200, "", "", `[1]`},
		{"empty body", "POST", "/2015-03-31/functions/g/invocations", ``, nil, 200, "", "", `{}`},
		{"not JSON", "POST", "/2015-03-31/functions/g/invocations", `{"a"`, nil, 400, "InvalidRequestContentException", "Could not parse request body into json: Could not parse payload into json: unexpected end of JSON input", ""},
		{"two values", "POST", "/2015-03-31/functions/g/invocations", `1 2`, nil, 400, "InvalidRequestContentException", "Could not parse request body into json: Could not parse payload into json: invalid character '2' after top-level value", ""},
		{"deep", "POST", "/2015-03-31/functions/g/invocations", deep, nil, 400, "InvalidRequestContentException", "Could not parse request body into json: Could not parse payload into json: invalid character '[' exceeded max depth", ""},
		{"unknown function", "POST", "/2015-03-31/functions/none/invocations", `{}`, nil, 404, "ResourceNotFoundException", "Function not found: arn:aws:lambda:us-east-1:000000000000:function:none:$LATEST", ""},
		{"unknown type", "POST", "/2015-03-31/functions/g/invocations", `{}`, []string{"X-Amz-Invocation-Type", "Later"}, 400, "ValidationException", "1 validation error detected: Value 'Later' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]", ""},
		{"bad client context", "POST", "/2015-03-31/functions/g/invocations", `{}`, []string{"X-Amz-Client-Context", "!"}, 400, "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object.", ""},
		{"malformed", "POST", "/2015-03-31/functions", `{"FunctionName":`, nil, 400, "InvalidRequestContentException", "Could not parse request body into json: unexpected end of JSON input", ""},
		{"wrong type", "POST", "/2015-03-31/functions", `{"Timeout":"x"}`, nil, 400, "SerializationException", "STRING_VALUE cannot be converted to int", ""},
		{"bad base64", "POST", "/2015-03-31/functions", `{"Code":{"ZipFile":"!!"}}`, nil, 400, "InvalidParameterValueException", "Could not unzip uploaded file. Please check your file, then try to upload again.", ""},
		{"no such operation", "POST", "/2015-03-31/functions/g/nothing", ``, nil, 404, "UnknownOperationException", "Unknown operation.", ""},
		{"no such method", "PATCH", "/2015-03-31/functions/g", ``, nil, 404, "UnknownOperationException", "Unknown operation.", ""},
		{"page size", "GET", "/2015-03-31/functions?MaxItems=10001", ``, nil, 400, "ValidationException", "1 validation error detected: Value '10001' at 'maxItems' failed to satisfy constraint: Member must have value less than or equal to 10000", ""},
		{"unset concurrency", "GET", "/2019-09-30/functions/g/concurrency", ``, nil, 200, "", "", `{}`},
		{"no credentials", "GET", "/2015-03-31/functions", ``, []string{"Authorization", ""}, 403, "MissingAuthenticationTokenException", "Missing Authentication Token", ""},
		{"mapping", "GET", "/2015-03-31/event-source-mappings/", ``, nil, 200, "", "", `{}`},
		{"delete", "DELETE", "/2015-03-31/functions/g", ``, nil, 204, "", "", ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, h, body := d.do(t, c.method, c.path, c.body, c.headers...)
			if status != c.status || h.Get("x-amzn-ErrorType") != c.kind || len(h.Get("x-amzn-RequestId")) != 36 {
				t.Fatalf("%d %v %s", status, h, body)
			}
			if c.kind == "" {
				if !strings.Contains(body, c.answer) || (c.answer == "" && body != "") {
					t.Errorf("body %s", body)
				}
				return
			}
			var e map[string]string
			if err := json.Unmarshal([]byte(body), &e); err != nil {
				t.Fatal(err)
			}
			wantType := "User"
			if c.kind == "ValidationException" {
				wantType = ""
			}
			if e["message"] != c.text || e["Message"] != c.text || e["Type"] != wantType {
				t.Errorf("got  %s\nwant %s", body, c.text)
			}
		})
	}
	if got := strings.Join(d.mappings.asked, ", "); got != "GET /2015-03-31/event-source-mappings/" {
		t.Errorf("the mappings' door saw %s", got)
	}
}

// A body's length is refused when it is announced, and bounded when it is not.
func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	if err := d.functions.RegisterGo(scope, "g", echo); err != nil {
		t.Fatal(err)
	}
	const text = "Request must be smaller than 70167211 bytes for the CreateFunction operation"
	for name, length := range map[string]int64{"announced": maxBody + 1, "streamed": -1} {
		r := httptest.NewRequest("POST", "/2015-03-31/functions", io.LimitReader(zeros{}, maxBody+1))
		r.ContentLength = length
		w := httptest.NewRecorder()
		New(d.functions, d.mappings, Options{}).ServeHTTP(w, r)
		if w.Code != 413 || !strings.Contains(w.Body.String(), text) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	status, h, _ := d.do(t, "POST", "/2015-03-31/functions/g/invocations", `"`+strings.Repeat("x", function.MaxPayload)+`"`)
	if status != 413 || h.Get("x-amzn-ErrorType") != "RequestTooLargeException" {
		t.Errorf("an event that is too large: %d %v", status, h)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
