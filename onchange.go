package millstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Trigger says how the changes of a table are handed to a Go function. The fields
// are those of AWS's event source mappings, with their ranges.
type Trigger struct {
	// Name of the function, by which the server remembers how far it has come: the
	// same name goes on where it was, also after a restart. Empty: "on-change-" and
	// the table's name. Two functions of one server need two names.
	Name string
	// Latest begins with what is written from now on instead of with the oldest
	// record. It counts when the name is first used on the stream.
	Latest bool
	// BatchSize is the most changes in one call, 1 to 10,000; 0: 100.
	BatchSize int
	// BatchingWindow is how long a batch may wait to be filled, in whole seconds up to
	// 300.
	BatchingWindow time.Duration
	// Parallel is how many calls may run at once, 1 to 10, the changes of one item one
	// after the other; 0: 1.
	Parallel int
	// MaxRetries is how often a failed batch is tried again; nil: until its records
	// expire.
	MaxRetries *int
	// Bisect halves a failed batch.
	Bisect bool
	// Filters are patterns of AWS's FilterCriteria; a change that none matches is left
	// out.
	Filters []string
	// Tags carry Millstream's own settings, such as "millstream:on-failure". They count
	// when the name is first used on the stream.
	Tags map[string]string
}

// FailedFrom is an error with which a function says that it has dealt with the
// changes of its batch before this one: they do not come again.
type FailedFrom struct {
	Change Change
	Err    error
}

func (e *FailedFrom) Error() string {
	return fmt.Sprintf("change %s: %v", e.Change.SequenceNumber, e.Err)
}

// Unwrap returns Err.
func (e *FailedFrom) Unwrap() error { return e.Err }

// OnChange calls handle with the changes of a table, in order for each item, from
// the moment at which they are durable. The table must have a stream. An error, or a
// panic, makes the batch come again, after a pause that grows; a process that ends
// before handle has returned makes it come again too. ctx ends after a minute, which
// counts as an error. A panic is told of by the logger, or without one on stderr. A name
// that another OnChange of this server has is an error.
func (s *Server) OnChange(table string, t Trigger, handle func(ctx context.Context, changes []Change) error) error {
	arn := s.app.LatestStream(table)
	if arn == "" {
		return fmt.Errorf("millstream: table %s is not there or has no stream; create it with a StreamSpecification", table)
	}
	if t.Name == "" {
		t.Name = "on-change-" + table
	}
	if other, taken := s.takeName(t.Name, table); taken {
		return fmt.Errorf("millstream: the changes of %s go to a function named %s already: give this one another Trigger.Name", other, t.Name)
	}
	err := s.RegisterFunction(t.Name, handlerOf(handle))
	if err != nil {
		err = fmt.Errorf("millstream: function %s: %w", t.Name, err)
	} else if err = s.attach(arn, t); err != nil {
		err = fmt.Errorf("millstream: changes of %s for %s: %w", table, t.Name, err)
	}
	if err != nil {
		s.mu.Lock()
		delete(s.names, t.Name)
		s.mu.Unlock()
	}
	return err
}

// takeName keeps a name for a function of a table, or tells the table for whose it is taken.
func (s *Server) takeName(name, table string) (other string, taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other, taken = s.names[name]; !taken {
		s.names[name] = table
	}
	return other, taken
}

// attach makes the mapping of a trigger, or gives the one that is there the
// trigger's settings.
func (s *Server) attach(arn string, t Trigger) error {
	ctx := context.Background()
	found, _, err := s.app.Engine().List(ctx, s.app.Scope(), mapping.ListRequest{EventSourceArn: arn, FunctionName: t.Name})
	if err != nil {
		return err
	}
	settings := t.settings()
	if len(found) > 0 {
		_, err := s.app.Engine().Update(ctx, s.app.Scope(), found[0].UUID, settings)
		return err
	}
	start := "TRIM_HORIZON"
	if t.Latest {
		start = "LATEST"
	}
	settings.FunctionName = &t.Name
	_, err = s.app.Engine().Create(ctx, s.app.Scope(), mapping.CreateRequest{Settings: settings, EventSourceArn: &arn, StartingPosition: &start, Tags: t.Tags})
	return err
}

func (t *Trigger) settings() mapping.Settings {
	enabled, window, endless := true, int(t.BatchingWindow/time.Second), -1
	s := mapping.Settings{
		Enabled: &enabled, MaximumBatchingWindowInSeconds: &window, BisectBatchOnFunctionError: &t.Bisect,
		FunctionResponseTypes: []string{"ReportBatchItemFailures"}, MaximumRetryAttempts: &endless,
		BatchSize: or(t.BatchSize, 100), ParallelizationFactor: or(t.Parallel, 1), FilterCriteria: &mapping.FilterCriteria{},
	}
	if t.MaxRetries != nil {
		s.MaximumRetryAttempts = t.MaxRetries
	}
	for i := range t.Filters {
		s.FilterCriteria.Filters = append(s.FilterCriteria.Filters, struct{ Pattern *string }{&t.Filters[i]})
	}
	return s
}

func or(n, otherwise int) *int {
	if n == 0 {
		n = otherwise
	}
	return &n
}

// reason is an error's text; empty for none.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// handlerOf is the function that the engine calls.
func handlerOf(handle func(context.Context, []Change) error) func(context.Context, []byte) ([]byte, error) {
	type failure struct {
		ItemIdentifier string `json:"itemIdentifier"`
		Error          string `json:"error,omitempty"`
	}
	return func(ctx context.Context, event []byte) ([]byte, error) {
		changes, err := decodeChanges(event)
		if err != nil {
			return nil, err
		}
		err = handle(ctx, changes)
		var from *FailedFrom
		if errors.As(err, &from) {
			return json.Marshal(map[string][]failure{"batchItemFailures": {{from.Change.SequenceNumber, reason(from.Err)}}})
		}
		return nil, err
	}
}
