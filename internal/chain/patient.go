package chain

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
)

// patient is a place whose calls are tried again: a backup makes thousands, and one that fails must not cost all the others.
type patient struct {
	backup.Place
	most int // how often at most; 0: patience
}

// listTries is how often a list is asked for that a claim needs: it needs several, and begins again when one of them fails.
const listTries = 3

// patience is how often a call is tried, and callTimeout how long it may take.
const patience, callTimeout = 8, 10 * time.Minute

func (p patient) try(ctx context.Context, f func(ctx context.Context) error) (err error) {
	for n := range cmp.Or(p.most, patience) {
		once, cancel := context.WithTimeout(ctx, callTimeout)
		err = f(once)
		cancel()
		if err == nil || errors.Is(err, backup.ErrAbsent) || errors.Is(err, backup.ErrExists) || ctx.Err() != nil {
			return err
		}
		if n+1 == p.most {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(firstRetry << n):
		}
	}
	return err
}

func (p patient) Put(ctx context.Context, name string, content io.ReadSeeker, size int64) error {
	return p.try(ctx, func(ctx context.Context) error {
		if _, err := content.Seek(0, io.SeekStart); err != nil {
			return err
		}
		return p.Place.Put(ctx, name, content, size)
	})
}

func (p patient) Has(ctx context.Context, name string, size int64) (has bool, err error) {
	err = p.try(ctx, func(ctx context.Context) (err error) { has, err = p.Place.Has(ctx, name, size); return err })
	return has, err
}

func (p patient) List(ctx context.Context, prefix string) (names []string, err error) {
	err = p.try(ctx, func(ctx context.Context) (err error) { names, err = p.Place.List(ctx, prefix); return err })
	return names, err
}
