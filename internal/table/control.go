package table

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/stream"
)

const maxPartitions = 256

// CreateTable makes a table, with its stream when asked for.
func (db *DB) CreateTable(ctx context.Context, scope schema.Scope, r *request.CreateTable) (*Description, error) {
	return db.create(ctx, scope, r, nil)
}

// create makes a table; one that is to be filled (loader.go) when load is not nil.
func (db *DB) create(ctx context.Context, scope schema.Scope, r *request.CreateTable, load *LoadOptions) (*Description, error) {
	if e := checkSettings(r.Tags); e != nil {
		return nil, e
	}
	now := db.now()
	d := &descriptor{def: definition{
		Scope: scope, Name: r.TableName, UUID: uuid.NewString(), CreatedMS: now.UnixMilli(), Partitions: settingsOf(r.Tags).Shards, Keys: r.Keys,
		Settings: settings{
			PayPerRequest: r.PayPerRequest, Throughput: r.Throughput, OnDemand: someCaps(r.OnDemand), Warm: newWarm(r.Warm, r.PayPerRequest, r.Throughput),
			DeletionProtection: r.DeletionProtection, TableClass: r.TableClass, Encryption: r.Encryption, Tags: r.Tags,
		},
		Passing: db.pass(now.UnixMilli(), statusCreating, ""),
	}}
	if r.PayPerRequest {
		d.def.Settings.PayPerRequestMS = now.UnixMilli()
	}
	if load != nil {
		d.def.Passing, d.def.Restored = loading(), load.Restored
	}
	var desc *Description
	err := db.change(ctx, func(b *store.Batch, c *store.Commit) (func(bool), error) {
		switch t := db.find(scope, r.TableName); {
		case t != nil && t.desc.Load().def.creating(now.UnixMilli()):
			return nil, awserr.TableBeingCreated(r.TableName)
		case t != nil:
			return nil, awserr.TableExists(r.TableName)
		case db.leavingTable(scope, r.TableName, now.UnixMilli()) != nil:
			return nil, awserr.TableBeingDeleted(r.TableName)
		}
		d.def.ID = db.takeID(b)
		for i := range r.Local {
			d.def.Indexes = append(d.def.Indexes, newIndex(db.takeID(b), &r.Local[i], true, r.Attributes))
		}
		for i := range r.Global {
			d.def.Indexes = append(d.def.Indexes, newIndex(db.takeID(b), &r.Global[i], false, r.Attributes))
		}
		d.def.compile()
		if r.Stream != nil {
			if err := db.addStream(b, d, r.Stream.View); err != nil {
				return nil, err
			}
		}
		if r.ResourcePolicy != "" {
			if _, err := putPolicy(b, d.def.ID, nil, r.ResourcePolicy, now.UnixMilli()); err != nil {
				return nil, err
			}
		}
		shown := *d
		d.def.settle(now.UnixMilli())
		if err := putDefinition(b, &d.def); err != nil {
			return nil, err
		}
		if load != nil {
			if err := load.With(b, d.def.UUID); err != nil {
				return nil, err
			}
		}
		return func(applied bool) {
			if !applied {
				return
			}
			t := newTable(d)
			t.made = c
			db.setTables(func(m map[tableName]*Table) { m[tableName{scope, r.TableName}] = t })
			if d.stream != nil {
				db.streams.Publish(d.stream)
			}
			desc = describe(t, &shown, view{now.UnixMilli(), true})
		}, nil
	})
	if err != nil {
		return nil, err
	}
	// What was not asked for is shown by DescribeTable only.
	if r.Warm == nil {
		desc.Warm = nil
	}
	for i := range desc.Global {
		if x := desc.Global[i].Name; !slices.ContainsFunc(r.Global, func(g request.Index) bool { return g.Name == x && g.Warm != nil }) {
			desc.Global[i].WarmUnits = nil
		}
	}
	return desc, nil
}

// change makes one batch of definitions and applies it under DB.control, then
// runs done, which learns whether it was applied and swaps what is in memory,
// before the lock is released. It returns after the sync. An error of AWS's that
// make returns tells of the tables that are; it is answered when they are durable.
func (db *DB) change(ctx context.Context, make func(b *store.Batch, c *store.Commit) (done func(applied bool), err error)) error {
	return db.changing(ctx, false, make)
}

// changing is change; deletes says that it removes something.
func (db *DB) changing(ctx context.Context, deletes bool, make func(b *store.Batch, c *store.Commit) (done func(applied bool), err error)) error {
	if err := db.admit(deletes); err != nil {
		return err
	}
	return db.changeAdmitted(ctx, make)
}

// changeAdmitted is change once the store has admitted it.
func (db *DB) changeAdmitted(ctx context.Context, make func(b *store.Batch, c *store.Commit) (done func(applied bool), err error)) error {
	b := db.store.NewBatch()
	defer b.Close()
	c := db.store.Begin()
	err := func() error {
		db.control.Lock()
		defer db.control.Unlock()
		db.sweepLeaving(b)
		done, err := make(b, c)
		if err != nil {
			return err
		}
		err = db.store.Apply(c, b)
		done(err == nil)
		return err
	}()
	if err != nil {
		db.store.Abandon(c)
		if e, ok := errors.AsType[*awserr.Error](err); ok {
			return db.whenDurable(ctx, e)
		}
		return err
	}
	return db.store.Sync(c)
}

// takeID returns an internal id that was never used. It holds DB.control.
func (db *DB) takeID(b *store.Batch) uint64 {
	id := db.nextID
	db.nextID++
	b.Set([]byte{store.SpaceControl, controlNextID}, binary.BigEndian.AppendUint64([]byte{definitionVersion}, db.nextID))
	return id
}

func (db *DB) setTables(f func(map[tableName]*Table)) {
	m := maps.Clone(*db.tables.Load())
	f(m)
	db.tables.Store(&m)
}

func putDefinition(b *store.Batch, def *definition) error {
	body, err := json.Marshal(def)
	if err != nil {
		return err
	}
	version := byte(definitionVersion)
	switch {
	case def.Recovery != nil:
		version = recoveryVersion
	case len(def.Ranges) > 0:
		version = splitVersion
	}
	b.Set(definitionKey(def.ID), append([]byte{version}, body...))
	return nil
}

// addStream makes a stream for the table that d describes.
func (db *DB) addStream(b *store.Batch, d *descriptor, view string) error {
	v, ok := stream.ParseViewType(view)
	if !ok {
		return awserr.EnabledStreamNeedsView()
	}
	hours := settingsOf(d.def.Settings.Tags).Retention
	s, err := db.streams.Create(b, db.takeID(b), d.def.Scope, d.def.Name, d.def.Keys, v, d.def.Partitions, hours)
	if err != nil {
		return err
	}
	d.stream, d.open = s, openShards(s, d.def.Partitions)
	d.def.StreamID, d.def.LatestStream, d.def.LatestLabel = s.ID, s.ARN, s.Label
	return nil
}

// DeleteTable removes a table with its items. Its streams stay readable for
// their retention; no records are made of the items.
func (db *DB) DeleteTable(ctx context.Context, scope schema.Scope, r *request.DeleteTable) (*Description, error) {
	var desc *Description
	var ended *stream.Reshaping
	gone := func() {}
	err := db.changing(ctx, true, func(b *store.Batch, _ *store.Commit) (func(bool), error) {
		now := db.now().UnixMilli()
		t, e := db.forChange(scope, r.TableName, now)
		if e != nil {
			return nil, e
		}
		old := t.desc.Load()
		if old.def.Settings.DeletionProtection {
			return nil, awserr.DeletionProtected()
		}
		if e := old.def.checkDeletable(now); e != nil {
			return nil, e
		}
		next := *old
		next.stream, next.open, next.dropped = nil, nil, true
		b.Delete(definitionKey(t.id))
		b.Delete(policyKey(t.id))
		kept := old.def.Recovery != nil && db.deleting != nil
		if kept {
			old.dropAround(b, t)
		} else {
			old.dropRows(db.store, b, t)
			gone = func() { db.store.Gone(t.itemBounds()) }
		}
		t.lockExclusive()
		t.ending.Store(true)
		stay := func(err error) (func(bool), error) {
			t.ending.Store(false)
			t.mu.Unlock()
			return nil, err
		}
		if old.stream != nil {
			var err error
			if ended, err = old.stream.Close(b); err != nil {
				return stay(err)
			}
		}
		desc = describe(t, old, view{now: now})
		saved := func() {}
		if kept {
			s, err := t.saved(old)
			if err == nil {
				saved, err = db.deleting(b, scope, r.TableName, s)
			}
			if err != nil {
				return stay(err)
			}
		}
		var left *leavingTable
		if db.delay > 0 {
			var err error
			if left, err = leave(b, &old.def, desc, db.pass(now, statusDeleting, "")); err != nil {
				return stay(err)
			}
		}
		return func(applied bool) {
			defer t.mu.Unlock()
			if !applied {
				return // the store is poisoned
			}
			t.desc.Store(&next)
			saved()
			if left != nil {
				db.setLeaving(func(m map[tableName]*leavingTable) { m[tableName{scope, r.TableName}] = left })
			}
			db.setTables(func(m map[tableName]*Table) { delete(m, tableName{scope, r.TableName}) })
		}, nil
	})
	if err != nil {
		return nil, err
	}
	if ended != nil {
		ended.Durable()
	}
	gone()
	desc.Status, desc.Deleted = statusDeleting, true
	return desc, nil
}

// Deleting is called when a table is removed that has point-in-time recovery, under the table's lock: it puts into the batch what
// will make a backup of it, and returns what is called when the batch has been applied. The items stay, and nobody else
// reads or changes them, until Saved.Drop.
type Deleting func(b *store.Batch, scope schema.Scope, name string, s *Saved) (applied func(), err error)

// OnDelete has f called from now on. It is called before there are requests.
func (db *DB) OnDelete(f Deleting) { db.deleting = f }

// dropRows removes what a table holds: items, entries, counts and the log of their changes.
func (d *descriptor) dropRows(s *store.Store, b *store.Batch, t *Table) {
	s.DropRange(b, t.itemPrefix(), store.PrefixEnd(t.itemPrefix()))
	d.dropAround(b, t)
}

// dropAround is dropRows but for the items.
func (d *descriptor) dropAround(b *store.Batch, t *Table) {
	if d.def.Recovery != nil {
		d.def.Recovery.drop(b)
	}
	heads := binary.BigEndian.AppendUint64([]byte{store.SpaceHead}, t.id)
	b.DeleteRange(heads, store.PrefixEnd(heads))
	d.dropIndexes(b, t)
	if d.def.TTL != nil {
		d.def.TTL.drop(b)
	}
}

// DescribeTable shows a table with its exact counts.
func (db *DB) DescribeTable(ctx context.Context, scope schema.Scope, r *request.DescribeTable) (*Description, error) {
	now := db.now().UnixMilli()
	t := db.find(scope, r.TableName)
	if t == nil {
		if l := db.leavingTable(scope, r.TableName, now); l != nil {
			return l.describe(now), db.store.Barrier(ctx)
		}
		return nil, db.whenDurable(ctx, awserr.TableNotFound(r.TableName))
	}
	t.mu.RLock() // a split changes the list of partitions
	desc := describe(t, t.desc.Load(), view{now: now})
	t.mu.RUnlock()
	// The counts are of what was applied; show them when they are durable.
	return desc, db.store.Barrier(ctx)
}

// ListTables returns one page of names in byte order.
func (db *DB) ListTables(ctx context.Context, scope schema.Scope, r *request.ListTables) (*ListResult, error) {
	res := &ListResult{Names: []string{}}
	for name := range *db.tables.Load() {
		if name.Scope == scope && name.name > r.After {
			res.Names = append(res.Names, name.name)
		}
	}
	now := db.now().UnixMilli()
	for name, l := range *db.leaving.Load() {
		if name.Scope == scope && name.name > r.After && l.Until.on(now) {
			res.Names = append(res.Names, name.name)
		}
	}
	slices.Sort(res.Names)
	if len(res.Names) > r.Limit {
		res.Names = res.Names[:r.Limit]
		res.Last = res.Names[r.Limit-1]
	}
	return res, db.store.Barrier(ctx)
}

// describe shows a table.
func describe(t *Table, d *descriptor, v view) *Description {
	s := &d.def.Settings
	warm := s.warm()
	desc := &Description{
		Name: d.def.Name, ARN: d.def.Scope.TableARN(d.def.Name), ID: d.def.UUID, Status: statusActive,
		Created: time.UnixMilli(d.def.CreatedMS), Keys: d.def.Keys, Attributes: []schema.Attribute{d.def.Keys.Hash},
		PayPerRequest: s.PayPerRequest, Throughput: s.Throughput, OnDemand: s.OnDemand, Warm: &warm, WarmStatus: statusActive,
		StreamEnabled: d.stream != nil, LatestStreamARN: d.def.LatestStream, LatestStreamLabel: d.def.LatestLabel,
		DeletionProtection: s.DeletionProtection,
	}
	if d.def.Keys.HasRange() {
		desc.Attributes = append(desc.Attributes, d.def.Keys.Range)
	}
	if d.stream != nil {
		desc.StreamView = d.stream.View.String()
	}
	if d.def.Passing != nil && d.def.Passing.Change == changeLoad { // as on AWS nothing tells it from other tables once it is there
		desc.Restored = d.def.Restored
	}
	describeSettings(d, desc, v)
	describeIndexes(t, d, desc, v)
	slices.SortFunc(desc.Attributes, func(a, b schema.Attribute) int { return strings.Compare(a.Name, b.Name) })
	for i := range t.parts {
		p := t.parts[i]
		p.mu.Lock()
		desc.ItemCount += p.items
		desc.SizeBytes += p.bytes
		p.mu.Unlock()
	}
	return desc
}

// describeSettings shows the settings that have states in between.
func describeSettings(d *descriptor, desc *Description, v view) {
	s := &d.def.Settings
	class, today := shownClass{s.TableClass, s.ClassMS}, s.Changes.today(v.now)
	if s.PayPerRequestMS != 0 {
		desc.BillingMode, desc.OnDemandSince = "PROVISIONED", time.UnixMilli(s.PayPerRequestMS)
	}
	if s.PayPerRequest {
		desc.BillingMode = "PAY_PER_REQUEST"
	}
	if p := d.def.Passing; p.seen(v) {
		desc.Status = p.Status
		if p.Throughput != nil {
			desc.Throughput, today = *p.Throughput, p.Decreases
		}
		if p.Class != nil {
			class = *p.Class
		}
		if p.Status == statusCreating {
			desc.WarmStatus = statusUpdating
		}
		if p.Status == statusCreating || p.Change == changeBilling && (v.between || s.PayPerRequest) {
			desc.OnDemandSince = time.Time{}
		}
	}
	if p := d.def.Warming; p.seen(v) {
		desc.Warm, desc.WarmStatus = p.Warm, statusUpdating
	}
	desc.Changes = s.Changes.describe(today)
	desc.TableClass = class.Name
	if class.UpdatedMS != 0 {
		desc.ClassUpdated = time.UnixMilli(class.UpdatedMS)
	}
	encryption := s.Encryption
	if p := d.def.Encrypting; p.seen(v) {
		desc.Encryption = &Encryption{Status: statusUpdating}
		if p.Encryption != nil {
			desc.Encryption.KeyARN = keyARN(d.def.Scope, p.Encryption.Key)
		}
	} else if encryption != nil && encryption.Enabled {
		desc.Encryption = &Encryption{Status: "ENABLED", KeyARN: keyARN(d.def.Scope, encryption.Key)}
	}
}

// capacity is what an operation on a table without indexes used.
func capacity(table string, asked request.ReturnConsumedCapacity, units float64) *Capacity {
	return &Capacity{TableName: table, Units: units, Indexes: asked == request.CapacityIndexes, Table: units}
}
