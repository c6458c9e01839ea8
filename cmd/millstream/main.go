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
	"strings"
	"syscall"

	"github.com/millstreamdb/millstream/internal/app"
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
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &quiet):
		return int(quiet)
	}
	fmt.Fprintln(os.Stderr, "millstream:", message(err))
	switch {
	case errors.As(err, &usage):
		return 2
	case app.Overtaken(err):
		return overtaken
	}
	return 1
}

// overtaken is the exit code of a server that another one has followed in its place. docs/operators/millstream.service does not start it again.
const overtaken = 3

// message is an error's text without the names of rooms that it begins with.
func message(err error) string {
	text := err.Error()
	for {
		rest := text
		for _, room := range []string{"millstream: ", "store: ", "template: "} {
			rest = strings.TrimPrefix(rest, room)
		}
		if rest == text {
			return text
		}
		text = rest
	}
}

// exitError ends the program with this code; what there is to say has been said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }
