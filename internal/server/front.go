package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/door"
)

// ServeFront answers on ln with Config.Front: function URLs and HTTP APIs. To a
// browser another port is another origin, so a page that a function has sent is no
// page of the AWS protocols, and web pages may come here. The names of hosts are
// held against the same list as there: what functions answer on this machine is not
// for a page whose name was made to lead here. It ends as Serve does.
func (s *Server) ServeFront(ctx context.Context, ln net.Listener) error {
	return s.serve(ctx, ln, s.FrontHandler(), nil, s.limits, maxFrontHeader, func() {})
}

// FrontHandler is what ServeFront serves.
func (s *Server) FrontHandler() http.Handler { return http.HandlerFunc(s.serveFront) }

// maxFrontBody is what the front door takes at most.
const maxFrontBody = 10 << 20

func (s *Server) serveFront(w http.ResponseWriter, r *http.Request) {
	defer s.watchPanic()
	if !s.hosts.allow(r.Host) {
		s.metrics.refused.WithLabelValues("host").Inc()
		writeRefusal(w, fmt.Sprintf("Millstream does not answer to the host name %q: it might be a web page's. "+
			"Use a loopback name, or start the server with --allowed-host %s.", r.Host, hostname(r.Host)))
		return
	}
	if s.config.Front == nil || s.panicked.Load() {
		writeError(w, routeLambda, awserr.LambdaService())
		return
	}
	r, held, ok := s.fronts.enterHTTP(r, maxFrontBody, s.copies(r))
	if !ok {
		s.metrics.refused.WithLabelValues("busy").Inc()
		w.Header().Set("Connection", "close")
		writeError(w, routeLambda, throttled(routeLambda, "", s.fronts.wait()))
		return
	}
	start := time.Now()
	defer s.fronts.leave(held, start)
	dropConsoleCookies(r)
	if s.verifies() {
		r = s.config.Auth.receive(r, maxFrontBody)
	}
	s.metrics.inFlight.Add(1)
	defer s.metrics.inFlight.Add(-1)
	ex := exchange{ResponseWriter: w, peer: door.PeerOf(r.Context())}
	s.config.Front.ServeHTTP(&ex, r)
	s.metrics.front.done(ex.statusLabel(), time.Since(start))
}

// statusLabel is the code label of the front door: a status, since what a function
// answers must not become a label.
func (e *exchange) statusLabel() string {
	if e.status < 400 {
		return "OK"
	}
	if text := http.StatusText(e.status); text != "" {
		return strings.ReplaceAll(text, " ", "")
	}
	return "other"
}
