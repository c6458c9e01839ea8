package table

import (
	"errors"

	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/stream"
)

// ErrNotEnabled says that a stream is not the enabled one of a table.
var ErrNotEnabled = errors.New("the stream is not the enabled stream of its table")

// Moment is a table between two writes.
type Moment struct {
	Lower, Upper []byte // bounds of its items' keys in the store
	Items        int64
	// Heads are the numbers of the last records of the stream's open shards, durable or not; the items
	// are what came of these records and no later ones.
	Heads map[*stream.Shard]seqnum.Num
}

// Hold calls f while no write of the table whose enabled stream has this ARN is under way: everything stamped has been
// applied. Writers wait meanwhile.
func (db *DB) Hold(arn string, f func(Moment) error) error {
	st := db.streams.Get(arn)
	if st == nil {
		return ErrNotEnabled
	}
	t := db.find(st.Scope, st.Table)
	if t == nil {
		return ErrNotEnabled
	}
	t.lockExclusive()
	defer t.mu.Unlock()
	d := t.desc.Load()
	if d.dropped || d.stream != st {
		return ErrNotEnabled
	}
	m := Moment{Heads: map[*stream.Shard]seqnum.Num{}}
	m.Lower, m.Upper = t.itemBounds()
	for _, p := range t.parts {
		p.mu.Lock()
		m.Items += p.items
		p.mu.Unlock()
	}
	for _, sh := range d.open {
		m.Heads[sh] = sh.Stamped()
	}
	return f(m)
}
