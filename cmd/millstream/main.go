// Command millstream serves DynamoDB tables, streams and Lambda functions from one
// program, and looks into such a server. Each command has a file of its own, with
// flags and printing only; what they do is in package millstream and the clients
// internal/admin and internal/bench.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if isFunction() {
		runFunction()
		return
	}
	// The first signal asks for an orderly end, a second one ends at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:]))
}

// run executes a command line and returns the exit code.
func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var quiet exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &quiet):
		return int(quiet)
	}
	fmt.Fprintln(os.Stderr, "millstream:", err)
	return 1
}

// exitError ends the program with this code; what there is to say has been said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }
