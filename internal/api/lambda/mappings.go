package lambda

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/queue/poll"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/trigger"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Mappings is the door of the event source mapping operations.
type Mappings struct {
	engine *trigger.Engine
	queues *poll.Mappings
	// NoQueues says why there are no mappings on queues.
	NoQueues string
}

// NewMappings returns the door of an engine, for streams, and of the mappings on queues; nil: there are none.
func NewMappings(e *trigger.Engine, queues *poll.Mappings) *Mappings {
	return &Mappings{engine: e, queues: queues}
}

// onQueue reports whether a mapping is one on a queue.
func (d *Mappings) onQueue(uuid string) bool { return d.queues != nil && d.queues.Has(uuid) }

// mappingsPath is the collection; one mapping's path has its UUID behind it.
const mappingsPath = "/2015-03-31/event-source-mappings"

// Serve answers a request whose path is the collection's or one mapping's, with or
// without a slash at the end. It may be called by several goroutines at once.
func (d *Mappings) Serve(w http.ResponseWriter, r *http.Request, scope schema.Scope, body []byte) {
	uuid := strings.Trim(strings.TrimPrefix(r.URL.Path, mappingsPath), "/")
	status := http.StatusAccepted
	var answer any
	var err error
	switch {
	case uuid == "" && r.Method == http.MethodPost:
		answer, err = d.create(r, scope, body)
	case uuid == "" && r.Method == http.MethodGet:
		status = http.StatusOK
		answer, err = d.list(r, scope)
	case uuid != "" && r.Method == http.MethodGet:
		status = http.StatusOK
		answer, err = d.get(r, scope, uuid)
	case uuid != "" && r.Method == http.MethodPut:
		answer, err = d.update(r, scope, uuid, body)
	case uuid != "" && r.Method == http.MethodDelete:
		answer, err = d.delete(r, scope, uuid)
	default:
		err = &awserr.Error{Code: "MethodNotAllowedException", Message: "The method " + r.Method + " is not allowed on " + r.URL.Path, Status: http.StatusMethodNotAllowed}
	}
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, status, answer)
}

// otherSources are the members that belong to other kinds of event source, in
// the order in which they are complained about.
var otherSources = []string{
	"Topics", "Queues", "SourceAccessConfigurations", "SelfManagedEventSource", "AmazonManagedKafkaEventSourceConfig",
	"SelfManagedKafkaEventSourceConfig", "ScalingConfig", "DocumentDBEventSourceConfig", "ProvisionedPollerConfig", "LoggingConfig",
}

// decode reads a body into v, and tells which members of other sources are given.
func decode(body []byte, v any) (members map[string]json.RawMessage, foreign []string, err error) {
	if err := json.Unmarshal(body, v); err != nil {
		return nil, nil, awserr.InvalidRequestContent("Could not parse request body into json: " + err.Error())
	}
	_ = json.Unmarshal(body, &members) // an object, or the decoding above had failed; null gives no members
	for name, value := range members {
		if string(value) == "null" {
			delete(members, name)
		}
	}
	for _, name := range otherSources {
		if _, ok := members[name]; ok {
			foreign = append(foreign, name)
		}
	}
	return members, foreign, nil
}

func (d *Mappings) create(r *http.Request, scope schema.Scope, body []byte) (any, error) {
	var req mapping.CreateRequest
	members, foreign, err := decode(body, &req)
	if err != nil {
		return nil, err
	}
	req.Foreign = foreign
	_, req.HasStartingPositionTimestamp = members["StartingPositionTimestamp"]
	switch queue := req.EventSourceArn != nil && mapping.IsQueue(*req.EventSourceArn); {
	case queue && d.queues == nil && d.NoQueues != "":
		return nil, awserr.LambdaInvalidParameter(d.NoQueues)
	case queue && d.queues != nil:
		return document(d.queues.Create(r.Context(), scope, req))
	}
	return document(d.engine.Create(r.Context(), scope, req))
}

func (d *Mappings) get(r *http.Request, scope schema.Scope, uuid string) (any, error) {
	if d.onQueue(uuid) {
		return document(d.queues.Get(scope, uuid))
	}
	return document(d.engine.Get(r.Context(), scope, uuid))
}

func (d *Mappings) delete(r *http.Request, scope schema.Scope, uuid string) (any, error) {
	if d.onQueue(uuid) {
		return document(d.queues.Delete(scope, uuid))
	}
	return document(d.engine.Delete(r.Context(), scope, uuid))
}

func (d *Mappings) update(r *http.Request, scope schema.Scope, uuid string, body []byte) (any, error) {
	var req mapping.Settings
	_, foreign, err := decode(body, &req)
	if err != nil {
		return nil, err
	}
	req.Foreign = foreign
	if d.onQueue(uuid) {
		return document(d.queues.Update(r.Context(), scope, uuid, req))
	}
	return document(d.engine.Update(r.Context(), scope, uuid, req))
}

// mappingList is the answer of ListEventSourceMappings.
type mappingList struct {
	EventSourceMappings []any
	NextMarker          string `json:",omitempty"`
}

func (d *Mappings) list(r *http.Request, scope schema.Scope) (any, error) {
	q := r.URL.Query()
	req := mapping.ListRequest{EventSourceArn: q.Get("EventSourceArn"), FunctionName: q.Get("FunctionName"), Marker: q.Get("Marker")}
	if s := q.Get("MaxItems"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			return nil, awserr.InvalidRequestContent("MaxItems is not a number: " + s)
		}
		req.MaxItems = &n
	}
	views, next, err := d.engine.List(r.Context(), scope, req)
	if err != nil {
		return nil, err
	}
	if d.queues != nil {
		views, next = mapping.Merge(scope, req, views, next, d.queues.Views())
	}
	list := mappingList{EventSourceMappings: make([]any, len(views)), NextMarker: next}
	for i, v := range views {
		list.EventSourceMappings[i] = newDocument(v)
	}
	return list, nil
}

// mappingDocument is EventSourceMappingConfiguration, with the members that AWS
// returns for a DynamoDB stream.
type mappingDocument struct {
	UUID                           string
	BatchSize                      int
	MaximumBatchingWindowInSeconds int
	ParallelizationFactor          int
	EventSourceArn                 string
	EventSourceMappingArn          string
	FunctionArn                    string
	LastModified                   epoch
	LastProcessingResult           string
	State                          mapping.State
	StateTransitionReason          string
	StartingPosition               mapping.StartingPosition
	FilterCriteria                 *filterDocument `json:",omitempty"`
	DestinationConfig              destinationDocument
	MaximumRecordAgeInSeconds      int
	MaximumRetryAttempts           int
	BisectBatchOnFunctionError     bool
	TumblingWindowInSeconds        int
	FunctionResponseTypes          []string
	MetricsConfig                  *metricsDocument `json:",omitempty"`
}

type (
	filterDocument      struct{ Filters []filterPattern }
	filterPattern       struct{ Pattern string }
	destinationDocument struct {
		OnFailure struct {
			Destination string `json:",omitempty"`
		}
	}
	metricsDocument struct{ Metrics []string }
)

func document(v mapping.View, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return newDocument(v), nil
}

// queueDocument is EventSourceMappingConfiguration, with the members that AWS returns for a queue.
type queueDocument struct {
	UUID                           string
	BatchSize                      int
	MaximumBatchingWindowInSeconds int
	EventSourceArn                 string
	EventSourceMappingArn          string
	FunctionArn                    string
	LastModified                   epoch
	State                          mapping.State
	StateTransitionReason          string
	FilterCriteria                 *filterDocument `json:",omitempty"`
	FunctionResponseTypes          []string
	ScalingConfig                  *scalingDocument      `json:",omitempty"`
	ProvisionedPollerConfig        *mapping.PollerConfig `json:",omitempty"`
	MetricsConfig                  *metricsDocument      `json:",omitempty"`
}

type scalingDocument struct{ MaximumConcurrency int }

func newDocument(v mapping.View) any {
	d := newStreamDocument(v)
	if !mapping.IsQueue(v.StreamARN) {
		return d
	}
	q := &queueDocument{
		UUID: d.UUID, BatchSize: d.BatchSize, MaximumBatchingWindowInSeconds: d.MaximumBatchingWindowInSeconds, EventSourceArn: d.EventSourceArn,
		EventSourceMappingArn: d.EventSourceMappingArn, FunctionArn: d.FunctionArn, LastModified: d.LastModified, State: d.State,
		StateTransitionReason: "USER_INITIATED", FilterCriteria: d.FilterCriteria, FunctionResponseTypes: d.FunctionResponseTypes,
		ProvisionedPollerConfig: v.Pollers, MetricsConfig: d.MetricsConfig,
	}
	if v.MaximumConcurrency > 0 {
		q.ScalingConfig = &scalingDocument{v.MaximumConcurrency}
	}
	return q
}

func newStreamDocument(v mapping.View) *mappingDocument {
	d := &mappingDocument{
		UUID: v.UUID, BatchSize: v.BatchSize, MaximumBatchingWindowInSeconds: v.BatchingWindowSeconds,
		ParallelizationFactor: v.ParallelizationFactor, EventSourceArn: v.StreamARN,
		EventSourceMappingArn: v.Scope.MappingARN(v.UUID), FunctionArn: v.FunctionARN,
		LastModified: epoch(v.Modified), LastProcessingResult: v.LastProcessingResult,
		State: v.State, StateTransitionReason: "User action", StartingPosition: v.Start,
		MaximumRecordAgeInSeconds: v.MaximumRecordAgeSeconds, MaximumRetryAttempts: v.MaximumRetryAttempts,
		BisectBatchOnFunctionError: v.BisectOnError, TumblingWindowInSeconds: v.TumblingWindowSeconds, FunctionResponseTypes: []string{},
	}
	d.DestinationConfig.OnFailure.Destination = v.Destination
	if v.ReportItemFailures {
		d.FunctionResponseTypes = []string{"ReportBatchItemFailures"}
	}
	if len(v.Filters) > 0 {
		d.FilterCriteria = &filterDocument{}
		for _, p := range v.Filters {
			d.FilterCriteria.Filters = append(d.FilterCriteria.Filters, filterPattern{p})
		}
	}
	if len(v.Metrics) > 0 {
		d.MetricsConfig = &metricsDocument{v.Metrics}
	}
	return d
}

// epoch is a time as a JSON number of seconds since 1970, with milliseconds.
type epoch time.Time

// MarshalJSON implements json.Marshaler.
func (t epoch) MarshalJSON() ([]byte, error) {
	ms := time.Time(t).UnixMilli()
	return strconv.AppendFloat(nil, float64(ms)/1000, 'f', 3, 64), nil
}

// TagsOf returns the tags of a mapping.
func (d *Mappings) TagsOf(scope schema.Scope, arn, uuid string) (map[string]string, error) {
	if d.onQueue(uuid) {
		return d.queues.TagsOf(scope, uuid)
	}
	return d.engine.TagsOf(scope, arn, uuid)
}

// Retag changes them.
func (d *Mappings) Retag(ctx context.Context, scope schema.Scope, arn, uuid string, change func(tags map[string]string)) error {
	if d.onQueue(uuid) {
		return d.queues.Retag(scope, uuid, change)
	}
	return d.engine.Retag(ctx, scope, arn, uuid, change)
}
