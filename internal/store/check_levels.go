package store

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// CheckLevels reads every entry of the database and compares the order of its levels: of a key, what is newer lies above what is older. It returns how
// many entries there are, and what is wrong. It cannot be ended early.
func (s *Store) CheckLevels() (entries int64, fault error) {
	var stats pebble.CheckLevelsStats
	if fault = s.db.CheckLevels(&stats); fault != nil {
		fault = fmt.Errorf("the levels of the database: %w", fault)
	}
	return stats.NumPoints, fault
}
