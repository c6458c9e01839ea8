package awsjson

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/millstreamdb/millstream/internal/awserr"
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
	return &Protocol{options: o, operations: make(map[string]Operation)}
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
		p.write(w, "", http.StatusNotFound, []byte("<UnknownOperationException/>\n"))
		return
	}
	if contentType != amzJSON {
		contentType = plainJSON
	}
	status := http.StatusOK
	out, err := buffers.out[:0], failure
	if err == nil {
		out, err = p.answer(r, body, out)
	}
	if err != nil {
		e := p.clientError(r, err)
		status = e.HTTPStatus()
		out = AppendError(buffers.out[:0], e)
	}
	buffers.out = out
	if status == http.StatusOK && len(out) > codedFrom {
		if coding := accepted(r.Header["Accept-Encoding"]); coding != "" {
			p.writeCoded(w, contentType, coding, out)
			return
		}
	}
	p.write(w, contentType, status, out)
}

// answer runs the operation. Malformed JSON wins over an unknown target and over
// a missing signature, since AWS parses first; the operation's decoder finds it
// when all else is well.
func (p *Protocol) answer(r *http.Request, body, dst []byte) ([]byte, error) {
	op := p.operations[r.Header.Get("X-Amz-Target")]
	if op == nil {
		return dst, malformedOr(body, awserr.UnknownOperation())
	}
	scope, refused := p.options.Authenticate(r)
	if refused != nil {
		return dst, malformedOr(body, refused)
	}
	if len(body) == 0 {
		return dst, awserr.Serialization("")
	}
	return op(r.Context(), scope, body, dst)
}

func malformedOr(body []byte, e *awserr.Error) *awserr.Error {
	if len(body) > 0 && !item.Valid(body) {
		return awserr.Serialization("")
	}
	return e
}

// clientError returns what the caller is told. A fault of the server is logged
// here and nowhere else.
func (p *Protocol) clientError(r *http.Request, err error) *awserr.Error {
	var e *awserr.Error
	if errors.As(err, &e) {
		return e
	}
	if r.Context().Err() == nil {
		p.options.Logger.Error("a request failed", "target", r.Header.Get("X-Amz-Target"), "error", err)
	}
	return awserr.Internal()
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
