package request

import (
	"cmp"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

// DecodePutItem decodes and checks a PutItem request.
func DecodePutItem(body []byte) (*PutItem, error) {
	c, err := checked(opPutItem, body)
	if err != nil {
		return nil, err
	}
	defer c.release()
	return &PutItem{
		Common:                      c.Common,
		Item:                        c.item.item,
		Condition:                   cmp.Or(c.parsed.condition, c.comparison),
		ReturnValues:                c.returned(),
		ReturnItemCollectionMetrics: c.wantsMetrics(),
		ReturnOldOnConditionFailure: c.wantsOld(),
	}, nil
}

// DecodeDeleteItem decodes and checks a DeleteItem request.
func DecodeDeleteItem(body []byte) (*DeleteItem, error) {
	c, err := checked(opDeleteItem, body)
	if err != nil {
		return nil, err
	}
	defer c.release()
	return &DeleteItem{
		Common:                      c.Common,
		Key:                         c.key.item,
		Condition:                   cmp.Or(c.parsed.condition, c.comparison),
		ReturnValues:                c.returned(),
		ReturnItemCollectionMetrics: c.wantsMetrics(),
		ReturnOldOnConditionFailure: c.wantsOld(),
	}, nil
}

// DecodeUpdateItem decodes and checks an UpdateItem request.
func DecodeUpdateItem(body []byte) (*UpdateItem, error) {
	c, err := checked(opUpdateItem, body)
	if err != nil {
		return nil, err
	}
	defer c.release()
	// A value counts wherever it is used, which takes a few characters each time: most
	// requests are too short to need counting.
	if c.Late == 0 && len(body)*len(c.update) > schema.MaxItemSize && c.parsed.update != nil && c.parsed.update.Charge() > schema.MaxItemSize {
		c.Late = lateTooLarge
	}
	return &UpdateItem{
		Common:                      c.Common,
		Key:                         c.key.item,
		Update:                      cmp.Or(c.parsed.update, c.changes),
		Condition:                   cmp.Or(c.parsed.condition, c.comparison),
		ReturnValues:                c.returned(),
		ReturnItemCollectionMetrics: c.wantsMetrics(),
		ReturnOldOnConditionFailure: c.wantsOld(),
	}, nil
}

// DecodeGetItem decodes and checks a GetItem request.
func DecodeGetItem(body []byte) (*GetItem, error) {
	c, err := checked(opGetItem, body)
	if err != nil {
		return nil, err
	}
	defer c.release()
	return &GetItem{
		Common:         c.Common,
		Key:            c.key.item,
		Projection:     c.parsed.projection,
		ConsistentRead: c.given(mConsistentRead) && c.consistentRead,
	}, nil
}

// What the checks have found to be right.

func (c *checking) returned() ReturnValues {
	if !c.given(mReturnValues) {
		return ReturnNone
	}
	rv, _ := returnValuesNamed(c.returnValues)
	return rv
}

func (c *checking) wantsMetrics() bool {
	return c.given(mReturnItemCollectionMetrics) && c.metrics == "SIZE"
}

func (c *checking) wantsOld() bool {
	return c.given(mReturnValuesOnConditionCheckFailure) && c.onFailure == "ALL_OLD"
}

// firstOf returns the first error that is one.
func firstOf(failures ...*awserr.Error) *awserr.Error {
	for _, failure := range failures {
		if failure != nil {
			return failure
		}
	}
	return nil
}
