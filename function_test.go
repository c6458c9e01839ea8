package millstream_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream"
)

// zipOf returns a package of one file.
func zipOf(t *testing.T, name, body string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(name)
	if err == nil {
		_, err = f.Write([]byte(body))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// An async handler that never settles has not done its work: its batch is tried again, on
// every version of Node.js.
func TestNeverSettlingHandlerIsTriedAgain(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not in PATH")
	}
	for _, runtime := range []string{"nodejs20.x", "nodejs22.x", "nodejs24.x"} {
		t.Run(runtime, func(t *testing.T) {
			t.Parallel()
			srv := open(t, millstream.Options{})
			defer srv.Close()
			db, fns := dynamodb.NewFromConfig(srv.Config()), lambda.NewFromConfig(srv.Config())
			made, err := db.CreateTable(t.Context(), ordersTable)
			if err != nil {
				t.Fatal(err)
			}
			calls := filepath.Join(t.TempDir(), "calls")
			if _, err := fns.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
				FunctionName: aws.String("f"), Role: aws.String("arn:aws:iam::000000000000:role/r"),
				Runtime: lambdatypes.Runtime(runtime), Handler: aws.String("index.handler"), Timeout: aws.Int32(30),
				Environment: &lambdatypes.Environment{Variables: map[string]string{"CALLS": calls}},
				Code: &lambdatypes.FunctionCode{ZipFile: zipOf(t, "index.js", `
const fs = require('fs');
exports.handler = async (event) => {
  const calls = fs.existsSync(process.env.CALLS) ? fs.readFileSync(process.env.CALLS, 'utf8') : '';
  fs.writeFileSync(process.env.CALLS, calls + event.Records[0].dynamodb.Keys.id.S + '\n');
  if (calls === '') await new Promise(() => {});
};`)},
			}); err != nil {
				t.Fatal(err)
			}
			if _, err := fns.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{
				FunctionName: aws.String("f"), EventSourceArn: made.TableDescription.LatestStreamArn,
				StartingPosition: lambdatypes.EventSourcePositionTrimHorizon, MaximumRetryAttempts: aws.Int32(1),
			}); err != nil {
				t.Fatal(err)
			}
			put(t, db, map[string]types.AttributeValue{"id": text("a")})
			if err := srv.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(calls); err != nil || string(got) != "a\na\n" {
				t.Errorf("the function was called with %q, %v; want the record twice", got, err)
			}
		})
	}
}

// streamingFunction writes the name of its caller's file, and ends when that file is there.
const streamingFunction = `
const fs = require('fs');
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  const { wait, fail } = event.body ? JSON.parse(event.body) : event;
  stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { 'x-own': 'h' }, cookies: ['c=1'] });
  stream.write('first ');
  while (!fs.existsSync(wait)) await new Promise((resolve) => setTimeout(resolve, 5));
  if (fail) throw new TypeError('late');
  stream.write('second');
  stream.end();
});`

// A streamed answer arrives as it is written, by InvokeWithResponseStream and by a function URL in
// RESPONSE_STREAM mode; Invoke gathers it.
func TestStreamedAnswers(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not in PATH")
	}
	srv := open(t, millstream.Options{})
	defer srv.Close()
	door, front := httptest.NewServer(srv.Handler()), httptest.NewServer(srv.FrontHandler())
	defer door.Close()
	defer front.Close()
	config := srv.Config()
	config.HTTPClient, config.BaseEndpoint = plainBodies{}, aws.String(door.URL)
	fns := lambda.NewFromConfig(config)
	for _, runtime := range []string{"nodejs22.x", "nodejs24.x"} {
		name := aws.String(strings.ReplaceAll(runtime, ".", "-"))
		if _, err := fns.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
			FunctionName: name, Role: aws.String("arn:aws:iam::000000000000:role/r"), Runtime: lambdatypes.Runtime(runtime),
			Handler: aws.String("index.handler"), Timeout: aws.Int32(30), Code: &lambdatypes.FunctionCode{ZipFile: zipOf(t, "index.js", streamingFunction)},
		}); err != nil {
			t.Fatal(err)
		}
		url, err := fns.CreateFunctionUrlConfig(t.Context(), &lambda.CreateFunctionUrlConfigInput{
			FunctionName: name, AuthType: lambdatypes.FunctionUrlAuthTypeNone, InvokeMode: lambdatypes.InvokeModeResponseStream,
		})
		if err != nil || url.InvokeMode != lambdatypes.InvokeModeResponseStream {
			t.Fatal(url, err)
		}
		event := func(fail bool) (payload []byte, goOn func()) {
			wait := filepath.Join(t.TempDir(), "go")
			return fmt.Appendf(nil, `{"wait":%q,"fail":%v}`, wait, fail), func() {
				if err := os.WriteFile(wait, nil, 0o644); err != nil {
					t.Error(err)
				}
			}
		}
		const prelude = `{"statusCode":201,"headers":{"x-own":"h"},"cookies":["c=1"]}` + "\x00\x00\x00\x00\x00\x00\x00\x00"

		for _, fail := range []bool{false, true} {
			payload, goOn := event(fail)
			out, err := fns.InvokeWithResponseStream(t.Context(), &lambda.InvokeWithResponseStreamInput{FunctionName: name, Payload: payload, LogType: lambdatypes.LogTypeTail})
			if err != nil || aws.ToString(out.ExecutedVersion) != "$LATEST" {
				t.Fatal(out, err)
			}
			var got string
			var end *lambdatypes.InvokeWithResponseStreamCompleteEvent
			for e := range out.GetStream().Events() {
				switch e := e.(type) {
				case *lambdatypes.InvokeWithResponseStreamResponseEventMemberPayloadChunk:
					if got += string(e.Value.Payload); got == prelude+"first " {
						goOn()
					}
				case *lambdatypes.InvokeWithResponseStreamResponseEventMemberInvokeComplete:
					end = &e.Value
				}
			}
			want, code := prelude+"first second", ""
			if fail {
				want, code = prelude+"first ", "TypeError"
			}
			if got != want || end == nil || aws.ToString(end.ErrorCode) != code || fail != strings.Contains(aws.ToString(end.ErrorDetails), `"errorMessage":"late"`) || aws.ToString(end.LogResult) == "" {
				t.Errorf("%s, fail %v: %q and %+v", runtime, fail, got, end)
			}
		}

		payload, goOn := event(false)
		goOn()
		whole, err := fns.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: name, Payload: payload})
		if err != nil || whole.FunctionError != nil || string(whole.Payload) != prelude+"first second" {
			t.Errorf("%s: Invoke: %q %v", runtime, whole.Payload, err)
		}

		for _, fail := range []bool{false, true} {
			payload, goOn := event(fail)
			resp, err := http.Post(front.URL, "application/json", bytes.NewReader(payload))
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 6)
			if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != "first " {
				t.Fatalf("%s: %q, %v, %d", runtime, b, err, resp.StatusCode)
			}
			goOn()
			rest, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 201 || resp.Header.Get("X-Own") != "h" || resp.Header.Get("Set-Cookie") != "c=1" || (err != nil) != fail || !fail && string(rest) != "second" {
				t.Errorf("%s, fail %v: %d %v %q %v", runtime, fail, resp.StatusCode, resp.Header, rest, err)
			}
		}
		if _, err := fns.DeleteFunctionUrlConfig(t.Context(), &lambda.DeleteFunctionUrlConfigInput{FunctionName: name}); err != nil { // the front door leads to the only one
			t.Fatal(err)
		}
	}
}

// plainBodies sends requests whose bodies can only be read. The body that AWS's SDK gives can also write itself, and answers EOF, which
// net/http takes for a failure, when the server's answer came before net/http had looked for the body's end: then the client closes the
// connection under the answer.
type plainBodies struct{}

func (plainBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return http.DefaultClient.Do(r)
}
