package dynamodb

import (
	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/table"
)

// The answers of the operations on items. Members that say nothing are absent.

func appendWrite(dst []byte, r *table.WriteResult) []byte {
	dst = append(dst, '{')
	if r.Attributes != nil {
		dst = appendItem(dst, "Attributes", r.Attributes)
	}
	if r.Capacity != nil {
		dst = appendCapacity(awsjson.Member(dst, "ConsumedCapacity"), r.Capacity)
	}
	if r.Collection != nil {
		dst = appendCollection(awsjson.Member(dst, "ItemCollectionMetrics"), r.Collection)
	}
	return append(dst, '}')
}

func appendGet(dst []byte, r *table.GetResult) []byte {
	dst = append(dst, '{')
	if r.Found {
		dst = appendItem(dst, "Item", r.Item)
	}
	if r.Capacity != nil {
		dst = appendCapacity(awsjson.Member(dst, "ConsumedCapacity"), r.Capacity)
	}
	return append(dst, '}')
}

// page is an answer of Query or Scan while it is written.
type page struct {
	dst     []byte
	start   int // of the answer
	numbers order
	more    bool // there is an item
}

func pageOf(dst []byte, numbers order) *page {
	return &page{append(dst, `{"Items":[`...), len(dst), numbers, false}
}

func (p *page) add(it item.Item) {
	if p.more {
		p.dst = append(p.dst, ',')
	}
	p.more = true
	p.dst = p.numbers.append(awsjson.Grow(p.dst, 2*len(it)), it)
}

// end writes what is behind the items.
func (p *page) end(r *table.QueryResult) []byte {
	dst := p.dst
	if r.CountOnly {
		dst = append(dst[:p.start], '{')
	} else {
		dst = append(dst, ']')
	}
	dst = awsjson.AppendInt(dst, "Count", int64(r.Count))
	dst = awsjson.AppendInt(dst, "ScannedCount", int64(r.ScannedCount))
	if r.LastEvaluatedKey != nil {
		dst = appendItem(dst, "LastEvaluatedKey", r.LastEvaluatedKey)
	}
	if r.Capacity != nil {
		dst = appendCapacity(awsjson.Member(dst, "ConsumedCapacity"), r.Capacity)
	}
	return append(dst, '}')
}

func appendBatchGet(dst []byte, r *table.BatchGetResult) []byte {
	dst = append(dst, `{"Responses":{`...)
	for i := range r.Tables {
		t := &r.Tables[i]
		dst = appendItems(awsjson.Member(dst, t.Requested), t.Items, byValue)
	}
	dst = append(dst, `},"UnprocessedKeys":{`...)
	for i := range r.Tables {
		if left := r.Tables[i].Unprocessed; left != nil {
			dst = appendKeys(awsjson.Member(dst, r.Tables[i].Requested), left)
		}
	}
	dst = append(dst, '}')
	return append(appendCapacities(dst, r.Capacity), '}')
}

// appendKeys appends what the caller sends again to have the rest.
func appendKeys(dst []byte, left *request.KeysAndAttributes) []byte {
	dst = append(dst, `{"Keys":`...)
	dst = appendItems(dst, left.Keys, byValue)
	if len(left.Raw) > 0 {
		dst = append(dst, ',')
		dst = append(dst, left.Raw...)
	}
	return append(dst, '}')
}

func appendBatchWrite(dst []byte, r *table.BatchWriteResult) []byte {
	dst = append(dst, `{"UnprocessedItems":{`...)
	for i := range r.Unprocessed {
		left := &r.Unprocessed[i]
		dst = awsjson.Member(dst, left.Requested)
		dst = append(dst, '[')
		for n, w := range left.Writes {
			if n > 0 {
				dst = append(dst, ',')
			}
			if w.Item != nil {
				dst = append(dst, `{"PutRequest":{"Item":`...)
				dst = w.Item.AppendJSON(dst)
			} else {
				dst = append(dst, `{"DeleteRequest":{"Key":`...)
				dst = w.Key.AppendJSON(dst)
			}
			dst = append(dst, "}}"...)
		}
		dst = append(dst, ']')
	}
	dst = append(dst, '}')
	dst = appendCollections(dst, r.Collections)
	return append(appendCapacities(dst, r.Capacity), '}')
}

// appendCollections appends the member ItemCollectionMetrics of a batch, unless it
// is empty.
func appendCollections(dst []byte, tables []table.TableCollections) []byte {
	if len(tables) == 0 {
		return dst
	}
	dst = awsjson.Member(dst, "ItemCollectionMetrics")
	dst = append(dst, '{')
	for i := range tables {
		dst = awsjson.Member(dst, tables[i].Requested)
		dst = append(dst, '[')
		for n := range tables[i].Metrics {
			if n > 0 {
				dst = append(dst, ',')
			}
			dst = appendCollection(dst, &tables[i].Metrics[n])
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// order is that of sets of numbers, which differs between operations.
type order bool

const (
	byValue order = false
	byHash  order = true // Scan, transactions and PartiQL
)

func (o order) append(dst []byte, it item.Item) []byte {
	if o == byHash {
		return it.AppendHashedJSON(dst)
	}
	return it.AppendJSON(dst)
}

func appendItem(dst []byte, name string, it item.Item) []byte {
	return appendOrdered(dst, name, it, byValue)
}

func appendOrdered(dst []byte, name string, it item.Item, numbers order) []byte {
	dst = awsjson.Member(dst, name)
	if it == nil {
		return append(dst, "{}"...)
	}
	return numbers.append(dst, it)
}

func appendItems(dst []byte, items []item.Item, numbers order) []byte {
	dst = append(dst, '[')
	for i, it := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = numbers.append(awsjson.Grow(dst, 2*len(it)), it)
	}
	return append(dst, ']')
}

// appendCapacities appends the member ConsumedCapacity of a batch, unless nothing
// was asked for.
func appendCapacities(dst []byte, list []*table.Capacity) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = awsjson.Member(dst, "ConsumedCapacity")
	dst = append(dst, '[')
	for i, c := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendCapacity(dst, c)
	}
	return append(dst, ']')
}

func appendCapacity(dst []byte, c *table.Capacity) []byte {
	dst = append(dst, '{')
	dst = awsjson.AppendString(dst, "TableName", c.TableName)
	dst = appendKind(dst, c.Kind, c.Units)
	if c.Indexes {
		dst = appendUnits(awsjson.Member(dst, "Table"), c.Kind, c.Table)
		dst = appendIndexUnits(dst, "GlobalSecondaryIndexes", c.Kind, c.Global)
		dst = appendIndexUnits(dst, "LocalSecondaryIndexes", c.Kind, c.Local)
	}
	return append(dst, '}')
}

func appendIndexUnits(dst []byte, name, kind string, list []table.IndexCapacity) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = awsjson.Member(dst, name)
	dst = append(dst, '{')
	for _, c := range list {
		dst = appendUnits(awsjson.Member(dst, c.Index), kind, c.Units)
	}
	return append(dst, '}')
}

func appendUnits(dst []byte, kind string, units float64) []byte {
	return append(appendKind(append(dst, '{'), kind, units), '}')
}

// appendKind appends units; of a transaction, by their kind as well.
func appendKind(dst []byte, kind string, units float64) []byte {
	dst = awsjson.AppendFloat(dst, "CapacityUnits", units)
	switch kind {
	case "Read":
		dst = awsjson.AppendFloat(dst, "ReadCapacityUnits", units)
	case "Write":
		dst = awsjson.AppendFloat(dst, "WriteCapacityUnits", units)
	}
	return dst
}

func appendCollection(dst []byte, m *table.CollectionMetrics) []byte {
	dst = append(dst, '{')
	dst = appendItem(dst, "ItemCollectionKey", m.Key)
	dst = awsjson.Member(dst, "SizeEstimateRangeGB")
	dst = append(dst, '[')
	dst = awsjson.AppendFraction(dst, m.LowerGB)
	dst = append(dst, ',')
	dst = awsjson.AppendFraction(dst, m.UpperGB)
	return append(dst, "]}"...)
}
