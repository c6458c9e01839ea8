package trigger

import (
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/recordtest"
)

type testRecord = recordtest.Record

var (
	newRecord = recordtest.New
	num       = recordtest.Num
)

// pageOf is what a backend's Read answers over a log whose first trimmed records are gone.
func pageOf(log []*testRecord, trimmed uint64, closed bool, after seqnum.Num, maxRecords, maxBytes int) lane.Page {
	found, missed, more := recordtest.Page(log, trimmed, after, maxRecords, maxBytes)
	p := lane.Page{End: closed && !more}
	if missed > 0 {
		p.Missed = &lane.Missed{First: num(after.Lo + 1), Last: num(trimmed), Count: missed}
	}
	for _, r := range found {
		p.Records = append(p.Records, r)
	}
	return p
}
