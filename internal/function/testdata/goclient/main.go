// Command goclient is a function for each of AWS's ways to write one in Go, chosen by the variable CASE.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
)

type answer struct {
	OK int `json:"ok"`
}

// MyErr is an error of the function's own.
type MyErr struct{}

func (MyErr) Error() string { return "own" }

type pointed struct{ field int }

func (p *pointed) read() int { return p.field }

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the reader broke") }

var errBad = errors.New("bad")

var handlers = map[string]any{
	"struct":        func() (answer, error) { return answer{1}, nil },
	"only-error":    func() error { return nil },
	"escapes":       func() (string, error) { return "<a>&\u2028", nil },
	"error":         func() error { return errBad },
	"wrapped":       func() error { return fmt.Errorf("around: %w", errBad) },
	"own":           func() error { return MyErr{} },
	"own-pointer":   func() error { return &MyErr{} },
	"response":      func() error { return messages.InvokeResponse_Error{Type: "Chosen", Message: "m"} },
	"panic":         func() error { panic("boom") },
	"panic-error":   func() error { panic(errBad) },
	"nil-pointer":   func() (int, error) { var p *pointed; return p.read(), nil },
	"chan":          func() (chan int, error) { return make(chan int), nil },
	"wrong-event":   func(n int) error { return nil },
	"bad-signature": func(a, b, c int) error { return nil },
	"no-function":   5,
	"reader":        func() (io.Reader, error) { return strings.NewReader("\x00raw"), nil },
	"half-reader":   func() (io.Reader, error) { return io.MultiReader(strings.NewReader("half"), failing{}), nil },
	"long":          func() (string, error) { return strings.Repeat("x", 7<<20), nil },
	"exit":          func() error { os.Exit(4); return nil },
	"late": func() (int, error) {
		go func() {
			time.Sleep(20 * time.Millisecond)
			panic("late")
		}()
		return os.Getpid(), nil
	},
	"trace": func(ctx context.Context) ([]any, error) {
		return []any{ctx.Value("x-amzn-trace-id"), os.Getenv("_X_AMZN_TRACE_ID")}, nil
	},
}

func main() {
	if os.Getenv("CASE") == "main" {
		panic("main")
	}
	lambda.Start(handlers[os.Getenv("CASE")])
}
