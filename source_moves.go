package millstream

import (
	"context"
	"errors"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/api/admin"
	"github.com/millstreamdb/millstream/internal/trigger"
)

func (a source) Rewind(ctx context.Context, uuid string, to admin.Place) (wire.Moved, error) {
	m, err := a.s.engine.Rewind(ctx, uuid, trigger.Place(to))
	return wire.Moved(m), moveError(uuid, err)
}

func (a source) Skip(ctx context.Context, uuid string, to admin.Place) (wire.Moved, error) {
	m, err := a.s.engine.Skip(ctx, uuid, trigger.Place(to))
	return wire.Moved(m), moveError(uuid, err)
}

func (a source) Pause(ctx context.Context, uuid string) error {
	return moveError(uuid, a.s.engine.Pause(ctx, uuid))
}

func (a source) Resume(ctx context.Context, uuid string) error {
	return moveError(uuid, a.s.engine.Resume(ctx, uuid))
}

func (a source) SetWhen(ctx context.Context, uuid, when string) error {
	err := a.s.engine.SetWhen(ctx, uuid, when)
	if bad, ok := errors.AsType[*trigger.BadCondition](err); ok {
		return wire.BadRequest("the condition is not right: " + bad.Why)
	}
	return moveError(uuid, err)
}

func moveError(uuid string, err error) error {
	switch {
	case errors.Is(err, trigger.ErrNoMapping):
		return noTrigger(uuid)
	case errors.Is(err, trigger.ErrNoRecord), errors.Is(err, trigger.ErrAmbig):
		return wire.BadRequest(err.Error())
	case errors.Is(err, trigger.ErrNoStream):
		return wire.BadRequest("the stream of trigger " + uuid + " is gone, and its records with it")
	}
	return err
}

func noTrigger(uuid string) error {
	return wire.NotFound("there is no event source mapping " + uuid + "; `millstream triggers ls` lists them")
}
