package function

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/store"
)

// Destination takes what is told about events that have ended.
type Destination interface {
	// Deliver sends a document of a function of an account to the queue, topic or bucket of an ARN; key names the
	// object in a bucket.
	Deliver(ctx context.Context, account, arn, key string, document []byte) error
	// DeadLetter sends an event to the queue or topic of an ARN, with text attributes,
	// and with ErrorCode as a number.
	DeadLetter(ctx context.Context, arn string, event []byte, attributes map[string]string) error
	// Here says whether an ARN is that of a queue in the service's own store. Such a one is told with Tell: a
	// message, in one batch with what b holds. It returns when that is durable; with an error nothing of it is written.
	Here(arn string) bool
	Tell(b *store.Batch, arn, body, trace string, attributes map[string]string) error
}

// noDestination is used by servers that were given none.
type noDestination struct{}

var errNoDestination = errors.New("this server reaches no queues, topics or buckets")

func (noDestination) Deliver(context.Context, string, string, string, []byte) error {
	return errNoDestination
}

func (noDestination) DeadLetter(context.Context, string, []byte, map[string]string) error {
	return errNoDestination
}

func (noDestination) Here(string) bool { return false }

func (noDestination) Tell(*store.Batch, string, string, string, map[string]string) error {
	return errNoDestination
}

// Why an event has ended, in AWS's words.
const (
	conditionSuccess = "Success"
	conditionRetries = "RetriesExhausted"
	conditionAge     = "EventAgeExceeded"
	conditionZero    = "ZeroReservedConcurrency"
)

// ending is how an event has ended; outcome is nil when its last attempt did not reach the function.
type ending struct {
	condition string
	outcome   *Outcome
}

// end tells of the end of an event, or drops it when nobody is to be told. The event
// belongs to the caller.
func (q *eventQueue) end(e *event, config EventConfig, how ending) {
	s := q.s
	e.head.Tell = nil
	destination := config.DestinationConfig.OnSuccess.Destination
	if how.condition != conditionSuccess {
		destination = config.DestinationConfig.OnFailure.Destination
		if arn := q.deadLetterOf(e); arn != "" {
			e.head.Tell = append(e.head.Tell, teller{ARN: arn, DeadLetter: true})
		}
	}
	if destination != "" {
		e.head.Tell = append(e.head.Tell, teller{ARN: destination})
	}
	if len(e.head.Tell) == 0 {
		if how.condition != conditionSuccess {
			s.opts.Logger.Warn("an Event invocation was given up, and nobody is to be told", "function", e.head.Name, "requestId", e.head.RequestID,
				"condition", how.condition, "failures", e.head.Failures, "error", how.text())
		}
		q.drop(e)
		return
	}
	e.head.EndedMS = s.opts.Clock.Stamp()
	e.head.ErrorCode, e.head.ErrorMessage = how.error()
	e.backoff = 0
	var err error
	if destination != "" {
		if e.payload == nil {
			e.payload, err = q.rows.payload(e)
		}
		if err == nil {
			e.document, err = e.render(how)
		}
	}
	if err != nil {
		q.stuck(e, err)
		return
	}
	out, fits := q.roomToTell(e)
	switch {
	case fits:
		err = q.rows.ended(e, out)
	default: // nothing of its function could be dropped instead
		out = append(out, e)
		err = q.rows.remove(out...)
	}
	if err != nil {
		q.stuck(e, err)
		return
	}
	q.dropped(e, out)
	if !fits {
		q.forget(e)
		return
	}
	q.ready(e)
}

// dropped says that there was no room to keep what was to be told about some events of e's function.
func (q *eventQueue) dropped(e *event, out []*event) {
	if len(out) == 0 {
		return
	}
	q.mu.Lock()
	q.untold += uint64(len(out))
	all := q.untold
	q.mu.Unlock()
	if held, ok := q.maySay("dropped " + e.head.Scope.FunctionARN(e.head.Name)); ok {
		q.s.opts.Logger.Error("how the oldest Event invocations of a function ended is dropped: its destinations could not be told, and there is no room for more",
			"function", e.head.Name, "requestId", out[0].head.RequestID, "to", out[0].head.Tell[0].ARN, "droppedOfAll", all, "notLogged", held)
	}
}

// maySay bounds how often the log says the same about something.
func (q *eventQueue) maySay(about string) (held int, ok bool) {
	mono, _, _ := q.s.opts.Clock.Instant()
	return q.said.may(about, mono)
}

// deadLetterOf is the ARN of the function's dead-letter queue, empty without one.
func (q *eventQueue) deadLetterOf(e *event) string {
	target, _, err := q.s.resolve(e.head.Scope, e.head.Name, e.head.Qualifier)
	if err != nil {
		return ""
	}
	return target.named.def.Load().deadLetter()
}

func (d *definition) deadLetter() string {
	var c struct{ TargetArn string }
	_ = json.Unmarshal(d.Kept["DeadLetterConfig"], &c) // checked when it was set; absent: empty
	return c.TargetArn
}

// drop removes an event that has ended.
func (q *eventQueue) drop(e *event) {
	if err := q.rows.remove(e); err != nil {
		q.stuck(e, err)
		return
	}
	q.forget(e)
}

// tell tells the first of those who have to be told, and the next after that.
func (q *eventQueue) tell(e *event) {
	s := q.s
	to := e.head.Tell[0]
	here := q.rows.store != nil && s.opts.Destination.Here(to.ARN)
	var err error
	if here {
		err = q.tellHere(e, to)
	} else {
		err = q.send(e, to)
	}
	switch {
	case err == nil:
	case s.ctx.Err() != nil:
		return // the next server tells it
	case errors.Is(err, errTaken):
		q.stuck(e, err)
		return
	case q.toldForLongEnough(e):
		s.opts.Logger.Error("how an Event invocation ended could not be told, and is dropped", "function", e.head.Name, "requestId", e.head.RequestID, "to", to.ARN, "error", err)
	default:
		e.backoff = min(max(2*e.backoff, time.Second), eventMaxBackoff)
		if held, ok := q.maySay("not told " + to.ARN); ok { // each event is tried again and again
			s.opts.Logger.Warn("how an Event invocation ended could not be told yet", "function", e.head.Name, "requestId", e.head.RequestID, "to", to.ARN, "again", e.backoff, "error", err, "notLogged", held)
		}
		q.later(e, e.backoff)
		return
	}
	stored := here && err == nil
	if len(e.head.Tell) == 1 {
		if stored {
			q.forget(e)
		} else {
			q.drop(e)
		}
		return
	}
	e.head.Tell, e.backoff = e.head.Tell[1:], 0
	if !stored {
		if err := q.rows.update(e); err != nil {
			q.stuck(e, err)
			return
		}
	}
	q.ready(e)
}

func (q *eventQueue) toldForLongEnough(e *event) bool {
	now, ageing := q.s.opts.Clock.Now()
	return ageing && now.After(time.UnixMilli(e.head.EndedMS).Add(eventTellAge))
}

// message is what is told, and with which attributes.
func (q *eventQueue) message(e *event, to teller) (body []byte, attributes map[string]string, err error) {
	if to.DeadLetter {
		if e.payload == nil {
			if e.payload, err = q.rows.payload(e); err != nil {
				return nil, nil, err
			}
		}
		return e.payload, map[string]string{
			"RequestID": e.head.RequestID, "ErrorCode": strconv.Itoa(e.head.ErrorCode), "ErrorMessage": e.head.ErrorMessage,
		}, nil
	}
	if e.document == nil {
		if e.document, err = q.rows.document(e); err != nil {
			return nil, nil, err
		}
	}
	return e.document, nil, nil
}

// tellHere tells a queue of the own store, in one batch with who is still to be told: so no crash has it told twice, or not
// at all.
func (q *eventQueue) tellHere(e *event, to teller) error {
	body, attributes, err := q.message(e, to)
	if err != nil {
		return err
	}
	b := q.rows.store.NewBatch()
	defer b.Close()
	if err := q.rows.told(b, e); err != nil {
		return err
	}
	return q.s.opts.Destination.Tell(b, to.ARN, string(body), e.head.Trace, attributes)
}

// tellTimeout bounds one call of a destination. Who accepts a call and never answers would keep one of the few tellers for ever.
const tellTimeout = 30 * time.Second

func (q *eventQueue) send(e *event, to teller) error {
	s := q.s
	ctx, cancel := context.WithTimeout(s.ctx, tellTimeout)
	defer cancel()
	body, attributes, err := q.message(e, to)
	if err != nil {
		return err
	}
	if to.DeadLetter {
		return s.opts.Destination.DeadLetter(ctx, to.ARN, body, attributes)
	}
	if arn.Service(to.ARN) == "lambda" {
		_, err := s.InvokeEvent(e.head.Scope, Invocation{Name: to.ARN, Payload: body, TraceID: e.head.Trace, Trusted: true})
		return err
	}
	at := time.UnixMilli(e.head.EndedMS).UTC()
	key := "aws/lambda/async/" + e.head.Name + at.Format("/2006/01/02/2006-01-02T15.04.05-") + e.head.RequestID
	return s.opts.Destination.Deliver(ctx, e.head.Scope.Account, to.ARN, key, body)
}

// render makes AWS's invocation record.
func (e *event) render(how ending) ([]byte, error) {
	type requestContext struct {
		RequestID              string `json:"requestId"`
		FunctionArn            string `json:"functionArn"`
		Condition              string `json:"condition"`
		ApproximateInvokeCount int    `json:"approximateInvokeCount"`
	}
	type responseContext struct {
		StatusCode      int    `json:"statusCode"`
		ExecutedVersion string `json:"executedVersion"`
		FunctionError   string `json:"functionError,omitempty"`
	}
	doc := struct {
		Version         string           `json:"version"`
		Timestamp       string           `json:"timestamp"`
		RequestContext  requestContext   `json:"requestContext"`
		RequestPayload  json.RawMessage  `json:"requestPayload"`
		ResponseContext *responseContext `json:"responseContext,omitempty"`
		ResponsePayload json.RawMessage  `json:"responsePayload,omitempty"`
	}{
		Version:        "1.0",
		Timestamp:      time.UnixMilli(e.head.EndedMS).UTC().Format("2006-01-02T15:04:05.000Z"),
		RequestPayload: asJSON(e.payload),
	}
	doc.RequestContext = requestContext{
		RequestID: e.head.RequestID, FunctionArn: e.head.Scope.FunctionARN(e.head.Name) + ":" + orLatest(e.head.Qualifier),
		Condition: how.condition, ApproximateInvokeCount: e.head.Failures,
	}
	if how.condition == conditionSuccess {
		doc.RequestContext.ApproximateInvokeCount++
	}
	if o := how.outcome; o != nil {
		doc.ResponseContext = &responseContext{StatusCode: 200, ExecutedVersion: o.ExecutedVersion, FunctionError: o.FunctionError}
		doc.ResponsePayload = asJSON(o.Payload)
	}
	return json.Marshal(doc)
}

// asJSON is a payload as it is, or as a string when it is no JSON.
func asJSON(payload []byte) json.RawMessage {
	if json.Valid(payload) {
		return payload
	}
	return runner.AppendJSONString(nil, string(payload))
}

// maxDeadLetterError is how much of an error's text a dead-letter queue is told, in bytes.
const maxDeadLetterError = 1024

// error is what a dead-letter queue is told of an ending.
func (how ending) error() (code int, message string) {
	code = 200
	if how.outcome == nil {
		code = 429
	}
	if message = how.text(); len(message) > maxDeadLetterError {
		message = message[:maxDeadLetterError]
		for !utf8.ValidString(message) {
			message = message[:len(message)-1]
		}
	}
	return code, message
}

func (how ending) text() string {
	if how.outcome == nil {
		return how.condition
	}
	var d struct{ ErrorMessage string }
	if json.Unmarshal(how.outcome.Payload, &d) == nil && d.ErrorMessage != "" {
		return d.ErrorMessage
	}
	if how.outcome.Error != "" {
		return how.outcome.Error
	}
	return how.condition
}
