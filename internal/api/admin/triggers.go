package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/queue/poll"
	"github.com/millstreamdb/millstream/internal/trigger"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
	"github.com/millstreamdb/millstream/internal/worker"
)

// all lists the triggers of all accounts and regions, without their shards.
func (h *handler) all(ctx context.Context) ([]wire.Trigger, error) {
	statuses, err := h.Engine.Statuses(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]wire.Trigger, len(statuses))
	for i := range statuses {
		if out[i], err = h.shown(&statuses[i]); err != nil {
			return nil, err
		}
	}
	onQueues, err := h.Pollers.Statuses()
	for i := range onQueues {
		out = append(out, h.onQueue(&onQueues[i]))
	}
	return out, err
}

// onQueue is a mapping on a queue.
func (h *handler) onQueue(st *poll.Status) wire.Trigger {
	t := wire.Trigger{
		UUID: st.UUID, Account: st.Scope.Account, Region: st.Scope.Region, Queue: st.Queue(),
		Function: arn.FunctionOf(st.FunctionARN), StreamARN: st.StreamARN, FunctionARN: st.FunctionARN,
		State: string(st.State), Paused: st.Paused, Restored: h.Held(), LastResult: st.LastProcessingResult, Modified: st.Modified,
		LagRecords: uint64(st.Backlog), LagSeconds: st.AgeSeconds, BatchSize: st.BatchSize, BatchingWindowSeconds: st.BatchingWindowSeconds,
		MaximumRetryAttempts: -1, MaximumRecordAge: -1, Counts: st.Counters, Filters: st.Filters, ReportItemFailures: st.ReportItemFailures,
		InFlight: st.InFlight, Error: st.Error,
	}
	return t
}

func (h *handler) triggers(r *http.Request) (any, error) {
	all, err := h.all(r.Context())
	if err == nil && !isLocal(r) {
		err = h.complete(r.Context(), all)
	}
	return struct {
		Triggers []wire.Trigger `json:"triggers"`
	}{all}, err
}

func (h *handler) trigger(r *http.Request) (any, error) {
	uuid := r.PathValue("uuid")
	if h.Pollers.Has(uuid) {
		st, err := h.Pollers.Status(uuid)
		if errors.Is(err, backend.ErrNoMapping) {
			return nil, noTrigger(uuid)
		}
		return h.onQueue(&st), err
	}
	st, err := h.Engine.Status(r.Context(), uuid)
	if errors.Is(err, backend.ErrNoMapping) {
		return nil, noTrigger(uuid)
	}
	if err != nil {
		return nil, err
	}
	t, err := h.shown(&st)
	if err != nil || isLocal(r) {
		return t, err
	}
	one := []wire.Trigger{t}
	err = h.complete(r.Context(), one)
	return one[0], err
}

func noTrigger(uuid string) error {
	return wire.NotFound("there is no event source mapping " + uuid + "; `millstream triggers ls` lists them")
}

// settle waits until every enabled trigger has passed the head that its stream has, or tells which have not.
func (h *handler) settle(r *http.Request) (any, error) {
	timeout, err := timeoutOf(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	start := time.Now()
	settle := h.Settle
	if isLocal(r) && h.SettleHere != nil {
		settle = h.SettleHere
	}
	err = settle(ctx)
	answer := wire.Settled{Settled: err == nil, WaitedMS: time.Since(start).Milliseconds(), TimeStands: errors.Is(err, worker.ErrTimeStands)}
	if err == nil || !answer.TimeStands && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return answer, err
	}
	all, err := h.all(r.Context())
	if err == nil && !isLocal(r) {
		err = h.complete(r.Context(), all)
	}
	for _, t := range all {
		if t.Unknown != "" && (isLocal(r) || t.State != string(mapping.Enabled) || t.Paused) {
			continue
		}
		if t.Unknown != "" || t.LagRecords > 0 || t.SetAside.Held > 0 {
			answer.Behind = append(answer.Behind, t)
		}
	}
	// They caught up in the last moment; of several nodes one may not know yet how far it is.
	answer.Settled = len(answer.Behind) == 0 && h.SettleHere == nil
	return answer, err
}

// shown is a mapping with what the backend alone knows of it.
func (h *handler) shown(st *trigger.MappingStatus) (wire.Trigger, error) {
	t := triggerOf(st)
	t.Restored = h.Held()
	if st.Elsewhere {
		t.Unknown = "another node works it"
		return t, nil
	}
	t.Node = h.Name
	unread, err := h.Backend.UnreadOf(st.UUID)
	for _, u := range unread {
		t.Unread = append(t.Unread, wire.Unread{
			Shard: u.Shard, First: u.First.String(), Last: u.Last.String(), Records: u.Count, Reason: string(u.Why), Removed: u.At.UTC(),
		})
	}
	return t, err
}

func triggerOf(st *trigger.MappingStatus) wire.Trigger {
	t := wire.Trigger{
		UUID: st.UUID, Account: st.Scope.Account, Region: st.Scope.Region, Table: arn.TableOf(st.StreamARN),
		Function: arn.FunctionOf(st.FunctionARN), StreamARN: st.StreamARN, FunctionARN: st.FunctionARN,
		State: string(st.State), Paused: st.Paused, LastResult: st.LastProcessingResult, Modified: st.Modified,
		LagRecords: st.LagRecords, LagSeconds: st.LagSeconds,
		BatchSize: st.BatchSize, BatchingWindowSeconds: st.BatchingWindowSeconds, ParallelizationFactor: st.ParallelizationFactor,
		StartingPosition: string(st.Start), MaximumRetryAttempts: st.MaximumRetryAttempts, MaximumRecordAge: st.MaximumRecordAgeSeconds,
		Counts:    st.Counters,
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
	for _, n := range st.Notes {
		t.Notes = append(t.Notes, wire.Noted(n))
	}
	st.FilterWarnings(func(filter, why string) { t.FilterWarnings = append(t.FilterWarnings, filter+" "+why) })
	return t
}

func blockedOf(b *trigger.Blocked) *wire.Blocked {
	if b == nil {
		return nil
	}
	out := &wire.Blocked{
		Since: b.Since, SequenceNumber: b.SequenceNumber.String(), Records: b.Records, Attempts: b.Attempts, Error: b.Error, RetryAt: b.RetryAt,
	}
	if b.Keys != "" {
		out.Keys = json.RawMessage(b.Keys)
	}
	return out
}
