package table

import (
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
)

// Throughput is kept and shown, and counted as AWS counts its changes; it limits
// nothing.

const (
	decreasesADay   = 4 // then one an hour
	decreaseEveryMS = int64(time.Hour / time.Millisecond)
	dayMS           = 24 * decreaseEveryMS
)

// unitChanges are the changes of a provisioned throughput.
type unitChanges struct {
	IncreaseMS int64 `json:"increaseMs,omitempty"` // of the last one, in ms since 1970; 0: none
	DecreaseMS int64 `json:"decreaseMs,omitempty"`
	Decreases  int   `json:"decreases,omitempty"` // on the UTC day of DecreaseMS
}

// today returns the number of decreases on the UTC day of a time.
func (c *unitChanges) today(now int64) int {
	if now/dayMS != c.DecreaseMS/dayMS {
		return 0
	}
	return c.Decreases
}

// note counts a change, unless it is a decrease too many.
func (c *unitChanges) note(old, new request.Throughput, now int64) *awserr.Error {
	if new.Read < old.Read || new.Write < old.Write {
		today := c.today(now)
		if next := c.DecreaseMS + decreaseEveryMS; today >= decreasesADay && now < next {
			next = min(next, (now/dayMS+1)*dayMS)
			return awserr.DecreasesUsedUp(today, errorTime(c.DecreaseMS), errorTime(next))
		}
		c.DecreaseMS, c.Decreases = now, today+1
	}
	if new.Read > old.Read || new.Write > old.Write {
		c.IncreaseMS = now
	}
	return nil
}

// errorTime writes a time as AWS does in its errors.
func errorTime(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("Monday, January 2, 2006 at 3:04:05 PM")
}

func (c *unitChanges) describe(today int) UnitChanges {
	u := UnitChanges{Today: today}
	if c.IncreaseMS != 0 {
		u.LastIncrease = time.UnixMilli(c.IncreaseMS)
	}
	if c.DecreaseMS != 0 {
		u.LastDecrease = time.UnixMilli(c.DecreaseMS)
	}
	return u
}

// warmOf returns the warm throughput of a table or index: never less than it was, nor
// than what is provisioned, nor than any has on demand.
func warmOf(kept *request.Throughput, onDemand bool, units request.Throughput) request.Throughput {
	if onDemand {
		units = request.OnDemandWarm
	}
	if kept != nil {
		units.Read, units.Write = max(units.Read, kept.Read), max(units.Write, kept.Write)
	}
	return units
}

// raiseWarm returns what a request for more warm throughput makes of what there is.
func raiseWarm(was request.Throughput, r *request.WarmThroughput, of string) (request.Throughput, *awserr.Error) {
	next := was
	if r.Read != nil {
		if next.Read = *r.Read; next.Read < was.Read {
			return was, awserr.WarmDecreased("ReadUnitsPerSecond", of)
		}
	}
	if r.Write != nil {
		if next.Write = *r.Write; next.Write < was.Write {
			return was, awserr.WarmDecreased("WriteUnitsPerSecond", of)
		}
	}
	return next, nil
}

// newWarm returns the warm throughput that a new table or index is to have beyond
// its own; nil when none was asked for.
func newWarm(r *request.WarmThroughput, onDemand bool, units request.Throughput) *request.Throughput {
	if r == nil {
		return nil
	}
	w, _ := raiseWarm(warmOf(nil, onDemand, units), r, "") // request has compared them
	return &w
}

// withCaps lays the caps that a request gives over those that there are. A cap of -1
// is none, and it is shown as -1 from then on, as on AWS.
func withCaps(old, given *request.OnDemandThroughput) *request.OnDemandThroughput {
	var next request.OnDemandThroughput
	if old != nil {
		next = *old
	}
	if given.MaxRead != 0 {
		next.MaxRead = given.MaxRead
	}
	if given.MaxWrite != 0 {
		next.MaxWrite = given.MaxWrite
	}
	return &next
}

// someCaps is nil where neither cap is given.
func someCaps(caps *request.OnDemandThroughput) *request.OnDemandThroughput {
	if caps == nil || *caps == (request.OnDemandThroughput{}) {
		return nil
	}
	return caps
}

// checkCaps refuses caps for what is provisioned; of is empty for the table.
func checkCaps(caps *request.OnDemandThroughput, onDemand bool, of string) *awserr.Error {
	switch {
	case caps == nil || onDemand:
		return nil
	case caps.MaxRead != 0:
		return awserr.OnDemandOnProvisioned("MaxReadRequestUnits", of)
	case caps.MaxWrite != 0:
		return awserr.OnDemandOnProvisioned("MaxWriteRequestUnits", of)
	}
	return nil
}
