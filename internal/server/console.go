package server

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
)

// consoleConnections are those of ServeConsole's listener: a page has up to six.
const consoleConnections = 256

// ServeConsole answers on ln with h, the page for people, which decides itself who may see what. To a browser another port is another
// origin, so that no page of a function is a page of the console; pages of other origins are refused before h sees them. Requests' contexts
// end when the server stops. It ends as Serve does.
func (s *Server) ServeConsole(ctx context.Context, ln net.Listener, h http.Handler) error {
	limits := s.limits
	limits.Connections = consoleConnections
	return s.serve(ctx, ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.watchPanic()
		if refused := s.hosts.refuse(r); refused != nil {
			s.metrics.refused.WithLabelValues(refused.reason).Inc()
			writeRefusal(w, refused.text)
			return
		}
		r, cancel := s.endWithServer(r)
		defer cancel()
		h.ServeHTTP(w, r)
	}), nil, limits, maxHeader, s.stop)
}

// consoleCookie begins the names of the cookies of the console's sessions.
const consoleCookie = "millstream-console-"

// dropConsoleCookies takes the console's sessions off a request to the front door: browsers send cookies to all ports of a host, and a
// function is not to have its owner's session.
func dropConsoleCookies(r *http.Request) {
	lines := r.Header["Cookie"]
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, consoleCookie) }) {
		return
	}
	r.Header.Del("Cookie")
	for _, line := range lines {
		kept := slices.DeleteFunc(strings.Split(line, ";"), func(c string) bool { return strings.HasPrefix(strings.TrimSpace(c), consoleCookie) })
		if line := strings.TrimSpace(strings.Join(kept, ";")); line != "" {
			r.Header.Add("Cookie", line)
		}
	}
}
