package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
)

const (
	// integrationType is the content type of an answer that begins with its status and
	// headers.
	integrationType = "application/vnd.awslambda.http-integration-response"
	// maxPrelude bounds what stands before the body.
	maxPrelude = 1 << 20
)

// preludeEnd stands between the status and headers, and the body.
var preludeEnd = make([]byte, 8)

// streamedReply passes a function's answer on as it comes. It is the Stream of one call.
type streamedReply struct {
	w    http.ResponseWriter
	q    *request
	cors *CORS

	contentType string
	prelude     []byte // as far as it has come
	expects     bool   // a prelude, which has not come whole
	streams     bool   // the function has begun to stream
	begun       bool   // the head of the answer was sent
	malformed   bool   // the prelude makes no sense
}

// Begin implements Stream.
func (s *streamedReply) Begin(_, contentType string) {
	s.streams, s.contentType, s.expects = true, contentType, contentType == integrationType
}

// Write implements Stream. The head goes with the first of the body, so that a failure
// before it can still be told.
func (s *streamedReply) Write(piece []byte) (int, error) {
	body := piece
	if s.expects {
		s.prelude = append(s.prelude, piece...)
		end := bytes.Index(s.prelude, preludeEnd)
		switch {
		case end < 0 && len(s.prelude) > maxPrelude:
			s.malformed = true
			return 0, http.ErrBodyNotAllowed
		case end < 0:
			return len(piece), nil
		}
		s.expects = false
		body = s.prelude[end+len(preludeEnd):]
		s.prelude = s.prelude[:end]
	}
	if !s.begun && !s.begin() {
		s.malformed = true
		return 0, http.ErrBodyNotAllowed
	}
	if _, err := s.w.Write(body); err != nil {
		return 0, err
	}
	return len(piece), http.NewResponseController(s.w).Flush()
}

// begin sends the head. It reports false when the prelude makes no sense.
func (s *streamedReply) begin() bool {
	r := reply{status: http.StatusOK, header: http.Header{"Content-Type": {s.contentType}}}
	if s.contentType == integrationType {
		var d struct {
			StatusCode json.Number           `json:"statusCode"`
			Headers    map[string]scalarText `json:"headers"`
			Cookies    []string              `json:"cookies"`
		}
		if json.Unmarshal(s.prelude, &d) != nil {
			return false
		}
		r.header = http.Header{"Content-Type": {"application/octet-stream"}}
		if d.StatusCode != "" {
			n, err := strconv.Atoi(d.StatusCode.String())
			if err != nil || n < 200 || n > 599 {
				return false
			}
			r.status = n
		}
		for name, value := range d.Headers {
			r.header.Set(name, string(value))
		}
		r.cookies = d.Cookies
	}
	if s.cors != nil {
		applyCORS(s.cors, r.header, s.q.http)
	}
	r.head(s.w)
	s.w.WriteHeader(r.status)
	s.begun = true
	return true
}

// finish ends the answer. It reports false for a failure before the first of the body, which
// is to be told as of any call.
func (s *streamedReply) finish(answer []byte, broken bool) bool {
	if !s.streams && !broken { // a function that does not stream has one piece
		s.contentType = "application/json"
		_, _ = s.Write(answer) // the caller has gone
	}
	switch {
	case s.begun && (broken || s.malformed):
		panic(http.ErrAbortHandler) // its reader must see that the answer is not whole
	case s.begun:
		return true
	case broken:
		return false
	case s.expects || s.malformed || !s.begin():
		failures[formURL][failed].send(s.w)
	}
	return true
}
