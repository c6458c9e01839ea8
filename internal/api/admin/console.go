package admin

import (
	"net/http"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// console makes a link to the console, good for one person once.
func (h *handler) console(*http.Request) (any, error) {
	link := h.ConsoleLink()
	if link == "" {
		return nil, wire.NotFound("the server has no console: it was started with --console-listen off, or is part of another program")
	}
	return wire.Console{URL: link}, nil
}
