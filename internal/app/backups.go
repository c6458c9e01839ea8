package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/server"
	"github.com/millstreamdb/millstream/internal/store"
)

// What the server was told of its backups is kept in one row: version, knownBackups as JSON. Clients make backups and read them
// again, so the server knows what they tell.
var backupsKey = []byte{store.SpaceControl, 'b'}

const (
	backupsVersion = 1
	mostUnverified = 1000
	mostAhead      = 5 * time.Minute // of a backup's time, by its client's clock, before the server's
)

// toldBackups are the backups that the server was told of.
type toldBackups struct {
	s *App

	mu    sync.Mutex // guards what follows, and the row
	known knownBackups
}

// knownBackups is the row.
type knownBackups struct {
	Made       time.Time `json:"made,omitzero"`        // of the newest
	Verified   time.Time `json:"verified,omitzero"`    // when the newest was made that was found whole
	Unverified []string  `json:"unverified,omitempty"` // ids of those that were made and not found whole, nor a newer one; the newest of many
}

func (b *toldBackups) open() error {
	row, found, err := b.s.store.Get(nil, backupsKey)
	if err != nil || !found {
		return err
	}
	if len(row) == 0 || row[0] != backupsVersion || json.Unmarshal(row[1:], &b.known) != nil {
		return errors.New("the row about backups was written by a newer release, or is damaged; open the folder with that release")
	}
	return nil
}

// tell notes that a backup was made, or found whole. Told twice, it is the same.
func (b *toldBackups) tell(t wire.Backup) error {
	id := b.s.store.DatabaseID()
	if of := backup.DatabaseOf(t.ID); of == "" || !strings.HasPrefix(fmt.Sprintf("%x", id[:]), of) {
		return wire.BadRequest("the backup " + t.ID + " is not known to be one of this server")
	}
	now := b.s.realNow()
	if !b.s.clock.Manual() {
		now = time.UnixMilli(b.s.clock.Believed())
	}
	ahead := func(made time.Time) bool { return made.Sub(now) > mostAhead }
	if ahead(t.Made) { // it would be the newest until then, whatever is made or not
		return wire.BadRequest(fmt.Sprintf("the backup %s is from %s, and this server believes that it is %s: one of the two clocks is wrong (see millstream clock), and the backup does not count for the server's metrics",
			t.ID, t.Made.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339)))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.known
	if ahead(known.Made) { // the server's own clock was wrong
		known.Made = time.Time{}
	}
	if ahead(known.Verified) {
		known.Verified = time.Time{}
	}
	known.Unverified = slices.Clone(known.Unverified)
	if t.Verified {
		if t.Made.After(known.Verified) {
			known.Verified = t.Made.UTC()
		}
		known.Unverified = slices.DeleteFunc(known.Unverified, func(id string) bool { return id <= t.ID }) // ids rise
	} else if !slices.Contains(known.Unverified, t.ID) {
		known.Unverified = append(known.Unverified, t.ID)
		known.Unverified = known.Unverified[max(0, len(known.Unverified)-mostUnverified):]
	}
	if !t.Chained && t.Made.After(known.Made) {
		known.Made = t.Made.UTC()
	}
	row, err := json.Marshal(known)
	if err != nil {
		return err
	}
	batch := b.s.store.NewBatch()
	defer batch.Close()
	batch.Set(backupsKey, append([]byte{backupsVersion}, row...))
	if err := b.s.store.Write(batch); err != nil {
		return err
	}
	b.known = known
	return nil
}

// stats is for metrics.
func (b *toldBackups) stats() (st server.BackupStats, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known.Made.IsZero() && b.known.Verified.IsZero() {
		return st, false
	}
	age := func(made time.Time) time.Duration {
		if made.IsZero() {
			return -time.Second
		}
		return max(0, b.s.realNow().Sub(made))
	}
	return server.BackupStats{Age: age(b.known.Made), VerifiedAge: age(b.known.Verified), Unverified: len(b.known.Unverified)}, true
}
