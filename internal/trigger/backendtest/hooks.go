package backendtest

import (
	"context"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// hooks is a backend of which some methods are others.
type hooks struct {
	backend.Backend
	resolve    func(arn string) (backend.Stream, error)
	shards     func(arn string) ([]backend.Shard, error)
	read       func(arn, shard string, after seqnum.Num, n, bytes int) (lane.Page, error)
	watch      func(arn string, wake func()) func()
	locate     func(arn, shard string, at backend.Place) (backend.Located, error)
	mappings   func() ([]backend.Stored, error)
	create     func(m mapping.Definition) (map[string]lane.Checkpoint, error)
	update     func(m mapping.Definition) error
	remove     func(uuid string) error
	reposition func(r backend.Repositioned) error
	commit     func(rows []backend.Row, aside []backend.AsideRows) error
	transact   func(t backend.Transaction) error
	aside      func(uuid string, from lane.AsideKey, limit, bytes int, heads bool) ([]lane.SetAside, error)
}

func (h *hooks) ResolveStream(ctx context.Context, arn string) (backend.Stream, error) {
	if h.resolve != nil {
		return h.resolve(arn)
	}
	return h.Backend.ResolveStream(ctx, arn)
}

func (h *hooks) Shards(ctx context.Context, arn string) ([]backend.Shard, error) {
	if h.shards != nil {
		return h.shards(arn)
	}
	return h.Backend.Shards(ctx, arn)
}

func (h *hooks) Read(ctx context.Context, arn, shard string, after seqnum.Num, n, bytes int) (lane.Page, error) {
	if h.read != nil {
		return h.read(arn, shard, after, n, bytes)
	}
	return h.Backend.Read(ctx, arn, shard, after, n, bytes)
}

func (h *hooks) Watch(arn string, wake func()) func() {
	if h.watch != nil {
		return h.watch(arn, wake)
	}
	return h.Backend.Watch(arn, wake)
}

func (h *hooks) Locate(ctx context.Context, arn, shard string, at backend.Place) (backend.Located, error) {
	if h.locate != nil {
		return h.locate(arn, shard, at)
	}
	return h.Backend.Locate(ctx, arn, shard, at)
}

func (h *hooks) Mappings(ctx context.Context) ([]backend.Stored, error) {
	if h.mappings != nil {
		return h.mappings()
	}
	return h.Backend.Mappings(ctx)
}

func (h *hooks) CreateMapping(ctx context.Context, m mapping.Definition) (map[string]lane.Checkpoint, error) {
	if h.create != nil {
		return h.create(m)
	}
	return h.Backend.CreateMapping(ctx, m)
}

func (h *hooks) UpdateMapping(ctx context.Context, m mapping.Definition) error {
	if h.update != nil {
		return h.update(m)
	}
	return h.Backend.UpdateMapping(ctx, m)
}

func (h *hooks) DeleteMapping(ctx context.Context, uuid string) error {
	if h.remove != nil {
		return h.remove(uuid)
	}
	return h.Backend.DeleteMapping(ctx, uuid)
}

func (h *hooks) Reposition(ctx context.Context, r backend.Repositioned) error {
	if h.reposition != nil {
		return h.reposition(r)
	}
	return h.Backend.Reposition(ctx, r)
}

func (h *hooks) Commit(ctx context.Context, rows []backend.Row, aside []backend.AsideRows) error {
	if h.commit != nil {
		return h.commit(rows, aside)
	}
	return h.Backend.Commit(ctx, rows, aside)
}

func (h *hooks) Transact(ctx context.Context, t backend.Transaction) error {
	if h.transact != nil {
		return h.transact(t)
	}
	return h.Backend.Transact(ctx, t)
}

func (h *hooks) Aside(ctx context.Context, uuid string, from lane.AsideKey, limit, bytes int, heads bool) ([]lane.SetAside, error) {
	if h.aside != nil {
		return h.aside(uuid, from, limit, bytes, heads)
	}
	return h.Backend.Aside(ctx, uuid, from, limit, bytes, heads)
}
