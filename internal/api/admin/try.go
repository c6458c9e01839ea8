package admin

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/pattern"
	"github.com/millstreamdb/millstream/internal/stream"
)

// defaultTried and maxTried bound last= of try.
const (
	defaultTried = 100
	maxTried     = 1000
	// maxTriedBytes bounds the records of one answer: of larger ones there are fewer.
	maxTriedBytes = 32 << 20
)

// try tells which of the last records of a stream the filters of a trigger would take: of each shard the newest last=,
// in order. Nothing is delivered and no position moves.
func (h *handler) try(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	filters, warnings, err := parseFilters(q["filter"])
	wants, badWhen := wantsOf(r)
	if err == nil {
		err = badWhen
	}
	if err != nil {
		h.fail(w, err)
		return
	}
	last := uint64(defaultTried)
	if text := q.Get("last"); text != "" {
		if last, err = strconv.ParseUint(text, 10, 32); err != nil || last == 0 || last > maxTried {
			h.fail(w, wire.BadRequest(fmt.Sprintf("last=%s: want 1 to %d", text, maxTried)))
			return
		}
	}
	st, err := h.streamOf(tailQuery{scope: h.scope(r), table: q.Get("table"), stream: q.Get("stream")})
	if err != nil {
		h.fail(w, err)
		return
	}
	h.stream(w, r, func(_ context.Context, _ func(), emit func(any) error) error {
		if len(warnings) > 0 {
			if err := emit(wire.Trial{Warnings: warnings}); err != nil {
				return err
			}
		}
		records, err := lastOf(st, last)
		if err != nil {
			return err
		}
		for _, f := range records {
			if err := emit(wire.Trial{Shard: f.shard, Record: f.record.Event(), Matches: filters.Match(f.record) && wants(f.record)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// parseFilters compiles filters, of which one must match, and tells what is suspicious about them.
func parseFilters(texts []string) (filters pattern.Filters, warnings []string, err error) {
	if len(texts) == 0 {
		return nil, nil, wire.BadRequest("filter= is missing")
	}
	for _, text := range texts {
		if n := utf8.RuneCountInString(text); n > pattern.MaxLength {
			return nil, nil, wire.BadRequest(fmt.Sprintf("a filter has %d characters, and Lambda allows %d", n, pattern.MaxLength))
		}
		p, err := pattern.Parse(text)
		if err != nil {
			return nil, nil, wire.BadRequest(err.Error())
		}
		filters, warnings = append(filters, p), append(warnings, p.Warnings()...)
	}
	return filters, warnings, nil
}

// found is a record and the shard in which it lies.
type found struct {
	shard  string
	record *stream.Record
}

// lastOf reads the last n records of a stream in the order of their times; those of a shard stay in order.
func lastOf(st *stream.Stream, n uint64) (all []found, err error) {
	shards := st.Shards()
	for _, sh := range shards {
		var mine []found
		size := 0
		at, err := sh.Last(n)
		if err != nil {
			return nil, err
		}
		for head := sh.Head(); at.Less(head); {
			page, err := sh.Read(at, tailPage, 1<<20, (*stream.Record).SizeBytes)
			if err != nil {
				return nil, err
			}
			if len(page.Records) == 0 {
				break
			}
			for _, r := range page.Records {
				if at = r.Seq(); head.Less(at) {
					break // came since
				}
				mine, size = append(mine, found{sh.ID, r}), size+r.SizeBytes()
			}
			for len(mine) > 1 && size > maxTriedBytes/len(shards) {
				mine, size = mine[1:], size-mine[0].record.SizeBytes()
			}
		}
		all = append(all, mine...)
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Compare(a.record.Time(), b.record.Time()) })
	return all[max(0, len(all)-int(n)):], nil
}
