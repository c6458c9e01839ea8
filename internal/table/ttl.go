package table

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// Time to live is an index of a table's items by the second in which they expire:
//
//	SpaceTTL, internal id (8), expiry second (8), the item's key after its table id
//
// Its entries are written in the batch of the item (Tx.putExpiry), so they are
// exactly those that the items ask for. Items that were there before are brought in
// by the back-fill. Each enabling has an id of its own: what an earlier one left
// is never met again.

// timeToLive is the stored form of an enabled time to live.
type timeToLive struct {
	ID        uint64 `json:"id"`
	Attribute string `json:"attribute"`
	// Filled says that the back-fill is done.
	Filled bool `json:"filled,omitempty"`
}

func (ttl *timeToLive) prefix() []byte {
	return binary.BigEndian.AppendUint64([]byte{store.SpaceTTL}, ttl.ID)
}

const expiryPrefix = 1 + 8 + 8 // SpaceTTL, id, second

// from is where the entries of a second and later begin.
func (ttl *timeToLive) from(at time.Time) []byte {
	return binary.BigEndian.AppendUint64(ttl.prefix(), uint64(max(0, at.Unix())))
}

// second is that of an entry's key.
func (ttl *timeToLive) second(entry []byte) uint64 {
	return binary.BigEndian.Uint64(entry[expiryPrefix-8:])
}

// appendExpiryKey appends the key of an entry; itemKey is the item's storage key.
func (ttl *timeToLive) appendExpiryKey(dst []byte, second uint64, itemKey []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, store.SpaceTTL), ttl.ID)
	dst = binary.BigEndian.AppendUint64(dst, second)
	return append(dst, itemKey[itemPrefix:]...)
}

// expiry returns the second in which an item expires, rounded down. Only an N
// counts; a time before 1970, or one that no clock will show, is never.
func (ttl *timeToLive) expiry(it item.Item) (second uint64, expires bool) {
	if it == nil {
		return 0, false
	}
	s, ok := it.Get(ttl.Attribute).Int64()
	return uint64(s), ok && s > 0
}

// putExpiry writes what a changed item changes in the index.
func (tx *Tx) putExpiry(b *store.Batch, i int) {
	o := &tx.ops[i]
	ttl := o.desc.def.TTL
	if ttl == nil {
		return
	}
	before, was := ttl.expiry(o.old)
	after, is := ttl.expiry(o.new)
	if was == is && before == after {
		return
	}
	var buf [160]byte
	if was {
		b.Delete(ttl.appendExpiryKey(buf[:0], before, tx.key(i)))
	}
	if is {
		b.Set(ttl.appendExpiryKey(buf[:0], after, tx.key(i)), nil)
	}
}

// TimeToLive is the state of a table's time to live.
type TimeToLive struct {
	Status    string // "ENABLING", "ENABLED" or "DISABLED"
	Attribute string // empty: disabled
}

func (ttl *timeToLive) describe() *TimeToLive {
	switch {
	case ttl == nil:
		return &TimeToLive{Status: "DISABLED"}
	case !ttl.Filled:
		return &TimeToLive{Status: "ENABLING", Attribute: ttl.Attribute}
	}
	return &TimeToLive{Status: "ENABLED", Attribute: ttl.Attribute}
}

// UpdateTimeToLive turns time to live on or off. It returns what was asked for.
func (db *DB) UpdateTimeToLive(ctx context.Context, scope schema.Scope, r *request.UpdateTimeToLive) (*request.UpdateTimeToLive, error) {
	err := db.change(ctx, func(b *store.Batch, _ *store.Commit) (func(bool), error) {
		t, e := db.forChange(scope, r.TableName, db.now().UnixMilli())
		if e != nil {
			if t := db.find(scope, r.TableName); t != nil {
				e = awserr.TableInCreation(r.TableName)
			}
			return nil, e
		}
		old := t.desc.Load()
		next := *old
		switch ttl := old.def.TTL; {
		case ttl == nil && !r.Enabled:
			return nil, awserr.TimeToLiveDisabled()
		case ttl != nil && ttl.Attribute != r.Attribute:
			return nil, awserr.TimeToLiveOnAnother(ttl.Attribute)
		case ttl != nil && r.Enabled:
			return nil, awserr.TimeToLiveEnabled()
		case r.Enabled:
			next.def.TTL = &timeToLive{ID: db.takeID(b), Attribute: r.Attribute}
		default:
			next.def.TTL = nil
			ttl.drop(b)
		}
		if err := putDefinition(b, &next.def); err != nil {
			return nil, err
		}
		// From here until the swap no write may run: one that loaded the old
		// descriptor would leave no entry, or one in a range that is gone.
		t.lockExclusive()
		return func(applied bool) {
			defer t.mu.Unlock()
			if applied {
				t.desc.Store(&next)
			}
		}, nil
	})
	if err != nil {
		return nil, err
	}
	db.fillSoon()
	return r, nil
}

// drop removes all entries and what the back-fill has noted.
func (ttl *timeToLive) drop(b *store.Batch) {
	b.DeleteRange(ttl.prefix(), store.PrefixEnd(ttl.prefix()))
	b.Delete(cursorKey(ttl.ID))
}

// DescribeTimeToLive shows whether items of a table expire, and by what.
func (db *DB) DescribeTimeToLive(ctx context.Context, scope schema.Scope, r *request.DescribeTimeToLive) (*TimeToLive, error) {
	now := db.now().UnixMilli()
	t := db.find(scope, r.TableName)
	switch {
	case t == nil && db.leavingTable(scope, r.TableName, now) != nil:
		return nil, db.whenDurable(ctx, awserr.TimeToLiveOfPassing(statusDeleting))
	case t == nil:
		return nil, db.whenDurable(ctx, awserr.TableNotFound(r.TableName))
	case t.desc.Load().def.creating(now):
		return nil, db.whenDurable(ctx, awserr.TimeToLiveOfPassing(statusCreating))
	}
	return t.desc.Load().def.TTL.describe(), db.store.Barrier(ctx)
}
