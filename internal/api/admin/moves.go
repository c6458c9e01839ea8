package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger"
)

// parsePlace reads HORIZON, LATEST, a time (RFC 3339, seconds since 1970, or a duration before now) or a sequence
// number.
func parsePlace(text string, now time.Time) (backend.Place, error) {
	const maxSeconds = 12 // digits; sequence numbers have 21 and more
	switch text {
	case "HORIZON", "TRIM_HORIZON":
		return backend.Place{Horizon: true}, nil
	case "LATEST":
		return backend.Place{Latest: true}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return backend.Place{Time: t}, nil
	}
	if s, err := strconv.ParseFloat(text, 64); err == nil && s >= 0 && s < 1e12 && len(text) <= maxSeconds+4 {
		return backend.Place{Time: time.UnixMilli(int64(s * 1000))}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return backend.Place{Time: now.Add(-d)}, nil
	}
	if n, err := seqnum.Parse(text); err == nil && len(text) > maxSeconds {
		return backend.Place{Record: n}, nil
	}
	return backend.Place{}, wire.BadRequest("to=" + strconv.Quote(text) + ": want HORIZON, LATEST, a time such as 2026-01-31T12:00:00Z, how long ago such as 2h, or a sequence number")
}

// rewind sets a trigger back to a place; or, of a GET, tells what would come of it.
func (h *handler) rewind(r *http.Request) (any, error) {
	if err := h.ofStream(r, "messages that were deleted are gone, and `millstream queues redrive` moves dead letters back"); err != nil {
		return nil, err
	}
	to, err := parsePlace(r.URL.Query().Get("to"), h.Clock.Wall())
	if err != nil {
		return nil, err
	}
	if to.Latest {
		return nil, wire.BadRequest("a trigger is rewound to HORIZON, a time or a sequence number; to go to LATEST, skip")
	}
	return h.moved(r, to, false)
}

// skip sets a trigger forward to a place; or, of a GET, tells what would come of it.
func (h *handler) skip(r *http.Request) (any, error) {
	if err := h.ofStream(r, "`millstream queues purge` removes all messages of a queue"); err != nil {
		return nil, err
	}
	to, err := parsePlace(r.URL.Query().Get("to"), h.Clock.Wall())
	if err != nil {
		return nil, err
	}
	if to.Horizon {
		return nil, wire.BadRequest("a trigger skips to LATEST, a time or a sequence number; to go to HORIZON, rewind")
	}
	return h.moved(r, to, true)
}

func (h *handler) moved(r *http.Request, to backend.Place, forward bool) (any, error) {
	uuid := r.PathValue("uuid")
	var m trigger.Moved
	var err error
	switch {
	case r.Method == http.MethodGet:
		m, err = h.Engine.WouldMove(r.Context(), uuid, to, forward)
	case forward:
		m, err = h.Engine.Skip(r.Context(), uuid, to)
	default:
		m, err = h.Engine.Rewind(r.Context(), uuid, to)
	}
	return wire.Moved(m), moveError(uuid, err)
}

// when gives a trigger a condition on changes; the empty one takes it away.
func (h *handler) when(r *http.Request) (any, error) {
	if err := h.ofStream(r, "a condition is about the changes of an item, and its filters choose messages (FilterCriteria)"); err != nil {
		return nil, err
	}
	return h.changed(r, func(ctx context.Context, uuid string) error {
		err := h.Engine.SetWhen(ctx, uuid, r.URL.Query().Get("condition"))
		if bad, ok := errors.AsType[*trigger.BadCondition](err); ok {
			return wire.BadRequest("the condition is not right: " + bad.Why)
		}
		return err
	})
}

func (h *handler) pause(r *http.Request) (any, error) {
	if h.Pollers.Has(r.PathValue("uuid")) {
		return h.changed(r, func(_ context.Context, uuid string) error { return h.Pollers.Pause(uuid) })
	}
	return h.changed(r, h.Engine.Pause)
}

func (h *handler) resume(r *http.Request) (any, error) {
	if h.Pollers.Has(r.PathValue("uuid")) {
		return h.changed(r, func(_ context.Context, uuid string) error { return h.Pollers.Resume(uuid) })
	}
	return h.changed(r, h.Engine.Resume)
}

// goOn is a person's word that a restored folder is to go on; it answers with the triggers as they are then.
func (h *handler) goOn(r *http.Request) (any, error) {
	was, err := h.GoOn()
	if err != nil {
		return nil, err
	}
	all, err := h.all(r.Context())
	if err == nil {
		err = h.complete(r.Context(), all)
	}
	return wire.Resumed{Restored: was, Triggers: all}, err
}

// ofStream refuses what only triggers on streams have.
func (h *handler) ofStream(r *http.Request, instead string) error {
	if h.Pollers.Has(r.PathValue("uuid")) {
		return wire.BadRequest("this trigger is on a queue; " + instead)
	}
	return nil
}

// changed makes a change of a trigger and answers with what it is then.
func (h *handler) changed(r *http.Request, change func(ctx context.Context, uuid string) error) (any, error) {
	uuid := r.PathValue("uuid")
	if err := moveError(uuid, change(r.Context(), uuid)); err != nil {
		return nil, err
	}
	return h.trigger(r)
}

// moveError turns an error of the engine into one of the protocol.
func moveError(uuid string, err error) error {
	switch {
	case errors.Is(err, backend.ErrNoMapping):
		return noTrigger(uuid)
	case errors.Is(err, trigger.ErrNoRecord), errors.Is(err, trigger.ErrAmbig):
		return wire.BadRequest(err.Error())
	case errors.Is(err, trigger.ErrMoved), errors.Is(err, backend.ErrNobody), errors.Is(err, backend.ErrUnknown):
		return &wire.Error{Code: "Moved", Message: err.Error(), Status: http.StatusConflict}
	case errors.Is(err, backend.ErrNoStream):
		return wire.BadRequest("the stream of trigger " + uuid + " is gone, and its records with it")
	}
	return err
}
