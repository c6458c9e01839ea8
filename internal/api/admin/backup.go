package admin

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strconv"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// Stages are copies of the data folder for backups, one at a time.
type Stages interface {
	// Stage makes a copy; the one before is removed.
	Stage(r *http.Request) (wire.Stage, error)
	// Open opens a file of it; fs.ErrNotExist when the copy is gone, or has no such file.
	Open(id, name string) (io.ReadCloser, int64, error)
	Remove(id string) error
}

func (h *handler) stage(r *http.Request) (any, error) { return h.Stages.Stage(r) }

func (h *handler) unstage(r *http.Request) (any, error) {
	return struct{}{}, h.Stages.Remove(r.PathValue("id"))
}

// staged answers with the bytes of a file.
func (h *handler) staged(w http.ResponseWriter, r *http.Request) {
	file, size, err := h.Stages.Open(r.PathValue("id"), r.URL.Query().Get("name"))
	if errors.Is(err, fs.ErrNotExist) {
		h.fail(w, wire.NotFound("The copy is gone: another backup has begun since, or the server was started again. Begin the backup anew."))
		return
	}
	if err != nil {
		h.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	_, err = io.Copy(w, file)
	if err := errors.Join(err, file.Close()); err != nil && r.Context().Err() == nil {
		h.Logger.Error("a backup could not read a file", "error", err)
		panic(http.ErrAbortHandler) // the answer is cut, and the reader sees that
	}
}

// maxTold bounds the document of toldBackup.
const maxTold = 4096

// toldBackup takes a client's word on a backup that it has made or read.
func (h *handler) toldBackup(r *http.Request) (any, error) {
	var b wire.Backup
	if err := json.NewDecoder(io.LimitReader(r.Body, maxTold)).Decode(&b); err != nil || b.Made.IsZero() {
		return nil, wire.BadRequest("the backup could not be read: want its id and when it was made")
	}
	return struct{}{}, h.TellBackup(b)
}
