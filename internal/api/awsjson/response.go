package awsjson

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/millstreamdb/millstream/internal/door"
)

// codedFrom is the size of an answer, in bytes, from which on AWS codes it for who asks.
const codedFrom = 4 << 10

// write sends a reply by net/http.
func (p *Protocol) write(w http.ResponseWriter, reply *door.Reply) {
	// One array backs the values of all headers.
	sum := strconv.FormatUint(uint64(reply.Checksum), 10)
	values := [...]string{"Server", reply.ID, sum, strconv.Itoa(len(reply.Body)), reply.ContentType, reply.Coding}
	h := w.Header()
	h["Server"] = values[0:1:1]
	h["X-Amzn-Requestid"] = values[1:2:2]
	h["X-Amz-Crc32"] = values[2:3:3]
	h["Content-Length"] = values[3:4:4]
	if reply.ContentType != "" {
		h["Content-Type"] = values[4:5:5]
	}
	if reply.Coding != "" {
		h["Content-Encoding"] = values[5:6:6]
	}
	for _, further := range reply.Headers {
		h.Set(further[0], further[1])
	}
	w.WriteHeader(reply.Status)
	_, _ = w.Write(reply.Body) // the caller has gone
}

// accepted returns the coding that a request's Accept-Encoding asks for: gzip
// before deflate, empty for neither. A caller that names no coding gets none.
func accepted(header string) string {
	deflate := false
	for one := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(one, ";")
		if refused(parameters) {
			continue
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "gzip", "x-gzip":
			return "gzip"
		case "deflate":
			deflate = true
		}
	}
	if deflate {
		return "deflate"
	}
	return ""
}

// refused reports whether the parameters of a coding say that it is not wanted.
func refused(parameters string) bool {
	q, ok := strings.CutPrefix(strings.TrimSpace(parameters), "q=")
	if !ok {
		return false
	}
	weight, err := strconv.ParseFloat(q, 64)
	return err == nil && weight == 0
}

// A coder is what both codings have in common.
type coder interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// coders keeps the coders, which are large, between answers. An answer is for a caller
// who waits for it, so they are the fast ones.
var coders = map[string]*sync.Pool{
	"gzip": {New: func() any {
		w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is one
		return w
	}},
	"deflate": {New: func() any {
		w, _ := zlib.NewWriterLevel(nil, zlib.BestSpeed)
		return w
	}},
}

// code codes what lies behind start in body, in its place. An answer is coded whole before its headers go out: they have
// its length, and the checksum of what is sent, as on AWS.
func code(coding string, body []byte, start int) []byte {
	buffers := buffersPool.Get().(*buffers)
	defer buffers.release()
	coded := bytes.NewBuffer(buffers.out[:0])
	c := coders[coding].Get().(coder)
	c.Reset(coded)
	_, _ = c.Write(body[start:]) // a bytes.Buffer takes everything
	_ = c.Close()
	coders[coding].Put(c)
	buffers.out = coded.Bytes()
	return append(body[:start], buffers.out...)
}
