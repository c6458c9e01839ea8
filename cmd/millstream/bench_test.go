package main

import (
	"context"
	"io"
	"testing"

	"github.com/millstreamdb/millstream/internal/bench"
)

// The server that bench starts takes the settings that serve has by default, whichever serve has got since.
func TestBenchServerStarts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it ends as soon as it serves
	root := newRoot()
	root.SetArgs([]string{bench.ServerCommand, "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--durability", "none"})
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	if err := root.ExecuteContext(ctx); err != nil {
		t.Fatal(err)
	}
}
