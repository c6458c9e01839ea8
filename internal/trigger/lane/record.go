package lane

import (
	"github.com/millstreamdb/millstream/internal/pattern"
	"github.com/millstreamdb/millstream/internal/seqnum"
)

// Record is one durable stream record.
type Record interface {
	Seq() seqnum.Num
	// Time is the record's time in milliseconds since 1970, never decreasing in a
	// shard.
	Time() int64
	// KeyHash is a hash of the whole item key; equal keys have equal hashes. Its
	// low 6 bits pick the virtual lane.
	KeyHash() uint64
	// Ordinal is the cumulative count of records in the shard up to and with this
	// one, for lag.
	Ordinal() uint64
	// Event is the record's JSON as a Lambda event carries it, with
	// eventSourceARN; rendered once and shared. EventSize is its length, known
	// without rendering (an upper bound is fine).
	Event() []byte
	EventSize() int
	// Cause is the depth of function-made writes that led to this one.
	Cause() int
	// The record as filters see it.
	pattern.Record
}

// Traced is a Record that knows which request made it.
type Traced interface {
	// TraceHeader is X-Ray's header of that request; empty: it had none.
	TraceHeader() string
}

// Page is what one Read has found.
type Page struct {
	Records []Record
	// End: the shard is closed, and these are its last records.
	End    bool
	Missed *Missed
	// Coming: records above these are written and not durable yet.
	Coming bool
}

// Missed is a range of records that were gone before they were read.
type Missed struct {
	First, Last seqnum.Num
	Count       uint64
	// Unknown: nobody can say how many records these were, and whether there were any; all of the shard behind First is gone.
	Unknown bool
}
