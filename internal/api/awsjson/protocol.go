package awsjson

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/door"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/schema"
)

// Operation answers one request: it appends the answer's JSON to dst and returns
// it. body is valid until it returns. An error that is no *awserr.Error is a
// fault of the server.
type Operation func(ctx context.Context, scope schema.Scope, body, dst []byte) ([]byte, error)

// Options of New.
type Options struct {
	// Authenticate reads who a request is from. Required.
	Authenticate func(*http.Request) (schema.Scope, *awserr.Error)
	// Caller is Authenticate for a request of the door's kind. Required for Answer.
	Caller func(*door.Request) (schema.Scope, *awserr.Error)
	// Answers is the room for large answers; nil: they are not bounded.
	Answers *door.Room
	// Form answers POST requests with a form body, which is how the services
	// speak that share the port and not this protocol (STS). nil: none does.
	Form http.Handler
	// Region is named in the answer to GET /; empty: us-east-1.
	Region string
	Logger *slog.Logger // nil: nothing is logged
	// RequestID makes the ids of answers; nil: random ones.
	RequestID func() string
}

// Protocol is an http.Handler. Register all operations first; after that it is
// safe for concurrent use.
type Protocol struct {
	options    Options
	operations map[string]Operation // by X-Amz-Target
	waiters    map[string]Waiter    // the same
}

// New returns a protocol without operations.
func New(o Options) *Protocol {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.RequestID == nil {
		o.RequestID = requestID
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	return &Protocol{options: o, operations: make(map[string]Operation), waiters: make(map[string]Waiter)}
}

// Register makes op answer requests with this X-Amz-Target, such as
// "DynamoDB_20120810.PutItem".
func (p *Protocol) Register(target string, op Operation) { p.operations[target] = op }

// Targets returns the X-Amz-Target of every operation, sorted.
func (p *Protocol) Targets() []string { return slices.Sorted(maps.Keys(p.operations)) }

const (
	amzJSON   = "application/x-amz-json-1.0"
	plainJSON = "application/json"
	formBody  = "application/x-www-form-urlencoded"
)

// ServeHTTP makes the checks that come before any operation, in AWS's order, then
// runs it.
func (p *Protocol) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "healthy: dynamodb."+p.options.Region+".amazonaws.com ") // the caller has gone
		return
	}
	contentType := mediaType(r.Header.Get("Content-Type"))
	if contentType == formBody && r.Method == http.MethodPost && p.options.Form != nil {
		p.options.Form.ServeHTTP(w, r)
		return
	}

	buffers := buffersPool.Get().(*buffers)
	defer buffers.release()
	body, failure := buffers.read(r)
	switch {
	case failure == nil:
	case isTooLarge(failure):
		// AWS answers without a body or a request id, and stops reading.
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	default:
		w.Header().Set("Connection", "close")
	}
	if r.Method != http.MethodPost || len(body) > 0 && contentType != amzJSON && contentType != plainJSON {
		reply := p.sealed(door.Reply{Status: http.StatusNotFound, Body: []byte("<UnknownOperationException/>\n")}, 0)
		p.write(w, &reply)
		return
	}
	if contentType != amzJSON {
		contentType = plainJSON
	}
	r2 := door.Request{Target: []byte(r.Header.Get("X-Amz-Target")), Body: body, Peer: door.PeerOf(r.Context())}
	if codings := r.Header["Accept-Encoding"]; len(codings) > 0 {
		r2.AcceptEncoding = []byte(strings.Join(codings, ","))
	}
	from := caller(func() (schema.Scope, *awserr.Error) { return p.options.Authenticate(r) })
	if failure == nil {
		from, failure = p.wait(w, r, from, body)
	}
	var reply door.Reply
	if failure != nil {
		reply = p.failed(r.Context(), &r2, failure, buffers.out[:0])
	} else {
		reply = p.answer(r.Context(), &r2, from, buffers.out[:0])
	}
	defer reply.Held.Release()
	buffers.out = reply.Body
	reply.ContentType = contentType
	if reply.Held != nil { // also a coded one that has become small is waited for
		defer r2.Peer.Exchange()()
	}
	p.write(w, &reply)
}

// Answer answers a request of the door's kind. The body of the reply is appended to dst. What it holds is to be released
// when it has been sent.
func (p *Protocol) Answer(ctx context.Context, r *door.Request, dst []byte) door.Reply {
	return p.answer(ctx, r, func() (schema.Scope, *awserr.Error) { return p.options.Caller(r) }, dst)
}

// answer runs a request's operation, with room for its answer.
func (p *Protocol) answer(ctx context.Context, r *door.Request, caller func() (schema.Scope, *awserr.Error), dst []byte) door.Reply {
	most, repeatable := largest(r.Target, r.Body)
	held, ok := p.options.Answers.Take(ctx, r.Peer, most)
	if !ok {
		return p.throttled(r, dst)
	}
	out, err := p.run(ctx, r, caller, dst)
	if err != nil {
		// An error may show a hundred items that did not meet a condition. It says that nothing was changed.
		reply := p.failed(ctx, r, err, dst)
		if reply.Held, ok = p.hold(r, held, reply.Body, len(dst), true); !ok {
			return p.throttled(r, dst)
		}
		return reply
	}
	reply := door.Reply{Status: http.StatusOK, ContentType: amzJSON, Body: out}
	if reply.Held, ok = p.hold(r, held, out, len(dst), repeatable); !ok {
		return p.throttled(r, dst)
	}
	if len(out)-len(dst) > codedFrom && r.AcceptEncoding != nil {
		if coding := accepted(string(r.AcceptEncoding)); coding != "" {
			reply.Coding, reply.Body = coding, code(coding, out, len(dst))
		}
	}
	return p.sealed(reply, len(dst))
}

// hold makes held, which was taken before an answer was there, what the answer needs that begins at start of out: nothing when it is
// small. ok is false when nothing was taken, there is no room, and the answer may be thrown away.
func (p *Protocol) hold(r *door.Request, held *door.Held, out []byte, start int, repeatable bool) (_ *door.Held, ok bool) {
	switch {
	case len(out)-start <= door.SmallBody:
		held.Release()
		return nil, true
	case held != nil:
		held.Resize(int64(cap(out)))
		return held, true
	}
	return p.options.Answers.TakeNow(r.Peer, int64(cap(out)), !repeatable)
}

// run checks what comes before an operation, and runs it. Malformed JSON wins over an unknown target and over
// a missing signature, since AWS parses first; the operation's decoder finds it
// when all else is well.
func (p *Protocol) run(ctx context.Context, r *door.Request, caller func() (schema.Scope, *awserr.Error), dst []byte) ([]byte, error) {
	op := p.operations[string(r.Target)]
	if op == nil {
		return dst, malformedOr(r.Body, awserr.UnknownOperation())
	}
	scope, refused := caller()
	if refused != nil {
		return dst, malformedOr(r.Body, refused)
	}
	if len(r.Body) == 0 {
		return dst, awserr.Serialization("")
	}
	return op(ctx, scope, r.Body, dst)
}

// failed is the reply of an error. A fault of the server is logged here and nowhere else.
func (p *Protocol) failed(ctx context.Context, r *door.Request, err error, dst []byte) door.Reply {
	var e *awserr.Error
	if !errors.As(err, &e) {
		if ctx.Err() == nil {
			p.options.Logger.Error("a request failed", "target", string(r.Target), "error", err)
		}
		e = awserr.Internal()
	}
	reply := door.Reply{Status: e.HTTPStatus(), ContentType: amzJSON, Body: AppendError(dst, e)}
	for name, value := range e.RetryHeaders() {
		reply.Headers = append(reply.Headers, [2]string{name, value})
	}
	return p.sealed(reply, len(dst))
}

// throttled is the reply when there is no room for an answer.
func (p *Protocol) throttled(r *door.Request, dst []byte) door.Reply {
	_, operation, _ := strings.Cut(string(r.Target), ".")
	return p.failed(context.Background(), r, awserr.Throttled(operation, answerRetry), dst)
}

// sealed gives a reply, whose body begins at start, its id and checksum.
func (p *Protocol) sealed(reply door.Reply, start int) door.Reply {
	reply.ID = p.options.RequestID()
	reply.Checksum = crc32.ChecksumIEEE(reply.Body[start:])
	return reply
}

func malformedOr(body []byte, e *awserr.Error) *awserr.Error {
	if len(body) > 0 && !item.Valid(body) {
		return awserr.Serialization("")
	}
	return e
}

// mediaType returns a Content-Type without parameters and blanks.
func mediaType(header string) string {
	if i := strings.IndexByte(header, ';'); i >= 0 {
		header = header[:i]
	}
	return strings.TrimSpace(header)
}

// requestID returns an id of the form of AWS's: 52 letters and digits, the last
// eleven as in most of its own.
func requestID() string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
	const tail = "66Q9ASUAAJG"
	var id [52]byte
	var bits uint64
	n := copy(id[len(id)-len(tail):], tail)
	for i := range len(id) - n {
		if i%12 == 0 {
			bits = rand.Uint64()
		}
		id[i] = alphabet[bits&31]
		bits >>= 5
	}
	return string(id[:])
}

// buffers are what one request needs, kept for the next one.
type buffers struct{ in, out []byte }

var buffersPool = sync.Pool{New: func() any { return new(buffers) }}

// keepBuffer is the largest buffer in bytes that is kept for a next request.
const keepBuffer = 256 << 10

func (b *buffers) release() {
	if cap(b.in) > keepBuffer {
		b.in = nil
	}
	if cap(b.out) > keepBuffer {
		b.out = nil
	}
	buffersPool.Put(b)
}
