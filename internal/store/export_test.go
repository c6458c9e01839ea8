package store

import "context"

// Isolated returns when no damaged file is being looked at.
func (s *Store) Isolated() { s.damages.work.Wait() }

// CompactAll merges everything that there is.
func (s *Store) CompactAll() error {
	return s.db.Compact(context.Background(), []byte{0}, []byte{0xff}, false)
}

// UpperLevel is how many parts the engine's upper level has.
func (s *Store) UpperLevel() int { return int(s.db.Metrics().Levels[0].Sublevels) }

// WritesStopAt is the number of parts at which writes are refused.
const WritesStopAt = l0Stop * 3 / 4
