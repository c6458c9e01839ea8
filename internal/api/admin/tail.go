package admin

import (
	"context"
	"net/http"
	"strings"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/trigger"
)

// tailQuery names a stream by its table or its ARN.
type tailQuery struct {
	scope         schema.Scope
	table, stream string
	from          backend.Place // zero: from the next record on
	wants         func(*stream.Record) bool
}

// wantsOf reads when=, a condition on changes, and returns whether it holds of a record; without one it does of all.
func wantsOf(r *http.Request) (func(*stream.Record) bool, error) {
	text := strings.TrimSpace(r.URL.Query().Get("when"))
	if text == "" {
		return func(*stream.Record) bool { return true }, nil
	}
	when, err := trigger.Condition(text)
	if err != nil {
		return nil, wire.BadRequest("the condition is not right: " + err.Error())
	}
	return func(r *stream.Record) bool { return when.Eval(r.Image("OldImage"), r.Image("NewImage")) }, nil
}

func (h *handler) tail(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	query := tailQuery{scope: h.scope(r), table: q.Get("table"), stream: q.Get("stream")}
	var err error
	if query.wants, err = wantsOf(r); err != nil {
		h.fail(w, err)
		return
	}
	switch from := q.Get("from"); from {
	case "", "latest":
	case "horizon":
		query.from.Horizon = true
	default:
		at, err := parsePlace(from, h.Clock.Wall())
		if err != nil || at.Time.IsZero() {
			h.fail(w, wire.BadRequest("from="+from+": want latest, horizon, a time such as 2026-01-31T12:00:00Z, or how long ago such as 15m"))
			return
		}
		query.from = at
	}
	h.stream(w, r, func(ctx context.Context, ready func(), emit func(any) error) error {
		return h.follow(ctx, query, ready, emit)
	})
}

// tailPage is how many records Tail reads of a shard at a time.
const tailPage = 100

// follow calls emit for every durable record of a stream, in order within each shard, as it comes, until ctx ends,
// emit fails or the stream is gone. ready is called once when every record that becomes durable from then on will be
// seen.
func (h *handler) follow(ctx context.Context, q tailQuery, ready func(), emit func(any) error) error {
	st, err := h.streamOf(q)
	if err != nil {
		return err
	}
	arn := st.ARN
	wake := make(chan struct{}, 1)
	stop := st.Watch(func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	defer stop()
	at := map[*stream.Shard]seqnum.Num{}
	for _, sh := range st.Shards() {
		at[sh] = sh.Head()
		if q.from.Horizon || !q.from.Time.IsZero() {
			at[sh] = sh.Horizon()
		}
		if !q.from.Time.IsZero() {
			before, err := sh.Before(q.from.Time.UnixMilli())
			if err != nil {
				return err
			}
			if at[sh].Less(before) {
				at[sh] = before
			}
		}
	}
	ready()
	for {
		open, err := tailOnce(st, at, q.wants, emit)
		if err != nil {
			return err
		}
		if !open || h.Streams.Get(arn) == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		}
	}
}

// streamOf finds the stream that is named by its ARN, or is the newest of a table.
func (h *handler) streamOf(q tailQuery) (*stream.Stream, error) {
	if (q.table == "") == (q.stream == "") {
		return nil, wire.BadRequest("say either table= or stream=")
	}
	arn := q.stream
	if arn == "" {
		if arn = h.Tables.LatestStream(q.scope, q.table); arn == "" {
			return nil, wire.NotFound("table " + q.table + " is not there or has no stream; turn one on with `aws dynamodb update-table --table-name " + q.table + " --stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES`")
		}
	}
	st := h.Streams.Get(arn)
	if st == nil {
		return nil, wire.NotFound("there is no stream " + arn)
	}
	return st, nil
}

// tailOnce emits what is new and wanted in every shard; open reports whether more can come.
func tailOnce(st *stream.Stream, at map[*stream.Shard]seqnum.Num, wants func(*stream.Record) bool, emit func(any) error) (open bool, err error) {
	for _, sh := range st.Shards() {
		if _, known := at[sh]; !known {
			at[sh] = sh.Horizon() // born since: all of it is new
		}
		for {
			page, err := sh.ReadEvents(at[sh], tailPage, 1<<20)
			if err != nil {
				return false, err
			}
			for _, r := range page.Records {
				if wants(r) {
					if err := emit(wire.Change{Shard: sh.ID, Record: r.Event()}); err != nil {
						return false, err
					}
				}
				at[sh] = r.Seq()
			}
			if page.End || len(page.Records) == 0 {
				open = open || !page.End
				break
			}
		}
	}
	return open, nil
}
