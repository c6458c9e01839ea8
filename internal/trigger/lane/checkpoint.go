package lane

import (
	"slices"

	"github.com/millstreamdb/millstream/internal/seqnum"
)

// VirtualLanes is the number of classes that item keys hash to. It is part of
// the stored checkpoints and never changes.
const VirtualLanes = 64

// Checkpoint is a mapping's position in one shard.
type Checkpoint struct {
	// Generation rises with every control operation.
	Generation uint64
	// Low: every record up to and with it has ended (P4).
	Low seqnum.Num
	// Ahead are virtual lanes that have got further than Low; at most 64.
	Ahead []LanePosition
	// Done: the shard was closed and every record of it has ended.
	Done bool
	// Ordinal and Time of the record at Low, for lag; zero when unknown.
	Ordinal uint64
	Time    int64
	// Expired counts records that were gone before they were read.
	Expired uint64
	// Window is the tumbling window under way, after the records up to Low; nil
	// when there is none. It is stored and read back with the position.
	Window *Window
}

// LanePosition is how far one virtual lane has got.
type LanePosition struct {
	Lane uint8 // 0..63
	Seq  seqnum.Num
}

// Equal reports whether there is nothing to store after o.
func (cp Checkpoint) Equal(o Checkpoint) bool {
	return cp.Generation == o.Generation && cp.Low == o.Low && cp.Done == o.Done && cp.Expired == o.Expired &&
		cp.Window.equal(o.Window) && slices.Equal(cp.Ahead, o.Ahead)
}

// Covers reports whether a record of a key, given by its hash, is behind the position.
func (cp Checkpoint) Covers(hash uint64, seq seqnum.Num) bool {
	return !cp.Low.Less(seq) || slices.ContainsFunc(cp.Ahead, func(a LanePosition) bool {
		return uint64(a.Lane) == hash%VirtualLanes && !a.Seq.Less(seq)
	})
}

// AheadOf reports whether some virtual lane has got past a place.
func (cp Checkpoint) AheadOf(at seqnum.Num) bool {
	return slices.ContainsFunc(cp.Ahead, func(a LanePosition) bool { return at.Less(a.Seq) })
}

// Forward is the position after everything up to a place has been passed. Only Low, Ordinal and
// Time of at count.
func (cp Checkpoint) Forward(at Checkpoint) Checkpoint {
	next := Checkpoint{Low: at.Low, Ordinal: at.Ordinal, Time: at.Time}
	for _, a := range cp.Ahead {
		if at.Low.Less(a.Seq) {
			next.Ahead = append(next.Ahead, a)
		}
	}
	return next
}

// Back is the position from which nothing behind a place has ended. Only Low, Ordinal and Time of
// at count.
func (cp Checkpoint) Back(at Checkpoint) Checkpoint {
	if !cp.Low.Less(at.Low) {
		return Checkpoint{Low: at.Low, Ordinal: at.Ordinal, Time: at.Time}
	}
	next := Checkpoint{Low: cp.Low, Ordinal: cp.Ordinal, Time: cp.Time} // only lanes ahead have passed the place
	for _, a := range cp.Ahead {
		if at.Low.Less(a.Seq) {
			a.Seq = at.Low
		}
		next.Ahead = append(next.Ahead, a)
	}
	return next
}
