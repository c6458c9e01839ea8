package server

import (
	"bytes"
	"io"
	"net/http"
	"strings"

	"github.com/millstreamdb/millstream/internal/door"
)

// exchange notes what came of a request: its status and AWS's error code, read
// from the answer as a client would read it, so that the protocols behind the
// door need to know nothing of metrics.
type exchange struct {
	http.ResponseWriter
	peer   *door.Peer
	status int
	code   string
}

func (e *exchange) WriteHeader(status int) {
	if e.status == 0 && status >= 200 {
		e.status = status
	}
	e.ResponseWriter.WriteHeader(status)
}

func (e *exchange) Write(b []byte) (int, error) {
	if e.status == 0 {
		e.status = http.StatusOK
	}
	if e.status >= 400 && e.code == "" {
		e.code = bodyCode(b)
	}
	if len(b) > door.SmallBody {
		defer e.peer.Exchange()()
	}
	return e.ResponseWriter.Write(b)
}

// admitted is a body that holds room: while it is read, its sender is waited for.
type admitted struct {
	io.ReadCloser
	peer *door.Peer
}

func (b *admitted) Read(p []byte) (int, error) {
	defer b.peer.Exchange()()
	return b.ReadCloser.Read(p)
}

// Unwrap lets http.ResponseController flush and set deadlines.
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// outcome is the value of the code label: "OK", an AWS error, or the status's own
// text where the answer names no error.
func (e *exchange) outcome() string {
	switch {
	case e.status < 400:
		return "OK"
	case e.code != "":
		return e.code
	}
	if code := e.Header().Get("X-Amzn-Errortype"); code != "" {
		return code
	}
	return strings.ReplaceAll(http.StatusText(e.status), " ", "")
}

// bodyCode finds the code of {"__type":"namespace#Code",...} in the first piece
// of an answer, "" when it is not of that form.
func bodyCode(b []byte) string {
	b, ok := bytes.CutPrefix(b, []byte(`{"__type":"`))
	if !ok {
		return ""
	}
	if b, _, ok = bytes.Cut(b, []byte(`"`)); !ok {
		return ""
	}
	return string(b[bytes.IndexByte(b, '#')+1:])
}
