package app

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/server"
)

// countedCalls counts a node's own calls of the tables' server, by their operation.
type countedCalls struct {
	next http.RoundTripper

	mu    sync.Mutex
	calls map[string]*server.TablesCalls
}

// RoundTrip implements http.RoundTripper.
func (c *countedCalls) RoundTrip(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if operation == "" {
		operation = "other"
	}
	began := time.Now()
	resp, err := c.next.RoundTrip(r)
	took := time.Since(began)
	c.mu.Lock()
	defer c.mu.Unlock()
	of := c.calls[operation]
	if of == nil {
		of = &server.TablesCalls{Operation: operation}
		c.calls[operation] = of
	}
	of.Time += took
	switch {
	case err == nil && resp.StatusCode == http.StatusOK:
		of.OK++
	case err == nil && resp.StatusCode == http.StatusBadRequest:
		of.Refused++
	default:
		of.Failed++
	}
	return resp, err
}

// stats are a node's for its metrics.
func (n *node) stats() server.NodeStats {
	st := server.NodeStats{Worked: len(n.Held()), Routed: n.router.sent.Load()}
	st.Alive, st.Unowned, st.ClaimsLost = n.Sight()
	if n.polled != nil {
		st.LeftOut = n.polled.LeftOut()
	}
	n.calls.mu.Lock()
	defer n.calls.mu.Unlock()
	for _, c := range n.calls.calls {
		st.Calls = append(st.Calls, *c)
	}
	return st
}
