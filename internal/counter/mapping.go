// Package counter lists what is counted of an event source mapping, each once: the trigger engine counts it, Millstream's
// own protocol and /metrics show it, and docs/metrics.md describes it, all from this list. To add a counter is one line
// here, the place that counts, and a row of docs/metrics.md, for which a test asks.
//
// It imports the standard library only.
package counter

import (
	"encoding/json"
	"math/bits"
	"reflect"
	"time"
)

// Mapping counts records and calls of one event source mapping, by AWS's names of a mapping's metrics where AWS has them.
// The counts only rise, and begin at 0 when the server starts. Tags: json is the name in Millstream's own protocol;
// metric, between millstream_trigger_ and _total, the one in /metrics.
type Mapping struct {
	Polled       uint64 `json:"polled" metric:"polled_events" help:"Records read."`
	FilteredOut  uint64 `json:"filteredOut" metric:"filtered_out_events" help:"Records that the filters refused."`
	Invoked      uint64 `json:"invoked" metric:"invoked_events" help:"Records handed to the function; a retry counts again."`
	FailedInvoke uint64 `json:"failedInvoke" metric:"failed_invoke_events" help:"Records in attempts that failed."`
	Dropped      uint64 `json:"dropped" metric:"dropped_events" help:"Records given up after their attempts or age, without a destination."`
	Delivered    uint64 `json:"delivered" metric:"on_failure_destination_delivered_events" help:"Records given up whose document reached the on-failure destination."`
	Expired      uint64 `json:"expired" metric:"expired_events" help:"Records that left the stream before they were read."`
	Losses       uint64 `json:"losses" metric:"unknown_losses" help:"Times that records may have left the stream before they were read; nobody knows how many."`
	Skipped      uint64 `json:"skipped" metric:"skipped_events" help:"Records that a person had the mapping skip."`

	Held          uint64 `json:"held" metric:"held_events" help:"Records set aside to be retried on their own, or behind such a record of their key."`
	Parked        uint64 `json:"parked" metric:"parked_events" help:"Records given up and kept for a person."`
	ParkedExpired uint64 `json:"parkedExpired" metric:"parked_expired_events" help:"Parked records removed because they were too old."`

	Invocations         uint64 `json:"invocations" metric:"calls" help:"Calls that reached the function."`
	Errors              uint64 `json:"errors" metric:"failed_calls" help:"Calls that reached the function and failed."`
	PartialFailures     uint64 `json:"partialFailures" metric:"partially_failed_calls" help:"Calls that returned, with an answer by which records failed: it names them, or cannot be read."`
	NotDelivered        uint64 `json:"notDelivered" metric:"undelivered_calls" help:"Calls that did not reach the function."`
	Bisected            uint64 `json:"bisected" metric:"bisected_batches" help:"Failed batches that were cut in two."`
	DestinationFailures uint64 `json:"destinationFailures" metric:"destination_delivery_failures" help:"Documents that the on-failure destination did not take; each is tried again for an hour."`

	// CallTimes are of the calls that Invocations counts, and no row of the list.
	CallTimes CallTimes `json:"callTimes"`
}

// CallTimes count calls by how long they took: element i those of less than 2^i quarters of a millisecond, so each reaches twice as far as
// the one before; the last has all longer ones, of nine minutes and more. As JSON they end with the last that is not 0.
type CallTimes [23]uint64

// Add counts a call.
func (t *CallTimes) Add(took time.Duration) {
	t[min(bits.Len64(uint64(max(0, took)/(250*time.Microsecond))), len(t)-1)]++
}

// MarshalJSON leaves out the zeros at the end.
func (t CallTimes) MarshalJSON() ([]byte, error) {
	n := len(t)
	for n > 0 && t[n-1] == 0 {
		n--
	}
	return json.Marshal(t[:n])
}

// At returns how long the quickest part of all calls took, such as 0.5 of them: of the calls of one element it takes the times to lie evenly.
// It is below 0 without calls.
func (t *CallTimes) At(part float64) time.Duration {
	all := uint64(0)
	for _, n := range t {
		all += n
	}
	if all == 0 {
		return -1
	}
	rest := part * float64(all)
	for i, n := range t {
		if float64(n) >= rest && n > 0 {
			low, high := 0.0, 0.25
			if i > 0 {
				low = 0.125 * float64(uint64(1)<<i)
				high = 2 * low
			}
			return time.Duration((low + (high-low)*rest/float64(n)) * float64(time.Millisecond))
		}
		rest -= float64(n)
	}
	return 0 // not reached: part is at most 1
}

// Sub returns the calls that are in t and were not in before; all of t when some are gone, as after a restart.
func (t CallTimes) Sub(before CallTimes) CallTimes {
	out := t
	for i := range t {
		if t[i] < before[i] {
			return t
		}
		out[i] -= before[i]
	}
	return out
}

// Row is one counter of the list.
type Row struct {
	Name   string // in Millstream's own protocol
	Metric string // the whole name in /metrics
	Help   string
	field  int
}

// Rows are the counters, in the order to read them in.
var Rows = func() (rows []Row) {
	t := reflect.TypeFor[Mapping]()
	for i := range t.NumField() {
		if t.Field(i).Type.Kind() != reflect.Uint64 {
			continue
		}
		tag := t.Field(i).Tag
		rows = append(rows, Row{tag.Get("json"), "millstream_trigger_" + tag.Get("metric") + "_total", tag.Get("help"), i})
	}
	return rows
}()

// Of returns the row's count in c.
func (r Row) Of(c *Mapping) uint64 { return reflect.ValueOf(c).Elem().Field(r.field).Uint() }

// Add adds d.
func (c *Mapping) Add(d Mapping) {
	to, from := reflect.ValueOf(c).Elem(), reflect.ValueOf(d)
	for _, r := range Rows {
		to.Field(r.field).SetUint(to.Field(r.field).Uint() + from.Field(r.field).Uint())
	}
	for i, n := range d.CallTimes {
		c.CallTimes[i] += n
	}
}
