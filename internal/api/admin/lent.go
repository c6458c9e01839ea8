package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/backend/local"
	"github.com/millstreamdb/millstream/internal/schema"
)

// lend freezes the items of a table for a trigger of nodes.
func (h *handler) lend(r *http.Request) (any, error) {
	var in wire.LendItems
	if err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&in); err != nil {
		return nil, wire.BadRequest("the request could not be read: " + err.Error())
	}
	of, at, err := h.Backend.Lend(local.Holder{UUID: in.Trigger, Scope: schema.Scope{Account: in.Account, Region: in.Region}, Table: in.Table}, in.Stream)
	if err != nil {
		return nil, lentError(err)
	}
	out := wire.LentItems{Items: of.Items, Last: of.Last.String(), AtMS: of.AtMS, Shards: []wire.LentPlace{}}
	for shard, c := range at {
		out.Shards = append(out.Shards, wire.LentPlace{Shard: shard, After: c.Low.String(), Done: c.Done})
	}
	slices.SortFunc(out.Shards, func(a, b wire.LentPlace) int { return cmp.Compare(a.Shard, b.Shard) })
	return out, nil
}

// lentBytes bounds one page, as GetRecords bounds its own.
const lentBytes = 1 << 20

// lent reads items behind the after=th one, at most limit=, as records of stream=.
func (h *handler) lent(r *http.Request) (any, error) {
	q := r.URL.Query()
	after, err := strconv.ParseUint(cmp.Or(q.Get("after"), "0"), 10, 64)
	limit, limitErr := strconv.Atoi(q.Get("limit"))
	if err := errors.Join(err, limitErr); err != nil || limit < 1 {
		return nil, wire.BadRequest("after= and limit= are to be numbers")
	}
	records, end, err := h.Backend.ReadLent(r.PathValue("id"), q.Get("stream"), after, min(limit, 1000), lentBytes)
	if err != nil {
		return nil, lentError(err)
	}
	out := wire.LentPage{Records: make([]json.RawMessage, len(records)), End: end}
	for i, text := range records {
		out.Records[i] = text
	}
	return out, nil
}

// endLent gives up what is kept for a trigger of nodes.
func (h *handler) endLent(r *http.Request) (any, error) {
	return struct{}{}, h.Backend.EndLent(r.PathValue("id"))
}

func lentError(err error) error {
	switch {
	case errors.Is(err, backend.ErrNoStream):
		return &wire.Error{Code: wire.NoStream, Message: "there is no such stream", Status: http.StatusNotFound}
	case errors.Is(err, backend.ErrNoSnapshot):
		return &wire.Error{Code: wire.NoItems, Message: "the stream is not the enabled one of a table", Status: http.StatusConflict}
	case errors.Is(err, local.ErrNotLent):
		return wire.NotFound(err.Error())
	case errors.Is(err, local.ErrIsLent):
		return wire.Conflict(err.Error())
	}
	return err
}
