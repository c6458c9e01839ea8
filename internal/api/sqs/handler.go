package sqs

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/queue"
	"github.com/millstreamdb/millstream/internal/schema"
)

// Options of New.
type Options struct {
	// Authenticate reads who a request is from. Required.
	Authenticate func(*http.Request) (schema.Scope, *awserr.Error)
	// Apart has a caller reach the queues of its own account only, as where no policy lets it in elsewhere.
	Apart  bool
	Logger *slog.Logger // nil: nothing is logged
}

// Handler answers SQS. It is safe for concurrent use.
type Handler struct {
	queues  *queue.Service
	options Options
}

// New returns the door of a service.
func New(queues *queue.Service, o Options) *Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Handler{queues, o}
}

const (
	target    = "AmazonSQS."
	namespace = "http://queue.amazonaws.com/doc/2012-11-05/"
	// maxBody is far more than a batch can have, in bytes.
	maxBody = 16 << 20
)

// call is one request under way.
type call struct {
	*request
	queues *queue.Service
	scope  schema.Scope
	base   string // of the URLs by which the client calls the server, such as http://127.0.0.1:8000
	w      writer // of the answer
}

// operation answers a call, into its writer.
type operation func(ctx context.Context, c *call) error

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := uuid.NewString()
	w.Header().Set("x-amzn-RequestId", id)
	b := buffers.Get().(*buffer)
	defer b.free()
	action, isJSON := strings.CutPrefix(r.Header.Get("X-Amz-Target"), target)
	c := &call{queues: h.queues, base: "http://" + r.Host}
	if r.TLS != nil {
		c.base = "https://" + r.Host
	}
	c.w.xml = !isJSON
	var err error
	c.w.b = b.answer[:0]
	if isJSON {
		c.w.b = append(c.w.b, '{')
		err = h.json(r, c, action, b)
		c.w.b = append(c.w.b, '}')
	} else {
		action, err = h.query(r, c, b)
	}
	b.answer = c.w.b
	var e *awserr.Error
	if err != nil && !errors.As(err, &e) {
		if r.Context().Err() == nil {
			h.options.Logger.Error("a request failed", "service", "sqs", "operation", action, "error", err)
		}
		e = &awserr.Error{Code: "InternalFailure", Message: "The request processing has failed because of an unknown error, exception or failure.", Status: http.StatusInternalServerError}
	}
	switch {
	case e != nil && isJSON:
		writeJSONError(w, e)
	case e == errNoAction:
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(e.HTTPStatus())
		_, _ = io.WriteString(w, "<UnknownOperationException/>\n") // as below
	case e != nil:
		writeXMLError(w, id, e)
	case isJSON:
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = w.Write(c.w.b) // the client has gone: there is nobody to tell
	default:
		writeXML(w, id, action, c.w.b)
	}
}

func (h *Handler) json(r *http.Request, c *call, action string, b *buffer) error {
	op := operations[action]
	if op == nil {
		return &awserr.Error{Code: "UnknownOperationException"}
	}
	body, err := b.read(r)
	if err != nil {
		return err
	}
	if c.request, err = decodeJSON(body); err != nil {
		return err
	}
	return h.run(r, c, op)
}

// errNoAction is the answer to a request that names no operation in either protocol.
var errNoAction = &awserr.Error{Code: "UnknownOperationException", Status: http.StatusNotFound}

// notOfAQueue are the operations that a queue's URL does not take.
var notOfAQueue = map[string]bool{"CreateQueue": true, "ListQueues": true}

func (h *Handler) query(r *http.Request, c *call, b *buffer) (action string, err error) {
	// A link can be followed by whom nobody asked, and may carry a signature: where none is verified, it is to be in a header, which no link has.
	if r.Method != http.MethodPost && (r.Method != http.MethodGet || r.Header.Get("Authorization") == "" && !h.options.Apart) {
		return "", &awserr.Error{Code: "MethodNotAllowed", Message: "Millstream takes calls of SQS by POST, as SDKs send them, or by GET with a signature in the header Authorization.", Status: http.StatusMethodNotAllowed}
	}
	body, err := b.read(r)
	if err != nil {
		return "", err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return "", &awserr.Error{Code: "MalformedQueryString", Message: "The form could not be read: " + err.Error()}
	}
	for k, v := range r.URL.Query() {
		if !form.Has(k) {
			form[k] = v
		}
	}
	if action = form.Get("Action"); action == "" {
		return "", errNoAction
	}
	op := operations[action]
	if op == nil || r.URL.Path != "/" && notOfAQueue[action] {
		return action, awserr.QueueActionUnsupported(action)
	}
	if c.request, err = decodeQuery(form); err != nil {
		return action, err
	}
	if c.queueURL == "" {
		c.queueURL = r.URL.Path
	}
	err = h.run(r, c, op)
	var e *awserr.Error
	if errors.As(err, &e) && e.Code == awserr.QueueMissing().Code {
		missing := *e
		missing.Message = strings.TrimSuffix(e.Message, ".") + " for this wsdl version."
		err = &missing
	}
	return action, err
}

func (h *Handler) run(r *http.Request, c *call, op operation) error {
	var refused *awserr.Error
	if c.scope, refused = h.options.Authenticate(r); refused != nil {
		return refused
	}
	if h.options.Apart && c.elsewhere() {
		return awserr.QueueMissing()
	}
	return op(r.Context(), c)
}

// elsewhere reports whether a call names a queue of another account.
func (c *call) elsewhere() bool {
	other := func(account string) bool { return account != "" && account != c.scope.Account }
	for _, name := range []string{c.sourceARN, c.destinationARN} {
		if scope, _, ok := arn.Queue(name); ok && other(scope.Account) {
			return true
		}
	}
	if handle, err := base64.StdEncoding.DecodeString(c.taskHandle); err == nil && c.taskHandle != "" {
		var task struct{ SourceARN string }
		if json.Unmarshal(handle, &task) != nil {
			return true
		}
		if scope, _, ok := arn.Queue(task.SourceARN); ok && other(scope.Account) {
			return true
		}
	}
	if other(c.owner) {
		return true
	}
	if c.queueURL == "" {
		return false
	}
	q, err := c.find()
	return err == nil && q.Scope().Account != c.scope.Account
}

// buffer is the memory of a request's body and answer. It is used again for another request: nothing may keep parts of it.
type buffer struct {
	body   bytes.Buffer
	answer []byte
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// keepBuffer is how large a buffer is kept for another request, in bytes.
const keepBuffer = 64 << 10

func (b *buffer) free() {
	if b.body.Cap() <= keepBuffer && cap(b.answer) <= keepBuffer {
		buffers.Put(b)
	}
}

// read reads the body of a request, which is valid until the request is answered.
func (b *buffer) read(r *http.Request) ([]byte, error) {
	b.body.Reset()
	_, err := b.body.ReadFrom(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, &awserr.Error{Code: "RequestTimeout", Message: "The request was cut off."}
	case b.body.Len() > maxBody:
		return nil, &awserr.Error{Code: "RequestEntityTooLarge", Message: "The request is too large.", Status: http.StatusRequestEntityTooLarge}
	}
	return b.body.Bytes(), nil
}

// shapes are the names of errors in the JSON protocol where they are not the code without AWS.SimpleQueueService.
var shapes = map[string]string{
	"AWS.SimpleQueueService.NonExistentQueue": "QueueDoesNotExist", "QueueAlreadyExists": "QueueNameExists",
	"InvalidParameterValue": "InvalidParameterValueException", "MissingParameter": "MissingRequiredParameterException",
}

// coral are the errors that the JSON protocol has from another place than SQS.
var coral = map[string]bool{"InvalidParameterValueException": true, "MissingRequiredParameterException": true, "UnknownOperationException": true, "SerializationException": true}

func writeJSONError(w http.ResponseWriter, e *awserr.Error) {
	shape := shapes[e.Code]
	if shape == "" {
		shape = strings.TrimPrefix(e.Code, "AWS.SimpleQueueService.")
	}
	full := "com.amazonaws.sqs#" + shape
	if coral[shape] {
		full = "com.amazon.coral.service#" + shape
	}
	out := writer{b: []byte{'{'}}
	out.text("__type", full)
	out.text("message", e.Message)
	out.b = append(out.b, '}')
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("x-amzn-query-error", e.Code+";"+fault(e))
	w.WriteHeader(e.HTTPStatus())
	_, _ = w.Write(out.b) // the client has gone: there is nobody to tell
}

func fault(e *awserr.Error) string {
	if e.HTTPStatus() >= 500 {
		return "Receiver"
	}
	return "Sender"
}

const xmlHead = `<?xml version="1.0"?>` + "\n"

func writeXMLError(w http.ResponseWriter, id string, e *awserr.Error) {
	out := writer{xml: true, b: []byte(xmlHead + `<ErrorResponse xmlns="` + namespace + `">`)}
	out.object("Error", func() {
		out.text("Type", fault(e))
		out.text("Code", e.Code)
		out.text("Message", e.Message)
		out.b = append(out.b, "<Detail/>"...)
	})
	out.text("RequestId", id)
	out.close("ErrorResponse")
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(e.HTTPStatus())
	_, _ = w.Write(out.b) // the client has gone: there is nobody to tell
}

// silent are the operations whose answers have no members.
var silent = map[string]bool{
	"AddPermission": true, "ChangeMessageVisibility": true, "DeleteMessage": true, "DeleteQueue": true, "PurgeQueue": true, "RemovePermission": true,
	"SetQueueAttributes": true, "TagQueue": true, "UntagQueue": true,
}

func writeXML(w http.ResponseWriter, id, action string, members []byte) {
	out := writer{xml: true, b: []byte(xmlHead + "<" + action + `Response xmlns="` + namespace + `">`)}
	switch {
	case silent[action]:
	case len(members) == 0: // as AWS writes it
		out.b = append(out.b, "<"+action+"Result/>"...)
	default:
		out.open(action + "Result")
		out.b = append(out.b, members...)
		out.close(action + "Result")
	}
	out.object("ResponseMetadata", func() { out.text("RequestId", id) })
	out.close(action + "Response")
	w.Header().Set("Content-Type", "text/xml")
	_, _ = w.Write(out.b) // the client has gone: there is nobody to tell
}
