package server

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/door"
	"github.com/millstreamdb/millstream/internal/turns"
)

// Limits bound what callers can make the server hold at once. Zero fields take
// the default.
type Limits struct {
	// Connections open at once, of each listener; for another one the connection that has been
	// idle longest is closed. Default MaxConnections.
	Connections int
	// Requests under way at once over all protocols; more are throttled.
	// Default 4096.
	Requests int
	// BodyBytes is the room for request bodies above SmallBody at once: a request
	// waits BodyWait for its share and is throttled then. Default 256 MiB.
	BodyBytes int64
	// BodyWait: default 2 s.
	BodyWait time.Duration
	// HeaderTime is how long a request's header may take to arrive, BodyTime the
	// whole of a request. Defaults 10 s and 60 s; function uploads have ten times
	// BodyTime.
	HeaderTime, BodyTime time.Duration
	// IdleTime closes connections that wait for a next request. Default 3 min.
	IdleTime time.Duration
	// WriteTime is how long a caller may take nothing of its answer.
	// Default 30 s.
	WriteTime time.Duration
	// Grace is how long requests under way may go on when the server stops.
	// Default 10 s.
	Grace time.Duration
}

// MaxConnections is how many connections a listener serves at once where nothing else
// bounds it.
const MaxConnections = 8192

const (
	// SmallBody is the size up to which bodies are not counted: the bound on
	// requests bounds them.
	SmallBody = door.SmallBody
	// maxDynamoDBBody and maxLambdaBody are what AWS takes at most; a body of
	// unknown or compressed length counts as that much.
	maxDynamoDBBody = 16 << 20
	maxLambdaBody   = 70167211
	// maxHeader is what AWS takes for the request line and for the headers, each. net/http
	// knows their sum only, of which the line is next to nothing in AWS's protocols, and
	// lets up to 4 KiB more pass on a connection that is used again.
	maxHeader = 16 << 10
	// maxFrontHeader is the sum at the front door, where addresses are long.
	maxFrontHeader = 32 << 10
	// headerSlack is what net/http adds to Server.MaxHeaderBytes.
	headerSlack = 4 << 10
)

func (l Limits) withDefaults() Limits {
	if l.Connections == 0 {
		l.Connections = MaxConnections
	}
	if l.Requests == 0 {
		l.Requests = 4096
	}
	if l.BodyBytes == 0 {
		l.BodyBytes = 256 << 20
	}
	defaultTo := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	defaultTo(&l.BodyWait, 2*time.Second)
	defaultTo(&l.HeaderTime, 10*time.Second)
	defaultTo(&l.BodyTime, time.Minute)
	defaultTo(&l.IdleTime, 3*time.Minute)
	defaultTo(&l.WriteTime, 30*time.Second)
	defaultTo(&l.Grace, 10*time.Second)
	return l
}

// admission bounds the requests under way and the bytes of their bodies. It comes
// before any lock and any read of a body.
type admission struct {
	running atomic.Int64 // requests under way
	bodies  *door.Room
	limits  Limits
	turns   turns.Turns // of those who were refused
	began   time.Time
}

func newAdmission(l Limits) *admission {
	return &admission{bodies: door.NewRoom(l.BodyBytes, l.BodyWait), limits: l, began: time.Now()}
}

// wait returns how long a refused caller is to stay away.
func (a *admission) wait() time.Duration { return a.turns.Wait(time.Since(a.began), a.limits.Requests) }

// enter takes a place for a request, and room for its body of n bytes. ok is false
// when there is none; else leave must be called with held.
func (a *admission) enter(ctx context.Context, peer *door.Peer, n int64) (held *door.Held, ok bool) {
	if a.running.Add(1) > int64(a.limits.Requests) {
		a.running.Add(-1)
		return nil, false
	}
	if n <= SmallBody {
		return nil, true
	}
	if held, ok = a.bodies.Take(ctx, peer, n); !ok {
		a.running.Add(-1)
	}
	return held, ok
}

// enterHTTP is enter for a request whose body has at most max bytes, and is held so often at once. The request that it returns is for the handler. It is a
// copy when the body's reading is watched: net/http looks at the body of its own request to learn whether the caller is still
// sending, and then waits before it closes.
func (a *admission) enterHTTP(r *http.Request, max, copies int64) (watched *http.Request, held *door.Held, ok bool) {
	peer := door.PeerOf(r.Context())
	held, ok = a.enter(r.Context(), peer, copies*bodySize(r, max))
	if held != nil && peer != nil {
		watched := *r
		watched.Body = &admitted{r.Body, peer}
		return &watched, held, ok
	}
	return r, held, ok
}

// leave gives back what a request took when it began.
func (a *admission) leave(held *door.Held, began time.Time) {
	a.turns.Took(time.Since(began))
	held.Release()
	a.running.Add(-1)
}

// bodySize is how much of a body the server may come to hold. A body beyond max
// is refused by its protocol before it is read.
func bodySize(r *http.Request, max int64) int64 {
	if r.ContentLength < 0 || r.ContentLength > max {
		return max
	}
	if r.ContentLength > 0 && r.Header.Get("Content-Encoding") != "" {
		return max
	}
	return r.ContentLength
}
