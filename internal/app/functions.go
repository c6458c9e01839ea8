package app

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"sync"

	"github.com/millstreamdb/millstream/internal/activity"
	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/function/logs"
	"github.com/millstreamdb/millstream/internal/gateway"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/server"
)

// functionOptions says where functions' output and outcomes go.
func (s *App) functionOptions(metrics *server.Metrics) function.Options {
	o := function.Options{
		Store: s.store, Seals: s.atRest(), Dir: s.opts.Dir, Project: s.opts.Project, Endpoint: s.Endpoint, Now: s.realNow, Clock: s.clock, Logger: s.opts.Logger, Debug: s.opts.Debug, Isolation: s.opts.Isolation, HoldEvents: s.held.Load(),
		Destination: &s.destinations, Tracer: s.tracer, Credentials: s.functionCredentials(),
		LinkEndpoint: func() string { return cmp.Or(s.opts.LinkEndpoint, s.Endpoint()) },
		FrontDoor:    func(id string) string { return gateway.Address(s.frontEndpoint(), id) },
		Watched:      s.activity.Watched,
		// Code comes after Open: the buckets are there by then.
		Object: func(account, bucket, key string) ([]byte, error) {
			return s.buckets.Get(context.Background(), account, bucket, key)
		},
		// Functions change after Open: the engine is there by then.
		Changed: func(scope schema.Scope, name string) {
			s.engine.FunctionChanged(scope.FunctionARN(name))
			s.pollers.FunctionChanged(scope.FunctionARN(name))
		},
		Observe: func(ob function.Observation) {
			metrics.ObserveInvocation(ob.Function, ob.Result, ob.Took)
			s.observeCall(ob)
		},
	}
	if s.node != nil {
		s.node.change(&o)
		if s.opts.KeyFile == "" { // the one in the data folder is this node's alone
			o.Seals = nil
		}
	}
	if out := s.opts.FunctionOutput; out != nil {
		var mu sync.Mutex // guards text; the lines of one function at a time
		var text []byte
		o.Print = func(lines []logs.Line) {
			mu.Lock()
			defer mu.Unlock()
			text = text[:0]
			for _, l := range lines {
				for line := range strings.SplitSeq(l.Text, "\n") { // an event may have several
					text = append(append(text, l.Function...), " | "...)
					text = append(append(text, line...), '\n')
				}
			}
			_, _ = out.Write(text) // a terminal that has gone must not stop the function
		}
	}
	return o
}

// observeCall tells of a function's call that has ended.
func (s *App) observeCall(ob function.Observation) {
	if !s.activity.Watched() {
		return
	}
	c := activity.Of(ob.Context)
	changes, records := changesOf(c.Event)
	e := activity.Event{
		Kind: wire.Call, ID: ob.Outcome.RequestID, By: c.By, Name: ob.Function,
		Began: ob.Began, Millis: float64(ob.Took.Microseconds()) / 1000, Log: string(ob.Outcome.LogTail), Changes: changes, Records: records,
	}
	if len(changes) > 0 && ob.Result == "ok" {
		e.Failed = failedOf(ob.Outcome.Payload)
	}
	if ob.Result != "ok" {
		if e.Error = ob.Outcome.Error; e.Error == "" {
			e.Error = ob.Result
		}
		if json.Valid(ob.Outcome.Payload) {
			e.Answer = ob.Outcome.Payload
		}
	}
	s.activity.Emit(e)
}

// maxChanges is how many of a batch's records are told of.
const maxChanges = 100

// changesOf reads what is told of a batch of stream records or messages, and counts them.
func changesOf(event []byte) (changes []wire.CalledFor, records int) {
	var batch struct {
		Records []struct {
			MessageID      string `json:"messageId"`
			EventName      string `json:"eventName"`
			EventSourceARN string `json:"eventSourceARN"`
			Change         struct {
				Keys           json.RawMessage
				SequenceNumber string
			} `json:"dynamodb"`
		}
	}
	if len(event) == 0 || json.Unmarshal(event, &batch) != nil {
		return nil, 0
	}
	for i := range batch.Records[:min(len(batch.Records), maxChanges)] {
		r := &batch.Records[i]
		if _, queue, ok := arn.Queue(r.EventSourceARN); ok {
			changes = append(changes, wire.CalledFor{Queue: queue, Message: r.MessageID})
			continue
		}
		changes = append(changes, wire.CalledFor{
			Table: arn.TableOf(r.EventSourceARN), Event: r.EventName, Keys: r.Change.Keys, SequenceNumber: r.Change.SequenceNumber,
		})
	}
	return changes, len(batch.Records)
}

// failedOf are the records that an answer names as failed. What it names in another form
// than as a text is told of as it stands: the trigger takes that as a failure of all.
func failedOf(answer []byte) (numbers []string) {
	var named struct {
		Items json.RawMessage `json:"batchItemFailures"`
	}
	if json.Unmarshal(answer, &named) != nil || len(named.Items) == 0 || string(named.Items) == "null" {
		return nil
	}
	var items []struct {
		Number json.RawMessage `json:"itemIdentifier"`
	}
	if json.Unmarshal(named.Items, &items) != nil {
		return []string{string(named.Items[:min(len(named.Items), maxChanges)])}
	}
	for _, it := range items[:min(len(items), maxChanges)] {
		var number string
		if json.Unmarshal(it.Number, &number) != nil || number == "" {
			number = string(it.Number)
		}
		numbers = append(numbers, number)
	}
	return numbers
}

// AdoptOrphans has this program end what functions have left behind: for a program that is a server and nothing else.
func AdoptOrphans() { function.AdoptOrphans() }
