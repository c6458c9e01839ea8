package millstream

import (
	"context"
	"fmt"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/trigger"
)

// TriggerStatus is how far one trigger has got.
type TriggerStatus struct {
	Name  string // of its function
	Table string // or the queue
	// Behind counts the records that have not ended.
	Behind uint64
	// Held and Parked are the records that are set aside now: to be tried again, and given up and kept.
	Held, Parked int
	// Dropped counts the records that were given up since the server was opened, and that nobody was told of; Expired
	// those that were gone before they were read.
	Dropped, Expired uint64
	// Error is why the oldest batch or item fails that does; empty when none does.
	Error string
	// Item is the key of the item whose change that is, in DynamoDB's JSON; empty when none fails, or the key is not known.
	Item string
	// Attempts is how often that was tried.
	Attempts int
}

func (s TriggerStatus) String() string {
	text := fmt.Sprintf("%s on %s by %d records", s.Name, s.Table, s.Behind)
	if s.Error == "" {
		return text + " (under way)"
	}
	if s.Attempts == 0 { // a queue's messages are counted apart
		return text + " (" + s.Error + ")"
	}
	on := ""
	if s.Item != "" {
		on = " on " + s.Item
	}
	return text + fmt.Sprintf(" (%d attempts%s: %s)", s.Attempts, on, s.Error)
}

// Triggers tells how far every trigger has got.
func (s *Server) Triggers(ctx context.Context) ([]TriggerStatus, error) {
	all, err := s.app.Engine().Statuses(ctx)
	if err != nil {
		return nil, fmt.Errorf("millstream: %w", err)
	}
	out := make([]TriggerStatus, len(all))
	for i := range all {
		out[i] = statusOf(&all[i])
	}
	onQueues, err := s.app.Pollers().Statuses()
	if err != nil {
		return nil, fmt.Errorf("millstream: %w", err)
	}
	for i := range onQueues {
		st := &onQueues[i]
		out = append(out, TriggerStatus{Name: arn.FunctionOf(st.FunctionARN), Table: st.Queue(), Behind: uint64(st.Backlog), Error: st.Error})
	}
	return out, nil
}

func statusOf(st *trigger.MappingStatus) TriggerStatus {
	out := TriggerStatus{
		Name: arn.FunctionOf(st.FunctionARN), Table: arn.TableOf(st.StreamARN), Behind: st.LagRecords, Held: st.Held, Parked: st.Parked, Dropped: st.Counters.Dropped, Expired: st.Counters.Expired,
	}
	oldest := st.HeldBlocked
	for i := range st.Shards {
		if b := st.Shards[i].Blocked; b != nil && (oldest == nil || b.Since.Before(oldest.Since)) {
			oldest = b
		}
	}
	if oldest != nil {
		out.Error, out.Attempts, out.Item = oldest.Error, oldest.Attempts, oldest.Keys
	}
	return out
}

// NotSettled is Settle's error when its context has ended before every trigger had caught up, or when time has to
// be advanced for that.
type NotSettled struct {
	Behind []TriggerStatus
	Err    error // the context's, or ErrTimeStands
}

func (e *NotSettled) Error() string {
	if len(e.Behind) == 0 {
		return "millstream: not settled: " + e.Err.Error()
	}
	names := make([]string, len(e.Behind))
	for i, s := range e.Behind {
		names[i] = s.String()
	}
	return "millstream: not settled (" + e.Err.Error() + "); behind are: " + strings.Join(names, ", ")
}

// Unwrap returns Err.
func (e *NotSettled) Unwrap() error { return e.Err }

// notSettled says who is behind.
func (s *Server) notSettled(ctx context.Context, why error) error {
	e := &NotSettled{Err: why}
	all, err := s.Triggers(context.WithoutCancel(ctx))
	if err != nil {
		return e
	}
	for _, t := range all {
		if t.Behind > 0 || t.Held > 0 {
			e.Behind = append(e.Behind, t)
		}
	}
	return e
}
