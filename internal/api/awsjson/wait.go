package awsjson

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/door"
	"github.com/millstreamdb/millstream/internal/schema"
)

// A client may have an operation wait until it has something to answer, which is an extension of Millstream: a request header
// with milliseconds, at most MaxWait. The answer says in another how long it has waited. So a client learns that the server
// knows the header: others ignore it, and the answer has none. A third header tells where a read that may wait begins.
const (
	waitHeader   = "X-Millstream-Wait"
	waitedHeader = "X-Millstream-Waited"
	afterHeader  = "X-Millstream-After"

	// MaxWait is how long a request may wait; longer times are cut to it.
	MaxWait = 20 * time.Second
)

// Waiter returns once an operation has something to answer, or ctx ends. It reports false at once when it cannot wait. after is
// the place behind which the operation reads, empty when it has none.
type Waiter func(ctx context.Context, scope schema.Scope, body []byte) (after string, could bool)

// RegisterWait has requests with this X-Amz-Target wait when their client asks for it.
func (p *Protocol) RegisterWait(target string, w Waiter) { p.waiters[target] = w }

// caller says who a request is from.
type caller func() (schema.Scope, *awserr.Error)

// wait waits as r asks for it, and tells w's client so. It comes before room is taken for an answer, and who the request is from is
// asked once, before: a signature may be too old when the wait is over. A large body holds room, so nobody waits with one.
func (p *Protocol) wait(w http.ResponseWriter, r *http.Request, from caller, body []byte) (caller, error) {
	asked := r.Header.Get(waitHeader)
	if asked == "" || len(body) > door.SmallBody {
		return from, nil
	}
	wait := p.waiters[r.Header.Get("X-Amz-Target")]
	if wait == nil {
		return from, nil // as a server that does not know the header
	}
	ms, err := strconv.ParseUint(asked, 10, 32)
	if err != nil {
		return from, awserr.Validation(waitHeader + " takes milliseconds, a whole number from 0 to " + strconv.FormatInt(MaxWait.Milliseconds(), 10))
	}
	scope, refused := from()
	from = func() (schema.Scope, *awserr.Error) { return scope, refused }
	if refused != nil {
		return from, nil // the answer says so
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(r.Context(), min(time.Duration(ms)*time.Millisecond, MaxWait))
	defer cancel()
	after, could := wait(ctx, scope, body)
	if after != "" {
		w.Header().Set(afterHeader, after)
	}
	if could {
		w.Header().Set(waitedHeader, strconv.FormatInt(time.Since(began).Milliseconds(), 10))
	}
	return from, nil
}
