package trigger

import (
	"context"
	"errors"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// deliverTimeout bounds one call of a destination.
const deliverTimeout = 30 * time.Second

// logDrop tells people what was given up without a destination having been told.
func (m *running) logDrop(d lane.Drop, shard string) {
	args := []any{"mapping", m.uuid, "shard", shard, "reason", string(d.Reason), "attempts", d.Attempts, "error", d.Error}
	if len(d.Records) == 0 {
		m.e.log.Warn("the closing call of a tumbling window was given up; its state is gone",
			append(args, "start", time.Unix(d.Window.Start, 0).UTC(), "end", time.Unix(d.Window.End, 0).UTC())...)
		return
	}
	m.lost(shard, d.Loss, Dropped)
	m.e.log.Warn("records given up", append(args, "records", len(d.Records),
		"first", first(d.Records), "last", d.Records[len(d.Records)-1].Seq().String())...)
}

// logPutAside tells people what was set aside because it was given up.
func (m *running) logPutAside(p lane.PutAside) {
	text := "records given up; they are parked"
	if p.Kind == lane.Telling {
		text = "records given up; the on-failure destination will be told again"
	}
	m.e.log.Warn(text, "mapping", m.uuid, "shard", p.Shard, "reason", string(p.Reason), "attempts", p.Attempts, "error", p.Error,
		"records", len(p.Records), "first", first(p.Records), "last", p.Records[len(p.Records)-1].Seq().String())
}

// deliver tells a destination of a loss, in a goroutine of its own: a slow one
// holds up no other lane.
func (d *driver) deliver(a lane.Deliver) {
	m := d.m
	m.e.calls.Add(1)
	d.held.callBegins()
	started := m.e.spawn(func() {
		err := d.tell(a)
		done := lane.Delivered{Batch: a.Batch}
		if err != nil {
			done.Error = err.Error()
			m.e.log.Warn("an on-failure destination was not told of records that are given up; trying again", "mapping", m.uuid,
				"shard", a.Shard, "destination", a.Destination, "records", len(a.Records), "first", first(a.Records), "error", err)
		} else {
			m.lost(a.Shard, a.Loss, ToldOf)
			m.e.log.Warn("records given up; the on-failure destination was told", "mapping", m.uuid, "shard", a.Shard,
				"reason", string(a.Reason), "records", len(a.Records), "first", first(a.Records), "attempts", a.Attempts, "error", a.Loss.Error)
		}
		m.e.callEnded()
		d.finish(done)
		d.held.callEnded(m.e)
	})
	if !started {
		d.held.callEnded(m.e)
		m.e.callEnded()
	}
}

// tell tells a destination. What a queue of the backend's own is told is one commit with the end of the records.
func (d *driver) tell(a lane.Deliver) error {
	e := d.e
	document, key, err := newNotice(d.m.definition(), a, e.opts.Now())
	if err != nil {
		return err
	}
	if e.opts.Here != nil && e.opts.Here(a.Destination) {
		err := d.commitWith(a.Batch, backend.Transaction{Notice: &backend.Notice{Queue: a.Destination, Document: document}})
		if !errors.Is(err, backend.ErrNoNotice) {
			return err
		}
	}
	if !d.held.valid() {
		return backend.ErrLost
	}
	ctx, cancel := context.WithTimeout(d.context(), deliverTimeout)
	defer cancel()
	return e.opts.Destination.Deliver(ctx, d.m.definition().Scope.Account, a.Destination, key, document)
}
