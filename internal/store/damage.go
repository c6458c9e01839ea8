package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Damage is a file of the database in which damage was met since Open. What it
// damages cannot be read, and is answered with an error, never as absent; all else
// is served.
type Damage struct {
	File  string // below the data folder
	Holds string // what of the data lies in it, such as "items of table orders"
	Since time.Time
	Met   uint64 // how often
}

// damages are kept in memory: the next start meets them again.
type damages struct {
	mu    sync.Mutex // guards the following
	files map[string]*Damage
	said  map[string]*saying

	naming func(space byte, id uint64) string // see NameRanges; nil: ids are shown
}

const (
	sayEvery   = time.Minute
	sayingsMax = 100 // kinds of errors that are told apart
)

// saying is a kind of background error: it is logged once a minute.
type saying struct {
	last  time.Time
	since uint64 // times it was met since the line of then
}

// NameRanges has damage told by names: call returns what an internal id of a key
// space (of a table, an index, a stream) is called, empty when it is not known. Names are
// known only when tables are loaded, and damage is met before, so this comes late. It is
// called by any goroutine, at any time, and must not use the store.
func (s *Store) NameRanges(call func(space byte, id uint64) string) {
	s.damages.mu.Lock()
	defer s.damages.mu.Unlock()
	s.damages.naming = call
}

// Damages lists the files in which damage was met, by name.
func (s *Store) Damages() []Damage {
	d := &s.damages
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]Damage, 0, len(d.files))
	for _, f := range d.files {
		list = append(list, *f)
	}
	slices.SortFunc(list, func(a, b Damage) int { return strings.Compare(a.File, b.File) })
	return list
}

// met notes damage that the engine has found; the first of a file is logged.
func (s *Store) met(i pebble.DataCorruptionInfo) {
	d := &s.damages
	d.mu.Lock()
	defer d.mu.Unlock()
	name := databasePath + "/" + s.space.fs.PathBase(i.Path)
	if f := d.files[name]; f != nil {
		f.Met++
		return
	}
	f := &Damage{File: name, Holds: d.describe(i.Bounds.Start, i.Bounds.End.Key), Since: time.Now(), Met: 1}
	if d.files == nil {
		d.files = map[string]*Damage{}
	}
	d.files[name] = f
	s.log.Error("damaged data on disk: what it damages cannot be read, all else is served; look at the disk, and restore the folder from a backup",
		"file", f.File, "holds", f.Holds, "error", i.Details)
}

// failed notes an error of the engine's background work, which it will try again: a
// kind of error is logged once a minute. The engine calls it under its own lock.
func (s *Store) failed(err error) {
	kind := err.Error()
	switch info := pebble.ExtractDataCorruptionInfo(err); {
	case info != nil:
		kind = "damage of " + info.Path
	case errors.Is(err, syscall.ENOSPC):
		kind = "the disk is full"
	}
	d := &s.damages
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.said[kind] == nil && len(d.said) >= sayingsMax {
		kind = "other errors"
	}
	said := d.said[kind]
	if said == nil {
		said = &saying{}
		if d.said == nil {
			d.said = map[string]*saying{}
		}
		d.said[kind] = said
	}
	said.since++
	if now := time.Now(); said.last.IsZero() || now.Sub(said.last) >= sayEvery {
		s.log.Error("engine: background work failed and is tried again", "error", kind, "times", said.since)
		said.last, said.since = now, 0
	}
}

// pause keeps the engine from going round and round over a damaged table. It collects
// statistics of its tables in a loop that such a table never lets end, and a
// compaction of its upper level (L0) that has failed is at once tried again: 20,000
// times in ten seconds. Both meet the damage while they hold no lock, which is where
// they are made to rest: for a second, then longer, up to a minute.
func (s *Store) pause() {
	if !called("(*DB).compact1") && !called("(*DB).collectTableStats") {
		return // the read of a client
	}
	timer := time.NewTimer(min(time.Minute, time.Second<<min(6, s.pauses.Add(1)-1)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.closingCh:
	}
}

// checkStall refuses writes before the engine has them wait for ever: a damaged table
// of the upper level can be merged with none, so that level grows with every flush,
// and at l0Stop the engine lets no write go on.
func (s *Store) checkStall() {
	if s.damages.none() {
		return
	}
	was := s.stalled.Load()
	if s.db.Metrics().Levels[0].Sublevels < l0Stop*3/4 {
		s.stalled.CompareAndSwap(was, nil)
		return
	}
	err := fmt.Errorf("%w: writes are refused, since tables cannot be merged past the damaged one (restore the folder from a backup)", ErrDamaged)
	if s.stalled.CompareAndSwap(was, &err) && was == nil {
		s.log.Error("writes are refused", "error", err)
	}
}

func (d *damages) none() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.files) == 0
}

// called says whether a function of this name is among the callers.
func called(name string) bool {
	var pcs [128]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, name) {
			return true
		}
		if !more {
			return false
		}
	}
}

// spaces says what lies in each key space, and whether an internal id of 8 bytes
// comes first in its keys.
var spaces = map[byte]struct {
	what string
	id   bool
}{
	SpaceMeta: {"the database's own rows", false}, SpaceControl: {"definitions", false},
	SpaceItem: {"items of table", true}, SpaceIndex: {"index entries of table", true}, SpaceTTL: {"expiry entries of time to live", true},
	SpaceLog: {"records of stream", true}, SpaceHead: {"counts of table or stream", true},
	SpaceCheckpoint: {"positions of triggers", false}, SpaceWindow: {"windows of triggers", false},
	SpaceAside: {"held and parked records", false}, SpaceToken: {"client request tokens", false},
	SpaceFunction: {"functions", false}, SpaceUnread: {"ranges of unread records", false}, SpaceGateway: {"HTTP APIs", false},
}

// describe says what lies between two keys, both included. mu is held.
func (d *damages) describe(lower, upper []byte) string {
	from, to := d.place(lower), d.place(upper)
	if from == to {
		return from
	}
	return "from " + from + " to " + to
}

func (d *damages) place(key []byte) string {
	if len(key) == 0 {
		return "unknown keys"
	}
	space, known := spaces[key[0]]
	switch {
	case !known:
		return fmt.Sprintf("keys that begin with %#02x", key[0])
	case !space.id || len(key) < 9:
		return space.what
	}
	id := binary.BigEndian.Uint64(key[1:])
	if d.naming != nil {
		if name := d.naming(key[0], id); name != "" {
			return space.what + " " + name
		}
	}
	return fmt.Sprintf("%s number %d", space.what, id)
}
