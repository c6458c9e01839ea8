package store

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Isolated returns when no damaged file is being looked at. The engine's work may meet another meanwhile, so it is no wait for the group of that work.
func (s *Store) Isolated() {
	for {
		var looking chan struct{}
		s.damages.mu.Lock()
		for _, f := range s.damages.files {
			if f.looking != nil {
				looking = f.looking
			}
		}
		s.damages.mu.Unlock()
		if looking == nil {
			return
		}
		<-looking
	}
}

// CompactAll merges everything that there is. It waits an hour at most (of a bubble's time), for a compaction that a damaged table lets never end.
func (s *Store) CompactAll() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	return s.db.Compact(ctx, []byte{0}, []byte{0xff}, false)
}

// UpperLevel is how many parts the engine's upper level has.
func (s *Store) UpperLevel() int { return int(s.db.Metrics().Levels[0].Sublevels) }

// WritesStopAt is the number of parts at which writes are refused.
const WritesStopAt = l0Stop * 3 / 4

// Abort ends a poisoned store whose engine is well, as the end of the process would.
func (s *Store) Abort() error {
	close(s.closingCh)
	s.damages.stop()
	return errors.Join(s.db.Close(), s.witness.stop(), s.lock.Close())
}

// MeetsAtTheLimit meets damage in a file of which as much as may be is in quarantine, and says whether it counts as
// unsolved.
func (s *Store) MeetsAtTheLimit(path string) bool {
	name := s.tableName(path)
	s.damages.mu.Lock()
	s.damages.files = map[string]*damagedFile{name: {isolated: isolations, solved: true, quarantine: true}}
	s.damages.mu.Unlock()
	s.met(pebble.DataCorruptionInfo{Path: path})
	return s.damages.obstacle() == name
}
