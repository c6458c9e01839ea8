package server

import (
	"context"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/door"
)

// quick answers the requests that the door reads itself: those for DynamoDB, with nothing unusual about them. What ServeHTTP
// does with such a request is done here without an http.Request; whatever is not simply let in goes there.
type quick struct{ *Server }

// Enter implements door.Handler.
func (q quick) Enter(r *door.Request) (door.Entry, door.Reply) {
	defer q.watchPanic()
	if q.panicked.Load() || !q.config.Plain() || !q.hosts.allow(string(r.Host)) {
		return door.Elsewhere, door.Reply{}
	}
	if q.verifies() && r.Length() > SmallBody && !q.config.Auth.knows(r) {
		return door.Elsewhere, door.Reply{} // where it is refused before its body is read
	}
	var ok bool
	if r.Held, ok = q.requests.enter(context.Background(), r.Peer, int64(r.Length())); !ok {
		q.metrics.refused.WithLabelValues("busy").Inc()
		return door.Refused, refusedReply(throttled(routeDynamoDB, string(r.Target), q.requests.wait()))
	}
	q.metrics.inFlight.Add(1)
	return door.Taken, door.Reply{}
}

// refusedReply is what writeError writes.
func refusedReply(e *awserr.Error) door.Reply {
	reply := door.Reply{Status: e.HTTPStatus(), ContentType: amzJSON, Body: errorBody(e), Headers: [][2]string{{"X-Amzn-Errortype", e.Code}}}
	for name, value := range e.RetryHeaders() {
		reply.Headers = append(reply.Headers, [2]string{name, value})
	}
	return reply
}

// Answer implements door.Handler. A request is not given up when its caller leaves, so its context does not end.
func (q quick) Answer(r *door.Request, dst []byte) door.Reply {
	defer q.watchPanic()
	return q.config.Answer(context.Background(), r, dst)
}

// Leave implements door.Handler.
func (q quick) Leave(r *door.Request, reply *door.Reply, began time.Time) {
	defer q.watchPanic()
	q.metrics.inFlight.Add(-1)
	q.requests.leave(r.Held, began)
	if reply == nil {
		return
	}
	reply.Held.Release()
	outcome := "OK"
	if reply.Status >= 400 {
		outcome = bodyCode(reply.Text())
	}
	op := q.metrics.targeted(r.Target)
	q.auditQuick(r, op, outcome, time.Since(began))
	op.done(outcome, time.Since(began))
}
