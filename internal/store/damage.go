package store

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Damage is a file of the database in which damage was met since Open, or whose keys are
// in quarantine since an earlier one. What it damages cannot be read, and is answered
// with an error, never as absent; all else is served.
type Damage struct {
	File       string // below the data folder
	Holds      string // what of the data lies in it, such as "items of table orders"
	Since      time.Time
	Met        uint64 // how often, since Open
	Quarantine bool   // Holds is what is in quarantine, not the whole file
}

// damages are kept in memory: what is not in quarantine is met again by the next start.
type damages struct {
	mu    sync.Mutex // guards the following
	files map[string]*damagedFile
	said  map[string]*saying

	ended bool           // no isolation begins any more
	work  sync.WaitGroup // of isolations

	naming func(space byte, id uint64) string // see NameRanges; nil: ids are shown
}

type damagedFile struct {
	bounds     pebble.KeyRange // of all that was met in it
	since      time.Time
	met        uint64
	looking    chan struct{} // not nil while an isolation is under way, which closes it
	isolated   int           // how many have ended well
	givenUp    bool          // one has failed
	solved     bool          // what was met in it stands in nobody's way
	quarantine bool
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
	lost := s.Quarantine()
	d := &s.damages
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []Damage
	met := map[string]uint64{}
	for name, f := range d.files {
		if f.quarantine {
			met[name] = f.met
			continue
		}
		list = append(list, Damage{File: name, Holds: d.describe(f.bounds.Start, f.bounds.End), Since: f.since, Met: f.met})
	}
	for _, q := range lost {
		list = append(list, Damage{q.File, d.describe(q.From, q.To), q.Since, met[q.File], true})
	}
	slices.SortStableFunc(list, func(a, b Damage) int { return strings.Compare(a.File, b.File) })
	return list
}

// met notes damage that the engine has found. The first of a file has it looked at, and
// is told when that has ended.
func (s *Store) met(i pebble.DataCorruptionInfo) {
	bounds := pebble.KeyRange{Start: bytes.Clone(i.Bounds.Start), End: bytes.Clone(i.Bounds.End.Key)}
	if i.Bounds.End.Kind != 0 { // included
		bounds.End = append(bounds.End, 0)
	}
	d := &s.damages
	d.mu.Lock()
	defer d.mu.Unlock()
	name := s.tableName(i.Path)
	f := d.files[name]
	if f == nil {
		f = &damagedFile{bounds: bounds, since: time.Now()}
		if d.files == nil {
			d.files = map[string]*damagedFile{}
		}
		d.files[name] = f
	}
	f.met++
	f.solved = false // until it has been looked at; at the limit, for good
	if f.looking != nil || f.givenUp || f.isolated >= isolations || d.ended || len(bounds.Start) == 0 || !isTable(name) {
		return
	}
	f.looking = make(chan struct{})
	d.work.Go(func() { s.look(name, i.Path, bounds, i.Details) })
}

// look isolates what is damaged of a file, and tells of it.
func (s *Store) look(name, path string, bounds pebble.KeyRange, cause error) {
	select {
	case <-s.openedCh:
	case <-s.closingCh:
	}
	d := &s.damages
	d.mu.Lock()
	again := d.files[name].quarantine
	d.mu.Unlock()
	lost, became, err := (*Quarantined)(nil), "", error(ErrClosed)
	if !isClosed(s.closingCh) {
		lost, became, err = s.isolate(path, bounds, again)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.files[name]
	close(f.looking)
	f.looking = nil
	attrs := []any{"file", name, "holds", d.describe(bounds.Start, bounds.End), "error", cause}
	if lost != nil {
		attrs[3] = d.describe(lost.From, lost.To)
		attrs = append(attrs, "from", hex.EncodeToString(lost.From), "to", hex.EncodeToString(lost.To), "kept_in", lost.Copy)
	}
	if err != nil {
		f.givenUp = true
		became = "what it damages cannot be read, all else is served; look at the disk, and restore the folder from a backup"
		attrs = append(attrs, "quarantine", err)
	} else {
		f.isolated++
		f.solved = true
		f.quarantine = f.quarantine || lost != nil
		s.pauses.Store(0)
	}
	if became == "" && !f.quarantine {
		delete(d.files, name)
	}
	if became != "" {
		s.log.Error("damaged data on disk: "+became, attrs...)
	}
}

func (s *Store) tableName(path string) string { return databasePath + "/" + s.space.fs.PathBase(path) }

// unsolved says that damage of a file will be met again and again.
func (d *damages) unsolved(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.files[name]
	return f != nil && f.givenUp
}

func (d *damages) looking(name string) chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.files[name]; f != nil {
		return f.looking
	}
	return nil
}

// stop has no isolation begin, and waits for those under way.
func (d *damages) stop() {
	d.mu.Lock()
	d.ended = true
	d.mu.Unlock()
	d.work.Wait()
}

// failed notes an error of the engine's background work, which it will try again: a
// kind of error is logged once a minute. The engine calls it under its own lock.
func (s *Store) failed(err error) {
	kind := err.Error()
	switch info := pebble.ExtractDataCorruptionInfo(err); {
	case info != nil:
		if !s.damages.unsolved(s.tableName(info.Path)) {
			return // it is told of when it has been looked at
		}
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
// While the file is being looked at they rest until that has ended.
func (s *Store) pause(path string) {
	if !called("(*DB).compact1") && !called("(*DB).collectTableStats") {
		return // the read of a client
	}
	if looking := s.damages.looking(s.tableName(path)); looking != nil && isClosed(s.openedCh) { // the open waits for a compaction
		select {
		case <-looking:
		case <-s.closingCh:
		}
		return
	}
	timer := time.NewTimer(min(time.Minute, time.Second<<min(6, s.pauses.Add(1)-1)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.closingCh:
	}
}

// checkStall refuses writes before the engine has them wait for ever: a damaged table
// that could not be put in quarantine can be merged with none, so the upper level grows
// with every flush, and at l0Stop the engine lets no write go on.
func (s *Store) checkStall() {
	if s.damages.none() {
		return
	}
	was := s.stalled.Load()
	if s.db.Metrics().Levels[0].Sublevels < l0Stop*3/4 {
		s.stalled.CompareAndSwap(was, nil)
		return
	}
	err := fmt.Errorf("%w: %w, since new data can no longer be merged with old: %s is damaged, and could not be put in quarantine (the log says why). "+
		"Reads are served. Mend what the log tells of and start again, or restore the folder from a backup", ErrDamaged, ErrStalled, s.damages.obstacle())
	if s.stalled.CompareAndSwap(was, &err) && was == nil {
		s.log.Error("writes are refused", "error", err)
	}
}

// none says that no damage stands in the way of the engine's work.
func (d *damages) none() bool { return d.obstacle() == "" }

// obstacle is a damaged file that is not in quarantine; empty when there is none.
func (d *damages) obstacle() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(d.files)) {
		if !d.files[name].solved {
			return name
		}
	}
	return ""
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
	SpaceFunction: {"functions", false}, SpaceUnread: {"ranges of unread records", false}, SpaceGateway: {"HTTP APIs", false}, SpaceStack: {"stacks", false},
	SpaceKeep: {"backups, exports and imports", false}, SpaceIAM: {"roles and policies", false},
	SpaceSchedule: {"schedules", false}, SpaceOutbox: {"deliveries that are owed", false}, SpaceTopic: {"topics", false}, SpaceCredential: {"access keys", false},
	SpaceEvent: {"calls of functions that have not ended", false}, SpaceLayer: {"layers", false}, SpaceLogGroup: {"log groups", false}, SpaceQueue: {"queues and messages", false},
	SpaceUndo: {"recovery log of table", true}, SpacePast: {"restores that are under way", false},
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

func isClosed(ch chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// Spare is for work that comes round again, and that damage of a part must not end: of err
// over ErrDamaged it tells once, in the words of what, and returns nil. told says that it has.
func Spare(log *slog.Logger, told *bool, what string, err error) error {
	if !errors.Is(err, ErrDamaged) || errors.Is(err, ErrPoisoned) {
		*told = false
		return err
	}
	if !*told {
		log.Error("damage on disk holds work back, which is tried again: "+what, "error", err)
	}
	*told = true
	return nil
}
