package table

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// A table that was removed is gone at once with all its data. With a delay of the
// statuses a row tells for as long that its name was a table's, which control
// operations show as DELETING.

const controlLeaving = 'd' // SpaceControl, 'd', table id

// leavingTable is a removed table as it is shown.
type leavingTable struct {
	ID        uint64             `json:"id"`
	Scope     schema.Scope       `json:"scope"`
	Name      string             `json:"name"`
	UUID      string             `json:"uuid"`
	Items     int64              `json:"items"`
	Bytes     int64              `json:"bytes"`
	OnDemand  bool               `json:"onDemand,omitempty"`
	Units     request.Throughput `json:"units"`
	Changes   unitChanges        `json:"changes"`
	Until     passing            `json:"until"`
	CreatedMS int64              `json:"createdMs"`
}

func leavingKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{store.SpaceControl, controlLeaving}, id)
}

// leave writes the row of a table that is removed, and returns it.
func leave(b *store.Batch, d *definition, desc *Description, p *passing) (*leavingTable, error) {
	l := &leavingTable{
		ID: d.ID, Scope: d.Scope, Name: d.Name, UUID: d.UUID, CreatedMS: d.CreatedMS, Items: desc.ItemCount, Bytes: desc.SizeBytes,
		OnDemand: d.Settings.PayPerRequest, Units: d.Settings.Throughput, Changes: d.Settings.Changes, Until: *p,
	}
	body, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	b.Set(leavingKey(d.ID), append([]byte{definitionVersion}, body...))
	return l, nil
}

// leavingTable returns a removed table that is still shown; nil for none.
func (db *DB) leavingTable(scope schema.Scope, name string, now int64) *leavingTable {
	l := (*db.leaving.Load())[tableName{scope, name}]
	if l == nil || !l.Until.on(now) {
		return nil
	}
	return l
}

func (db *DB) setLeaving(f func(map[tableName]*leavingTable)) {
	m := maps.Clone(*db.leaving.Load())
	f(m)
	db.leaving.Store(&m)
}

// sweepLeaving removes the rows of tables that are shown no more. It holds
// DB.control. What a batch that fails leaves behind is removed by a later process.
func (db *DB) sweepLeaving(b *store.Batch) {
	now := db.now().UnixMilli()
	for name, l := range *db.leaving.Load() {
		if !l.Until.on(now) {
			b.Delete(leavingKey(l.ID))
			db.setLeaving(func(m map[tableName]*leavingTable) { delete(m, name) })
		}
	}
}

// loadLeaving reads the rows of removed tables.
func (db *DB) loadLeaving() error {
	left := map[tableName]*leavingTable{}
	db.leaving.Store(&left)
	lower := []byte{store.SpaceControl, controlLeaving}
	it, err := db.store.NewIter(lower, store.PrefixEnd(lower))
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.Value()
		if err != nil {
			return err
		}
		l := new(leavingTable)
		if len(v) == 0 || v[0] != definitionVersion {
			return fmt.Errorf("table: the row of a removed table is damaged")
		}
		if err := json.Unmarshal(v[1:], l); err != nil {
			return fmt.Errorf("table: the row of a removed table is damaged: %w", err)
		}
		left[tableName{l.Scope, l.Name}] = l
	}
	return it.Close()
}

func (l *leavingTable) describe(now int64) *Description {
	return &Description{
		Name: l.Name, ARN: l.Scope.TableARN(l.Name), ID: l.UUID, Status: statusDeleting, Deleted: true,
		Created: time.UnixMilli(l.CreatedMS), ItemCount: l.Items, SizeBytes: l.Bytes,
		PayPerRequest: l.OnDemand, Throughput: l.Units, Changes: l.Changes.describe(l.Changes.today(now)),
	}
}
