package admin

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/seqnum"
)

// MoveSource is what the protocol needs to move triggers along their streams.
type MoveSource interface {
	// Rewind and Skip set a trigger back to a place, or forward; an *Error with code NotFound when there is no such
	// trigger.
	Rewind(ctx context.Context, uuid string, to Place) (wire.Moved, error)
	Skip(ctx context.Context, uuid string, to Place) (wire.Moved, error)
	// Pause and Resume stop deliveries and go on.
	Pause(ctx context.Context, uuid string) error
	Resume(ctx context.Context, uuid string) error
	// SetWhen gives a trigger a condition on changes; the empty one takes it away.
	SetWhen(ctx context.Context, uuid, when string) error
}

// Place is where a trigger is moved to. One of the members is set.
type Place struct {
	Horizon, Latest bool
	Time            time.Time
	Record          seqnum.Num
}

// parsePlace reads HORIZON, LATEST, a time (RFC 3339, seconds since 1970, or a duration before now) or a sequence
// number.
func parsePlace(text string, now time.Time) (Place, error) {
	const maxSeconds = 12 // digits; sequence numbers have 21 and more
	switch text {
	case "HORIZON", "TRIM_HORIZON":
		return Place{Horizon: true}, nil
	case "LATEST":
		return Place{Latest: true}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return Place{Time: t}, nil
	}
	if s, err := strconv.ParseFloat(text, 64); err == nil && s >= 0 && s < 1e12 && len(text) <= maxSeconds+4 {
		return Place{Time: time.UnixMilli(int64(s * 1000))}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return Place{Time: now.Add(-d)}, nil
	}
	if n, err := seqnum.Parse(text); err == nil && len(text) > maxSeconds {
		return Place{Record: n}, nil
	}
	return Place{}, wire.BadRequest("to=" + strconv.Quote(text) + ": want HORIZON, LATEST, a time such as 2026-01-31T12:00:00Z, how long ago such as 2h, or a sequence number")
}

func (h *handler) moves(document func(pattern string, answer func(*http.Request) (any, error))) {
	move := func(name string, f func(context.Context, string, Place) (wire.Moved, error), refused func(Place) string) {
		document("POST "+Prefix+"triggers/{uuid}/"+name, func(r *http.Request) (any, error) {
			to, err := parsePlace(r.URL.Query().Get("to"), h.now())
			if err != nil {
				return nil, err
			}
			if why := refused(to); why != "" {
				return nil, wire.BadRequest(why)
			}
			return f(r.Context(), r.PathValue("uuid"), to)
		})
	}
	move("rewind", h.Source.Rewind, func(to Place) string {
		if to.Latest {
			return "a trigger is rewound to HORIZON, a time or a sequence number; to go to LATEST, skip"
		}
		return ""
	})
	move("skip", h.Source.Skip, func(to Place) string {
		if to.Horizon {
			return "a trigger skips to LATEST, a time or a sequence number; to go to HORIZON, rewind"
		}
		return ""
	})
	document("POST "+Prefix+"triggers/{uuid}/when", func(r *http.Request) (any, error) {
		if err := h.Source.SetWhen(r.Context(), r.PathValue("uuid"), r.URL.Query().Get("condition")); err != nil {
			return nil, err
		}
		return h.Source.Trigger(r.Context(), r.PathValue("uuid"))
	})
	for name, f := range map[string]func(context.Context, string) error{"pause": h.Source.Pause, "resume": h.Source.Resume} {
		document("POST "+Prefix+"triggers/{uuid}/"+name, func(r *http.Request) (any, error) {
			if err := f(r.Context(), r.PathValue("uuid")); err != nil {
				return nil, err
			}
			return h.Source.Trigger(r.Context(), r.PathValue("uuid"))
		})
	}
}

func (h *handler) now() time.Time {
	if h.Now != nil {
		return h.Now()
	}
	return time.Now()
}
