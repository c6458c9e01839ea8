package table

import (
	"context"

	"github.com/millstreamdb/millstream/internal/schema"
)

// Exists reports whether there is a table, once that is durable.
func (db *DB) Exists(ctx context.Context, scope schema.Scope, name string) (bool, error) {
	there := db.find(scope, name) != nil
	return there, db.store.Barrier(ctx)
}
