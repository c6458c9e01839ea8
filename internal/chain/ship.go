package chain

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/store"
)

var (
	// ErrFenced says that another server has taken over.
	ErrFenced = errors.New("another server replicates to this place")
	// ErrOlder says that the folder is older than what the place has of it.
	ErrOlder = errors.New("this data folder is older than what was replicated")
	// ErrOther says that the place is another database's.
	ErrOther = errors.New("this place holds another database")
	// ErrElsewhere says that the server that replicated to the place has said there that another goes on in its place, and this one is not known to be that one.
	ErrElsewhere = errors.New("another server goes on elsewhere in the place of the one that replicated there")
)

// Options of Open.
type Options struct {
	Store *store.Store // opened with Changes: those of its first taker are shipped
	Place backup.Place
	Dir   string        // of the data
	Every time.Duration // how long what is committed waits for more to come; 0: a second
	// Stage copies the data folder, as store.Stage does, with the files that lie beside the database.
	Stage func(ctx context.Context, dir string) error
	Rate  int64 // of backups, bytes a second; 0: no bound
	// Keep is for how long any moment can be restored: what only earlier ones need is removed. 0: everything is kept; else KeepLeast or more.
	Keep time.Duration
	// Only: who goes on elsewhere, as the place says, is lost, and this server goes on alone.
	Only bool
	// Doubted says whether the clock is not believed; nil: it is.
	Doubted func() bool
	Program string
	Logger  *slog.Logger
}

// A new backup is made when the newest is so old, or more was shipped since than it holds and than baseBytes.
const (
	baseEvery = 24 * time.Hour
	baseBytes = 256 << 20
)

// Waiting is how many bytes may wait for a place that does not answer; beyond it there is a gap.
const Waiting = 64 << 20

// lookEvery is how often a server that puts nothing looks whether another has taken the place over, and lookFor how long it does: something to put may come.
const lookEvery, lookFor = time.Minute, 10 * time.Second

// After a failure it is tried again, later each time.
const firstRetry, lastRetry = time.Second, time.Minute

// Status is how far a shipper has come.
type Status struct {
	Place   string        `json:"place"`
	Lag     float64       `json:"lagSeconds"`        // how long ago what is not shipped yet, or cannot be restored yet, was committed; 0: nothing
	Waiting int           `json:"waiting"`           // batches that were committed and are not known to be there
	End     uint64        `json:"end"`               // the engine's number of the first write that is not known to be there; 0: not known yet
	Segment uint64        `json:"segment"`           // number of the next
	Backup  string        `json:"backup,omitempty"`  // the newest; empty: the first is being made, and nothing of this run can be restored
	Made    time.Time     `json:"made,omitzero"`     // when that was made
	Failing string        `json:"failing,omitempty"` // why nothing can be put there now
	Bytes   int64         `json:"bytes"`             // shipped in this run
	Keep    time.Duration `json:"keep,omitempty"`    // Options.Keep
	// Oldest is the first moment that can be restored, as of when it was last looked for; zero: not yet. NotRemoved says why what is
	// too old could not be removed, if so.
	Oldest     time.Time `json:"oldest,omitzero"`
	NotRemoved string    `json:"notRemoved,omitempty"`
}

// Shipper ships. Status may be called by many at once.
type Shipper struct {
	o    Options
	host string

	// Of Run alone:
	encoder   encoder
	previous  uint64 // hash of the newest segment
	part      uint64
	behind    string          // what the one before has said of another that goes on elsewhere, when this server is not known to be that one
	sinceBase int64           // bytes shipped
	files     map[string]bool // beside the database, which segments have had since the newest backup was begun
	baseDone  chan baseMade   // nil: none is being made
	base      *backup.Manifest
	retryBase time.Time
	sure      time.Time  // when the newest put began that came to pass
	keepDone  chan error // nil: it is not looked for what can be removed
	nextKeep  time.Time

	mu        sync.Mutex // guards the following
	status    Status
	noBackup  string // why there is no backup to begin with, if so
	shipped   uint64 // the number of the change after the newest that was
	taken     int    // batches that are being put
	uncovered int64  // from when on nothing can be restored; 0: all that is shipped can be
}

type baseMade struct {
	m    backup.Manifest
	part uint64
	err  error
}

// New returns a shipper that does nothing until Run.
func New(o Options) *Shipper {
	if o.Every == 0 {
		o.Every = time.Second
	}
	host, _ := os.Hostname()
	return &Shipper{o: o, host: host, files: map[string]bool{}, status: Status{Place: o.Place.String(), Keep: o.Keep}, uncovered: time.Now().UnixMilli()}
}

// Status tells how far it has come.
func (s *Shipper) Status() Status {
	oldest := s.o.Store.Changes().OldestMS()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.Failing = cmp.Or(st.Failing, s.noBackup)
	st.Waiting, st.End = s.o.Store.Changes().Waiting()+s.taken, s.shipped
	if s.uncovered != 0 && (oldest == 0 || s.uncovered < oldest) {
		oldest = s.uncovered
	}
	if oldest != 0 {
		st.Lag = max(0, time.Since(time.UnixMilli(oldest)).Seconds())
	}
	return st
}

func (s *Shipper) update(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// Run ships until ctx is done, and what is committed by then, if the place takes it. It returns an error when another has taken over, or
// the place is not this folder's: then nothing more may be answered.
func (s *Shipper) Run(ctx context.Context) error {
	all, stop := context.WithCancel(ctx) // what runs beside it ends with it
	defer stop()
	err := s.run(all)
	stop()
	if s.baseDone != nil {
		<-s.baseDone
	}
	if s.keepDone != nil {
		<-s.keepDone
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *Shipper) run(ctx context.Context) error {
	if err := s.retry(ctx, "begin to replicate", func() error { return s.claim(ctx) }); err != nil {
		return err
	}
	for {
		changes, err := s.o.Store.Changes().Take(segmentBytes)
		switch {
		case errors.Is(err, store.ErrGap):
			if err := s.beginAnew(ctx); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		case len(changes) > 0:
			if err := s.ship(ctx, changes); err != nil {
				return err
			}
			if len(changes) > 0 && sizeOf(changes) >= segmentBytes/2 { // there is more
				continue
			}
		}
		s.startBase(ctx)
		s.startKeeping(ctx)
		var retry, keep <-chan time.Time
		if s.keepDone == nil && s.o.Keep > 0 && s.base != nil {
			keep = time.After(max(time.Until(s.nextKeep), time.Millisecond))
		}
		if s.baseDone == nil && s.base == nil {
			retry = time.After(max(time.Until(s.retryBase), time.Millisecond))
		}
		waiting := s.o.Store.Changes()
		woken := waiting.Woken()
		if len(changes) > 0 { // let more come together
			woken = nil
			retry = time.After(s.o.Every)
		}
		select {
		case <-ctx.Done():
			return s.last(ctx)
		case <-time.After(lookEvery): // nothing is put by which it would be met
			once, cancel := context.WithTimeout(ctx, lookFor)
			err := s.mine(once)
			cancel()
			if errors.Is(err, ErrFenced) { // other errors are the next put's
				return err
			}
		case made := <-s.baseDone:
			s.baseDone = nil
			if s.based(made); errors.Is(made.err, ErrFenced) {
				return made.err
			}
		case err := <-s.keepDone:
			s.keepDone = nil
			if err := s.kept(ctx, err); err != nil {
				return err
			}
		case <-retry:
		case <-keep:
		case <-waiting.Much():
		case <-woken:
			select { // it is rarely one alone
			case <-ctx.Done():
				return s.last(ctx)
			case <-waiting.Much():
			case <-time.After(s.o.Every):
			}
		}
	}
}

// last ships what is left at the end. It does not wait for a place that does not answer: the log keeps it for the next run.
func (s *Shipper) last(ctx context.Context) error {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for {
		changes, err := s.o.Store.Changes().Take(segmentBytes)
		if err != nil || len(changes) == 0 {
			return nil
		}
		if err := s.ship(end, changes); err != nil {
			s.o.Logger.Warn("what was written last is not replicated yet: the next start does so, if there is one", "place", s.o.Place.String(), "error", err)
			return nil
		}
	}
}

// closeFor is how long the place is tried to be told of another that goes on elsewhere.
const closeFor = 10 * time.Second

// close puts a last segment, after Run, by which who follows the place knows that another goes on elsewhere.
func (s *Shipper) close(over error) {
	ctx, cancel := context.WithTimeout(context.Background(), closeFor)
	defer cancel()
	s.mu.Lock()
	number, shipped := s.status.Segment, s.shipped
	s.mu.Unlock()
	oldest := s.o.Store.Changes().OldestMS()
	if oldest != 0 {
		s.o.Logger.Warn("not all that was written last is known to be in the place, and what is not does not come there any more", "place", s.o.Place.String(), "since", time.UnixMilli(oldest).UTC())
	}
	if number == 0 { // of this run nothing is there, or it is not known to be
		s.closed(s.closeBehind(ctx, over.Error()))
		return
	}
	id := s.o.Store.DatabaseID()
	_, is := s.o.Store.Lineage()
	h := Head{
		Number: number, Previous: s.previous, Database: fmt.Sprintf("%x", id[:]), Lineage: is, Incarnation: s.o.Store.Incarnation(), Host: s.host, Part: s.part,
		First: shipped, End: shipped, Over: over.Error(), AtMS: time.Now().UnixMilli(),
	}
	if oldest != 0 {
		h.AtMS = oldest - 1
	}
	segment, _, err := s.encoder.encode(h, nil)
	if err == nil {
		err = s.put(ctx, number, segment)
	}
	if errors.Is(err, ErrFenced) { // perhaps by what was being put when this server ended
		err = s.closeBehind(ctx, h.Over)
	}
	s.closed(err)
}

// closeBehind is close for who does not know the end of the chain. The folder is this server's, or was.
func (s *Shipper) closeBehind(ctx context.Context, over string) error {
	for n := 1; ; n++ {
		number, _, err := end(ctx, patient{s.o.Place, listTries})
		if err != nil || number == 0 {
			return err
		}
		last, hash, _, err := read(ctx, s.o.Place, number-1)
		if err != nil {
			return err
		}
		switch ours, err := store.OwnedUpTo(s.o.Dir, last.Lineage, last.End); {
		case err != nil:
			return err
		case !ours:
			return fencedBy(s.o.Place, last)
		case last.Over != "":
			return nil
		}
		segment, _, err := s.encoder.encode(Head{
			Number: number, Previous: hash, Database: last.Database, Lineage: last.Lineage, Incarnation: last.Incarnation, Host: s.host, Part: last.Part,
			First: last.End, End: last.End, Over: over, AtMS: last.AtMS,
		}, nil)
		if err == nil {
			err = s.put(ctx, number, segment)
		}
		if !errors.Is(err, ErrFenced) || n == tries { // else another has been put meanwhile, perhaps by this server before it ended
			return err
		}
	}
}

// Close tells a place that another goes on elsewhere (over), for a folder that is refused: its server may have been killed before it had. Of o Place, Dir and Logger are
// needed. It says how it went.
func Close(ctx context.Context, o Options, over string) {
	ctx, cancel := context.WithTimeout(ctx, closeFor)
	defer cancel()
	s := New(o)
	err := s.closeBehind(ctx, over)
	if s.closed(err); err == nil {
		o.Logger.Info("who follows the place knows that another goes on in this server's place", "place", o.Place.String())
	}
}

// closed says how telling the place went, when it did not go well.
func (s *Shipper) closed(err error) {
	switch {
	case errors.Is(err, ErrFenced):
		s.o.Logger.Warn("another goes on in this server's place, and the place to which this one replicated is no more its own: see that one server alone goes on", "place", s.o.Place.String(), "error", err)
	case err != nil:
		s.o.Logger.Error("another goes on in this server's place, and the place to which this one replicates cannot be told: promote no standby that follows it", "place", s.o.Place.String(), "error", err)
	}
}

func sizeOf(changes []store.Change) (n int) {
	for i := range changes {
		n += len(changes[i].Batch)
	}
	return n
}

// retry calls f until it is well, ctx is done, or it says that this server may not go on.
func (s *Shipper) retry(ctx context.Context, what string, f func() error) error {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := f()
		if err == nil || errors.Is(err, ErrFenced) || errors.Is(err, ErrOlder) || errors.Is(err, ErrOther) || errors.Is(err, ErrElsewhere) || errors.Is(err, errUnfit) || errors.Is(err, store.ErrPoisoned) {
			s.failing(what, err)
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.failing(what, err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (s *Shipper) failing(what string, err error) {
	s.mu.Lock()
	was := s.status.Failing
	s.status.Failing = ""
	if err != nil {
		s.status.Failing = what + ": " + err.Error()
	}
	is := s.status.Failing
	s.mu.Unlock()
	switch {
	case err != nil && was == "":
		s.o.Logger.Error("replication fails, and is tried again", "what", what, "place", s.o.Place.String(), "error", err)
	case is == "" && was != "":
		s.o.Logger.Info("replication goes on", "place", s.o.Place.String())
	}
}

// errUnfit says that a place cannot hold a chain.
var errUnfit = errors.New("it puts an object where one is already")

// claim takes the chain over: it puts the first segment of this run behind the newest.
func (s *Shipper) claim(ctx context.Context) error {
	if err := s.probe(ctx); err != nil {
		return err
	}
	was, is := s.o.Store.Lineage()
	id := s.o.Store.DatabaseID()
	h := Head{Database: fmt.Sprintf("%x", id[:]), Lineage: is, Incarnation: s.o.Store.Incarnation(), Host: s.host, Claim: true}
	changes := s.o.Store.Changes()
	number, _, err := end(ctx, patient{s.o.Place, listTries})
	if err != nil {
		return err
	}
	h.Number, h.Gap, h.Previous, h.First, h.End = number, true, 0, changes.Opened(), changes.Opened()
	if number > 0 {
		last, hash, _, err := read(ctx, s.o.Place, number-1)
		if err != nil {
			return err
		}
		older, err := s.older(last, h, was)
		if err != nil {
			return err
		}
		switch {
		case last.Database != h.Database:
			return fmt.Errorf("%w: %s has that of database %s, and this one is %s: give each server a place of its own", ErrOther, s.o.Place, last.Database, h.Database)
		case last.Lineage == is: // the claim was put, and the answer lost
			return s.claimed(ctx, last, hash)
		case older:
			if err := s.o.Store.Overtaken(); err != nil {
				return err
			}
			return fmt.Errorf("%w to %s, by %s: make a standby of it (millstream rejoin), restore it from there (millstream restore --from %s), or replicate to a place of its own", ErrOlder, s.o.Place, last.Host, s.o.Place)
		case last.Lineage == was && was != "" && changes.Skip(last.End):
			h.Gap, h.Part, h.First, h.End = false, last.Part, last.End, last.End
		}
		h.Previous = hash
		if s.behind, err = s.overBefore(last); err != nil {
			return err
		}
		if s.behind != "" && !s.o.Only {
			return fmt.Errorf("%w: %s has from it: %s. What that one has acknowledged since is not here, and two that go on would not know of each other: "+
				"use that one, or replicate to a place of its own; when it is lost, and all is to go on from here, say so: --replicate-only", ErrElsewhere, s.o.Place, s.behind)
		}
	}
	if h.Gap {
		h.Part = number
	}
	h.AtMS = time.Now().UnixMilli()
	segment, hash, err := s.encoder.encode(h, nil)
	if err != nil {
		return err
	}
	if err := s.o.Store.Own(true); err != nil { // before: when it is put and nobody learns of it, the next open still knows
		return err
	}
	err = s.put(ctx, number, segment)
	if errors.Is(err, ErrFenced) { // perhaps the run before has put one more at its end, or what was read was old
		return fmt.Errorf("look again for the end: %v", err)
	}
	if err != nil {
		return err
	}
	return s.claimed(ctx, h, hash)
}

// older says whether the place has what this folder lacks, by the newest segment there. The folder has a list of the opens that had the chain, which no
// later open changes; without one, as in a copy that is to go on, the incarnations tell. Opens that only had standbys do not count: a copy that goes on may
// have had some before it claims.
func (s *Shipper) older(last, h Head, was string) (bool, error) {
	end, ours, known, err := s.o.Store.Owned(last.Lineage)
	switch {
	case err != nil:
		return false, err
	case ours:
		return last.End > end, nil
	case last.Lineage == was && was != "":
		return last.End > s.o.Store.Changes().Opened(), nil
	}
	return known || last.Incarnation >= h.Incarnation, nil
}

// overBefore returns what the newest segment says of another that goes on elsewhere, unless this folder is that one's: one that was promoted, and not here.
func (s *Shipper) overBefore(last Head) (string, error) {
	if last.Over == "" {
		return "", nil
	}
	_, ours, _, err := s.o.Store.Owned(last.Lineage)
	if err != nil {
		return "", err
	}
	of, err := store.Promoted(s.o.Dir)
	if err == nil && !ours && of != "" && of != s.o.Place.String() {
		return "", nil
	}
	return last.Over, err
}

func (s *Shipper) claimed(ctx context.Context, h Head, hash uint64) error {
	base, err := newest(ctx, patient{s.o.Place, listTries}, func(m *backup.Manifest) bool { return m.Chain >= h.Part })
	if err != nil {
		return err
	}
	s.part, s.previous, s.base = h.Part, hash, base
	s.sinceBase = 0
	s.update(func() {
		s.status.Segment, s.shipped = h.Number+1, h.End
		if base != nil {
			s.status.Backup, s.status.Made, s.uncovered = base.ID, base.Made, 0
		}
	})
	if s.behind != "" {
		s.o.Logger.Warn("the server that replicated to this place before has said there that another goes on; this one goes on alone, as it was told", "place", s.o.Place.String(), "said", s.behind)
	}
	s.o.Logger.Info("replicating", "place", s.o.Place.String(), "segment", h.Number, "new_backup", base == nil)
	return nil
}

// probe refuses a place that does not keep what is there: no chain can be in it.
func (s *Shipper) probe(ctx context.Context) error {
	const name = "chain-probe"
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for range 2 {
		err := s.o.Place.PutNew(ctx, name, []byte("a place for a chain refuses to put this again\n"))
		if errors.Is(err, backup.ErrExists) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("%s cannot be replicated to: %w (it must know If-None-Match)", s.o.Place, errUnfit)
}

// put puts a segment where there is none. Another's in its place is ErrFenced, and so is it when another's was there and has been removed.
func (s *Shipper) put(ctx context.Context, number uint64, segment []byte) error {
	began := time.Now()
	if number > 0 { // of a disk that is not mounted there is an empty folder
		switch there, err := exists(ctx, s.o.Place, number-1); {
		case err != nil:
			return err
		case !there:
			if err := s.notRemoved(ctx, number-1); err != nil {
				return err
			}
			return fmt.Errorf("%s lacks the segment %s, which was put there: is it another place, or a disk that is not mounted? (to begin anew in an empty place, start again)", s.o.Place, nameOf(number-1))
		}
	}
	once, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := s.o.Place.PutNew(once, nameOf(number), segment)
	if errors.Is(err, backup.ErrExists) {
		var there []byte
		if there, err = fetch(ctx, s.o.Place, number); err == nil && !bytes.Equal(there, segment) { // the same bytes: an earlier try of ours, whose answer was lost
			h, _, _, err := decode(there)
			if err != nil { // it says nothing of whose it is
				return fmt.Errorf("segment %s of %s is there: %w", nameOf(number), s.o.Place, err)
			}
			return fencedBy(s.o.Place, h)
		}
	}
	if err != nil {
		return err
	}
	// In this time nobody can have removed what had been put there: it would have been younger than KeepLeast.
	if now := time.Now(); max(now.Sub(s.sure), now.Round(0).Sub(s.sure.Round(0))) > unsure {
		if err := s.notRemoved(ctx, number); err != nil {
			return err
		}
	}
	s.sure = began
	return nil
}

// ship puts changes as the next segment.
func (s *Shipper) ship(ctx context.Context, changes []store.Change) error {
	id, number := s.o.Store.DatabaseID(), s.status.Segment
	_, is := s.o.Store.Lineage()
	s.update(func() { s.taken = len(changes) }) // until they are there: a put that is given up is the end of this run
	h := Head{
		Number: number, Previous: s.previous, Database: fmt.Sprintf("%x", id[:]), Lineage: is, Incarnation: s.o.Store.Incarnation(), Host: s.host, Part: s.part,
		First: changes[0].First, End: changes[len(changes)-1].End, AtMS: changes[len(changes)-1].AtMS,
	}
	if namesFiles(changes) {
		if err := s.retry(ctx, "copy files", func() (err error) { h.Files, err = s.newFiles(ctx); return err }); err != nil {
			return err
		}
	}
	if err := s.retry(ctx, "tell of files", func() error { return s.tellFiles(ctx, &h) }); err != nil {
		return err
	}
	segment, hash, err := s.encoder.encode(h, changes)
	if err != nil {
		return err
	}
	// The same bytes until the place has them: an earlier try may still arrive.
	if err := s.retry(ctx, "put a segment", func() error { return s.put(ctx, number, segment) }); err != nil {
		return err
	}
	s.previous = hash
	s.sinceBase += int64(len(segment))
	s.update(func() {
		s.status.Segment++
		s.shipped, s.taken = h.End, 0
		s.status.Bytes += int64(len(segment))
	})
	s.o.Store.Changes().Settled()
	return nil
}

// namesFiles says whether changes have rows that may name files beside the database.
func namesFiles(changes []store.Change) bool {
	return slices.ContainsFunc(changes, func(c store.Change) bool { return c.Touches(store.SpaceFunction, store.SpaceLayer, store.SpaceKeep) })
}

// eachBeside calls f with packages of code, and backups of tables, that lie beside the database: each is there before a row names it.
func eachBeside(dir string, f func(path, name string) error) error {
	for _, pattern := range []string{"code/*/package.zip", store.BackupsPath + "/*/*"} {
		paths, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		if err != nil {
			return err
		}
		for _, path := range paths {
			name, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			if filepath.Ext(name) == ".tmp" || filepath.Base(filepath.Dir(path))[0] == '.' {
				continue
			}
			if err := f(path, filepath.ToSlash(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// newFiles copies those that were not there before.
func (s *Shipper) newFiles(ctx context.Context) (files []backup.File, err error) {
	err = eachBeside(s.o.Dir, func(path, name string) error {
		if s.files[name] {
			return nil
		}
		f, err := backup.PutFile(ctx, patient{Place: s.o.Place}, path)
		if errors.Is(err, os.ErrNotExist) { // it is gone already
			return nil
		}
		f.Name = name
		files = append(files, f)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if filepath.Base(f.Name) == "package.zip" { // the others may be written again
			s.files[f.Name] = true
		}
	}
	return files, nil
}

// beginAnew goes on behind a gap, with a new backup.
func (s *Shipper) beginAnew(ctx context.Context) error {
	s.o.Logger.Warn("more was written than could wait to be replicated, or a damaged range was taken out: a new backup is made", "place", s.o.Place.String())
	number := s.status.Segment
	id := s.o.Store.DatabaseID()
	_, is := s.o.Store.Lineage()
	h := Head{Number: number, Previous: s.previous, Database: fmt.Sprintf("%x", id[:]), Lineage: is, Incarnation: s.o.Store.Incarnation(), Host: s.host, Gap: true, Part: number, AtMS: time.Now().UnixMilli()}
	s.update(func() { s.uncovered, s.status.Backup, s.status.Made = h.AtMS, "", time.Time{} })
	segment, hash, err := s.encoder.encode(h, nil)
	if err != nil {
		return err
	}
	if err := s.retry(ctx, "put a segment", func() error { return s.put(ctx, number, segment) }); err != nil {
		return err
	}
	s.part, s.previous, s.base, s.retryBase = number, hash, nil, time.Time{}
	s.update(func() { s.status.Segment++ })
	s.o.Store.Changes().Settled()
	return s.o.Store.Changes().Begin()
}

// startBase begins a backup when one is due.
func (s *Shipper) startBase(ctx context.Context) {
	switch {
	case s.baseDone != nil || time.Now().Before(s.retryBase):
		return
	case s.base != nil && (s.sinceBase == 0 || time.Since(s.base.Made) < baseEvery && s.sinceBase < max(s.base.Bytes, baseBytes)):
		return
	}
	// From the newest segment on: it is there, and what comes after it holds all that the backup does not.
	chain, part := s.status.Segment-1, s.part
	done := make(chan baseMade, 1)
	s.baseDone = done
	s.sinceBase = 0
	clear(s.files) // what is gone by now is not in the backup, and may come again
	go func() {
		m, err := s.makeBase(ctx, chain)
		done <- baseMade{m, part, err}
	}()
}

func (s *Shipper) makeBase(ctx context.Context, chain uint64) (m backup.Manifest, err error) {
	dir := filepath.Join(s.o.Dir, store.PendingPath, "replication")
	if err := os.RemoveAll(dir); err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := s.o.Stage(ctx, dir); err != nil {
		return m, err
	}
	reached, err := s.o.Store.Reached()
	if err != nil {
		return m, err
	}
	m, _, err = backup.Take(ctx, backup.Folder(dir), patient{Place: s.o.Place}, backup.Options{
		Rate: s.o.Rate, Program: s.o.Program, Chain: &chain, Check: store.CheckTable,
		Before: func() error {
			// Else, with the end of this server now, it would have what no segment has, and whoever goes on from the segments would not go on from it.
			if err := s.waitShipped(ctx, reached); err != nil {
				return err
			}
			return s.stillMine(ctx) // else it would be the newest, of a server that another has followed
		},
		Warn: func(err error) { s.o.Logger.Warn("a backup for replication", "error", err) },
	})
	return m, err
}

// waitShipped returns when all before a number is in the chain.
func (s *Shipper) waitShipped(ctx context.Context, number uint64) error {
	for {
		s.mu.Lock()
		shipped := s.shipped
		s.mu.Unlock()
		if shipped >= number {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.o.Every):
		}
	}
}

// based takes the end of a backup.
func (s *Shipper) based(made baseMade) {
	switch {
	case made.err != nil:
		s.retryBase = time.Now().Add(lastRetry)
		s.o.Logger.Error("a backup for replication failed, and is tried again", "place", s.o.Place.String(), "error", made.err)
		if s.base == nil {
			s.update(func() { s.noBackup = "make a backup: " + made.err.Error() })
		}
	case made.part == s.part: // else there was a gap since it began
		s.base = &made.m
		s.update(func() { s.status.Backup, s.status.Made, s.uncovered, s.noBackup = made.m.ID, made.m.Made, 0, "" })
		s.o.Logger.Info("a backup for replication is there", "backup", made.m.ID, "place", s.o.Place.String())
	}
}
