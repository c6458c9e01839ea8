package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strconv"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// Standbys answers standbys that follow the server itself.
type Standbys interface {
	// Seed makes a copy of the data folder for a standby.
	Seed(r *http.Request, standby, host string) (wire.Seed, error)
	// Open and Remove are those of Stages, of that copy.
	Open(id, name string) (io.ReadCloser, int64, error)
	Remove(id string) error
	Here() (json.RawMessage, error)
	Next(ctx context.Context, question []byte) ([]byte, error)
	File(number uint64, sum string) (io.ReadCloser, error)
	Overtake(ctx context.Context, question []byte) (wire.Rest, error)
}

// serveStandbys adds the paths of Config.Standbys.
func (h *handler) serveStandbys() {
	h.document("GET", "standbys/here", func(*http.Request) (any, error) { return h.Standbys.Here() })
	h.document("POST", "standbys/seed", func(r *http.Request) (any, error) {
		return h.Standbys.Seed(r, r.URL.Query().Get("standby"), r.URL.Query().Get("host"))
	})
	h.document("DELETE", "standbys/seed/{id}", func(r *http.Request) (any, error) { return struct{}{}, h.Standbys.Remove(r.PathValue("id")) })
	h.mux.HandleFunc("GET "+Prefix+"standbys/seed/{id}/file", func(w http.ResponseWriter, r *http.Request) {
		file, size, err := h.Standbys.Open(r.PathValue("id"), r.URL.Query().Get("name"))
		h.send(w, r, file, size, err)
	})
	h.mux.HandleFunc("GET "+Prefix+"standbys/file", func(w http.ResponseWriter, r *http.Request) {
		number, err := strconv.ParseUint(r.URL.Query().Get("number"), 10, 64)
		var file io.ReadCloser
		if err == nil {
			file, err = h.Standbys.File(number, r.URL.Query().Get("sum"))
		}
		h.send(w, r, file, -1, err)
	})
	h.mux.HandleFunc("GET "+Prefix+"standbys/next", func(w http.ResponseWriter, r *http.Request) {
		segment, err := h.Standbys.Next(r.Context(), []byte(r.URL.Query().Get("question")))
		if err != nil {
			h.fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(segment)))
		_, _ = w.Write(segment) // the caller has gone: it asks again
	})
	h.document("POST", "standbys/overtake", func(r *http.Request) (any, error) {
		question, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return nil, err
		}
		return h.Standbys.Overtake(r.Context(), question)
	})
}

// send answers with a file, and closes it. size below 0: it is not known.
func (h *handler) send(w http.ResponseWriter, r *http.Request, file io.ReadCloser, size int64, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		h.fail(w, wire.NotFound("The server does not have it, or has it no more."))
		return
	}
	if err != nil {
		h.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if size >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	_, err = io.Copy(w, file)
	if err := errors.Join(err, file.Close()); err != nil && r.Context().Err() == nil {
		h.Logger.Error("a standby could not be sent a file", "error", err)
		panic(http.ErrAbortHandler) // the answer is cut, and the reader sees that
	}
}
