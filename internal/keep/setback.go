package keep

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/store"
)

// Backups and exports that did not succeed wait, each longer the more often it was tried, while younger ones go on. Who asks for the
// server's health is told of them.

// setback is the error of work that was tried, and may succeed later.
type setback struct{ error }

func (e *setback) Unwrap() error { return e.error }

// errSetBack says that all work that there is waits.
var errSetBack = errors.New("keep: all work waits")

const longestSetback = 10 * time.Minute

// pause is what is known of work that waits.
type pause struct {
	tries int
	until time.Time // monotonic: the clock may be set
	why   string
}

// waiting reports whether work is not yet to be tried again.
func (s *Service) waiting(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.pauses[id].until)
}

// tries is how often work was tried.
func (s *Service) tries(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pauses[id].tries
}

// setBack has work wait. Of each kind of error the log tells once a minute.
func (s *Service) setBack(id string, err error) {
	kind := "other"
	switch {
	case waits(err):
		kind = "room"
	case errors.Is(err, store.ErrDamaged):
		kind = "damage"
	}
	now := time.Now()
	s.mu.Lock()
	p := s.pauses[id]
	wait := retry
	if _, tried := errors.AsType[*setback](err); tried || !waits(err) {
		wait = min(retry<<min(p.tries, 10), longestSetback)
		p.tries++
	}
	p.until, p.why = now.Add(wait), err.Error()
	s.pauses[id] = p
	tell := now.Sub(s.told[kind]) >= time.Minute
	if tell {
		s.told[kind] = now
	}
	s.mu.Unlock()
	if tell {
		s.Logger.Error("a backup or export waits, and is tried again", "id", id, "error", err)
	}
}

// goesOn forgets that work waited.
func (s *Service) goesOn(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pauses, id)
}

// Setbacks tells which backups and exports wait, and why.
func (s *Service) Setbacks() (reasons []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.backups {
		if p, ok := s.pauses[b.ID]; ok && b.ExpiresMS != 0 {
			reasons = append(reasons, fmt.Sprintf("the backup of the deleted table %s is not made yet, and its items stay until it is: %s (to do without: delete-backup --backup-arn %s)", b.Table, p.why, b.ARN))
		} else if ok {
			reasons = append(reasons, fmt.Sprintf("the backup %s of the table %s is not made yet: %s", b.Name, b.Table, p.why))
		}
	}
	for _, e := range s.exports {
		if p, ok := s.pauses[e.ID]; ok {
			reasons = append(reasons, fmt.Sprintf("the export %s is not made yet: %s", e.ARN, p.why))
		}
	}
	slices.Sort(reasons)
	return reasons
}
