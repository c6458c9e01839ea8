package remote

import (
	"context"
	"errors"

	"github.com/millstreamdb/millstream/internal/backend"
)

// Kept is a row that who uses the backend keeps beside positions: the backend knows its set and its key, and nothing of its data. A set's rows are read
// together, so they are small; a row has 380 KB at most.
type Kept struct {
	Set, Key string
	Version  uint64
	Data     string
}

// AllKept returns a set that is small.
func (b *Backend) AllKept(ctx context.Context, set string) ([]Kept, error) {
	return b.kept(ctx, set, "")
}

// keptAtOnce is how many rows EachKept reads at once; a page of the endpoint may have fewer.
const keptAtOnce = 100

// EachKept calls f with the rows of a set in the order of their keys, some at a time.
func (b *Backend) EachKept(ctx context.Context, set string, f func([]Kept) error) error {
	for from := ""; ; {
		rows, next, err := b.part(ctx, b.progress, set, from, keptAtOnce, false)
		if err == nil && len(rows) > 0 {
			err = f(keptOf(rows))
		}
		if err != nil || next == "" {
			return err
		}
		from = next
	}
}

func keptOf(rows []Row) []Kept {
	all := make([]Kept, len(rows))
	for i, r := range rows {
		all[i] = Kept{Set: r.P, Key: r.S, Version: r.V, Data: r.Data}
	}
	return all
}

// OneKept returns a row; nil when there is none.
func (b *Backend) OneKept(ctx context.Context, set, key string) (*Kept, error) {
	found, err := b.kept(ctx, set, key)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

func (b *Backend) kept(ctx context.Context, set, key string) ([]Kept, error) {
	rows, err := b.query(ctx, b.progress, set, key)
	return keptOf(rows), err
}

// Keep stores a row in the place of the one with its version (0: where there is none), and returns the new one, or backend.ErrStale. It tries until
// ctx ends, which leaves open what became of it.
func (b *Backend) Keep(ctx context.Context, k Kept) (uint64, error) {
	r, err := b.put(ctx, b.progress, Row{P: k.Set, S: k.Key, Data: k.Data}, k.Version)
	if refused := (*Refused)(nil); errors.As(err, &refused) {
		return 0, backend.ErrStale
	}
	return r.V, err
}

// Drop removes a row of this version, if it is there; 0: of any. backend.ErrStale: it has another. It tries until ctx ends.
func (b *Backend) Drop(ctx context.Context, set, key string, version uint64) error {
	for pause := minPause; ; {
		try, cancel := context.WithTimeout(ctx, tryFor)
		err := b.o.Endpoint.Delete(try, b.progress, set, key, version)
		cancel()
		if _, refused := errors.AsType[*Refused](err); refused {
			return backend.ErrStale
		}
		if err == nil {
			return nil
		}
		if err := b.pause(ctx, &pause, "a removal", err); err != nil {
			return err
		}
	}
}

// Sight is what was seen at the last look: nodes that live, and streams that none of them works; and how many claims were lost since the start.
func (b *Backend) Sight() (alive, unowned int, claimsLost uint64) {
	return int(b.alive.Load()), int(b.unowned.Load()), b.claimsLost.Load()
}

// Lately are the ids of the nodes that lived at this node's last look, without those that are drained.
func (b *Backend) Lately() []string {
	if live := b.lately.Load(); live != nil {
		return *live
	}
	return nil
}

// Self is this node's id, which is another once it was told dead. sure: this id certainly was not.
func (b *Backend) Self() (id string, sure bool) {
	sure = b.valid() // first: an id never comes back, and its deadline moves by its own beats alone
	id, _ = b.holds()
	return id, sure
}
