package store

import "github.com/cockroachdb/pebble/v2"

// Batch gathers writes that are applied as one. It is used by one goroutine at a
// time. Keys must not be empty. Later writes of a key win over earlier ones.
type Batch struct {
	s  *Store
	pb *pebble.Batch // nil while empty
}

// NewBatch returns an empty batch from a pool.
func (s *Store) NewBatch() *Batch {
	b := s.batches.Get().(*Batch)
	b.s = s
	return b
}

// Close gives b back to the pool, applied or not. It must not be used afterwards.
func (b *Batch) Close() {
	s := b.s
	b.Reset()
	b.s = nil
	s.batches.Put(b)
}

// Reset makes b empty for use again.
func (b *Batch) Reset() {
	if b.pb != nil {
		_ = b.pb.Close() // returns it to the engine's pool; never fails
		b.pb = nil
	}
}

// take empties b and returns the engine's batch, ready to be applied; nil when
// nothing was written.
func (b *Batch) take() *pebble.Batch {
	pb := b.pb
	b.pb = nil
	return pb
}

func (b *Batch) engine() *pebble.Batch {
	if b.pb == nil {
		b.pb = b.s.db.NewBatch()
	}
	return b.pb
}

// Set writes value under key. Both are copied.
func (b *Batch) Set(key, value []byte) {
	_ = b.engine().Set(key, value, nil) // only an indexed batch can fail
}

// SetJoined writes a value that is made of two parts under key. All are copied.
func (b *Batch) SetJoined(key, head, tail []byte) {
	op := b.engine().SetDeferred(len(key), len(head)+len(tail))
	copy(op.Key, key)
	copy(op.Value[copy(op.Value, head):], tail)
	_ = op.Finish() // only an indexed batch can fail
}

// Delete removes key, whether or not it is there.
func (b *Batch) Delete(key []byte) {
	_ = b.engine().Delete(key, nil) // only an indexed batch can fail
}

// DeleteOnce is Delete for a key that has been set exactly once since it was last deleted, or never was. The engine then forgets both as soon as they
// meet, as at the flush of the memory that has them. Of a key that was set more often, an older value may come back.
func (b *Batch) DeleteOnce(key []byte) {
	_ = b.engine().SingleDelete(key, nil) // only an indexed batch can fail
}

// DeleteRange removes every key in [lower, upper).
func (b *Batch) DeleteRange(lower, upper []byte) {
	_ = b.engine().DeleteRange(lower, upper, nil) // only an indexed batch can fail
}

// Empty says that nothing has been written to b.
func (b *Batch) Empty() bool { return b.pb == nil }

// Len returns the bytes that b takes in the log.
func (b *Batch) Len() int {
	if b.pb == nil {
		return 0
	}
	return b.pb.Len()
}
