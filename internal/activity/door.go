package activity

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// Front wraps the front door: requests are told of, and are the cause of what they call.
func (h *Hub) Front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.Watched() {
			next.ServeHTTP(w, r)
			return
		}
		e := Event{Kind: wire.Request, ID: uuid.NewString(), Name: r.Method + " " + r.URL.Path, Began: time.Now()}
		status := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(status, r.WithContext(With(r.Context(), Cause{By: e.ID})))
		e.Status, e.Millis = status.status, float64(time.Since(e.Began).Microseconds())/1000
		h.Emit(e)
	})
}

// statusWriter remembers the status of an answer, and the beginning of one that is an error.
type statusWriter struct {
	http.ResponseWriter
	status int
	whole  bool // an answer that is no error is kept too
	kept   []byte
}

const maxToldError = 1 << 10

func (w *statusWriter) Write(p []byte) (int, error) {
	room := maxToldError
	if w.whole {
		room = maxToldBody
	}
	if (w.whole || w.status >= 400) && len(w.kept) < room {
		w.kept = append(w.kept, p[:min(len(p), room-len(w.kept))]...)
	}
	return w.ResponseWriter.Write(p)
}

// problem is the text of an answer that is an error.
func (w *statusWriter) problem() string {
	var doc struct {
		Type    string `json:"__type"`
		Message string
	}
	if w.status < 400 || json.Unmarshal(w.kept, &doc) != nil {
		return ""
	}
	_, code, _ := strings.Cut(doc.Type, "#")
	return strings.TrimSuffix(code+": "+doc.Message, ": ")
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// writes are the operations that are told of.
var writes = map[string]bool{
	"PutItem": true, "UpdateItem": true, "DeleteItem": true, "BatchWriteItem": true, "TransactWriteItems": true,
	"ExecuteStatement": true, "BatchExecuteStatement": true, "ExecuteTransaction": true,
	"SendMessage": true, "SendMessageBatch": true,
}

// maxToldBody bounds the request of a write that is told of.
const maxToldBody = 64 << 10

// Door wraps the door of AWS's protocols: writes are told of with the call that made them, which is also the cause of the
// calls that a function makes of others. running returns the id of the call that a function's session token is running;
// empty for any other token.
func (h *Hub) Door(next http.Handler, running func(token string) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.Watched() {
			next.ServeHTTP(w, r)
			return
		}
		by := running(r.Header.Get("X-Amz-Security-Token"))
		r = r.WithContext(With(r.Context(), Cause{By: by}))
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if !writes[operation] || r.Body == nil {
			next.ServeHTTP(w, r)
			return
		}
		body := &firstBytes{ReadCloser: r.Body}
		r.Body = body
		e := Event{Kind: wire.Write, By: by, Name: operation, Began: time.Now()}
		status := &statusWriter{ResponseWriter: w, status: http.StatusOK, whole: strings.HasPrefix(operation, "SendMessage")}
		next.ServeHTTP(status, r)
		e.Status, e.Millis = status.status, float64(time.Since(e.Began).Microseconds())/1000
		e.Error = status.problem()
		if status.whole {
			e.Sent = sentBy(status.kept)
		}
		if json.Valid(body.kept.Bytes()) {
			e.Body = body.kept.Bytes()
		}
		h.Emit(e)
	})
}

// sentBy are the ids of the messages that an answer of SQS says it has sent.
func sentBy(answer []byte) (ids []string) {
	type sent struct{ MessageId string }
	var doc struct {
		sent
		Successful []sent
	}
	if json.Unmarshal(answer, &doc) != nil {
		return nil
	}
	for _, s := range append(doc.Successful, doc.sent) {
		if s.MessageId != "" {
			ids = append(ids, s.MessageId)
		}
	}
	return ids
}

// firstBytes keeps what is read of a body, up to maxToldBody.
type firstBytes struct {
	io.ReadCloser
	kept bytes.Buffer
}

func (b *firstBytes) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if room := maxToldBody - b.kept.Len(); room > 0 {
		b.kept.Write(p[:min(n, room)])
	}
	return n, err
}
