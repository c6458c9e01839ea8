package logs

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/schema"
)

const (
	target  = "Logs_20140328."
	maxBody = 1 << 20
)

// Options of New.
type Options struct {
	// Authenticate returns the scope of a request's credentials.
	Authenticate func(r *http.Request) (schema.Scope, *awserr.Error)
	Logger       *slog.Logger // nil: none
}

// Handler is the door of CloudWatch Logs. It is safe for concurrent use.
type Handler struct {
	functions *function.Service
	opts      Options
	followers followers
}

// New returns the door to the logs of functions.
func New(functions *function.Service, o Options) *Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Handler{functions: functions, opts: o}
}

// call is one request.
type call struct {
	functions *function.Service
	followers *followers
	ctx       context.Context // its client's
	client    string          // the address of its connection
	program   *program        // it is of a program that follows groups; nil: it is not
	scope     schema.Scope
	body      []byte
}

// operations are those that are there.
var operations = map[string]func(c *call) (any, error){
	"DescribeLogGroups": describeGroups, "DescribeLogStreams": describeStreams, "FilterLogEvents": filterEvents, "GetLogEvents": getEvents,
	"CreateLogGroup": createGroup, "PutRetentionPolicy": putRetention, "DeleteRetentionPolicy": deleteRetention,
	"DeleteLogGroup": deleteGroup, "PutLogGroupDeletionProtection": putProtection,
	"AssociateKmsKey": associateKey, "DisassociateKmsKey": disassociateKey, "ListTagsForResource": listTags, "ListTagsLogGroup": listTags,
	"TagResource": tagGroup, "TagLogGroup": tagGroup, "UntagResource": untagGroup, "UntagLogGroup": untagGroup,
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("x-amzn-RequestId", uuid.NewString())
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		writeError(w, invalid("The request is too large or could not be read."))
		return
	}
	scope, denied := h.opts.Authenticate(r)
	if denied != nil {
		writeError(w, denied)
		return
	}
	name := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), target)
	serve := operations[name]
	if serve == nil {
		writeError(w, &awserr.Error{Code: "UnknownOperationException", Message: name + " is not supported: Millstream's CloudWatch Logs has what reads the logs of functions. Follow them with FilterLogEvents."})
		return
	}
	answer, err := serve(&call{h.functions, &h.followers, r.Context(), r.RemoteAddr, programOf(r), scope, body})
	var known *awserr.Error
	switch {
	case err == nil:
		write(w, http.StatusOK, answer)
	case errors.As(err, &known):
		writeError(w, known)
	default:
		h.opts.Logger.Error("a call of CloudWatch Logs failed", "operation", name, "error", err)
		writeError(w, &awserr.Error{Code: "ServiceUnavailableException", Message: "The service cannot complete the request.", Status: http.StatusInternalServerError})
	}
}

// decode reads the body. Members that are not known are ignored.
func (c *call) decode(into any) error {
	if err := json.Unmarshal(c.body, into); err != nil {
		return &awserr.Error{Code: "SerializationException", Message: err.Error()}
	}
	return nil
}

func invalid(text string) *awserr.Error {
	return &awserr.Error{Code: "InvalidParameterException", Message: text}
}

func noGroup(err error) error {
	switch {
	case errors.Is(err, function.ErrLogGroup):
		return &awserr.Error{Code: "ResourceNotFoundException", Message: "The specified log group does not exist."}
	case errors.Is(err, function.ErrLogGroupKept):
		return &awserr.Error{Code: "ValidationException", Message: "Cannot delete log group with deletion protection enabled. Disable deletion protection first."}
	case errors.Is(err, function.ErrLogGroupExists):
		return &awserr.Error{Code: "ResourceAlreadyExistsException", Message: "The specified log group already exists"}
	}
	return err
}

func write(w http.ResponseWriter, status int, answer any) {
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-1.1")
	if answer == nil {
		w.WriteHeader(status)
		return
	}
	body, err := json.Marshal(answer)
	if err != nil {
		status, body = http.StatusInternalServerError, nil
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone: there is nobody to tell
}

func writeError(w http.ResponseWriter, e *awserr.Error) {
	w.Header().Set("x-amzn-ErrorType", e.Code)
	write(w, e.HTTPStatus(), map[string]string{"__type": e.Code, "message": e.Message})
}
