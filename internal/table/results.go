package table

import (
	"time"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// What the operations answer. Items are shared and must not be changed.

// WriteResult answers PutItem, DeleteItem and UpdateItem.
type WriteResult struct {
	Attributes item.Item // nil: absent
	Capacity   *Capacity // nil: not asked for
	Collection *CollectionMetrics
}

// GetResult answers GetItem. An item of which a projection keeps nothing is
// found all the same.
type GetResult struct {
	Item     item.Item
	Found    bool
	Capacity *Capacity

	seen store.Seen
}

// Close lets go of the item that ViewItem has returned. Its error says that the item is not to be believed.
func (r *GetResult) Close() error { return r.seen.Close() }

// QueryResult answers Query and Scan with one page.
type QueryResult struct {
	Items            []item.Item
	Count            int // after the filter
	ScannedCount     int // before it
	LastEvaluatedKey item.Item
	CountOnly        bool // Items is absent, not empty
	Capacity         *Capacity
}

// BatchGetResult answers BatchGetItem, tables in the order asked.
type BatchGetResult struct {
	Tables   []BatchGetTable
	Capacity []*Capacity
}

// BatchGetTable is one table's part; Requested is how the caller named it.
type BatchGetTable struct {
	Requested   string
	Items       []item.Item
	Unprocessed *request.KeysAndAttributes // nil: all was read
}

// BatchWriteResult answers BatchWriteItem.
type BatchWriteResult struct {
	Unprocessed []request.TableWrites
	Capacity    []*Capacity
	Collections []TableCollections
}

// TransactWriteResult answers a transaction of writes.
type TransactWriteResult struct {
	Capacity    []*Capacity // one a table, in the order of the request
	Collections []TableCollections
}

// TransactGetResult answers a transaction of reads, items in the order asked; nil
// where there is none, or of which the projection keeps nothing.
type TransactGetResult struct {
	Items    []item.Item
	Capacity []*Capacity
}

// Capacity is what an operation used of one table. Units is the sum over the
// table and its indexes.
type Capacity struct {
	TableName string
	Units     float64
	// Kind is "Read" or "Write" for a transaction, whose units are shown under that
	// name as well.
	Kind string
	// Indexes says that the parts below were asked for as well.
	Indexes bool
	Table   float64
	Global  []IndexCapacity
	Local   []IndexCapacity
}

// IndexCapacity is what an operation used of one index.
type IndexCapacity struct {
	Index string
	Units float64
}

// CollectionMetrics estimate the size of an item collection, for tables with
// local indexes.
type CollectionMetrics struct {
	Key     item.Item // the partition key
	LowerGB float64
	UpperGB float64
}

// TableCollections are the collections of one table that a batch changed.
type TableCollections struct {
	Requested string
	Metrics   []CollectionMetrics

	table *Table
	desc  *descriptor
}

// Description is a table as DescribeTable shows it.
type Description struct {
	Name   string
	ARN    string
	ID     string // UUID
	Status string // "CREATING", "ACTIVE", "UPDATING" or "DELETING"
	// Deleted is set in the answer of DeleteTable, which shows neither keys nor
	// indexes.
	Deleted            bool
	Created            time.Time
	Attributes         []schema.Attribute // sorted by name
	Keys               schema.Keys
	ItemCount          int64
	SizeBytes          int64
	PayPerRequest      bool
	BillingMode        string    // shown once the table was on demand; empty before
	OnDemandSince      time.Time // of the last switch to PayPerRequest; zero: not shown
	Throughput         request.Throughput
	Changes            UnitChanges
	OnDemand           *request.OnDemandThroughput
	Warm               *request.Throughput // nil: not shown
	WarmStatus         string              // "ACTIVE" or "UPDATING"
	StreamEnabled      bool
	StreamView         string // AWS's name, while enabled
	LatestStreamARN    string // stays after the stream was disabled
	LatestStreamLabel  string
	DeletionProtection bool
	TableClass         string      // empty: never set
	ClassUpdated       time.Time   // zero: never
	Encryption         *Encryption // nil: AWS's own key
	Local              []IndexDescription
	Global             []IndexDescription
	Restored           *Restored // nil: it was not made of a backup
}

// UnitChanges are the changes of a provisioned throughput; zero times: none.
type UnitChanges struct {
	LastIncrease, LastDecrease time.Time
	Today                      int // decreases on this UTC day
}

// Encryption is an SSEDescription.
type Encryption struct {
	Status string // "ENABLED" or "UPDATING"
	KeyARN string // empty: not shown
}

// IndexDescription is a secondary index as DescribeTable shows it.
type IndexDescription struct {
	request.Index
	ARN         string
	Status      string // global indexes only
	Backfilling bool
	Changes     UnitChanges
	WarmUnits   *request.Throughput // nil: not shown
	WarmStatus  string
	ItemCount   int64
	SizeBytes   int64
}

// ListResult answers ListTables.
type ListResult struct {
	Names []string
	Last  string // LastEvaluatedTableName; empty: absent
}
