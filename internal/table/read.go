package table

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// maxBatchGetBytes is where BatchGetItem leaves the rest unprocessed.
const maxBatchGetBytes = 16 << 20

// GetItem reads one item.
func (db *DB) GetItem(ctx context.Context, scope schema.Scope, r *request.GetItem) (*GetResult, error) {
	res, err := db.ViewItem(ctx, scope, r)
	if err != nil {
		return nil, err
	}
	res.Item = bytes.Clone(res.Item)
	if err := res.Close(); err != nil {
		return nil, err
	}
	return res, nil
}

// ViewItem is GetItem without a copy: the item is the store's until the result is closed, soon.
func (db *DB) ViewItem(ctx context.Context, scope schema.Scope, r *request.GetItem) (*GetResult, error) {
	t, err := db.lookup(ctx, scope, r.TableName)
	if err != nil {
		return nil, err
	}
	if e := r.Late.Error(); e != nil {
		return nil, e
	}
	d := t.desc.Load()
	if e := d.def.Keys.CheckKey(r.Key); e != nil {
		return nil, e
	}
	if e := checkProjection(d, r.Projection); e != nil {
		return nil, e
	}
	seen, found, err := db.view(ctx, t, d, r.Key, r.ConsistentRead)
	if err != nil {
		return nil, err
	}
	res := &GetResult{Found: found, seen: seen}
	if found {
		res.Item = seen.Value
	}
	if r.ReturnConsumedCapacity != request.CapacityNone {
		res.Capacity = capacity(r.TableName, r.ReturnConsumedCapacity, schema.ReadUnits(sizeOf(res.Item), r.ConsistentRead))
	}
	if found && r.Projection != nil {
		res.Item = r.Projection.Apply(res.Item)
	}
	return res, nil
}

// get reads the item of a checked key.
func (db *DB) get(ctx context.Context, t *Table, d *descriptor, key item.Item, consistent bool) (item.Item, error) {
	seen, found, err := db.view(ctx, t, d, key, consistent)
	if err != nil || !found {
		return nil, err
	}
	it := bytes.Clone(seen.Value)
	return it, seen.Close()
}

// view returns the item of a checked key where the store has it. A consistent read waits until what it saw
// is durable; the wait comes after the read (see the package comment).
func (db *DB) view(ctx context.Context, t *Table, d *descriptor, key item.Item, consistent bool) (_ store.Seen, found bool, err error) {
	var buf [128]byte
	k := binary.BigEndian.AppendUint64(append(buf[:0], store.SpaceItem), t.id)
	k = d.def.Keys.AppendKey(k, key)
	seen, found, err := db.store.View(k)
	if err != nil {
		return store.Seen{}, false, err
	}
	if consistent {
		err = db.stripes[xxhash.Sum64(k)%stripeCount].wait()
	}
	if err == nil {
		err = db.checkThere(ctx, t)
	}
	if err != nil {
		_ = seen.Close() // err tells more
		return store.Seen{}, false, err
	}
	return seen, found, nil
}

// BatchGetItem reads up to 100 items of several tables. Each item is read on its
// own.
func (db *DB) BatchGetItem(ctx context.Context, scope schema.Scope, r *request.BatchGetItem) (*BatchGetResult, error) {
	tables := make([]*Table, len(r.Tables))
	for i := range r.Tables {
		t, err := db.lookup(ctx, scope, r.Tables[i].TableName)
		if err != nil {
			return nil, err
		}
		tables[i] = t
	}
	for i := range r.Tables {
		d := tables[i].desc.Load()
		keys := &d.def.Keys
		for _, key := range r.Tables[i].Keys {
			if e := keys.CheckKey(key); e != nil {
				return nil, e
			}
		}
		if e := checkProjection(d, r.Tables[i].Projection); e != nil {
			return nil, e
		}
	}
	res := &BatchGetResult{}
	total := 0
	for i := range r.Tables {
		q := &r.Tables[i]
		d := tables[i].desc.Load()
		out := BatchGetTable{Requested: q.Requested}
		units := 0.0
		for n, key := range q.Keys {
			it, err := db.get(ctx, tables[i], d, key, q.ConsistentRead)
			if err != nil {
				return nil, err
			}
			if total+sizeOf(it) > maxBatchGetBytes {
				total = maxBatchGetBytes // nothing more is tried, of this table or the next
				rest := *q
				rest.Keys = q.Keys[n:]
				out.Unprocessed = &rest
				break
			}
			units += schema.ReadUnits(sizeOf(it), q.ConsistentRead)
			if it == nil {
				continue
			}
			total += it.Size()
			if q.Projection != nil {
				it = q.Projection.Apply(it)
			}
			out.Items = append(out.Items, it)
		}
		res.Tables = append(res.Tables, out)
		if r.ReturnConsumedCapacity != request.CapacityNone {
			res.Capacity = append(res.Capacity, capacity(q.TableName, r.ReturnConsumedCapacity, units))
		}
	}
	return res, nil
}
