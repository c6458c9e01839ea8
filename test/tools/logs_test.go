package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// A function that prints, and goes on until the file that its event names is there.
const printer = `Transform: AWS::Serverless-2016-10-31
Resources:
  Printer:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: F
      Runtime: python3.13
      Handler: index.handler
      Timeout: 300
      InlineCode: |
        import os, time
        def handler(event, context):
            print("line", event["n"], "of", time.time())
            while not os.path.exists(event["until"]):
                time.sleep(0.01)
`

// TestFollowLogs follows a function with the SAM CLI and with the AWS CLI (TOOLS_AWS, its program in version 2). Both print each
// line while the call still runs, and once they have begun to follow, within a second.
func TestFollowLogs(t *testing.T) {
	p := begin(t, newProject, "sam", "python3")
	cli := os.Getenv("TOOLS_AWS")
	if cli == "" {
		absent(t, "TOOLS_AWS names no AWS CLI of version 2")
	}
	if err := os.WriteFile(filepath.Join(p.dir, "template.yaml"), []byte(printer), 0o600); err != nil {
		t.Fatal(err)
	}
	p.run(samDeploy)
	for _, c := range []struct {
		name  string
		lines int
		line  []string
	}{
		{"sam", 9, []string{"sam", "logs", "--stack-name", "shop", "-n", "Printer", "--tail"}},
		{"aws", 9, []string{cli, "logs", "tail", "/aws/lambda/F", "--follow", "--endpoint-url", p.endpoint}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := *p
			p.t = t
			tail := p.start(c.line[0], c.line[1:]...)
			end := 0
			var took []time.Duration
			for n := range c.lines {
				until := filepath.Join(t.TempDir(), "seen")
				payload, err := json.Marshal(map[string]string{"n": fmt.Sprint(c.name, n), "until": until})
				if err != nil {
					t.Fatal(err)
				}
				called := make(chan error, 1)
				go func() {
					out, err := p.functions.Invoke(context.WithoutCancel(t.Context()), &lambda.InvokeInput{FunctionName: aws.String("F"), Payload: payload})
					if err == nil && out.FunctionError != nil {
						err = fmt.Errorf("%s: %s", *out.FunctionError, out.Payload)
					}
					called <- err
				}()
				pattern := fmt.Sprintf(`line %s%d of ([0-9.]+)`, c.name, n)
				from := end
				end = tail.await(end, pattern)
				seen := time.Now()
				printed, err := strconv.ParseFloat(regexp.MustCompile(pattern).FindStringSubmatch(tail.printed()[from:])[1], 64)
				if err != nil {
					t.Fatal(err)
				}
				if n > 1 { // it has begun to follow
					took = append(took, seen.Sub(time.UnixMicro(int64(printed*1e6))))
				}
				select {
				case err := <-called:
					t.Errorf("the call ended before its line was printed: %v", err)
				default:
				}
				if err := os.WriteFile(until, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := <-called; err != nil {
					t.Error(err)
				}
			}
			slices.Sort(took)
			t.Logf("lines are printed after %v", took)
			// On a machine that does other work too, the client itself may need longer than the function.
			if median := took[len(took)/2]; os.Getenv("TIMES_STRICT") != "" && median > time.Second {
				t.Errorf("lines are printed after %v", took)
			}
		})
	}
}
