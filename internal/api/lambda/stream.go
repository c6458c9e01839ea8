package lambda

import (
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function"
)

// invokeStreaming serves InvokeWithResponseStream: the answer comes piece by piece, as
// events of AWS's stream encoding. A function that does not stream has one piece.
func invokeStreaming(c *call, w http.ResponseWriter) error {
	if err := c.unsupported(); err != nil {
		return err
	}
	inv := c.invocation(w)
	if err := c.options(&inv); err != nil {
		return err
	}
	switch kind := c.r.Header.Get("X-Amz-Invocation-Type"); kind {
	case "", "RequestResponse":
	case "DryRun":
		if err := c.h.functions.Check(c.scope, inv.Name, inv.Qualifier); err != nil {
			return err
		}
		writeJSON(w, http.StatusNoContent, nil)
		return nil
	default:
		return awserr.Validation("1 validation error detected: Value '" + kind + "' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [RequestResponse, DryRun]")
	}
	events := &eventWriter{w: w, control: http.NewResponseController(w), encoder: eventstream.NewEncoder()}
	inv.Stream = events
	out, err := c.h.functions.Invoke(c.r.Context(), c.scope, inv)
	if err != nil && !events.begun {
		return err
	}
	events.end(out, err, inv.Tail)
	return nil
}

// eventWriter sends an answer as events.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	encoder *eventstream.Encoder
	begun   bool
}

// Begin implements the stream of an invocation.
func (e *eventWriter) Begin(version, _ string) {
	e.begun = true
	e.w.Header().Set("X-Amz-Executed-Version", version)
	e.w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
	e.w.WriteHeader(http.StatusOK)
}

// Write sends a piece at once.
func (e *eventWriter) Write(b []byte) (int, error) {
	if err := e.send("PayloadChunk", "application/octet-stream", b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (e *eventWriter) send(event, contentType string, payload []byte) error {
	m := eventstream.Message{Payload: payload}
	m.Headers.Set(":message-type", eventstream.StringValue("event"))
	m.Headers.Set(":event-type", eventstream.StringValue(event))
	m.Headers.Set(":content-type", eventstream.StringValue(contentType))
	if err := e.encoder.Encode(e.w, m); err != nil {
		return err
	}
	return e.control.Flush()
}

// end sends what is left, and the event that ends the stream.
func (e *eventWriter) end(out function.Outcome, err error, tail bool) {
	if !e.begun {
		e.Begin(out.ExecutedVersion, "")
	}
	var complete struct{ ErrorCode, ErrorDetails, LogResult string }
	switch {
	case err != nil:
		complete.ErrorCode, complete.ErrorDetails = "ServiceException", err.Error()
	case out.FunctionError != "":
		var d struct{ ErrorType string }
		_ = json.Unmarshal(out.Payload, &d) // a document without a type leaves the general word
		if complete.ErrorCode = d.ErrorType; d.ErrorType == "" {
			complete.ErrorCode = out.FunctionError
		}
		complete.ErrorDetails = string(out.Payload)
	case !out.Streamed:
		if _, err := e.Write(out.Payload); err != nil {
			return // the client has gone: there is nobody to tell
		}
	}
	if tail {
		complete.LogResult = base64.StdEncoding.EncodeToString(out.LogTail)
	}
	if document, err := json.Marshal(complete); err == nil {
		_ = e.send("InvokeComplete", "application/json", document) // as above
	}
}
