package trigger

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/seqnum"
)

// testRecord is a record of the tests' streams. Equal keys have equal hashes.
type testRecord struct {
	n     uint64 // its ordinal, and its sequence number within incarnation 1
	key   int
	nth   int // record of its key
	cause int
	ms    int64
	event []byte
	image item.Item
}

// newRecord makes the order-th record of its key, padded to size.
func newRecord(n uint64, key, order int, ms int64, size int) *testRecord {
	ev := fmt.Sprintf(`{"eventID":"%d","key":"%d","order":"%d"}`, n, key, order)
	if pad := size - len(ev) - len(`,"pad":""`); pad > 0 {
		ev = ev[:len(ev)-1] + `,"pad":"` + strings.Repeat("x", pad) + `"}`
	}
	return &testRecord{n: n, key: key, nth: order, ms: ms, event: []byte(ev), image: item.NewItem([]item.Entry{
		{Name: "key", Value: item.Number(strconv.Itoa(key))}, {Name: "n", Value: item.Number(strconv.FormatUint(n, 10))},
	})}
}

func num(n uint64) seqnum.Num { return seqnum.Num{Hi: 1, Lo: n} }

func (r *testRecord) Seq() seqnum.Num { return num(r.n) }
func (r *testRecord) Time() int64     { return r.ms }
func (r *testRecord) KeyHash() uint64 { return uint64(r.key) }
func (r *testRecord) Ordinal() uint64 { return r.n }
func (r *testRecord) Event() []byte   { return r.event }
func (r *testRecord) EventSize() int  { return len(r.event) }
func (r *testRecord) Cause() int      { return r.cause }

// Filters see INSERT records with a new image of the key and the ordinal.
func (r *testRecord) Member(name string) (string, bool) { return "INSERT", name == "eventName" }

func (r *testRecord) Number(name string) (int64, bool) {
	return r.ms / 1000, name == "ApproximateCreationDateTime"
}

func (r *testRecord) Image(name string) item.Item {
	if name == "OldImage" {
		return nil
	}
	return r.image
}

// pageOf is what a backend's Read answers over a log whose first trimmed records
// are gone.
func pageOf(log []*testRecord, trimmed uint64, closed bool, after seqnum.Num, maxRecords, maxBytes int) Page {
	var p Page
	from := after.Lo
	if from < trimmed {
		p.Missed = &Missed{First: num(from + 1), Last: num(trimmed), Count: trimmed - from}
		from = trimmed
	}
	size := 0
	for _, r := range log[min(from, uint64(len(log))):] {
		if len(p.Records) > 0 && (len(p.Records) >= maxRecords || size+len(r.event) > maxBytes) {
			return p
		}
		size += len(r.event)
		p.Records = append(p.Records, r)
	}
	p.End = closed
	return p
}
