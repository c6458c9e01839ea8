package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/function"
)

// maxEvent is the largest event of an invocation, as on AWS.
const maxEvent = 6 << 20

// invoke runs a function once and waits for its answer.
func (h *handler) invoke(r *http.Request) (any, error) {
	name := r.URL.Query().Get("function")
	if name == "" {
		return nil, wire.BadRequest("function= is missing")
	}
	event, err := io.ReadAll(io.LimitReader(r.Body, maxEvent+1))
	if err != nil {
		return nil, wire.BadRequest("the event could not be read: " + err.Error())
	}
	if len(event) > maxEvent {
		return nil, wire.BadRequest("the event is larger than 6 MB")
	}
	started := time.Now()
	out, err := h.Functions.Invoke(r.Context(), h.scope(r), function.Invocation{Name: name, Payload: event, Tail: true})
	if function.IsNotFound(err) {
		return nil, h.noFunction(h.scope(r), name)
	}
	if err != nil {
		return nil, wire.BadRequest(err.Error())
	}
	answer := wire.Invocation{
		Error: out.FunctionError, Payload: out.Payload, Log: string(out.LogTail), RequestID: out.RequestID,
		Millis: float64(time.Since(started).Microseconds()) / 1000,
	}
	if !json.Valid(answer.Payload) {
		answer.Payload, err = json.Marshal(string(answer.Payload))
	}
	return answer, err
}
