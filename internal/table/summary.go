package table

import (
	"context"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/schema"
)

// Summary is a table as a list shows it.
type Summary struct {
	*Description
	TTL string // the attribute by which items end; empty: they do not
}

// Summaries lists the tables of a scope whose names have a text in them, in whatever case, by name: at most limit of all.
func (db *DB) Summaries(ctx context.Context, scope schema.Scope, find string, limit int) (list []Summary, all int, err error) {
	var found []tableName
	tables := *db.tables.Load()
	find = strings.ToLower(find)
	for name := range tables {
		if name.Scope == scope && strings.Contains(strings.ToLower(name.name), find) {
			found = append(found, name)
		}
	}
	slices.SortFunc(found, func(a, b tableName) int { return strings.Compare(a.name, b.name) })
	now := db.now().UnixMilli()
	for _, name := range found[:min(limit, len(found))] {
		t := tables[name]
		t.mu.RLock()
		d := t.desc.Load()
		s := Summary{Description: describe(t, d, view{now: now})}
		t.mu.RUnlock()
		if d.def.TTL != nil {
			s.TTL = d.def.TTL.describe().Attribute
		}
		list = append(list, s)
	}
	return list, len(found), db.store.Barrier(ctx)
}
