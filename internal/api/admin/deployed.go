package admin

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// maxDeployment is how long the list of what a stack has made may be in bytes.
const maxDeployment = 1 << 20

func (h *handler) deployed(r *http.Request) (any, error) {
	return h.Stacks.Deployed(h.scope(r), r.PathValue("stack")), nil
}

// stacks lists the stacks of a scope, those of clients and of CloudFormation, with what they have made.
func (h *handler) stacks(r *http.Request) (any, error) {
	return wire.Stacks{Stacks: h.Stacks.Made(h.scope(r))}, nil
}

// holdDeployment gives a stack to one caller at a time, for as long as its connection stands.
func (h *handler) holdDeployment(w http.ResponseWriter, r *http.Request) {
	h.stream(w, r, func(ctx context.Context, _ func(), emit func(any) error) error {
		release, err := h.Stacks.Hold(ctx, h.scope(r), r.PathValue("stack"), func() error { return emit(wire.Hold{}) })
		if err != nil {
			return err
		}
		defer release()
		if err := emit(wire.Hold{Held: true}); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	})
}

func (h *handler) putDeployed(r *http.Request) (any, error) {
	var d wire.Deployment
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxDeployment))
	decoder.DisallowUnknownFields() // what is not understood must not be lost
	if err := decoder.Decode(&d); err != nil {
		return nil, wire.BadRequest("the list of what was made could not be read: " + err.Error())
	}
	version, err := h.Stacks.PutDeployed(h.scope(r), r.PathValue("stack"), d)
	return wire.Deployment{Version: version}, err
}
