package lambda

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/trace"
)

// invocation is what a call's path and headers say of it.
func (c *call) invocation(w http.ResponseWriter) function.Invocation {
	return function.Invocation{
		Name: c.name(), Qualifier: c.qualifier(), Payload: c.body, RequestID: w.Header().Get("x-amzn-RequestId"),
		TraceID: c.trace(),
	}
}

// trace is the trace header of a call: the caller's own, or the one of the span that the call has become.
func (c *call) trace() string {
	given := c.r.Header.Get(trace.Header)
	if id := trace.From(c.r.Context()); !id.IsZero() && id != trace.Parse(given) {
		return id.Header()
	}
	return given
}

// unsupported refuses what functions here do not have.
func (c *call) unsupported() error {
	for header, member := range map[string]string{"X-Amz-Tenant-Id": "TenantId", "X-Amz-Durable-Execution-Name": "DurableExecutionName"} {
		if c.r.Header.Get(header) != "" {
			return awserr.LambdaInvalidParameter(member + " is not supported by this version of Millstream: functions have no tenants and no durable executions.")
		}
	}
	return nil
}

func invoke(c *call, w http.ResponseWriter) error {
	if err := c.unsupported(); err != nil {
		return err
	}
	inv := c.invocation(w)
	switch kind := c.r.Header.Get("X-Amz-Invocation-Type"); kind {
	case "", "RequestResponse":
		return c.invokeAndAnswer(w, inv)
	case "Event":
		if _, err := c.h.functions.InvokeEvent(c.scope, inv); err != nil {
			return err
		}
		writeJSON(w, http.StatusAccepted, nil)
		return nil
	case "DryRun":
		if err := c.h.functions.Check(c.scope, inv.Name, inv.Qualifier); err != nil {
			return err
		}
		writeJSON(w, http.StatusNoContent, nil)
		return nil
	default:
		return awserr.Validation("1 validation error detected: Value '" + kind + "' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]")
	}
}

// options reads the headers of a call whose answer is waited for.
func (c *call) options(inv *function.Invocation) error {
	switch kind := c.r.Header.Get("X-Amz-Log-Type"); kind {
	case "", "None":
	case "Tail":
		inv.Tail = true
	default:
		return awserr.Validation("1 validation error detected: Value '" + kind + "' at 'logType' failed to satisfy constraint: Member must satisfy enum value set: [None, Tail]")
	}
	if text := c.r.Header.Get("X-Amz-Client-Context"); text != "" {
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(text) > maxClientContext || !json.Valid(decoded) {
			return awserr.InvalidRequestContent("Client context must be a valid Base64-encoded JSON object.")
		}
		inv.ClientContext = string(compact(decoded))
	}
	return nil
}

func (c *call) invokeAndAnswer(w http.ResponseWriter, inv function.Invocation) error {
	if err := c.options(&inv); err != nil {
		return err
	}
	out, err := c.h.functions.Invoke(c.r.Context(), c.scope, inv)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("X-Amz-Executed-Version", out.ExecutedVersion)
	if out.FunctionError != "" {
		h.Set("X-Amz-Function-Error", out.FunctionError)
	}
	if inv.Tail {
		h.Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString(out.LogTail))
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(out.Payload)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(out.Payload) // the client has gone: there is nobody to tell
	return nil
}

// compact removes line ends, which may not stand in the header that carries the
// document on.
func compact(document []byte) []byte {
	out := document[:0]
	for _, b := range document {
		if b != '\n' && b != '\r' {
			out = append(out, b)
		}
	}
	return out
}
