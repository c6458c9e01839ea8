package admin

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// StandbyConfig is what the protocol shows of a standby. All of it is needed.
type StandbyConfig struct {
	Status  func() wire.Status
	Promote func(ctx context.Context, lost, only bool) (wire.Promoted, error)
	Logger  *slog.Logger
}

// NewStandby returns the handler of everything below Prefix while the server is a standby.
func NewStandby(c StandbyConfig) http.Handler {
	h := &handler{Config: Config{Logger: c.Logger}}
	h.document("GET", "version", func(*http.Request) (any, error) {
		return wire.Version{Version: c.Status().Version, Go: runtime.Version(), Protocol: 1}, nil
	})
	h.document("GET", "status", func(*http.Request) (any, error) { return c.Status(), nil })
	h.document("POST", "promote", func(r *http.Request) (any, error) {
		p, err := c.Promote(r.Context(), r.URL.Query().Get("lost") == "1", r.URL.Query().Get("only") == "1")
		if err != nil {
			return nil, &wire.Error{Code: "NotPromoted", Message: err.Error(), Status: http.StatusConflict}
		}
		return p, nil
	})
	h.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		h.fail(w, &wire.Error{Code: "Standby", Message: "This server is a standby: it answers for its health, metrics and status only, until `millstream promote`.", Status: http.StatusServiceUnavailable})
	})
	return h
}

// promote is refused by who is no standby.
func (h *handler) promote(*http.Request) (any, error) {
	return nil, &wire.Error{Code: "NotPromoted", Message: "this server is no standby: it serves already", Status: http.StatusConflict}
}
