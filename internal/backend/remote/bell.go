package remote

import (
	"context"
	"slices"
	"sync"
)

// The row by which nodes see that something has changed lies in a table of its own, whose stream each node reads with a request that is held
// until there is a record. So a change is seen at once, and nothing polls. It is a hint, and no more: who misses it finds out at its
// next look. Over an engine that does not hold reads nobody listens: there the row itself is looked at with each look at the cluster.

// looksPerBell is how often the row is looked at all the same while the bell is heard: one in so many.
const looksPerBell = 8

// hearing reports whether a ring is heard: the newest read of each shard went well, or is held.
func (b *Backend) hearing() bool {
	n := b.listens.Load()
	return n > 0 && b.hears.Load() == n
}

// listen looks at the cluster whenever the bell rings, until ctx ends.
func (b *Backend) listen(ctx context.Context) {
	pause := minPause
	for ctx.Err() == nil {
		d, err := b.describe(ctx, b.bellStream)
		if err != nil {
			if b.pause(ctx, &pause, "a look at the bell", err) != nil {
				return
			}
			continue
		}
		pause = minPause
		var shards sync.WaitGroup
		heard, cancel := context.WithCancel(ctx)
		b.listens.Store(int64(len(slices.DeleteFunc(slices.Clone(d.Shards), func(s DescribedShard) bool { return s.Closed }))))
		for _, s := range d.Shards {
			if !s.Closed {
				shards.Go(func() {
					defer cancel() // it has ended: begin anew with all
					b.listenTo(heard, s.ID)
				})
			}
		}
		shards.Wait()
		cancel()
		b.sleep(ctx, minPause, nil)
	}
}

func (b *Backend) listenTo(ctx context.Context, shard string) {
	iterator, err := b.iterate(ctx, b.bellStream, shard, Latest)
	if err == nil {
		b.hears.Add(1)
		defer b.hears.Add(-1)
	}
	b.poke() // what has rung before
	for err == nil && iterator != "" {
		var page Records
		if page, err = b.records(ctx, iterator, pageSize, pollWait); err == nil && len(page.Records) > 0 {
			b.poke()
		}
		iterator = page.Next
	}
	if err != nil && ctx.Err() == nil {
		b.complain("a read of the bell", err)
	}
}
