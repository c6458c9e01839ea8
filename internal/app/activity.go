package app

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/activity"
	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/schema"
)

// What the server does is told to those who watch (millstream dev). Nothing here costs more than a look while nobody
// does.

// observeCall tells of a function's call that has ended.
func (s *App) observeCall(ob function.Observation) {
	if !s.activity.Watched() {
		return
	}
	c := activity.Of(ob.Context)
	e := activity.Event{
		Kind: wire.Call, ID: ob.Outcome.RequestID, By: c.By, Name: ob.Function,
		Began: ob.Began, Millis: float64(ob.Took.Microseconds()) / 1000, Log: string(ob.Outcome.LogTail), Changes: changesOf(c.Event),
	}
	if ob.Result != "ok" {
		if e.Error = ob.Outcome.Error; e.Error == "" {
			e.Error = ob.Result
		}
		if json.Valid(ob.Outcome.Payload) {
			e.Answer = ob.Outcome.Payload
		}
	}
	s.activity.Emit(e)
}

// maxChanges is how many of a batch's records are told of.
const maxChanges = 100

// changesOf reads what is told of a batch of stream records.
func changesOf(event []byte) (changes []wire.CalledFor) {
	var batch struct {
		Records []struct {
			EventName      string                         `json:"eventName"`
			EventSourceARN string                         `json:"eventSourceARN"`
			Change         struct{ Keys json.RawMessage } `json:"dynamodb"`
		}
	}
	if len(event) == 0 || json.Unmarshal(event, &batch) != nil {
		return nil
	}
	for i := range batch.Records[:min(len(batch.Records), maxChanges)] {
		r := &batch.Records[i]
		_, table, _, _ := schema.ParseStreamARN(r.EventSourceARN)
		changes = append(changes, wire.CalledFor{Table: table, Event: r.EventName, Keys: r.Change.Keys})
	}
	return changes
}

// watchedFront wraps the front door: requests are told of, and are the cause of what they call.
func (s *App) watchedFront(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.activity.Watched() {
			next.ServeHTTP(w, r)
			return
		}
		e := activity.Event{Kind: wire.Request, ID: uuid.NewString(), Name: r.Method + " " + r.URL.Path, Began: time.Now()}
		status := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(status, r.WithContext(activity.With(r.Context(), activity.Cause{By: e.ID})))
		e.Status, e.Millis = status.status, float64(time.Since(e.Began).Microseconds())/1000
		s.activity.Emit(e)
	})
}

// statusWriter remembers the status of an answer, and the beginning of one that is an error.
type statusWriter struct {
	http.ResponseWriter
	status int
	kept   []byte
}

const maxToldError = 1 << 10

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status >= 400 && len(w.kept) < maxToldError {
		w.kept = append(w.kept, p[:min(len(p), maxToldError-len(w.kept))]...)
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
}

// maxToldBody bounds the request of a write that is told of.
const maxToldBody = 64 << 10

// watchedDoor wraps the door of AWS's protocols: writes are told of with the call that made them, which is also the cause
// of the calls that a function makes of others.
func (s *App) watchedDoor(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.activity.Watched() {
			next.ServeHTTP(w, r)
			return
		}
		by := s.functions.Running(r.Header.Get("X-Amz-Security-Token"))
		r = r.WithContext(activity.With(r.Context(), activity.Cause{By: by}))
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if !writes[operation] || r.Body == nil {
			next.ServeHTTP(w, r)
			return
		}
		body := &firstBytes{ReadCloser: r.Body}
		r.Body = body
		e := activity.Event{Kind: wire.Write, By: by, Name: operation, Began: time.Now()}
		status := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(status, r)
		e.Status, e.Millis = status.status, float64(time.Since(e.Began).Microseconds())/1000
		e.Error = status.problem()
		if json.Valid(body.kept.Bytes()) {
			e.Body = body.kept.Bytes()
		}
		s.activity.Emit(e)
	})
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
