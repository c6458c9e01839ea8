package admin

import (
	"net/http"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// nodes lists the nodes that work over one server's tables.
func (h *handler) nodes(r *http.Request) (any, error) {
	all, is, err := h.Nodes(r.Context())
	if err == nil && !is {
		err = wire.BadRequest("this server keeps its tables itself, and knows no nodes: ask one of those that run with serve --tables")
	}
	return struct {
		Nodes []wire.Node `json:"nodes"`
	}{all}, err
}

// drain has the node node= give its streams up, or with off=true take part again.
func (h *handler) drain(r *http.Request) (any, error) {
	q := r.URL.Query()
	if q.Get("node") == "" {
		return nil, wire.BadRequest("node= is missing")
	}
	if err := h.Drain(r.Context(), q.Get("node"), q.Get("off") == "true"); err != nil {
		return nil, wire.BadRequest(err.Error())
	}
	return struct{}{}, nil
}
