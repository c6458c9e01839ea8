package server

import (
	"context"
	"net"
	"net/http"
)

// ServeAdmin answers on ln for health, metrics and Millstream's own protocol, and for nothing else: with connections and
// places of its own, so that who operates the server is answered when its clients have taken all others. It ends as Serve does.
func (s *Server) ServeAdmin(ctx context.Context, ln net.Listener) error {
	if !local(ln.Addr()) {
		s.exposed.Store(true)
	}
	trusted := ln.Addr().Network() == "unix" // its file is the owner's alone
	own := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch routeOf(r.URL.Path) {
		case routeAdmin, routeMetrics, routeHealth:
			s.handle(w, r, s.admins, trusted)
		default:
			writeNotFound(w)
		}
	})
	return s.serve(ctx, ln, own, nil, s.limits.forAdmin(), maxHeader, s.stop)
}

// adminConnections are those of ServeAdmin's listener.
const adminConnections = 32

func (l Limits) forAdmin() Limits {
	l.Connections, l.Requests = adminConnections, adminConnections
	return l
}
