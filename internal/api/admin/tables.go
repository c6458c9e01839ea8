package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/table"
)

// maxTables is how many tables an answer has at most.
const maxTables = 1000

// tables lists the tables of a scope whose names have find= in them.
func (h *handler) tables(r *http.Request) (any, error) {
	q, scope := r.URL.Query(), h.scope(r)
	limit := maxTables
	if text := q.Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxTables {
			return nil, wire.BadRequest("limit=" + text + ": want a number from 1 to " + strconv.Itoa(maxTables))
		}
	}
	list, all, err := h.Tables.Summaries(r.Context(), scope, q.Get("find"), limit)
	if err != nil {
		return nil, err
	}
	answer := wire.Tables{Tables: make([]wire.Table, len(list)), All: all}
	for i, s := range list {
		answer.Tables[i] = h.shownTable(s.Description)
		answer.Tables[i].TTL = s.TTL
	}
	return answer, nil
}

func (h *handler) shownTable(d *table.Description) wire.Table {
	t := wire.Table{
		Name: d.Name, Status: d.Status, Hash: wire.Key{Name: d.Keys.Hash.Name, Type: d.Keys.Hash.Type.String()}, Items: d.ItemCount, Bytes: d.SizeBytes, Indexes: len(d.Local) + len(d.Global),
	}
	if d.Keys.HasRange() {
		t.Range = &wire.Key{Name: d.Keys.Range.Name, Type: d.Keys.Range.Type.String()}
	}
	st := h.Streams.Get(d.LatestStreamARN)
	if !d.StreamEnabled || st == nil {
		return t
	}
	t.Stream, t.RetentionHours = d.StreamView, int(st.Retention/time.Hour)
	for _, sh := range st.Shards() {
		t.Changes += sh.Head().Lo + 1 - sh.Start.Lo
	}
	return t
}
