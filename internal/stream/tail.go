package stream

import (
	"sync/atomic"

	"github.com/millstreamdb/millstream/internal/seqnum"
)

// The tail of a shard: its newest records, for readers that keep up.
//
// It is a ring of atomic pointers, indexed by ordinal. One writer at a time (the
// holder of the partition's lock) pushes; readers take no lock. A reader that finds
// in a slot another ordinal than it looked for has been overtaken and reads from
// the store instead; hence no order between the writer's stores matters beyond
// their being atomic.
//
// Bytes are bounded per shard and over all shards: when the tails together hold
// more than tailTotal, a shard that is written to shrinks its own to tailLeast.
const (
	tailSlots = 1 << 14  // records
	tailBytes = 16 << 20 // stored bytes; rendered events add about twice as much
	tailTotal = 64 << 20
	tailLeast = 1 << 20
)

type tail struct {
	slots atomic.Pointer[[tailSlots]atomic.Pointer[Record]] // nil until the first push

	// first is the lowest ordinal that may be found; only the writer moves it.
	first atomic.Uint64

	bytes int // writer only
}

func (t *tail) reset(next uint64) { t.first.Store(next) }

// push adds r. total counts the bytes of all tails.
func (t *tail) push(r *Record, total *atomic.Int64) {
	slots := t.slots.Load()
	if slots == nil {
		slots = new([tailSlots]atomic.Pointer[Record])
		t.slots.Store(slots)
	}
	first, before := t.first.Load(), t.bytes
	t.bytes += len(r.value)
	limit := tailBytes
	if total.Load() > tailTotal {
		limit = tailLeast
	}
	for first < r.seq.Lo && (r.seq.Lo-first >= tailSlots || t.bytes > limit) {
		slot := &slots[first%tailSlots]
		if old := slot.Load(); old != nil {
			t.bytes -= len(old.value)
			slot.Store(nil)
		}
		first++
	}
	t.first.Store(first)
	slots[r.seq.Lo%tailSlots].Store(r)
	total.Add(int64(t.bytes - before))
}

// read returns the records above after, up to the ordinal durable, or nil when
// the tail does not hold the first of them (or has nothing).
func (t *tail) read(sh *Shard, after seqnum.Num, durable uint64, maxRecords, maxBytes int, size func(*Record) int) []*Record {
	slots := t.slots.Load()
	if slots == nil {
		return nil
	}
	var from uint64
	switch {
	case after.Hi == sh.stream.incarnation:
		from = after.Lo + 1
	case !after.Less(sh.opened):
		from = sh.opened.Lo + 1
	default:
		return nil // older than this run
	}
	if from < t.first.Load() || from > durable {
		return nil
	}
	n := int(min(durable-from+1, uint64(maxRecords)))
	out := make([]*Record, 0, n)
	total := 0
	for o := from; len(out) < n; o++ {
		r := slots[o%tailSlots].Load()
		if r == nil || r.seq.Lo != o {
			break // overtaken
		}
		if total += size(r); total > maxBytes && len(out) > 0 {
			break
		}
		out = append(out, r)
		if total >= maxBytes {
			break
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
