// Command gofunc is the function of the tests: what an event asks for, it does.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Do   string `json:"do"`
	Text string `json:"text"`
	N    int    `json:"n"`
}

var calls int

func handle(ctx context.Context, e event) (any, error) {
	calls++
	switch e.Do {
	case "echo":
		return e.Text, nil
	case "calls":
		return calls, nil
	case "pid":
		return os.Getpid(), nil
	case "env":
		return os.Environ(), nil
	case "context":
		lc, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		return map[string]any{
			"id": lc.AwsRequestID, "arn": lc.InvokedFunctionArn, "name": lambdacontext.FunctionName,
			"remaining": time.Until(deadline).Milliseconds(), "custom": lc.ClientContext.Custom,
		}, nil
	case "error":
		return nil, errors.New(e.Text)
	case "panic":
		panic(e.Text)
	case "exit":
		os.Exit(e.N)
	case "hang":
		select {}
	case "print":
		for i := range e.N {
			fmt.Println(e.Text, i)
		}
		fmt.Print("no line end")
		return nil, nil
	case "flood":
		line := strings.Repeat("x", 1000)
		for {
			fmt.Println(line)
		}
	case "long":
		return strings.Repeat("x", e.N), nil
	case "garbage":
		return strings.NewReader("\xff\x00 not json"), nil
	case "halfway":
		return io.MultiReader(strings.NewReader(`{"half":`), failing{}), nil
	}
	return nil, fmt.Errorf("what is %q?", e.Do)
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the reader broke") }

func main() {
	switch os.Getenv("AT_START") {
	case "exit":
		os.Exit(7)
	case "hang":
		select {}
	case "grandchild":
		cmd := exec.Command("sleep", "600")
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		fmt.Println("grandchild", cmd.Process.Pid)
	}
	opts := []lambda.Option{}
	if os.Getenv("SIGTERM") != "" {
		opts = append(opts, lambda.WithEnableSIGTERM(func() { fmt.Println("terminated") }))
	}
	lambda.StartWithOptions(func(ctx context.Context, raw json.RawMessage) (any, error) {
		var e event
		if err := json.Unmarshal(raw, &e); err != nil {
			return nil, err
		}
		return handle(ctx, e)
	}, opts...)
}
