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
