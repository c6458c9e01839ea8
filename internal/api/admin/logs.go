package admin

import (
	"context"
	"net/http"
	"strconv"

	"github.com/millstreamdb/millstream/internal/activity"
	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/function/logs"
)

// maxLines bounds the lines= of logs.
const maxLines = 10_000

// logs shows what functions printed: the newest lines, and with follow= those that come.
func (h *handler) logs(w http.ResponseWriter, r *http.Request) {
	q, lines, follow := r.URL.Query(), 100, false
	if text := q.Get("lines"); text != "" {
		var err error
		if lines, err = strconv.Atoi(text); err != nil || lines < 0 || lines > maxLines {
			h.fail(w, wire.BadRequest("lines="+text+": want a number from 0 to "+strconv.Itoa(maxLines)))
			return
		}
	}
	if text := q.Get("follow"); text != "" {
		var err error
		if follow, err = strconv.ParseBool(text); err != nil {
			h.fail(w, wire.BadRequest("follow="+text+": want 1 or 0"))
			return
		}
	}
	scope, name, sink := h.scope(r), q.Get("function"), h.Functions.Logs()
	h.stream(w, r, func(ctx context.Context, ready func(), emit func(any) error) error {
		show := func(l logs.Line) error {
			return emit(wire.LogLine{Time: l.Time, Function: l.Function, Text: l.Text})
		}
		if !follow {
			ready()
			for _, l := range sink.Recent(scope, name, lines) {
				if err := show(l); err != nil {
					return err
				}
			}
			return nil
		}
		var failed error
		sink.Follow(ctx, scope, name, lines, ready, func(l logs.Line) bool {
			failed = show(l)
			return failed == nil
		})
		return failed
	})
}

// activity shows what the server does: requests to the front door, calls of functions and writes that end.
func (h *handler) activity(w http.ResponseWriter, r *http.Request) {
	h.stream(w, r, func(ctx context.Context, ready func(), emit func(any) error) error {
		return h.Activity.Watch(ctx, ready, func(e activity.Event) error { return emit(e) })
	})
}
