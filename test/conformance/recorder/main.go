// Command recorder is the function that the suite attaches to streams. It holds
// no behaviour of its own: it sends each event to the test over HTTP and does
// what the reply says, so that a test reads as one Go function.
//
// The reply's status is the verdict: 200 returns the body as the function's
// answer, 500 fails with the body as the error, 502 ends the process. A test
// that wants a function which never answers does not reply.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

func main() {
	callback := os.Getenv("CONFORMANCE_CALLBACK")
	lambda.Start(func(ctx context.Context, event json.RawMessage) (json.RawMessage, error) {
		// The deadline is left out on purpose: the server under test must end a
		// function that outlives its timeout, not this client.
		req, err := http.NewRequest(http.MethodPost, callback, bytes.NewReader(event))
		if err != nil {
			return nil, err
		}
		if lc, ok := lambdacontext.FromContext(ctx); ok {
			req.Header.Set("Request-Id", lc.AwsRequestID)
			req.Header.Set("Invoked-Arn", lc.InvokedFunctionArn)
		}
		req.Header.Set("Function-Name", os.Getenv("AWS_LAMBDA_FUNCTION_NAME"))
		reply, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer reply.Body.Close()
		body, err := io.ReadAll(reply.Body)
		if err != nil {
			return nil, err
		}
		switch reply.StatusCode {
		case http.StatusOK:
			if len(body) == 0 {
				return json.RawMessage("null"), nil
			}
			return body, nil
		case http.StatusInternalServerError:
			return nil, errors.New(string(body))
		case http.StatusBadGateway:
			fmt.Fprintln(os.Stderr, "recorder: ending the process as told")
			os.Exit(1)
		}
		return nil, fmt.Errorf("recorder: unexpected verdict %d", reply.StatusCode)
	})
}
