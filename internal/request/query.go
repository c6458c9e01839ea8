package request

import (
	"cmp"

	"github.com/millstreamdb/millstream/internal/item"
)

// DecodeQuery decodes and checks a Query request.
func DecodeQuery(body []byte) (*Query, error) {
	c, err := checked(opQuery, body)
	if err != nil {
		return nil, err
	}
	defer c.release()
	return &Query{
		Common:            c.Common,
		IndexName:         c.index(),
		KeyCondition:      cmp.Or(c.parsed.keyCondition, c.keys),
		Filter:            cmp.Or(c.parsed.filter, c.comparison),
		Projection:        c.parsed.projection,
		Select:            c.selected,
		Limit:             c.most(),
		Descending:        c.given(mScanIndexForward) && !c.scanIndexForward,
		ConsistentRead:    c.given(mConsistentRead) && c.consistentRead,
		ExclusiveStartKey: c.start(),
	}, nil
}

// DecodeScan decodes and checks a Scan request.
func DecodeScan(body []byte) (*Scan, error) {
	c, err := checked(opScan, body)
	if err != nil {
		return nil, err
	}
	defer c.release()
	op := &Scan{
		Common:            c.Common,
		IndexName:         c.index(),
		Filter:            cmp.Or(c.parsed.filter, c.comparison),
		Projection:        c.parsed.projection,
		Select:            c.selected,
		Limit:             c.most(),
		ConsistentRead:    c.given(mConsistentRead) && c.consistentRead,
		ExclusiveStartKey: c.start(),
	}
	if c.given(mTotalSegments) {
		op.Segment, op.TotalSegments = int(c.segment), int(c.totalSegments)
	}
	return op, nil
}

func (c *checking) index() string {
	if !c.given(mIndexName) {
		return ""
	}
	return c.indexName
}

func (c *checking) most() int {
	if !c.given(mLimit) {
		return 0
	}
	return int(c.limit)
}

func (c *checking) start() item.Item {
	if !c.given(mExclusiveStartKey) {
		return nil
	}
	return c.startKey.item
}
