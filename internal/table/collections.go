package table

import (
	"bytes"
	"slices"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/store"
)

// An item collection is the items of one partition key, with their entries in local
// indexes. Its size is estimated for who asks for it, of what its ranges of keys take
// on the disk: compressed, and without what is in memory only.

const gigabyte = 1 << 30

// collection names the item collection of an item, for tables with local indexes; nil
// for others.
func (d *descriptor) collection(attrs item.Item) *CollectionMetrics {
	if !d.def.hasLocal() {
		return nil
	}
	name := d.def.Keys.Hash.Name
	return &CollectionMetrics{Key: item.NewItem([]item.Entry{{Name: name, Value: attrs.Get(name)}}), UpperGB: 1}
}

// add notes the collection of an item, once each.
func (c *TableCollections) add(t *Table, d *descriptor, attrs item.Item) {
	m := d.collection(attrs)
	if m == nil || slices.ContainsFunc(c.Metrics, func(have CollectionMetrics) bool {
		return item.Equal(item.Value(have.Key), item.Value(m.Key))
	}) {
		return
	}
	c.table, c.desc = t, d
	c.Metrics = append(c.Metrics, *m)
}

// estimate fills in the sizes of collections.
func (db *DB) estimate(list []TableCollections) error {
	for i := range list {
		c := &list[i]
		for n := range c.Metrics {
			size, err := db.collectionSize(c.table, c.desc, c.Metrics[n].Key)
			if err != nil {
				return err
			}
			c.Metrics[n].LowerGB, c.Metrics[n].UpperGB = sizeRange(size)
		}
	}
	return nil
}

// sizeRange returns the whole gigabytes between which a size is.
func sizeRange(size int64) (lower, upper float64) {
	lower = float64(size / gigabyte)
	return lower, lower + 1
}

// collectionSize estimates the bytes of the collection of a partition key.
func (db *DB) collectionSize(t *Table, d *descriptor, key item.Item) (int64, error) {
	hash := []item.Value{key.Get(d.def.Keys.Hash.Name)}
	partitions := [][]byte{d.def.Keys.AppendPartition(bytes.Clone(t.itemPrefix()), hash[0])}
	for i := range d.def.Indexes {
		if x := &d.def.Indexes[i]; x.Local {
			partitions = append(partitions, x.AppendPartition(indexPrefix(nil, t.id, x.ID), hash))
		}
	}
	size := int64(0)
	for _, p := range partitions {
		n, err := db.store.DiskUsage(p, store.PrefixEnd(p))
		if err != nil {
			return 0, err
		}
		size += n
	}
	return size, nil
}
