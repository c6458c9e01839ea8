package local

import (
	"encoding/binary"
	"errors"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// A tumbling window is a row under
//
//	SpaceWindow, mapping id (16), shard id
//
// with: version, start and end in seconds (8 each), time of the newest record in
// ms (8), and the state. It is written in one batch with the position that it belongs to.
const (
	windowVersion    = 1
	windowHeaderSize = 1 + 3*8
)

func windowPrefix(uuid [16]byte) []byte {
	return append([]byte{store.SpaceWindow}, uuid[:]...)
}

// putWindow writes or removes the window of a row.
func putWindow(batch *store.Batch, uuid [16]byte, r *backend.Row) {
	if r.Window == nil && !r.WindowEnded {
		return
	}
	key := append(windowPrefix(uuid), r.Shard...)
	w := r.Window
	if w == nil {
		batch.Delete(key)
		return
	}
	v := make([]byte, 1, windowHeaderSize+len(w.State))
	v[0] = windowVersion
	v = binary.BigEndian.AppendUint64(v, uint64(w.Start))
	v = binary.BigEndian.AppendUint64(v, uint64(w.End))
	v = binary.BigEndian.AppendUint64(v, uint64(w.Newest))
	batch.Set(key, append(v, w.State...))
}

// readWindows puts the stored windows of a mapping to its positions.
func (b *Backend) readWindows(uuid [16]byte, rows map[string]lane.Checkpoint) error {
	prefix := windowPrefix(uuid)
	return b.store.Each(prefix, func(k, v []byte) error {
		if len(v) < windowHeaderSize || v[0] != windowVersion {
			return errors.New("local: the window of a mapping is damaged or was written by a newer release")
		}
		shard := string(k[len(prefix):])
		row, ok := rows[shard]
		if !ok {
			return errors.New("local: the window of a mapping has no position")
		}
		row.Window = &lane.Window{
			Start: int64(binary.BigEndian.Uint64(v[1:])), End: int64(binary.BigEndian.Uint64(v[9:])),
			Newest: int64(binary.BigEndian.Uint64(v[17:])), State: append([]byte(nil), v[windowHeaderSize:]...),
		}
		rows[shard] = row
		return nil
	})
}
