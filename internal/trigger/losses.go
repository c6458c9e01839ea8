package trigger

import (
	"context"
	"time"

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
func (m *running) deliver(d lane.Deliver, ended func(lane.Event)) {
	m.e.calls.Add(1)
	started := m.e.spawn(func() {
		err := m.tell(d)
		done := lane.Delivered{Batch: d.Batch}
		if err != nil {
			done.Error = err.Error()
			m.e.log.Warn("an on-failure destination was not told of records that are given up; trying again", "mapping", m.uuid,
				"shard", d.Shard, "destination", d.Destination, "records", len(d.Records), "first", first(d.Records), "error", err)
		} else {
			m.e.log.Warn("records given up; the on-failure destination was told", "mapping", m.uuid, "shard", d.Shard,
				"reason", string(d.Reason), "records", len(d.Records), "first", first(d.Records), "attempts", d.Attempts, "error", d.Loss.Error)
		}
		m.e.callEnded()
		ended(done)
	})
	if !started {
		m.e.callEnded()
	}
}

func (m *running) tell(d lane.Deliver) error {
	document, key, err := newNotice(m.definition(), d, m.e.opts.Now())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(m.e.ctx, deliverTimeout)
	defer cancel()
	return m.e.opts.Destination.Deliver(ctx, d.Destination, key, document)
}
