package admin

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger"
)

// passed tells what the triggers of a stream have made of one of its records.
func (h *handler) passed(r *http.Request) (any, error) {
	q := r.URL.Query()
	number, err := seqnum.Parse(q.Get("number"))
	if err != nil {
		return nil, wire.BadRequest("number=" + q.Get("number") + ": want the sequence number of a record")
	}
	st, err := h.streamOf(tailQuery{scope: h.scope(r), table: q.Get("table"), stream: q.Get("stream")})
	if err != nil {
		return nil, err
	}
	shard, outcomes, err := h.Engine.Outcomes(r.Context(), st.ARN, number)
	if errors.Is(err, trigger.ErrNoRecord) {
		return nil, wire.NotFound(err.Error())
	}
	if err != nil {
		return nil, err
	}
	answer := wire.Passed{Shard: shard, Triggers: []wire.Outcome{}}
	for i := range outcomes {
		o := &outcomes[i]
		w := wire.Outcome{UUID: o.UUID, Function: arn.FunctionOf(o.FunctionARN), Outcome: string(o.What), Reason: o.Reason, Error: o.Error, Attempts: o.Attempts}
		if err := h.unread(&w, shard, number); err != nil {
			return nil, err
		}
		answer.Triggers = append(answer.Triggers, w)
	}
	return answer, nil
}

// unread corrects an outcome by the ranges that the trigger never read, which the backend alone knows.
func (h *handler) unread(o *wire.Outcome, shard string, number seqnum.Num) error {
	if o.Outcome != string(trigger.Taken) && o.Outcome != string(trigger.Ended) && o.Outcome != string(trigger.FilteredOut) {
		return nil
	}
	ranges, err := h.Backend.UnreadOf(o.UUID)
	for _, u := range ranges {
		if u.Shard != shard || number.Less(u.First) || u.Last.Less(number) {
			continue
		}
		o.Outcome, o.Reason = "removed", string(u.Why)
		if o.Reason == "skipped" {
			o.Outcome, o.Reason = "skipped", ""
		}
	}
	return err
}

// failures lists the newest calls of a trigger that have failed.
func (h *handler) failures(r *http.Request) (any, error) {
	if err := h.ofStream(r, "its failures are in the function's log"); err != nil {
		return nil, err
	}
	uuid := r.PathValue("uuid")
	failed, err := h.Engine.Failures(uuid)
	if err != nil {
		return nil, moveError(uuid, err)
	}
	all := make([]wire.FailedCall, len(failed))
	for i := range failed {
		f := &failed[i]
		all[i] = wire.FailedCall{
			At: f.At.UTC(), RequestID: f.RequestID, Error: f.Error, Records: f.Records,
			Verdict: wire.Verdict{Failed: f.Failed, Attempt: f.Attempt, Of: f.Of, Then: f.Then.String(), GivenUp: f.Then.GivenUp(), RetryAt: f.RetryAt},
		}
		if !f.First.IsZero() {
			all[i].SequenceNumber = f.First.String()
		}
		if f.Keys != "" {
			all[i].Keys = json.RawMessage(f.Keys)
		}
	}
	return struct {
		Failures []wire.FailedCall `json:"failures"`
	}{all}, nil
}
