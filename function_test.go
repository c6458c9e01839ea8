package millstream_test

import (
	"archive/zip"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
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
