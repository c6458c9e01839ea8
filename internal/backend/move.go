package backend

import (
	"time"

	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Place is where a mapping is moved to, or begins, in every shard. One of its members is set.
type Place struct {
	Horizon bool       // the oldest record that the API shows
	Latest  bool       // behind the newest record
	Time    time.Time  // the first record of this moment or later
	Record  seqnum.Num // the record with this number
}

// Located is a place in one shard.
type Located struct {
	// Low is the position before the first record at the place, with its ordinal and, if known, its time.
	Low     seqnum.Num
	Ordinal uint64
	Time    int64
	// Here: the shard has the Record that was asked for; Low is right before it.
	Here bool
}

// Checkpoint is the position at the place.
func (l Located) Checkpoint() lane.Checkpoint {
	return lane.Checkpoint{Low: l.Low, Ordinal: l.Ordinal, Time: l.Time}
}

// Skip is a range of records that a person had a mapping skip.
type Skip struct {
	Shard string
	lane.Missed
}

// Repositioned is what a move changes, stored in one batch: the definition with its new
// generation, whole rows in place of earlier ones with their windows, what is set aside no longer, and
// what was skipped.
type Repositioned struct {
	Mapping mapping.Definition
	Rows    []Row
	Aside   []lane.AsideChange
	Skipped []Skip
}
