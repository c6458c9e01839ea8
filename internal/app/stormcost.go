package app

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Prices of Amazon DynamoDB on demand in us-east-1, in dollars, from its list as known in November 2026.
const (
	writeUnitPrice  = 0.625e-6 // a write of up to 1 KB; twice that in a transaction
	readUnitPrice   = 0.125e-6 // a consistent read of up to 4 KB
	streamReadPrice = 0.2e-6   // a GetRecords; the first 2.5 million a month are free, which is left out
)

// StormPrices says what a storm's cost is reckoned with.
const StormPrices = "on demand, us-east-1, as listed in November 2026: $0.625 a million write units, $0.125 a million read units, $0.20 a million GetRecords"

// StormCost is what a storm would cost on Amazon DynamoDB, with StormPrices.
type StormCost struct {
	WriteUnits  uint64  `json:"writeUnits"`
	ReadUnits   uint64  `json:"readUnits"`
	StreamReads uint64  `json:"streamReads"`
	Dollars     float64 `json:"usd"`
}

// bill counts what Amazon DynamoDB would take for the requests that pass, by their lengths: an item is a little shorter than the request that writes it, and
// those of a transaction count as 1 KB each. What is refused or fails is counted, too.
type bill struct {
	next                       http.RoundTripper
	writes, reads, streamReads atomic.Uint64
}

// RoundTrip implements http.RoundTripper.
func (b *bill) RoundTrip(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	switch operation {
	case "PutItem", "UpdateItem", "DeleteItem":
		b.writes.Add(unitsOf(r.ContentLength, 1<<10))
	case "TransactWriteItems":
		b.writes.Add(2 * itemsOf(r))
	case "GetRecords":
		b.streamReads.Add(1)
	}
	resp, err := b.next.RoundTrip(r)
	if operation == "GetItem" || operation == "Query" {
		b.reads.Add(1)
		if err == nil {
			resp.Body = &billedBody{ReadCloser: resp.Body, reads: &b.reads}
		}
	}
	return resp, err
}

// billedBody counts what is read of an answer, whose length is not told when it is long: a unit is counted already.
type billedBody struct {
	io.ReadCloser
	reads *atomic.Uint64
	size  int64
}

func (b *billedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	before := unitsOf(b.size, 4<<10)
	b.size += int64(n)
	b.reads.Add(unitsOf(b.size, 4<<10) - before)
	return n, err
}

// unitsOf is how many units so many bytes are: one at least.
func unitsOf(size, unit int64) uint64 { return uint64(max((size+unit-1)/unit, 1)) }

// itemsOf is how many items a transaction has.
func itemsOf(r *http.Request) uint64 {
	if r.GetBody == nil {
		return 1
	}
	copied, err := r.GetBody()
	if err != nil {
		return 1
	}
	body, err := io.ReadAll(copied)
	if err != nil {
		return 1
	}
	return uint64(max(bytes.Count(body, []byte(`"TableName":`)), 1))
}

func (b *bill) cost() StormCost {
	c := StormCost{WriteUnits: b.writes.Load(), ReadUnits: b.reads.Load(), StreamReads: b.streamReads.Load()}
	c.Dollars = float64(c.WriteUnits)*writeUnitPrice + float64(c.ReadUnits)*readUnitPrice + float64(c.StreamReads)*streamReadPrice
	return c
}

// stormEstimate is what a storm will cost, about: what was counted of some, by record and by second.
func stormEstimate(o *VerifyOptions) float64 {
	const unitsByRecord, unitsBySecond = 1.6, 750 // of writes: most are those of the exactly-once function, thirty transactions a second; reads cost a tenth as much
	seconds := (o.Storm + 10*time.Second).Seconds()
	return (seconds*float64(o.Rate)*unitsByRecord + seconds*unitsBySecond) * writeUnitPrice
}
