package admin

import (
	"encoding/json"
	"net/http"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// maxDeployment is how long the list of what a stack has made may be in bytes.
const maxDeployment = 1 << 20

func (h *handler) deployed(r *http.Request) (any, error) {
	return wire.Deployment{Resources: h.Stacks.Deployed(h.scope(r), r.PathValue("stack"))}, nil
}

func (h *handler) putDeployed(r *http.Request) (any, error) {
	var d wire.Deployment
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxDeployment))
	decoder.DisallowUnknownFields() // what is not understood must not be lost
	if err := decoder.Decode(&d); err != nil {
		return nil, wire.BadRequest("the list of what was made could not be read: " + err.Error())
	}
	return struct{}{}, h.Stacks.PutDeployed(h.scope(r), r.PathValue("stack"), d.Resources)
}
