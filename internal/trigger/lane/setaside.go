package lane

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/pattern"
	"github.com/millstreamdb/millstream/internal/seqnum"
)

// AsideKey names a record that is set aside, in the order in which they are kept: the records of
// a key together, by the age of their shards, then in their order.
type AsideKey struct {
	Hash  uint64
	Shard string
	Seq   seqnum.Num
}

// Compare returns -1, 0 or +1.
func (k AsideKey) Compare(o AsideKey) int {
	return cmp.Or(cmp.Compare(k.Hash, o.Hash), strings.Compare(k.Shard, o.Shard), k.Seq.Compare(o.Seq))
}

// After is the place behind a record.
func (k AsideKey) After() AsideKey {
	k.Seq = k.Seq.Next()
	return k
}

// AsideKind says why a record is set aside.
type AsideKind byte

// The kinds; they are stored.
const (
	Held    AsideKind = 1 // waits for its turn; later records of its key wait behind it
	Telling AsideKind = 2 // given up; the on-failure destination is still to be told
	Parked  AsideKind = 3 // given up; waits for a person
)

// SetAside is a record that is set aside.
type SetAside struct {
	AsideKey
	Kind     AsideKind
	Since    int64 // when it became what it is, ms since 1970
	Attempts int   // calls with it that failed, for MaximumRetryAttempts
	Error    string
	// Of what was given up, as in Loss.
	Reason             DropReason
	RequestID, Version string
	Unhandled          bool
	// Group is the number of the first record that was given up with it in this shard: a
	// destination is told of them together.
	Group seqnum.Num
	// Function is the ARN to which a person has sent it; empty: the mapping's.
	Function string

	Time    int64 // of the record, ms since 1970
	Ordinal uint64
	Cause   int
	Keys    string // the item's key, as the event has it
	Trace   string // as of Traced
	Size    int    // of Event
	Event   []byte // nil when only the rest was read, or is to be stored
}

// AsideChange is a change of what is stored: a row that is put whole, a row whose head
// (all but the event) is replaced, or, with a nil Put, one that is removed.
type AsideChange struct {
	Key AsideKey
	Put *SetAside
	// New: the row has only now become of its kind.
	New bool
}

// String is the name of the record for people: hash of the key, shard and number.
func (k AsideKey) String() string {
	return fmt.Sprintf("%016x/%s/%s", k.Hash, k.Shard, k.Seq)
}

// ParseAsideKey reads what String returns.
func ParseAsideKey(s string) (k AsideKey, ok bool) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 || len(parts[0]) != 16 {
		return k, false
	}
	hash, err := hex.DecodeString(parts[0])
	if err != nil {
		return k, false
	}
	for _, b := range hash {
		k.Hash = k.Hash<<8 | uint64(b)
	}
	k.Shard = parts[1]
	k.Seq, err = seqnum.Parse(parts[2])
	return k, err == nil
}

const (
	// asideOverhead is what a row takes beside its event.
	asideOverhead = 256
	// maxAsideError bounds the stored text of an error.
	maxAsideError = 1024
)

// newSetAside is the row of a record that goes aside at a moment; with what is given up, if it is.
func newSetAside(rec Record, shard string, kind AsideKind, wall int64, l *Loss) *SetAside {
	r := &SetAside{
		AsideKey: AsideKey{rec.KeyHash(), shard, rec.Seq()}, Kind: kind, Since: wall,
		Time: rec.Time(), Ordinal: rec.Ordinal(), Cause: rec.Cause(), Keys: KeysOf(rec), Event: rec.Event(), Size: len(rec.Event()),
	}
	if t, is := rec.(Traced); is {
		r.Trace = t.TraceHeader()
	}
	if l == nil {
		return r
	}
	r.Reason, r.Attempts, r.Error = l.Reason, l.Attempts, clipError(l.Error)
	r.RequestID, r.Version, r.Unhandled = l.RequestID, l.Version, l.Unhandled
	if len(l.Records) > 0 {
		r.Group = l.Records[0].Seq()
	}
	return r
}

// cost is what a row takes of the mapping's room.
func (r *SetAside) cost() int64 { return int64(r.Size) + asideOverhead }

// KeysOf is the item's key of a record, in the form of its event.
func KeysOf(rec Record) string {
	const member = `"Keys":`
	event := rec.Event()
	from := bytes.Index(event, []byte(member))
	if from < 0 {
		return ""
	}
	from += len(member)
	depth, quoted := 0, false
	for i := from; i < len(event); i++ {
		switch c := event[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return string(event[from : i+1])
			}
		}
	}
	return ""
}

func clipError(s string) string {
	if len(s) > maxAsideError {
		return strings.ToValidUTF8(s[:maxAsideError], "") + "..."
	}
	return s
}

func asideRecords(rows []SetAside) []Record {
	rs := make([]Record, len(rows))
	for i := range rows {
		rs[i] = asideRecord{&rows[i]}
	}
	return rs
}

// asideRecord is a stored record as functions and destinations get it. What filters look at has eventRecord.
type asideRecord struct{ *SetAside }

var _ pattern.Record = asideRecord{}
var _ Traced = asideRecord{}

func (r asideRecord) Seq() seqnum.Num              { return r.AsideKey.Seq }
func (r asideRecord) Time() int64                  { return r.SetAside.Time }
func (r asideRecord) KeyHash() uint64              { return r.Hash }
func (r asideRecord) Ordinal() uint64              { return r.SetAside.Ordinal }
func (r asideRecord) Event() []byte                { return r.SetAside.Event }
func (r asideRecord) EventSize() int               { return len(r.SetAside.Event) }
func (r asideRecord) Cause() int                   { return r.SetAside.Cause }
func (r asideRecord) TraceHeader() string          { return r.Trace }
func (r asideRecord) Member(string) (string, bool) { return "", false }
func (r asideRecord) Number(string) (int64, bool)  { return 0, false }
func (r asideRecord) Image(string) item.Item       { return nil }
