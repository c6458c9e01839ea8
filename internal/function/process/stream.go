package process

import (
	"io"
	"net/http"
	"sync"

	"github.com/millstreamdb/millstream/internal/function/runner"
)

// passed is how much of a streamed answer is passed on at once.
const passed = 64 << 10

// gate passes a streamed answer on as long as its caller is there: a process may write
// on when the call has timed out or its caller has gone.
type gate struct {
	mu sync.Mutex // held over each use of to, guards it
	to runner.Stream
}

// close returns when nothing is being written, and lets nothing be written after it.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.to = nil
}

// Begin implements runner.Stream.
func (g *gate) Begin(contentType string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.to != nil {
		g.to.Begin(contentType)
	}
}

// Write implements runner.Stream. What nobody reads any more is dropped, so that the
// function can end in peace, as on AWS.
func (g *gate) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.to != nil {
		if _, err := g.to.Write(b); err != nil {
			g.to = nil
		}
	}
	return len(b), nil
}

// pass sends a streamed answer on as it comes, to its end.
func (inv *invocation) pass(r *http.Request) error {
	inv.Stream.Begin(r.Header.Get("Content-Type"))
	b, total := make([]byte, passed), 0
	for {
		n, err := r.Body.Read(b)
		if total += n; total > runner.MaxStreamed {
			return errTooLong
		}
		if n > 0 {
			_, _ = inv.Stream.Write(b[:n]) // a gate's Write does not fail
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}
