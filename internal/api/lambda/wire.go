package lambda

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/millstreamdb/millstream/internal/awserr"
)

// writeJSON answers with a status and a JSON document; nil sends no body.
func writeJSON(w http.ResponseWriter, status int, v any) {
	if v == nil {
		w.WriteHeader(status)
		return
	}
	body, err := json.Marshal(v)
	if err != nil {
		writeError(w, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone: there is nobody to tell
}

// errorBody is Lambda's error document. AWS spells the text "message" for some
// errors and "Message" for others, and clients read either, so both are sent.
type errorBody struct {
	Type    string `json:"Type,omitempty"`
	Reason  string `json:"Reason,omitempty"`
	Lower   string `json:"message"`
	Capital string `json:"Message"`
}

// writeError answers with err: an *awserr.Error as it is, anything else as
// Lambda's ServiceException (the cause is for the log, not for the client).
func writeError(w http.ResponseWriter, err error) {
	var e *awserr.Error
	if !errors.As(err, &e) || e.Code == "InternalServerError" {
		e = awserr.LambdaService()
	}
	body := errorBody{Reason: e.Reason, Lower: e.Message, Capital: e.Message}
	switch {
	case e.Code == "ValidationException": // AWS sends no Type with this one
	case e.HTTPStatus() >= 500:
		body.Type = "Service"
	default:
		body.Type = "User"
	}
	h := w.Header()
	h.Set("x-amzn-ErrorType", e.Code)
	e.SetRetryAfter(h)
	writeJSON(w, e.HTTPStatus(), body)
}
