package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/queue"
)

// queues lists the queues of an account and region by ascending name.
func (h *handler) queues(r *http.Request) (any, error) {
	out := []wire.Queue{}
	for _, q := range h.Queues.All(h.scope(r)) {
		c, err := q.Counts()
		if err != nil {
			return nil, err
		}
		shown := wire.Queue{Name: q.Name(), ARN: q.ARN(), FIFO: q.FIFO(), Visible: c.Visible, InFlight: c.InFlight, Delayed: c.Delayed, DeadLetters: q.DeadLetterTarget()}
		for _, s := range h.Queues.Sources(q) {
			shown.Sources = append(shown.Sources, s.ARN())
		}
		out = append(out, shown)
	}
	return out, h.Store.Barrier(r.Context())
}

// queueOf is the queue that a request names by queue=, a name or an ARN.
func (h *handler) queueOf(r *http.Request) (*queue.Queue, error) {
	name := r.URL.Query().Get("queue")
	if name == "" {
		return nil, wire.BadRequest("say queue=")
	}
	if arn.Is(name) {
		if q := h.Queues.FindARN(name); q != nil {
			return q, nil
		}
	} else if q, err := h.Queues.Find(h.scope(r), name); err == nil {
		return q, nil
	}
	return nil, wire.NotFound("there is no queue " + name)
}

// maxPeek is the most messages that are shown at once.
const maxPeek = 1000

func (h *handler) peekQueue(r *http.Request) (any, error) {
	q, err := h.queueOf(r)
	if err != nil {
		return nil, err
	}
	most, err := strconv.Atoi(r.URL.Query().Get("max"))
	if err != nil || most < 1 || most > maxPeek {
		return nil, wire.BadRequest("max= must be 1 to " + strconv.Itoa(maxPeek))
	}
	all, err := q.Peek(most)
	if err != nil {
		return nil, err
	}
	out := []wire.QueueMessage{}
	for i := range all {
		p := &all[i]
		out = append(out, wire.QueueMessage{
			ID: p.IDText(), Body: p.Body, Sent: time.UnixMilli(p.SentMS).UTC(), Received: p.Count, Visible: p.Visible, Group: p.Group, Source: p.Source,
		})
	}
	return out, nil
}

func (h *handler) purgeQueue(r *http.Request) (any, error) {
	q, err := h.queueOf(r)
	if err != nil {
		return nil, err
	}
	return struct{}{}, q.Purge()
}

// redriveQueue has the messages of a dead-letter queue moved back to where they came from, or to another queue.
func (h *handler) redriveQueue(r *http.Request) (any, error) {
	q, err := h.queueOf(r)
	if err != nil {
		return nil, err
	}
	to := r.URL.Query().Get("to")
	if to != "" && !arn.Is(to) {
		to = h.scope(r).QueueARN(to)
	}
	task, err := h.Queues.StartMove(q.ARN(), to, nil)
	if err != nil {
		return nil, err
	}
	return wire.QueueRedrive{Messages: task.ToMove}, nil
}
