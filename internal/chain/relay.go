package chain

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/store"
)

// A relay keeps what is committed for standbys that ask this server itself for it, without a place between the two.
//
// It is a row of segments like that of a place, in the data folder, but without backups and without end: what all standbys that are known have is
// removed, and so is the oldest when there is too much of it. So a standby that is away costs a bounded part of the disk, and one that was away for
// too long begins anew with a copy of the folder, which is told.
//
// Nobody but the server puts segments, so there are no claims. Who owns the life of the data is settled between the two servers instead: a standby
// that is promoted tells the server that it is over (Overtake), which that one notes in its folder before it answers, and forgets only with the
// folder. When it cannot be reached, a person says that it is lost; the promoted server then tells it until it has heard, however much later it comes
// back. Of two that believe to go on, the one with the higher incarnation does: each promotion raises it by far more than starts do.

var (
	// ErrBeginAnew says that what a standby has does not go on in what the server has: it begins with a new copy.
	ErrBeginAnew = errors.New("the server has not kept what comes next for this standby")
	// ErrBehind says that a standby has more than the server that it follows.
	ErrBehind = errors.New("the server has less than this standby, or another past: its folder was put back from an older copy")
	// ErrNotNow says that the server feeds no standby, for now or at all.
	ErrNotNow = errors.New("the server feeds no standby")
	// ErrMore says that there is more to read before the server is over.
	ErrMore = errors.New("there is more to read")
	// ErrYounger says that the server that is to be over is younger than the one that says so.
	ErrYounger = errors.New("that server goes on in this one's place")
)

// RelayOptions are those of NewRelay.
type RelayOptions struct {
	Store *store.Store // opened with Changes
	// Changes are those of the store that nobody else takes; nil: the store's first.
	Changes *store.Changes
	// Place is where the server replicates to besides; empty: nowhere.
	Place string
	Dir   string        // of the data
	Every time.Duration // how long what is committed waits for more to come; 0: relayEvery
	Most  int64         // bytes that are kept for standbys; 0: RelayMost
	// Off: nothing is kept, and no standby follows; but one that went on in this server's place says so all the same.
	Off    bool
	Logger *slog.Logger
}

// RelayMost is how much is kept for standbys unless one says otherwise.
const RelayMost = 2 << 30

const relayEvery = 50 * time.Millisecond

// relayPath is the folder, in the data folder, of segments and of files that they name.
const relayPath = "relay"

// known is how long a standby that does not ask is remembered: for it segments are kept that all others have.
const known = 24 * time.Hour

// handFor is how long a server that is over waits for the other one to say that it has what it was handed.
const handFor = 10 * time.Second

// awayAfter is after what time without a question a standby counts as away.
const awayAfter = time.Minute

// Asked says what a standby has, and that it wants what comes next.
type Asked struct {
	Standby  string `json:"standby"`          // its name, which is its folder's
	Host     string `json:"host,omitempty"`   // where it is, for people
	Number   uint64 `json:"number"`           // of the segment that comes next
	Any      bool   `json:"any,omitempty"`    // it has the one before, with this hash
	Previous uint64 `json:"previous"`         //
	Lineage  string `json:"lineage"`          // of the open that made what it has
	Database string `json:"database"`         //
	Next     uint64 `json:"next"`             // number of the change that comes next
	WaitMS   int64  `json:"waitMs,omitempty"` // how long to wait for a segment that is not there
}

// Overtaking is what a standby that is promoted tells the server that it followed.
type Overtaking struct {
	Asked
	Name        string `json:"name"`           // the lineage of what goes on
	Incarnation uint64 `json:"incarnation"`    // with which it does, at least
	Lost        bool   `json:"lost,omitempty"` // it goes on already, without what the server may have besides
	Had         bool   `json:"had,omitempty"`  // it has what an earlier answer handed over: nothing else is asked
}

// Here is what a server is to a standby that begins.
type Here struct {
	Number      uint64 `json:"number"` // of the segment with which a copy goes on that is made after this is known
	Database    string `json:"database"`
	Lineage     string `json:"lineage"`
	Incarnation uint64 `json:"incarnation"`
	Host        string `json:"host"`
	AtMS        int64  `json:"atMs"`
	// Standbys are all that are known, by name, with their hosts.
	Standbys map[string]string `json:"standbys,omitempty"`
	// Place is where the server replicates to besides: who takes that over goes on, too.
	Place string `json:"place,omitempty"`
}

// Relay keeps segments, and hands them out. Its methods may be called by many goroutines at once.
type Relay struct {
	o        RelayOptions
	dir      string
	host     string
	database string

	cutting sync.Mutex // held while a segment is made, before mu; guards the following
	encoder encoder
	linked  map[string]os.FileInfo // files beside the database that segments of this run have named

	mu       sync.Mutex // guards the following
	begun    bool       // Run has looked at what there is
	first    uint64     // number of the oldest segment that is here
	next     uint64     // and of the one after the newest
	sizes    []int64    // of those
	times    []int64    // when the first change of each was committed, in ms
	bytes    int64      // of all of them
	previous uint64     // hash of the newest; of no meaning when there is none
	end      uint64     // number of the change after the newest segment
	more     chan struct{}
	standbys map[string]*standbyOf
	failing  string
	over     error           // set when another goes on
	overBy   string          // Overtaking.Name
	rest     [][]byte        // what was committed and not asked for at that time
	overCh   chan struct{}   // closed then
	untold   map[string]bool // other standbys that are there and do not know yet that it is over
	has      bool            // the one that goes on has what it was handed
	handOnce sync.Once
	handed   chan struct{} // see Handed
}

type standbyOf struct {
	host   string
	number uint64 // it has all before
	next   uint64
	seen   time.Time
	told   bool // that it is away
}

// RelayStatus is how far standbys are.
type RelayStatus struct {
	Bytes    int64 // kept for them
	Failing  string
	Standbys []StandbyStatus
}

// StandbyStatus is how far one is.
type StandbyStatus struct {
	Host string
	Seen time.Time     // when it asked last
	Lag  time.Duration // age of the oldest change that it may not have; 0: it has all
	Away bool
}

// NewRelay returns a relay that keeps nothing until Run.
func NewRelay(o RelayOptions) *Relay {
	if o.Every == 0 {
		o.Every = relayEvery
	}
	if o.Most == 0 {
		o.Most = RelayMost
	}
	if o.Changes == nil {
		o.Changes = o.Store.Changes()
	}
	host, _ := os.Hostname()
	id := o.Store.DatabaseID()
	return &Relay{
		o: o, dir: filepath.Join(o.Dir, relayPath), host: host, database: fmt.Sprintf("%x", id[:]), more: make(chan struct{}), standbys: map[string]*standbyOf{}, overCh: make(chan struct{}),
		handed: make(chan struct{}),
	}
}

// RemoveRelay removes what a relay has kept, in a folder whose server has none now: what is not kept from now on would be missing in it.
func RemoveRelay(dir string) error { return os.RemoveAll(filepath.Join(dir, relayPath)) }

func (r *Relay) path(number uint64) string { return filepath.Join(r.dir, fmt.Sprintf("%016x", number)) }

// filesOf is the folder of the files that a segment names.
func (r *Relay) filesOf(number uint64) string { return r.path(number) + ".files" }

// Run keeps what is committed until ctx is done. It returns an error when another server goes on in this one's place.
func (r *Relay) Run(ctx context.Context) error {
	if err := r.begin(); err != nil {
		return err
	}
	changes := r.o.Changes
	for wait := firstRetry; ; {
		var err error
		select {
		case <-r.overCh:
			select {
			case <-r.handed:
			case <-ctx.Done():
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.over
		default:
			err = r.cut()
		}
		if errors.Is(err, store.ErrPoisoned) {
			return err
		}
		r.failed(err)
		again := (<-chan time.Time)(nil)
		woken := changes.Woken()
		if err != nil {
			again, woken = time.After(wait), nil
			wait = min(2*wait, lastRetry)
		} else {
			wait = firstRetry
		}
		select {
		case <-ctx.Done():
			r.failed(r.cut()) // what is left is kept for the next run
			return nil
		case <-r.overCh:
		case <-again:
		case <-woken:
			select { // it is rarely one alone
			case <-ctx.Done():
			case <-r.overCh:
			case <-changes.Much():
			case <-time.After(r.every()):
			}
		}
	}
}

// idleEvery is Every while no standby asks: each segment is a sync of the disk that writers' syncs wait for.
const idleEvery = time.Second

// every is how long what is committed waits for more to come.
func (r *Relay) every() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.standbys {
		if time.Since(s.seen) < awayAfter {
			return r.o.Every
		}
	}
	return max(r.o.Every, idleEvery)
}

func (r *Relay) failed(err error) {
	r.mu.Lock()
	was := r.failing
	r.failing = ""
	if err != nil {
		r.failing = err.Error()
	}
	r.mu.Unlock()
	switch {
	case err != nil && was == "":
		r.o.Logger.Error("what is committed cannot be kept for standbys, and is tried again", "error", err)
	case err == nil && was != "":
		r.o.Logger.Info("what is committed is kept for standbys again")
	}
}

// begin goes on with what an earlier run has kept, if nothing is missing between the two.
func (r *Relay) begin() error {
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return err
	}
	var numbers []uint64
	for _, e := range entries {
		n, err := strconv.ParseUint(e.Name(), 16, 64)
		switch {
		case err == nil:
			numbers = append(numbers, n)
		case e.Name() != knownFile && !strings.HasSuffix(e.Name(), ".files"): // half of one
			if err := os.RemoveAll(filepath.Join(r.dir, e.Name())); err != nil {
				return err
			}
		}
	}
	slices.Sort(numbers)
	if err := r.o.Store.Own(false); err != nil {
		return err
	}
	was, is := r.o.Store.Lineage()
	changes := r.o.Changes
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun = true
	if len(numbers) > 0 {
		last := numbers[len(numbers)-1]
		r.first, r.next = last+2, last+2 // one is left out: nobody takes what comes for what follows
		whole := numbers[0]+uint64(len(numbers)) == last+1
		if segment, err := os.ReadFile(r.path(last)); err == nil && whole {
			h, hash, _, err := decode(segment)
			if err == nil && h.Database == r.database && (h.Lineage == was || h.Lineage == is) && h.Lineage != "" && changes.Skip(h.End) {
				r.first, r.next, r.previous, r.end = numbers[0], last+1, hash, h.End
			}
		}
	}
	for _, n := range numbers {
		if n < r.first {
			if err := errors.Join(os.Remove(r.path(n)), os.RemoveAll(r.filesOf(n))); err != nil {
				return err
			}
			continue
		}
		info, err := os.Stat(r.path(n))
		if err != nil {
			return err
		}
		r.sizes, r.times = append(r.sizes, info.Size()), append(r.times, info.ModTime().UnixMilli())
		r.bytes += info.Size()
	}
	for _, e := range entries { // of segments that are not there
		name, is := strings.CutSuffix(e.Name(), ".files")
		if n, err := strconv.ParseUint(name, 16, 64); is && (err != nil || n < r.first || n >= r.next) {
			if err := os.RemoveAll(filepath.Join(r.dir, e.Name())); err != nil {
				return err
			}
		}
	}
	r.recall()
	if len(r.sizes) == 0 && len(numbers) > 0 {
		r.o.Logger.Warn("what was kept for standbys does not reach up to this start: they begin anew with a copy")
	}
	return nil
}

// cut makes segments of what is committed and durable.
func (r *Relay) cut() error {
	r.cutting.Lock()
	defer r.cutting.Unlock()
	return r.keepAll(true)
}

// keepAll makes segments of what is committed and durable. A gap is left where something is missing if anew says so, and is an error else. cutting is
// held.
func (r *Relay) keepAll(anew bool) error {
	changes := r.o.Changes
	for {
		taken, err := changes.Take(segmentBytes)
		if errors.Is(err, store.ErrGap) && anew {
			if err := r.beginAnew(); err != nil {
				return err
			}
			continue
		}
		if err != nil || len(taken) == 0 {
			return err
		}
		if err := r.keep(taken); err != nil { // nothing that is committed later follows what is here now
			changes.Lose()
			return err
		}
		changes.Settled()
	}
}

// keep makes a segment. cutting is held.
func (r *Relay) keep(taken []store.Change) (err error) {
	_, is := r.o.Store.Lineage()
	r.mu.Lock()
	h := Head{
		Number: r.next, Previous: r.previous, Database: r.database, Lineage: is, Incarnation: r.o.Store.Incarnation(), Host: r.host,
		First: taken[0].First, End: taken[len(taken)-1].End, AtMS: taken[len(taken)-1].AtMS,
	}
	r.mu.Unlock()
	if namesFiles(taken) {
		if h.Files, err = r.link(h.Number); err != nil {
			return err
		}
	}
	segment, hash, err := r.encoder.encode(h, taken)
	if err != nil {
		return err
	}
	if err := writeSynced(r.path(h.Number), segment); err != nil {
		return fmt.Errorf("keep a segment for standbys: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next, r.previous, r.end = h.Number+1, hash, h.End
	r.sizes, r.times = append(r.sizes, int64(len(segment))), append(r.times, taken[0].AtMS)
	r.bytes += int64(len(segment))
	r.tidy()
	close(r.more)
	r.more = make(chan struct{})
	return nil
}

// writeSynced makes a file whole or not at all, and durable.
func writeSynced(path string, content []byte) error {
	file, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path+".tmp"))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// link links the files beside the database that a segment's rows may name, under their sums: they stay for who asks for them.
func (r *Relay) link(number uint64) (files []backup.File, err error) {
	to := r.filesOf(number)
	if err := errors.Join(os.RemoveAll(to), os.Mkdir(to, 0o700)); err != nil {
		return nil, err
	}
	there := map[string]os.FileInfo{}
	err = eachBeside(r.o.Dir, func(path, name string) error {
		linked := filepath.Join(to, "next")
		switch err := os.Link(path, linked); {
		case errors.Is(err, os.ErrNotExist): // it is gone already
			return nil
		case err != nil:
			return err
		}
		info, err := os.Stat(linked)
		if err != nil {
			return err
		}
		there[name] = info
		if was, ok := r.linked[name]; ok && os.SameFile(was, info) && was.ModTime().Equal(info.ModTime()) && was.Size() == info.Size() {
			return os.Remove(linked)
		}
		f, err := backup.SumFile(linked)
		if err != nil {
			return err
		}
		f.Name = name
		files = append(files, f)
		return os.Rename(linked, filepath.Join(to, f.Sum))
	})
	if err == nil {
		r.linked = there
	}
	return files, err
}

// beginAnew leaves a gap: more was committed than could wait, or something was taken out of the database. cutting is held.
func (r *Relay) beginAnew() error {
	r.o.Logger.Warn("more was written than could wait, or a damaged range was taken out: standbys begin anew with a copy")
	if err := r.o.Changes.Begin(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trim(r.next)
	r.first, r.next, r.previous = r.next+1, r.next+1, 0
	close(r.more)
	r.more = make(chan struct{})
	return nil
}

// trim removes the segments before a number. mu is held.
func (r *Relay) trim(to uint64) {
	for r.first < to {
		if err := errors.Join(os.Remove(r.path(r.first)), os.RemoveAll(r.filesOf(r.first))); err != nil && !errors.Is(err, os.ErrNotExist) {
			r.o.Logger.Error("what was kept for standbys cannot be removed; the next start tries again", "error", err)
		}
		r.bytes -= r.sizes[0]
		r.first, r.sizes, r.times = r.first+1, r.sizes[1:], r.times[1:]
	}
}

// tidy removes what all standbys have, and the oldest of what is too much; the newest stays, which tells the next run where to go on. mu is held.
func (r *Relay) tidy() {
	low, now := r.next, time.Now()
	for name, s := range r.standbys {
		if now.Sub(s.seen) > known {
			delete(r.standbys, name)
			r.remember()
			continue
		}
		low = min(low, s.number)
	}
	if len(r.standbys) == 0 { // they may be about to ask
		low = r.first
	}
	if r.first < r.next {
		r.trim(min(low, r.next-1))
	}
	for r.bytes > r.o.Most && r.first+1 < r.next {
		for _, s := range r.standbys {
			if s.number == r.first && !s.told {
				s.told = true
				r.o.Logger.Warn("a standby has not asked for so long that it begins anew with a copy: more was written than is kept for it", "standby", s.host, "kept", r.o.Most)
			}
		}
		r.trim(r.first + 1)
	}
}

// Next returns the segment that a standby asks for, as soon as there is one; nil: there is none yet.
func (r *Relay) Next(ctx context.Context, a Asked) ([]byte, error) {
	timer := time.NewTimer(time.Duration(a.WaitMS) * time.Millisecond)
	defer timer.Stop()
	for {
		path, more, err := r.look(a)
		if err != nil {
			return nil, err
		}
		if path != "" {
			segment, err := os.ReadFile(path)
			if errors.Is(err, os.ErrNotExist) { // removed since
				err = ErrBeginAnew
			}
			return segment, err
		}
		select {
		case <-more:
		case <-timer.C:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// look returns the path of what a standby asks for; none: it has all, until more is closed.
func (r *Relay) look(a Asked) (path string, more <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.follows(a); err != nil {
		return "", nil, err
	}
	r.seen(a)
	r.tidy()
	if a.Number < r.next {
		return r.path(a.Number), nil, nil
	}
	return "", r.more, nil
}

// seen notes how far a standby is. mu is held.
func (r *Relay) seen(a Asked) {
	s := r.standbys[a.Standby]
	fresh := s == nil || s.host != a.Host
	if s == nil {
		s = &standbyOf{}
		r.standbys[a.Standby] = s
	}
	*s = standbyOf{host: a.Host, number: a.Number, next: a.Next, seen: time.Now()}
	if fresh {
		r.remember()
	}
}

// knownFile lists, in the relay's folder, the standbys that are known, by name, with their hosts: after a start what one lacks stays until it has asked,
// whoever asks first.
const knownFile = "standbys.json"

// remember writes them down. mu is held.
func (r *Relay) remember() {
	text, err := json.Marshal(r.hosts())
	if err == nil {
		err = writeSynced(filepath.Join(r.dir, knownFile), text)
	}
	if err != nil {
		r.o.Logger.Error("the standbys cannot be noted: after a start, what one lacks is kept only once it has asked", "error", err)
	}
}

// hosts are those of the standbys that are known, by name. mu is held.
func (r *Relay) hosts() map[string]string {
	hosts := map[string]string{}
	for name, s := range r.standbys {
		hosts[name] = s.host
	}
	return hosts
}

// recall reads what remember has written: of each nothing is removed until it asks, or counts as forgotten. mu is held.
func (r *Relay) recall() {
	hosts := map[string]string{}
	text, err := os.ReadFile(filepath.Join(r.dir, knownFile))
	if err == nil {
		err = json.Unmarshal(text, &hosts)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		r.o.Logger.Error("which standbys there are cannot be read: what one lacks is kept only once it has asked", "error", err)
	}
	for name, host := range hosts {
		if r.standbys[name] == nil {
			r.standbys[name] = &standbyOf{host: host, number: r.first, seen: time.Now()}
		}
	}
}

// follows says whether what a standby has goes on here. mu is held.
func (r *Relay) follows(a Asked) error {
	switch {
	case r.over != nil:
		r.tell(a.Standby)
		return r.over
	case !r.begun:
		return r.notBegun()
	case a.Database != r.database:
		return fmt.Errorf("%w: the standby has database %s, and the server %s", ErrOther, a.Database, r.database)
	}
	if a.Number >= r.first && a.Number <= r.next {
		if !a.Any {
			return r.begins(a)
		}
		previous := r.previous
		var err error
		if a.Number < r.next {
			previous, err = r.previousOf(a.Number)
		}
		if err != nil {
			return err
		}
		if previous == a.Previous && (a.Number < r.next || r.first < r.next) {
			return nil
		}
	}
	// It is not to lose what only it has.
	end, ours, _, err := r.o.Store.Owned(a.Lineage)
	switch {
	case err != nil:
		return err
	case !ours, end != 0 && a.Next > end, end == 0 && a.Next > r.o.Changes.Applied():
		return ErrBehind
	}
	return ErrBeginAnew
}

// begins says whether a standby that has a copy and no segment goes on here. The copy is of what this folder was: this open's, or one of an open before
// that has not been put back since. mu is held.
func (r *Relay) begins(a Asked) error {
	if _, is := r.o.Store.Lineage(); a.Lineage == is {
		return nil
	}
	end, ours, _, err := r.o.Store.Owned(a.Lineage)
	if err == nil && (!ours || end == 0 || a.Next > end) {
		err = ErrBehind
	}
	return err
}

func (r *Relay) notBegun() error {
	if r.o.Off {
		return fmt.Errorf("%w: start it with --allow-standby", ErrNotNow)
	}
	return fmt.Errorf("%w yet: it has just been started", ErrNotNow)
}

// previousOf reads from a segment the hash of the one before it.
func (r *Relay) previousOf(number uint64) (uint64, error) {
	file, err := os.Open(r.path(number))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	start := make([]byte, 9)
	if _, err := file.ReadAt(start, 0); err != nil {
		return 0, err
	}
	text := make([]byte, min(binary.BigEndian.Uint32(start[5:]), segmentBytes))
	if _, err := file.ReadAt(text, 9); err != nil {
		return 0, err
	}
	var h Head
	err = json.Unmarshal(text, &h)
	return h.Previous, err
}

// Begin says with what a copy goes on that is made after it has returned, and keeps that for a standby of a name.
func (r *Relay) Begin(standby, host string) (Here, error) {
	_, is := r.o.Store.Lineage()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over != nil {
		return Here{}, r.over
	}
	if !r.begun {
		return Here{}, r.notBegun()
	}
	here := Here{Number: r.next, Database: r.database, Lineage: is, Incarnation: r.o.Store.Incarnation(), Host: r.host, AtMS: time.Now().UnixMilli(), Standbys: r.hosts(), Place: r.o.Place}
	if standby != "" {
		r.seen(Asked{Standby: standby, Host: host, Number: r.next})
	}
	return here, nil
}

// File opens a file that a segment names, by its sum.
func (r *Relay) File(number uint64, sum string) (*os.File, error) {
	if sum == "" || strings.Trim(sum, "0123456789abcdef") != "" { // else it is the folder, or another file
		return nil, os.ErrNotExist
	}
	return os.Open(filepath.Join(r.filesOf(number), sum))
}

// Status tells how far standbys are.
func (r *Relay) Status() RelayStatus {
	oldest := r.o.Changes.OldestMS()
	r.mu.Lock()
	defer r.mu.Unlock()
	st := RelayStatus{Bytes: r.bytes, Failing: r.failing}
	now := time.Now()
	for _, s := range r.standbys {
		one := StandbyStatus{Host: s.host, Seen: s.seen, Away: now.Sub(s.seen) > awayAfter}
		lacks := oldest
		if s.number < r.next {
			lacks = r.times[max(s.number, r.first)-r.first]
		}
		if lacks != 0 {
			one.Lag = max(time.Millisecond, now.Sub(time.UnixMilli(lacks)))
		}
		st.Standbys = append(st.Standbys, one)
	}
	slices.SortFunc(st.Standbys, func(a, b StandbyStatus) int { return strings.Compare(a.Host, b.Host) })
	return st
}
