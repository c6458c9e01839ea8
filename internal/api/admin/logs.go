package admin

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/activity"
	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/function/logs"
	"github.com/millstreamdb/millstream/internal/nearest"
	"github.com/millstreamdb/millstream/internal/schema"
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
	if name != "" && len(sink.Recent(scope, name, 1)) == 0 && function.IsNotFound(h.Functions.Check(scope, name, "")) {
		h.fail(w, h.noFunction(scope, name)) // one that was deleted may have left lines
		return
	}
	var peers []Peer
	var missing error
	if h.Peers != nil && !isLocal(r) {
		ctx, cancel := context.WithTimeout(r.Context(), peerWait)
		peers, missing = h.Peers(ctx)
		cancel()
	}
	h.stream(w, r, func(ctx context.Context, ready func(), emit func(any) error) error {
		show := func(l logs.Line) error {
			return emit(wire.LogLine{Time: l.Time, Function: l.Function, Text: l.Text, Note: l.Note})
		}
		if missing != nil { // this node's own are shown all the same
			peers = nil
			if err := emit(wire.LogLine{Time: time.Now().UTC(), Function: name, Note: true, Text: "lines of other nodes may be missing: which there are is not known: " + missing.Error()}); err != nil {
				return err
			}
		}
		if len(peers) > 0 {
			all, end := h.logsOfPeers(ctx, peers, q, follow, emit)
			defer end()
			if !follow {
				for _, l := range sink.Recent(scope, name, lines) {
					all = append(all, wire.LogLine{Time: l.Time, Function: l.Function, Text: l.Text, Note: l.Note})
				}
				slices.SortStableFunc(all, func(a, b wire.LogLine) int { return a.Time.Compare(b.Time) })
				for _, l := range all[max(0, len(all)-lines):] {
					if err := emit(l); err != nil {
						return err
					}
				}
				return nil
			}
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

// noFunction says that a function is not there, and which was meant, or which there are.
func (h *handler) noFunction(scope schema.Scope, name string) error {
	const shown = 10
	page, err := h.Functions.List(scope, "", 0, false)
	var names []string
	for _, f := range page.Functions {
		names = append(names, f.FunctionName)
	}
	hint := nearest.Hint(name, names)
	switch {
	case err != nil || hint != "":
	case len(names) == 0:
		hint = "; there are none in " + scope.Account + ", " + scope.Region
	default:
		hint = "; there are " + strings.Join(names[:min(len(names), shown)], ", ")
		if len(names) > shown || page.NextMarker != "" {
			hint += ", ..."
		}
	}
	return wire.NotFound("there is no function " + name + hint)
}

// activity shows what the server does: requests to the front door, calls of functions and writes that end.
func (h *handler) activity(w http.ResponseWriter, r *http.Request) {
	h.stream(w, r, func(ctx context.Context, ready func(), emit func(any) error) error {
		return h.Activity.Watch(ctx, ready, func(e activity.Event) error { return emit(e) })
	})
}
