// Package recordtest has the stream records that the tests of the trigger engine and of its machines share. It is no part
// of the product.
//
// It imports item and seqnum only, so that the machines' own tests can use it.
package recordtest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/seqnum"
)

// Record is a record of the insert of an item with the attributes key and n, as lane.Record wants it. Equal keys have
// equal hashes.
type Record struct {
	N     uint64 // its ordinal, and its sequence number within incarnation 1
	Key   int
	Nth   int // record of its key
	Depth int // of function-made writes
	MS    int64

	event []byte
	image item.Item
}

// New makes the nth record of its key; its event is padded to size bytes.
func New(n uint64, key, nth int, ms int64, size int) *Record {
	image := item.NewItem([]item.Entry{
		{Name: "key", Value: item.Number(strconv.Itoa(key))}, {Name: "n", Value: item.Number(strconv.FormatUint(n, 10))},
	})
	ev := fmt.Sprintf(`{"eventID":"%d","key":"%d","order":"%d","eventName":"INSERT","dynamodb":{"Keys":{"key":{"N":"%d"}},"NewImage":%s}}`,
		n, key, nth, key, image.AppendJSON(nil))
	if pad := size - len(ev) - len(`,"pad":""`); pad > 0 {
		ev = ev[:len(ev)-1] + `,"pad":"` + strings.Repeat("x", pad) + `"}`
	}
	return &Record{N: n, Key: key, Nth: nth, MS: ms, event: []byte(ev), image: image}
}

// Num is the sequence number of the record n.
func Num(n uint64) seqnum.Num { return seqnum.Num{Hi: 1, Lo: n} }

func (r *Record) Seq() seqnum.Num { return Num(r.N) }
func (r *Record) Time() int64     { return r.MS }
func (r *Record) KeyHash() uint64 { return uint64(r.Key) }
func (r *Record) Ordinal() uint64 { return r.N }
func (r *Record) Event() []byte   { return r.event }
func (r *Record) EventSize() int  { return len(r.event) }
func (r *Record) Cause() int      { return r.Depth }

// Member, Number and Image are what filters see.
func (r *Record) Member(name string) (string, bool) { return "INSERT", name == "eventName" }

func (r *Record) Number(name string) (int64, bool) {
	return r.MS / 1000, name == "ApproximateCreationDateTime"
}

func (r *Record) Image(name string) item.Item {
	if name == "OldImage" {
		return nil
	}
	return r.image
}

// Page is what a backend's Read finds in a log whose first trimmed records are gone, how many of those it missed, and
// whether there is more.
func Page(log []*Record, trimmed uint64, after seqnum.Num, maxRecords, maxBytes int) (found []*Record, missed uint64, more bool) {
	from := after.Lo
	if from < trimmed {
		missed, from = trimmed-from, trimmed
	}
	size := 0
	for _, r := range log[min(from, uint64(len(log))):] {
		if len(found) > 0 && (len(found) >= maxRecords || size+len(r.event) > maxBytes) {
			return found, missed, true
		}
		size += len(r.event)
		found = append(found, r)
	}
	return found, missed, false
}
