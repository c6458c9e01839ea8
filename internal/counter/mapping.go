// Package counter lists what is counted of an event source mapping, each once: the trigger engine counts it, Millstream's
// own protocol and /metrics show it, and docs/metrics.md describes it, all from this list. To add a counter is one line
// here, the place that counts, and a row of docs/metrics.md, for which a test asks.
//
// It imports the standard library only.
package counter

import "reflect"

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
	for i := range to.NumField() {
		to.Field(i).SetUint(to.Field(i).Uint() + from.Field(i).Uint())
	}
}
