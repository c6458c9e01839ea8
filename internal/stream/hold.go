package stream

import (
	"cmp"
	"log/slog"
	"slices"

	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
)

// Readers are those for whom records are kept past their retention. Age alone decides
// what the API shows; the log itself stays while a reader needs it, as far as Keep's
// limit goes. Calls come from one goroutine.
type Readers interface {
	// Needed returns the position in a shard above which a reader that is at work has
	// still to read: the lowest of all. needed is false when there is none. A
	// position is what the disk has of it.
	Needed(sh *Shard) (after seqnum.Num, needed bool, err error)

	// Unread puts into b, which removes the records of a shard above from up to to, what
	// is to be kept of those that readers have not read, and returns it.
	Unread(b *store.Batch, sh *Shard, from, to seqnum.Num, why Why) ([]Loss, error)

	// Dropped puts into b, which removes shards for good, the removal of what readers
	// keep of them. They are off the list, or the stream is Removed, and readers store
	// nothing of them from then on.
	Dropped(b *store.Batch, s *Stream, shards []*Shard)
}

// Why unread records were removed.
type Why string

// The reasons.
const (
	AgeLoss    Why = "retention" // no reader at work needed them
	CapLoss    Why = "log cap"   // there was no room for more
	StreamLoss Why = "stream"    // their stream was removed
)

// Loss is what a reader has lost.
type Loss struct {
	Reader string
	Range
}

// Retaining says for whom Retain keeps records past their retention.
type Retaining struct {
	Readers Readers      // nil: for nobody
	Limit   int64        // bytes of such records on the disk, over all streams
	Log     *slog.Logger // required
}

// Held is how many bytes of records past their retention were on the disk for readers
// when Retain last looked.
func (ss *Streams) Held() int64 { return ss.heldBytes.Load() }

func (ss *Streams) needed(sh *Shard) (after seqnum.Num, needed bool, err error) {
	if ss.retaining.Readers == nil {
		return seqnum.Num{}, false, nil
	}
	return ss.retaining.Readers.Needed(sh)
}

// unread lets readers record what they lose by the removal of a shard's records up to
// to.
func (ss *Streams) unread(b *store.Batch, sh *Shard, to seqnum.Num, why Why) error {
	if ss.retaining.Readers == nil || !sh.kept().Less(to) {
		return nil
	}
	losses, err := ss.retaining.Readers.Unread(b, sh, sh.kept(), to, why)
	if err != nil {
		return err
	}
	for _, l := range losses {
		ss.retaining.Log.Warn("records were removed before a mapping had read them", "mapping", l.Reader, "stream", sh.stream.ARN, "shard", sh.ID,
			"reason", string(why), "records", l.Count, "first", l.First.String(), "last", l.Last.String())
	}
	return nil
}

// backlog is a shard of which records up to old are kept for readers only.
type backlog struct {
	sh  *Shard
	old seqnum.Num
}

// limit removes what passes the limit of bytes, the oldest records of the shard that
// holds the most first: a stream that is far behind takes no room from the others.
func (ss *Streams) limit(all []backlog) error {
	sizes := make(map[*Shard]int64, len(all))
	total := int64(0)
	for _, h := range all {
		size, err := ss.store.DiskUsage(h.sh.key(h.sh.kept().Next()), h.sh.key(h.old.Next()))
		if err != nil {
			return err
		}
		sizes[h.sh] = size
		total += size
	}
	slices.SortStableFunc(all, func(a, b backlog) int { return cmp.Compare(sizes[b.sh], sizes[a.sh]) })
	for _, h := range all {
		excess := total - ss.retaining.Limit
		if excess <= 0 {
			break
		}
		cut, size := h.old, sizes[h.sh]
		if excess < size {
			// The records' average size will do: the next round looks again.
			kept := h.sh.kept()
			count := float64(h.old.Lo - kept.Lo)
			var err error
			if cut, err = h.sh.ordinal(kept.Lo + uint64(count*float64(excess)/float64(size)) + 1); err != nil {
				return err
			}
			size = excess
		}
		if err := h.sh.trimTo(cut, CapLoss); err != nil {
			return err
		}
		total -= size
	}
	ss.heldBytes.Store(total)
	return nil
}

// ordinal returns the number of the last record with an ordinal up to n, or the
// position before the first that is kept.
func (sh *Shard) ordinal(n uint64) (seqnum.Num, error) {
	return sh.lastWhere(func(at seqnum.Num, _ []byte) (bool, error) { return at.Lo <= n, nil })
}

// hide takes records up to old out of the API's sight.
func (sh *Shard) hide(old seqnum.Num) {
	if h := sh.hidden.Load(); h == nil || h.Less(old) {
		if sh.Start.Prev().Less(old) {
			sh.hidden.Store(&old)
		}
	}
}

// Stream is the stream that the shard belongs to.
func (sh *Shard) Stream() *Stream { return sh.stream }

// Removed reports that the stream is going away with its shards.
func (s *Stream) Removed() bool { return s.removed.Load() }

// Hidden reports that the stream is past the time for which it can be read after it
// has ended: only readers that are behind still see it.
func (s *Stream) Hidden() bool { return s.hidden.Load() }
