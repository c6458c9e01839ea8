package millstream

import (
	"context"
	"errors"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/api/admin"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/function/logs"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/trigger"
)

// source shows Millstream's own protocol what AWS's protocols do not.
type source struct{ s *Server }

func (a source) Status(ctx context.Context) (wire.Status, error) {
	s := a.s
	triggers, err := s.engine.Statuses(ctx)
	if err != nil {
		return wire.Status{}, err
	}
	st := wire.Status{
		Version: s.opts.Version, Started: s.started, Account: s.opts.Account, Region: s.opts.Region,
		Durability: s.opts.Durability, Data: s.opts.Dir, Healthy: true,
		Tables: s.tables.Count(), Functions: s.functions.Stats().Functions, Triggers: len(triggers),
	}
	if err := s.health(); err != nil {
		st.Healthy, st.Problem = false, err.Error()
	}
	return st, nil
}

func (a source) Triggers(ctx context.Context) ([]wire.Trigger, error) {
	statuses, err := a.s.engine.Statuses(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]wire.Trigger, len(statuses))
	for i := range statuses {
		if out[i], err = a.trigger(&statuses[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (a source) Trigger(ctx context.Context, uuid string) (wire.Trigger, error) {
	st, err := a.s.engine.Status(ctx, uuid)
	if errors.Is(err, trigger.ErrNoMapping) {
		return wire.Trigger{}, noTrigger(uuid)
	}
	if err != nil {
		return wire.Trigger{}, err
	}
	return a.trigger(&st)
}

// trigger is a mapping with what the backend alone knows of it.
func (a source) trigger(st *trigger.MappingStatus) (wire.Trigger, error) {
	t := triggerOf(st)
	unread, err := a.s.backend.UnreadOf(st.UUID)
	for _, u := range unread {
		t.Unread = append(t.Unread, wire.Unread{
			Shard: u.Shard, First: u.First.String(), Last: u.Last.String(), Records: u.Count, Reason: string(u.Why), Removed: u.At.UTC(),
		})
	}
	return t, err
}

func triggerOf(st *trigger.MappingStatus) wire.Trigger {
	_, table, _, _ := schema.ParseStreamARN(st.StreamARN)
	t := wire.Trigger{
		UUID: st.UUID, Account: st.Scope.Account, Region: st.Scope.Region, Table: table,
		Function: functionName(st.FunctionARN), StreamARN: st.StreamARN, FunctionARN: st.FunctionARN,
		State: string(st.State), Paused: st.Paused, LastResult: st.LastProcessingResult, Modified: st.Modified,
		LagRecords: st.LagRecords, LagSeconds: st.LagSeconds,
		BatchSize: st.BatchSize, BatchingWindowSeconds: st.BatchingWindowSeconds, ParallelizationFactor: st.ParallelizationFactor,
		StartingPosition: string(st.Start), MaximumRetryAttempts: st.MaximumRetryAttempts, MaximumRecordAge: st.MaximumRecordAgeSeconds,
		Counts: wire.Counts{
			Polled: st.Counters.Polled, FilteredOut: st.Counters.FilteredOut, Invoked: st.Counters.Invoked,
			FailedInvoke: st.Counters.FailedInvoke, Dropped: st.Counters.Dropped, Delivered: st.Counters.Delivered, Expired: st.Counters.Expired, Skipped: st.Counters.Skipped,
			Invocations: st.Counters.Invocations, Errors: st.Counters.Errors, NotDelivered: st.Counters.NotDelivered,
			Bisected: st.Counters.Bisected, DestinationFailures: st.Counters.DestinationFailures,
			Held: st.Counters.Held, Parked: st.Counters.Parked, ParkedExpired: st.Counters.ParkedExpired,
		},
		OnFailure: st.OnFailure.String(),
		SetAside: wire.SetAside{
			Held: st.Held, Telling: st.Telling, Parked: st.Parked, Bytes: st.AsideBytes, Full: st.Full, Blocked: blockedOf(st.HeldBlocked),
		},
		Filters: st.Filters, When: st.When, ReportItemFailures: st.ReportItemFailures, BisectOnError: st.BisectOnError,
		TumblingWindowSeconds: st.TumblingWindowSeconds, Destination: st.Destination,
	}
	for i := range st.Shards {
		sh := &st.Shards[i]
		ts := wire.TriggerShard{
			Shard: sh.Shard, Position: sh.Position.String(), LagRecords: sh.LagRecords, LagSeconds: sh.LagSeconds, Done: sh.Done,
			WaitsForParent: sh.WaitsForParent, InFlight: sh.InFlight,
		}
		if b := sh.Blocked; b != nil {
			ts.Error = b.Error
			ts.Blocked = blockedOf(b)
		}
		t.Shards = append(t.Shards, ts)
	}
	return t
}

func blockedOf(b *trigger.Blocked) *wire.Blocked {
	if b == nil {
		return nil
	}
	return &wire.Blocked{
		Since: b.Since, SequenceNumber: b.SequenceNumber.String(), Records: b.Records, Attempts: b.Attempts, Error: b.Error, RetryAt: b.RetryAt,
	}
}

// tailPage is how many records Tail reads of a shard at a time.
const tailPage = 100

func (a source) Tail(ctx context.Context, q admin.TailQuery, ready func(), emit func(wire.Change) error) error {
	arn := q.Stream
	if arn == "" {
		if arn = a.s.tables.LatestStream(q.Scope, q.Table); arn == "" {
			return wire.NotFound("table " + q.Table + " is not there or has no stream; turn one on with `aws dynamodb update-table --stream-specification`")
		}
	}
	st := a.s.streams.Get(arn)
	if st == nil {
		return wire.NotFound("there is no stream " + arn)
	}
	wake := make(chan struct{}, 1)
	stop := st.Watch(func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	defer stop()
	at := map[*stream.Shard]seqnum.Num{}
	for _, sh := range st.Shards() {
		at[sh] = sh.Head()
		if q.Horizon {
			at[sh] = sh.Horizon()
		}
	}
	ready()
	for {
		open, err := tailOnce(st, at, emit)
		if err != nil {
			return err
		}
		if !open || a.s.streams.Get(arn) == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		}
	}
}

// tailOnce emits what is new in every shard; open reports whether more can come.
func tailOnce(st *stream.Stream, at map[*stream.Shard]seqnum.Num, emit func(wire.Change) error) (open bool, err error) {
	for _, sh := range st.Shards() {
		if _, known := at[sh]; !known {
			at[sh] = sh.Horizon() // born since: all of it is new
		}
		for {
			page, err := sh.Read(at[sh], tailPage, 1<<20, (*stream.Record).EventSize)
			if err != nil {
				return false, err
			}
			for _, r := range page.Records {
				if err := emit(wire.Change{Shard: sh.ID, Record: r.Event()}); err != nil {
					return false, err
				}
				at[sh] = r.Seq()
			}
			if page.End || len(page.Records) == 0 {
				open = open || !page.End
				break
			}
		}
	}
	return open, nil
}

func (a source) Logs(ctx context.Context, q admin.LogsQuery, ready func(), emit func(wire.LogLine) error) error {
	sink := a.s.functions.Logs()
	show := func(l logs.Line) error {
		return emit(wire.LogLine{Time: l.Time, Function: l.Function, Text: l.Text})
	}
	if !q.Follow {
		ready()
		for _, l := range sink.Recent(q.Scope, q.Function, q.Lines) {
			if err := show(l); err != nil {
				return err
			}
		}
		return nil
	}
	var failed error
	sink.Follow(ctx, q.Scope, q.Function, q.Lines, ready, func(l logs.Line) bool {
		failed = show(l)
		return failed == nil
	})
	return failed
}

func (a source) Settle(ctx context.Context) ([]wire.Trigger, error) {
	err := a.s.Settle(ctx)
	if err == nil || ctx.Err() == nil {
		return nil, err
	}
	all, err := a.Triggers(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	behind := all[:0]
	for _, t := range all {
		if t.LagRecords > 0 {
			behind = append(behind, t)
		}
	}
	return behind, nil
}

func (a source) Invoke(ctx context.Context, scope schema.Scope, name string, event []byte) (wire.Invocation, error) {
	started := time.Now()
	out, err := a.s.functions.Invoke(ctx, scope, function.Invocation{Name: name, Payload: event})
	if function.IsNotFound(err) {
		return wire.Invocation{}, wire.NotFound("there is no function " + name)
	}
	if err != nil {
		return wire.Invocation{}, wire.BadRequest(err.Error())
	}
	return wire.Invocation{
		Error: out.FunctionError, Payload: out.Payload, Log: string(out.LogTail), RequestID: out.RequestID,
		Millis: float64(time.Since(started).Microseconds()) / 1000,
	}, nil
}
