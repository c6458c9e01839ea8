package door

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Reply is the answer to a request.
type Reply struct {
	Status      int
	ContentType string
	ID          string // X-Amzn-Requestid
	Checksum    uint32 // of the body
	Coding      string // Content-Encoding of the body
	Headers     [][2]string
	Close       bool  // no further request is read
	Held        *Held // given back when the answer has been taken
	// Body begins with the bytes that were given to be appended to: see Handler.Answer.
	Body []byte
}

// Text is the body of an answer as it is sent.
func (r *Reply) Text() []byte { return r.Body[headRoom:] }

// headRoom is kept in front of a body, so that head and body are one write. A head that is longer goes by itself.
const headRoom = 320

// appendHead appends the head of a reply whose body has n bytes.
func (r *Reply) appendHead(dst []byte, now time.Time, n int) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(r.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(r.Status)...)
	dst = append(dst, "\r\nServer: Server\r\nDate: "...)
	dst = append(dst, date(now)...)
	if r.ContentType != "" {
		dst = appendHeader(dst, "Content-Type", r.ContentType)
	}
	if r.Coding != "" {
		dst = appendHeader(dst, "Content-Encoding", r.Coding)
	}
	dst = append(dst, "\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	if r.ID != "" {
		dst = appendHeader(dst, "X-Amzn-Requestid", r.ID)
		dst = append(dst, "\r\nX-Amz-Crc32: "...)
		dst = strconv.AppendUint(dst, uint64(r.Checksum), 10)
	}
	for _, h := range r.Headers {
		dst = appendHeader(dst, h[0], h[1])
	}
	if r.Close {
		dst = append(dst, "\r\nConnection: close"...)
	}
	return append(dst, "\r\n\r\n"...)
}

func appendHeader(dst []byte, name, value string) []byte {
	dst = append(dst, "\r\n"...)
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	return append(dst, value...)
}

// dates keeps the text of the second that it is.
var dates atomic.Pointer[dated]

type dated struct {
	second int64
	text   string
}

// date is the value of a Date header.
func date(now time.Time) string {
	d := dates.Load()
	if d == nil || d.second != now.Unix() {
		d = &dated{now.Unix(), now.UTC().Format(http.TimeFormat)}
		dates.Store(d)
	}
	return d.text
}

// buffers keeps what a connection needs only while it has a request.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// keepBuffer is the largest buffer in bytes that is kept for any next request.
const keepBuffer = 256 << 10

// pages keeps buffers of pageBuffer bytes, for large answers: a page of Query or Scan has 1 MB of items.
var pages sync.Pool

const pageBuffer = 5 << 18

func getBuffer(size int) *[]byte {
	b := buffers.Get().(*[]byte)
	if cap(*b) < size {
		*b = make([]byte, size)
	}
	*b = (*b)[:size]
	return b
}

func putBuffer(b *[]byte) {
	switch {
	case b == nil:
	case cap(*b) <= keepBuffer:
		buffers.Put(b)
	case cap(*b) == pageBuffer:
		pages.Put(b)
	}
}

// Grow returns dst with room for n more bytes. Of an answer that becomes large little is copied by it, and as a rule its memory was used before.
func Grow(dst []byte, n int) []byte {
	need := len(dst) + n
	size := 2 * cap(dst)
	switch {
	case need <= cap(dst):
		return dst
	case need <= keepBuffer:
		size = min(size, keepBuffer)
	case need <= pageBuffer:
		if b, ok := pages.Get().(*[]byte); ok {
			return append((*b)[:0], dst...)
		}
		size = pageBuffer
	}
	return append(make([]byte, 0, max(need, size)), dst...)
}
