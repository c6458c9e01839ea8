package function

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function/archive"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// script is the code of a function that is never run.
func script(t testing.TB, text string) []byte {
	return makeZip(t, entry{"bootstrap", 0o755, "#!/bin/sh\n" + text})
}

func wantError(t *testing.T, err error, code, text string) {
	t.Helper()
	var e *awserr.Error
	if !errors.As(err, &e) || e.Code != code || e.Message != text {
		t.Errorf("got  %v\nwant %s: %s", err, code, text)
	}
}

func TestFunctionsSurviveARestart(t *testing.T) {
	t.Parallel()
	fs, dir := vfs.NewMem(), t.TempDir()
	db, err := store.Open(store.Options{FS: fs, Dir: "db"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Store: db, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	r := createRequest("kept", "provided.al2023", "h", script(t, "1"))
	r.Tags = map[string]string{"k": "v"}
	r.Environment = &Environment{map[string]string{"AB": "c"}}
	create(t, s, r)
	create(t, s, createRequest("deleted", "provided.al2023", "h", script(t, "2")))
	create(t, s, CreateRequest{FunctionName: "web", PackageType: ptr("Image"), Code: CodeRequest{ImageURI: "http://127.0.0.1:1/x"}, Settings: Settings{Role: ptr(role)}})
	if err := s.PutConcurrency(scope, "kept", 7); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(scope, "deleted", ""); err != nil {
		t.Fatal(err)
	}
	const policy = `{"Version":"2012-10-17","Id":"own","Statement":[{"Effect":"Allow","Principal":"*","Action":["a","b"],"Resource":"*"}]}`
	if _, _, err := s.PutResourcePolicy(scope, scope.FunctionARN("kept"), policy, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutRuntimeManagement(scope, "kept", "", RuntimeManagement{UpdateRuntimeOn: "FunctionUpdate"}); err != nil {
		t.Fatal(err)
	}
	before, err := s.Get(scope, "kept", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	// A crash may leave these behind.
	for _, name := range []string{unfinished + "x", discarded + "y", strings.Repeat("ab", 32)} {
		if err := os.MkdirAll(filepath.Join(dir, "code", name, taskDir), 0o555); err != nil {
			t.Fatal(err)
		}
	}

	if db, err = store.Open(store.Options{FS: fs, Dir: "db"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s = open(t, Options{Store: db, Dir: dir})
	after, err := s.Get(scope, "kept", "")
	if err != nil {
		t.Fatal(err)
	}
	if a, b := fmt.Sprintf("%+v", before.Configuration), fmt.Sprintf("%+v", after.Configuration); strings.SplitN(a, "Environment", 2)[0] != strings.SplitN(b, "Environment", 2)[0] {
		t.Errorf("before %s\nafter  %s", a, b)
	}
	if after.Concurrency.ReservedConcurrentExecutions != 7 || after.Tags["k"] != "v" || after.Configuration.Environment.Variables["AB"] != "c" {
		t.Errorf("after the restart: %+v", after)
	}
	if text, _, err := s.Policy(scope, "kept", ""); err != nil || text != policy {
		t.Errorf("after the restart: %s %v", text, err)
	}
	if r, err := s.RuntimeManagement(scope, "kept", ""); err != nil || r.UpdateRuntimeOn != "FunctionUpdate" {
		t.Errorf("after the restart: %+v %v", r, err)
	}
	if _, err := s.Get(scope, "web", ""); err != nil {
		t.Error(err)
	}
	_, err = s.Get(scope, "deleted", "")
	wantError(t, err, "ResourceNotFoundException", "Function not found: arn:aws:lambda:eu-west-1:123456789012:function:deleted")
	codes, err := os.ReadDir(filepath.Join(dir, "code"))
	if err != nil || len(codes) != 1 {
		t.Errorf("code folders after the restart: %v, %v", codes, err)
	}
}

func TestCodeIsKeptOncePerHashAndFetchable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Endpoint: func() string { return "http://here" }})
	code := script(t, "1")
	a := create(t, s, createRequest("a", "provided.al2023", "h", code))
	create(t, s, createRequest("b", "provided.al2023", "h", code))
	count := func() int {
		entries, err := os.ReadDir(filepath.Join(dir, "code"))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	if count() != 1 {
		t.Errorf("%d code folders for one zip", count())
	}
	doc, err := s.Get(scope, "a", "")
	if err != nil {
		t.Fatal(err)
	}
	path, ok := strings.CutPrefix(doc.Code.Location, "http://here")
	if !ok {
		t.Fatalf("location %s", doc.Code.Location)
	}
	w := httptest.NewRecorder()
	s.ServeCode(w, httptest.NewRequest("GET", path, nil))
	if body, _ := io.ReadAll(w.Body); string(body) != string(code) {
		t.Errorf("location gives %d: %d bytes", w.Code, len(body))
	}
	at, signed, _ := strings.Cut(path, "?")
	for _, c := range []struct {
		path, query string
		want        int
	}{
		{CodePath, signed, 404}, {CodePath + "..", signed, 404}, {strings.ToUpper(at) + "A", signed, 404},
		{at, "", 403}, {CodePath + strings.Repeat("0", 64), signed, 403}, {at, strings.Replace(signed, "Expires=1", "Expires=2", 1), 403},
		{at, strings.Replace(signed, "Signature=", "Signature=0", 1), 403},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/?"+c.query, nil)
		r.URL.Path = c.path
		s.ServeCode(w, r)
		if w.Code != c.want {
			t.Errorf("%s?%s: %d, want %d", c.path, c.query, w.Code, c.want)
		}
	}
	now := s.opts.Now
	s.opts.Now = func() time.Time { return now().Add(linkLife + time.Second) }
	w = httptest.NewRecorder()
	if s.ServeCode(w, httptest.NewRequest("GET", path, nil)); w.Code != 403 || !strings.Contains(w.Body.String(), "expired") {
		t.Errorf("a link that is ten minutes old: %d %s", w.Code, w.Body)
	}
	s.opts.Now = now

	same, err := s.UpdateCode(scope, "a", UpdateCodeRequest{CodeRequest: CodeRequest{ZipFile: code}})
	if err != nil || same.CodeSha256 != a.CodeSha256 || same.RevisionID == a.RevisionID {
		t.Errorf("the same zip again: %+v, %v", same, err)
	}
	if _, err := s.UpdateCode(scope, "a", UpdateCodeRequest{CodeRequest: CodeRequest{ZipFile: script(t, "2")}, DryRun: true}); err != nil || count() != 1 {
		t.Errorf("a dry run left %d folders: %v", count(), err)
	}
	if _, err := s.UpdateCode(scope, "a", UpdateCodeRequest{CodeRequest: CodeRequest{ZipFile: script(t, "3")}}); err != nil || count() != 2 {
		t.Errorf("after an update %d folders: %v", count(), err)
	}
	for _, name := range []string{"a", "b"} {
		if err := s.Delete(scope, name, ""); err != nil {
			t.Fatal(err)
		}
	}
	if count() != 0 {
		t.Errorf("%d code folders without functions", count())
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Dir: t.TempDir()})
	code := script(t, "")
	create(t, s, createRequest("there", "provided.al2", "h", code))
	long := map[string]string{"AB": strings.Repeat("x", 5000)}
	foreign := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\xf3\x00\x01\x00\x00\x00" + strings.Repeat("\x00", 28) + "\x40\x00\x38\x00\x00\x00\x40\x00\x00\x00\x00\x00"
	here := runtime.GOOS + "/" + runtime.GOARCH
	for _, c := range []struct {
		name       string
		change     func(r *CreateRequest)
		code, text string
	}{
		{"exists", func(r *CreateRequest) { r.FunctionName = "there" }, "ResourceConflictException", "Function already exist: there"},
		{"no name", func(r *CreateRequest) { r.FunctionName = "" }, "ValidationException", "1 validation error detected: Value '' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: " + namePattern},
		{"two faults", func(r *CreateRequest) { r.MemorySize, r.Timeout = ptr(64), ptr(901) }, "ValidationException", "2 validation errors detected: Value '901' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900; Value '64' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128"},
		{"no role", func(r *CreateRequest) { r.Role = nil }, "ValidationException", "1 validation error detected: Value null at 'role' failed to satisfy constraint: Member must not be null"},
		{"no handler", func(r *CreateRequest) { r.Handler = nil }, "InvalidParameterValueException", "Runtime and Handler are mandatory parameters for functions created with deployment packages."},
		{"retired", func(r *CreateRequest) { r.Runtime = ptr("go1.x") }, "InvalidParameterValueException", "The runtime parameter of go1.x is no longer supported for creating or updating AWS Lambda functions. We recommend you use a supported runtime while creating or updating functions."},
		{"reserved variable", func(r *CreateRequest) {
			r.Environment = &Environment{map[string]string{"AWS_REGION": "x", "AB": ""}}
		}, "InvalidParameterValueException", "Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: AWS_REGION"},
		{"no code", func(r *CreateRequest) { r.Code = CodeRequest{} }, "InvalidParameterValueException", "Please provide a source for function code."},
		{"not a zip", func(r *CreateRequest) { r.Code.ZipFile = []byte("hello") }, "InvalidParameterValueException", "Could not unzip uploaded file. Please check your file, then try to upload again."},
		{"climbs", func(r *CreateRequest) { r.Code.ZipFile = makeZip(t, entry{"../../evil", 0o755, "x"}) }, "InvalidParameterValueException", "Could not unzip uploaded file. Please check your file, then try to upload again."},
		{"zip too large", func(r *CreateRequest) { r.Code.ZipFile = make([]byte, archive.MaxZipped+1) }, "RequestEntityTooLargeException", "Zipped size must be smaller than 52428800 bytes"},
		{"bucket", func(r *CreateRequest) { r.Code = CodeRequest{S3Bucket: "b", S3Key: "k"} }, "InvalidParameterValueException", "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist"},
		{"foreign", func(r *CreateRequest) { r.Code.ZipFile = makeZip(t, entry{"bootstrap", 0o755, foreign}) }, "InvalidParameterValueException", "bootstrap is built for linux/riscv64, this machine is " + here + ": build with GOOS=" + runtime.GOOS + " GOARCH=" + runtime.GOARCH},
		{"other region", func(r *CreateRequest) { r.FunctionName = "arn:aws:lambda:us-east-1:123456789012:function:x" }, "ResourceNotFoundException", "Functions from 'us-east-1' are not reachable in this region ('eu-west-1')"},
		{"large environment", func(r *CreateRequest) { r.Environment = &Environment{long} }, "InvalidParameterValueException", "Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. String measured: " + (`{"AB":"` + long["AB"])[:4096]},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := createRequest("new", "provided.al2023", "h", code)
			c.change(&r)
			_, err := s.Create(scope, r)
			wantError(t, err, c.code, c.text)
		})
	}
	if entries, err := os.ReadDir(filepath.Join(s.opts.Dir, "code")); err != nil || len(entries) != 1 {
		t.Errorf("refused packages left something behind: %v, %v", entries, err)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	create(t, s, createRequest("f", "provided.al2", "h", script(t, "")))
	const arn = "arn:aws:lambda:eu-west-1:123456789012:function:f"
	for name, want := range map[string]string{
		"f": arn, "f:$LATEST": arn + ":$LATEST", "123456789012:function:f": arn, "123456789012:f": arn, "function:f": arn,
		"123456789012:function:f:$LATEST": arn + ":$LATEST", arn: arn, arn + ":$LATEST": arn + ":$LATEST", "eu-west-1:123456789012:function:f": arn,
	} {
		if got, err := s.Resolve(scope, name); err != nil || got != want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	for _, name := range []string{"g", "f:1", "f:alias", "999999999999:function:f", "arn:aws:lambda:us-east-1:123456789012:function:f"} {
		if _, err := s.Resolve(scope, name); !IsNotFound(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "a b", "arn:aws:s3:::f", "f:1:2", "a/b", "f:", ":f", strings.Repeat("n", 65)} {
		if _, err := s.Resolve(scope, name); err == nil || IsNotFound(err) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := s.Resolve(schema.Scope{Account: "123456789012", Region: "us-east-1"}, "f"); !IsNotFound(err) {
		t.Errorf("another scope: %v", err)
	}
	_, err := s.Get(scope, "f:$LATEST", "2")
	wantError(t, err, "InvalidParameterValueException", "The derived qualifier from the function name does not match the specified qualifier.")
	_, err = s.Invoke(t.Context(), scope, Invocation{Name: "g"})
	wantError(t, err, "ResourceNotFoundException", "Function not found: arn:aws:lambda:eu-west-1:123456789012:function:g:$LATEST")
}

func TestReservedConcurrency(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	create(t, s, createRequest("f", "provided.al2", "h", script(t, "")))
	create(t, s, createRequest("g", "provided.al2", "h", script(t, "")))
	if err := s.PutConcurrency(scope, "f", 0); err != nil {
		t.Fatal(err)
	}
	_, err := s.Invoke(t.Context(), scope, Invocation{Name: "f"})
	var e *awserr.Error
	if !errors.As(err, &e) || e.Status != 429 || e.Reason != awserr.ThrottleReserved || e.Message != "Rate Exceeded." {
		t.Errorf("no concurrency: %v", err)
	}
	if err := s.PutConcurrency(scope, "g", 800); err != nil {
		t.Fatal(err)
	}
	wantError(t, s.PutConcurrency(scope, "f", 101), "InvalidParameterValueException", "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100].")
	wantError(t, s.PutConcurrency(scope, "f:1", 1), "InvalidParameterValueException", "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN.")
	if n, err := s.GetConcurrency(scope, "g"); err != nil || *n != 800 {
		t.Errorf("%v, %v", n, err)
	}
	if err := s.DeleteConcurrency(scope, "g"); err != nil {
		t.Fatal(err)
	}
	if n, err := s.GetConcurrency(scope, "g"); err != nil || n != nil {
		t.Errorf("%v, %v", n, err)
	}
}

func TestUpdateReachesTheNextCallAndTellsListeners(t *testing.T) {
	t.Parallel()
	var told []string
	s := open(t, Options{Concurrency: 1, Changed: func(_ schema.Scope, name string) { told = append(told, name) }})
	createGo(t, s, "f", env("COLOUR", "blue"))
	a := do(t, s, "f", m{"do": "env"})
	want(t, a, "", `"COLOUR=blue"`)
	old, err := s.Configuration(scope, "f", "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.UpdateConfiguration(scope, "f", UpdateConfigurationRequest{RevisionID: &old.RevisionID, Settings: Settings{Environment: &Environment{map[string]string{"COLOUR": "red"}}}})
	if err != nil || c.RevisionID == old.RevisionID || c.Timeout != old.Timeout {
		t.Fatalf("%+v, %v", c, err)
	}
	want(t, do(t, s, "f", m{"do": "env"}), "", `"COLOUR=red"`)
	_, err = s.UpdateConfiguration(scope, "f", UpdateConfigurationRequest{RevisionID: &old.RevisionID})
	wantError(t, err, "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id")
	wantError(t, s.Delete(scope, "f", "$LATEST"), "InvalidParameterValueException", "$LATEST version cannot be deleted without deleting the function.")
	if err := s.Delete(scope, "f", ""); err != nil {
		t.Fatal(err)
	}
	createGo(t, s, "f")
	if got := strings.Join(told, " "); got != "f f f f" {
		t.Errorf("the listener heard %q", got)
	}
}

func TestListPages(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	for i := range 7 {
		create(t, s, createRequest(fmt.Sprint("f", i), "provided.al2", "h", script(t, "")))
	}
	var names []string
	for marker := ""; ; {
		page, err := s.List(scope, marker, 3, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.Functions {
			names = append(names, c.FunctionName)
			if c.State != "" || c.LastUpdateStatus != "" || c.RuntimeVersionConfig != nil {
				t.Errorf("a list tells states: %+v", c)
			}
		}
		if marker = page.NextMarker; marker == "" {
			break
		}
	}
	if got := strings.Join(names, " "); got != "f0 f1 f2 f3 f4 f5 f6" {
		t.Errorf("pages hold %s", got)
	}
	other, err := s.List(schema.Scope{Account: "123456789012", Region: "us-east-1"}, "", 0, true)
	if err != nil || len(other.Functions) != 0 {
		t.Errorf("another scope sees %+v, %v", other, err)
	}
}

func TestGoFunctions(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	run := func(ctx context.Context, payload []byte) ([]byte, error) {
		switch string(payload) {
		case `"fail"`:
			return nil, os.ErrNotExist
		case `"panic"`:
			panic("ouch")
		}
		return payload, nil
	}
	if err := s.RegisterGo(scope, "g", run); err != nil {
		t.Fatal(err)
	}
	if err := s.RegisterGo(scope, "g", run); err != nil {
		t.Fatal(err)
	}
	want(t, do(t, s, "g", "x"), "", `"x"`)
	want(t, do(t, s, "g", "fail"), "Unhandled", `{"errorType":"errorString","errorMessage":"file does not exist"}`)
	want(t, do(t, s, "g", "panic"), "Unhandled", `{"errorType":"string","errorMessage":"ouch"}`)
	_, err := s.Create(scope, createRequest("g", "provided.al2", "h", script(t, "")))
	wantError(t, err, "ResourceConflictException", "Function already exist: g")
	create(t, s, createRequest("f", "provided.al2", "h", script(t, "")))
	wantError(t, s.RegisterGo(scope, "f", run), "ResourceConflictException", "Function already exist: f")
}
