package admin

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/gateway"
)

// maxAPI is how long an API's document may be in bytes.
const maxAPI = 1 << 20

func (h *handler) apis(r *http.Request) (any, error) {
	return struct {
		APIs []wire.API `json:"apis"`
	}{h.Gateway.List(h.scope(r))}, nil
}

func (h *handler) putAPI(r *http.Request) (any, error) {
	var api wire.API
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxAPI))
	decoder.DisallowUnknownFields() // a route that is not understood must not be lost
	if err := decoder.Decode(&api); err != nil {
		return nil, wire.BadRequest("the API could not be read: " + err.Error())
	}
	if name := r.PathValue("name"); api.Name != name {
		return nil, wire.BadRequest("the name in the path is " + name + ", in the document " + api.Name)
	}
	kept, err := h.Gateway.Put(h.scope(r), api)
	return kept, refusal(err)
}

func (h *handler) deleteAPI(r *http.Request) (any, error) {
	return struct{}{}, refusal(h.Gateway.Delete(h.scope(r), r.PathValue("name")))
}

// refusal turns an error of the front door into one of the protocol.
func refusal(err error) error {
	var e *gateway.Error
	switch {
	case !errors.As(err, &e):
		return err
	case e.NotFound:
		return wire.NotFound(e.Text)
	}
	return wire.BadRequest(e.Text)
}
