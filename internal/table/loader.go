package table

import (
	"context"
	"errors"
	"math"
	"math/bits"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// A table that is made of a backup or an import is CREATING until all of its items are there, and refuses requests, as on
// AWS. Its items go through Tx like those of any write, in batches, so entries and counts are
// derived in the one place; it has no stream yet, so no records are made.

// Restored says what a table was restored from.
type Restored struct {
	BackupARN string `json:"backupArn,omitempty"` // empty: it was restored to a moment
	TableARN  string `json:"tableArn"`            // of the table that it is a copy of
	AtMS      int64  `json:"atMs"`                // the moment that was restored, in ms since 1970
}

// LoadOptions say how a table is made that is then filled.
type LoadOptions struct {
	Restored *Restored // nil: it is an import
	// With puts what belongs to the table into the batch that makes it; id is its TableId.
	With func(b *store.Batch, id string) error
}

// loading is the state of a table that is being filled: it ends with Loader.Done only, whatever the clock shows.
func loading() *passing {
	return &passing{UntilMS: math.MaxInt64, Status: statusCreating, Change: changeLoad}
}

// CreateToLoad makes a table that is to be filled. It is CREATING until Loader.Done.
func (db *DB) CreateToLoad(ctx context.Context, scope schema.Scope, r *request.CreateTable, f LoadOptions) (*Description, error) {
	return db.create(ctx, scope, r, &f)
}

// Loader fills a table. It is used by one goroutine.
type Loader struct {
	db   *DB
	t    *Table
	d    *descriptor
	keys map[string]int // of Put
	key  []byte
	put  *putKeys    // since Clear; nil: there may be items from before
	last []item.Item // scratch of Put
	held int         // bytes that were put since the engine was last told to empty its memory
}

// holdMost is how much of what a Loader puts stays in the engine's memory: less than the engine would hold by itself, so that filling a table takes less
// of it than the work of a server does.
const holdMost = 20 << 20

// putKeys says of a key that it has certainly not been put, or that it may have been: to look for what is not there takes a fifth of filling a table. Of
// three million keys it takes one in a hundred for another; beyond that, more of them.
type putKeys [1 << 19]uint64

// add adds a key by its hash, and says whether it may have been added before.
func (p *putKeys) add(hash uint64) (before bool) {
	before = true
	for range 4 {
		bit := uint64(1) << (hash & 63)
		word := &p[hash>>6&(uint64(len(p))-1)]
		before = before && *word&bit != 0
		*word |= bit
		hash = bits.RotateLeft64(hash*0x9e3779b97f4a7c15, 32)
	}
	return before
}

// Loader returns that of a table that CreateToLoad has made and that is not done, by its TableId; nil: there is none such.
func (db *DB) Loader(scope schema.Scope, name, id string) *Loader {
	t := db.find(scope, name)
	if t == nil {
		return nil
	}
	d := t.desc.Load()
	if d.dropped || d.def.UUID != id || d.def.Passing == nil || d.def.Passing.Change != changeLoad {
		return nil
	}
	return &Loader{db: db, t: t, d: d, keys: map[string]int{}}
}

// Types returns the types of the key attributes, of the table and of its indexes.
func (f *Loader) Types() map[string]item.Type {
	types := map[string]item.Type{}
	for _, a := range f.d.def.Keys.Attributes() {
		types[a.Name] = a.Type
	}
	for i := range f.d.def.Indexes {
		x := &f.d.def.Indexes[i]
		for n := range x.Len() {
			types[x.At(n).Name] = x.At(n).Type
		}
	}
	return types
}

// Check returns why an item cannot be in the table; nil: it can.
func (f *Loader) Check(it item.Item) *awserr.Error {
	if it.Size() > schema.MaxItemSize {
		return awserr.ItemTooLarge()
	}
	if e := f.d.def.Keys.CheckItem(it); e != nil {
		return e
	}
	return checkIndexKeys(f.d, it)
}

// Put writes items, durably; of several with one key the last. They have been checked, or were in a table like this one.
func (f *Loader) Put(items []item.Item) error {
	if err := f.db.store.Admit(); err != nil {
		return err
	}
	clear(f.keys)
	for i, it := range items {
		f.key = f.d.def.Keys.AppendKey(f.key[:0], it)
		f.keys[string(f.key)] = i
	}
	tx := f.db.begin()
	d := tx.join(f.t)
	if d == nil {
		return errors.Join(tx.release(), errors.New("table: a table that was being filled is gone"))
	}
	last := f.last[:0]
	for i, it := range items {
		f.key = d.def.Keys.AppendKey(f.key[:0], it)
		if f.keys[string(f.key)] == i {
			tx.add(f.t, d, it)
			last = append(last, it)
		}
	}
	tx.lock()
	lost := len(f.db.store.Quarantine()) > 0 // reads say so
	for i, it := range last {
		if may := f.put == nil || f.put.add(tx.ops[i].keyHash); may || lost {
			if _, err := tx.load(i, true); err != nil {
				return errors.Join(err, tx.release())
			}
		}
		tx.put(i, it)
	}
	if err := tx.commit(); err != nil {
		return err
	}
	f.last = last
	for _, it := range last {
		f.held += len(it) * (1 + len(d.def.Indexes))
	}
	if f.held < holdMost {
		return nil
	}
	f.held = 0
	return f.db.store.FlushSoon()
}

// change changes the table. It is admitted like a delete: it removes something, or ends what holds space. A refusal
// is the store's own error, by which a worker knows that it has to wait; no client is told of it.
func (f *Loader) change(ctx context.Context, make func(b *store.Batch, c *store.Commit) (done func(applied bool), err error)) error {
	if err := f.db.store.AdmitDelete(); err != nil {
		return err
	}
	return f.db.changeAdmitted(ctx, make)
}

// Clear removes all items, so that filling can begin anew.
func (f *Loader) Clear(ctx context.Context) error {
	return f.change(ctx, func(b *store.Batch, _ *store.Commit) (func(bool), error) {
		f.d.dropRows(f.db.store, b, f.t)
		f.t.lockExclusive()
		return func(applied bool) {
			defer f.t.mu.Unlock()
			if !applied {
				return // the store is poisoned
			}
			f.put = new(putKeys)
			for _, p := range f.t.parts {
				p.mu.Lock()
				p.items, p.bytes, p.indexes = 0, 0, nil
				p.mu.Unlock()
			}
		}, nil
	})
}

// Done ends the filling: the table is ACTIVE. with puts more into the batch that says so.
func (f *Loader) Done(ctx context.Context, with func(b *store.Batch) error) error {
	return f.change(ctx, func(b *store.Batch, _ *store.Commit) (func(bool), error) {
		next := *f.t.desc.Load()
		next.def.Passing = nil
		err := putDefinition(b, &next.def)
		if err == nil {
			err = with(b)
		}
		return func(applied bool) {
			if applied {
				f.t.desc.Store(&next)
			}
		}, err
	})
}

// Discard removes the table, which could not be filled. with puts more into the batch.
func (f *Loader) Discard(ctx context.Context, with func(b *store.Batch) error) error {
	err := f.change(ctx, func(b *store.Batch, _ *store.Commit) (func(bool), error) {
		next := *f.t.desc.Load()
		next.dropped = true
		b.Delete(definitionKey(f.t.id))
		b.Delete(policyKey(f.t.id))
		next.dropRows(f.db.store, b, f.t)
		if err := with(b); err != nil {
			return nil, err
		}
		f.t.lockExclusive()
		f.t.ending.Store(true)
		return func(applied bool) {
			defer f.t.mu.Unlock()
			if applied {
				f.t.desc.Store(&next)
				f.db.setTables(func(m map[tableName]*Table) { delete(m, tableName{next.def.Scope, next.def.Name}) })
			}
		}, nil
	})
	if err == nil {
		f.db.store.Gone(f.t.itemBounds())
	}
	return err
}
