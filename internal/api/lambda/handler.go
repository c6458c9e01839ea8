package lambda

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/schema"
)

// maxBody is AWS's limit of a request, inline zip included.
const maxBody = 70167211

// maxClientContext is AWS's limit of the X-Amz-Client-Context header.
const maxClientContext = 3583

// mappingServer serves the event source mapping calls: *Mappings does.
type mappingServer interface {
	// Serve answers one call whose path begins with /2015-03-31/event-source-mappings.
	// The body was read whole and the caller authenticated.
	Serve(w http.ResponseWriter, r *http.Request, scope schema.Scope, body []byte)
	// TagsOf and Retag are about the tags of one, by its ARN and UUID.
	TagsOf(scope schema.Scope, arn, uuid string) (map[string]string, error)
	Retag(ctx context.Context, scope schema.Scope, arn, uuid string, change func(tags map[string]string)) error
}

// Options of New.
type Options struct {
	// Authenticate returns the scope of a request's credentials.
	Authenticate func(r *http.Request, body []byte) (schema.Scope, *awserr.Error)
	// Apart has functions and mappings name queues and topics of their own account only, as where no policy lets them in elsewhere.
	Apart  bool
	Logger *slog.Logger // nil: none
}

// Handler is the door of the Lambda API. It is safe for concurrent use.
type Handler struct {
	functions *function.Service
	mappings  mappingServer
	opts      Options
}

// New returns the door to functions and mappings.
func New(functions *function.Service, mappings mappingServer, o Options) *Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Handler{functions: functions, mappings: mappings, opts: o}
}

// call is one request, taken apart.
type call struct {
	h     *Handler
	r     *http.Request
	scope schema.Scope
	body  []byte
	query url.Values
	parts []string // those of the path that the caller chose
}

// name is the function designator, or the ARN of a tag call.
func (c *call) name() string { return c.parts[0] }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("x-amzn-RequestId", uuid.NewString())
	op, parts := route(r.Method, split(r.URL.EscapedPath()))
	body, err := readBody(w, r, op.name)
	if err != nil {
		writeError(w, err)
		return
	}
	scope, denied := h.opts.Authenticate(r, body)
	if denied != nil {
		writeError(w, denied)
		return
	}
	if h.opts.Apart && r.Method != http.MethodGet && (op.mappings || namesOthers[op.name]) {
		if err := elsewhere(scope.Account, body); err != nil {
			writeError(w, err)
			return
		}
	}
	c := &call{h: h, r: r, scope: scope, body: body, query: r.URL.Query(), parts: parts}
	switch {
	case op.mappings:
		h.mappings.Serve(w, r, scope, body)
		return
	case op.serve == nil:
		writeError(w, unknownOperation())
		return
	}
	if err := op.serve(c, w); err != nil {
		var known *awserr.Error
		if !errors.As(err, &known) && r.Context().Err() == nil {
			h.opts.Logger.Error("a Lambda call failed", "operation", op.name, "error", err)
		}
		writeError(w, err)
	}
}

func unknownOperation() *awserr.Error {
	return &awserr.Error{Code: "UnknownOperationException", Message: "Unknown operation.", Status: http.StatusNotFound}
}

// readBody reads a body that may be a little longer than AWS takes, so that the
// answer can say so.
func readBody(w http.ResponseWriter, r *http.Request, operation string) ([]byte, error) {
	if operation == "" {
		operation = "requested"
	}
	if r.ContentLength > maxBody {
		return nil, awserr.LambdaRequestTooLarge(maxBody, operation)
	}
	// What is announced need not come: room for more is made as it arrives.
	body := bytes.NewBuffer(make([]byte, 0, max(0, min(r.ContentLength, 64<<10))+bytes.MinRead))
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return nil, awserr.LambdaRequestTooLarge(maxBody, operation)
	case err != nil:
		return nil, awserr.InvalidRequestContent("Could not read the request body: " + err.Error())
	}
	return body.Bytes(), nil
}

// decode reads the body as JSON. Members that AWS does not know are ignored.
func (c *call) decode(into any) error {
	if len(c.body) == 0 {
		return nil
	}
	err := json.Unmarshal(c.body, into)
	var kind *json.UnmarshalTypeError
	var corrupt base64.CorruptInputError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &corrupt):
		return awserr.LambdaInvalidParameter("Could not unzip uploaded file. Please check your file, then try to upload again.")
	case errors.As(err, &kind):
		return &awserr.Error{Code: "SerializationException", Message: fmt.Sprintf("%s cannot be converted to %s", strings.ToUpper(kind.Value)+"_VALUE", kind.Type)}
	}
	return awserr.InvalidRequestContent("Could not parse request body into json: " + err.Error())
}

func (c *call) qualifier() string { return c.query.Get("Qualifier") }

// maxItems is how long a page may be, 0 when it was not said.
func (c *call) maxItems() int {
	text := c.query.Get("MaxItems")
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n == 0 {
		return -1 // out of range: the service says so in AWS's words
	}
	return n
}

// answer sends what a call of the service has returned; a nil document is no body.
func answer(w http.ResponseWriter, status int, document any, err error) error {
	if err == nil {
		writeJSON(w, status, document)
	}
	return err
}

// ---- functions

func createFunction(c *call, w http.ResponseWriter) error {
	var r function.CreateRequest
	if err := c.decode(&r); err != nil {
		return err
	}
	conf, err := c.h.functions.Create(c.scope, r)
	return answer(w, http.StatusCreated, conf, err)
}

func listFunctions(c *call, w http.ResponseWriter) error {
	versions := c.query.Get("FunctionVersion")
	if versions != "" && versions != "ALL" {
		return awserr.Validation("1 validation error detected: Value '" + versions + "' at 'functionVersion' failed to satisfy constraint: Member must satisfy enum value set: [ALL]")
	}
	page, err := c.h.functions.List(c.scope, c.query.Get("Marker"), c.maxItems(), versions == "ALL")
	return answer(w, http.StatusOK, page, err)
}

func getFunction(c *call, w http.ResponseWriter) error {
	doc, err := c.h.functions.Get(c.scope, c.name(), c.qualifier())
	return answer(w, http.StatusOK, doc, err)
}

func getConfiguration(c *call, w http.ResponseWriter) error {
	conf, err := c.h.functions.Configuration(c.scope, c.name(), c.qualifier())
	return answer(w, http.StatusOK, conf, err)
}

func updateCode(c *call, w http.ResponseWriter) error {
	var r function.UpdateCodeRequest
	if err := c.decode(&r); err != nil {
		return err
	}
	conf, err := c.h.functions.UpdateCode(c.scope, c.name(), r)
	return answer(w, http.StatusOK, conf, err)
}

func updateConfiguration(c *call, w http.ResponseWriter) error {
	var r function.UpdateConfigurationRequest
	if err := c.decode(&r); err != nil {
		return err
	}
	conf, err := c.h.functions.UpdateConfiguration(c.scope, c.name(), r)
	return answer(w, http.StatusOK, conf, err)
}

func deleteFunction(c *call, w http.ResponseWriter) error {
	return answer(w, http.StatusNoContent, nil, c.h.functions.Delete(c.scope, c.name(), c.qualifier()))
}

// ---- concurrency, tags, account

func putConcurrency(c *call, w http.ResponseWriter) error {
	var r struct{ ReservedConcurrentExecutions *int }
	if err := c.decode(&r); err != nil {
		return err
	}
	if r.ReservedConcurrentExecutions == nil {
		return awserr.Validation("1 validation error detected: Value null at 'reservedConcurrentExecutions' failed to satisfy constraint: Member must not be null")
	}
	if err := c.h.functions.PutConcurrency(c.scope, c.name(), *r.ReservedConcurrentExecutions); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, function.Concurrency{ReservedConcurrentExecutions: *r.ReservedConcurrentExecutions})
	return nil
}

func deleteConcurrency(c *call, w http.ResponseWriter) error {
	return answer(w, http.StatusNoContent, nil, c.h.functions.DeleteConcurrency(c.scope, c.name()))
}

func getConcurrency(c *call, w http.ResponseWriter) error {
	reserved, err := c.h.functions.GetConcurrency(c.scope, c.name())
	if err != nil {
		return err
	}
	if reserved == nil {
		writeJSON(w, http.StatusOK, struct{}{})
		return nil
	}
	writeJSON(w, http.StatusOK, function.Concurrency{ReservedConcurrentExecutions: *reserved})
	return nil
}

// mapping is the UUID of the event source mapping whose ARN a tag call has.
func (c *call) mapping() (uuid string, ok bool) {
	_, uuid, ok = strings.Cut(c.name(), ":event-source-mapping:")
	return uuid, ok
}

// taggable is the API reference's pattern of the ARNs that have tags.
const taggable = `arn:(aws[a-zA-Z-]*):lambda:[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12})`

// untagged refuses what has no tags: names that are no ARNs, and versions and aliases, since tags belong to whole functions.
func (c *call) untagged() error {
	if !strings.HasPrefix(c.name(), "arn:") {
		return awserr.Validation("1 validation error detected: Value '" + c.name() + "' at 'resource' failed to satisfy constraint: Member must satisfy regular expression pattern: " + taggable)
	}
	if f, ok := arn.ParseFunction(c.name()); ok && f.Qualifier != "" && strings.Contains(c.name(), ":function:") { // not an ARN of a mapping
		return awserr.LambdaInvalidParameter("Tags on function aliases and versions are not supported. Please specify a function ARN.")
	}
	return nil
}

func listTags(c *call, w http.ResponseWriter) error {
	var tags map[string]string
	err := c.untagged()
	if err != nil {
		return err
	}
	if uuid, ok := c.mapping(); ok {
		tags, err = c.h.mappings.TagsOf(c.scope, c.name(), uuid)
	} else {
		tags, err = c.h.functions.Tags(c.scope, c.name())
	}
	if err != nil {
		return err
	}
	if tags == nil {
		tags = map[string]string{}
	}
	writeJSON(w, http.StatusOK, struct{ Tags map[string]string }{tags})
	return nil
}

func tagResource(c *call, w http.ResponseWriter) error {
	var r struct{ Tags map[string]string }
	err := cmp.Or(c.decode(&r), c.untagged())
	if err != nil {
		return err
	}
	if len(r.Tags) == 0 {
		return awserr.LambdaInvalidParameter("An error occurred and the request cannot be processed.")
	}
	if uuid, ok := c.mapping(); ok {
		err = c.h.mappings.Retag(c.r.Context(), c.scope, c.name(), uuid, func(tags map[string]string) { maps.Copy(tags, r.Tags) })
	} else {
		err = c.h.functions.Tag(c.scope, c.name(), r.Tags)
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusNoContent, nil)
	return nil
}

func untagResource(c *call, w http.ResponseWriter) error {
	err := c.untagged()
	if err != nil {
		return err
	}
	if uuid, ok := c.mapping(); ok {
		err = c.h.mappings.Retag(c.r.Context(), c.scope, c.name(), uuid, func(tags map[string]string) {
			for _, k := range c.query["tagKeys"] {
				delete(tags, k)
			}
		})
	} else {
		err = c.h.functions.Untag(c.scope, c.name(), c.query["tagKeys"])
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusNoContent, nil)
	return nil
}

func accountSettings(c *call, w http.ResponseWriter) error {
	count, size, reserved := c.h.functions.Account(c.scope)
	writeJSON(w, http.StatusOK, object{
		"AccountLimit": object{
			"TotalCodeSize": 80530636800, "CodeSizeUnzipped": 262144000, "CodeSizeZipped": 52428800,
			"ConcurrentExecutions": function.AccountConcurrency, "UnreservedConcurrentExecutions": function.AccountConcurrency - reserved,
		},
		"AccountUsage": object{"TotalCodeSize": size, "FunctionCount": count},
	})
	return nil
}
