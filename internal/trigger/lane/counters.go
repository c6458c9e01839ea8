package lane

// Counters count records, by AWS's names of the mapping's metrics, and
// invocations. They only rise.
type Counters struct {
	Polled       uint64 // PolledEventCount
	FilteredOut  uint64 // FilteredOutEventCount
	Invoked      uint64 // InvokedEventCount
	FailedInvoke uint64 // FailedInvokeEventCount
	Dropped      uint64 // DroppedEventCount: given up, no destination has been told, and not parked
	Delivered    uint64 // OnFailureDestinationDeliveredEventCount: given up, and one has
	Expired      uint64 // records gone before they were read
	Skipped      uint64 // records that a person had the mapping skip

	Held          uint64 // set aside for retries of their own, or behind such a record
	Parked        uint64 // given up and kept for a person
	ParkedExpired uint64 // of these, removed because they were too old

	Invocations         uint64 // that reached the function
	Errors              uint64 // of these, failed
	NotDelivered        uint64 // that did not reach it
	Bisected            uint64 // batches cut in two
	DestinationFailures uint64 // documents that a destination did not take (DestinationDeliveryFailures)
}

// Add adds d.
func (c *Counters) Add(d Counters) {
	c.Polled += d.Polled
	c.FilteredOut += d.FilteredOut
	c.Invoked += d.Invoked
	c.FailedInvoke += d.FailedInvoke
	c.Dropped += d.Dropped
	c.Delivered += d.Delivered
	c.Expired += d.Expired
	c.Skipped += d.Skipped
	c.Held += d.Held
	c.Parked += d.Parked
	c.ParkedExpired += d.ParkedExpired
	c.Invocations += d.Invocations
	c.Errors += d.Errors
	c.NotDelivered += d.NotDelivered
	c.Bisected += d.Bisected
	c.DestinationFailures += d.DestinationFailures
}
