package chain

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/store"
)

// FollowOptions are those of Follow.
type FollowOptions struct {
	Place backup.Place
	// Primary is followed itself, where there is no Place (see Relay).
	Primary Primary
	Dir     string        // of the standby's data
	Every   time.Duration // how often the place is asked for the next segment; 0: a second
	Logger  *slog.Logger
}

// position is how far a standby has come. It is stored in the batch that brings it there.
type position struct {
	Segment  uint64 `json:"segment"`            // number of the next
	Previous uint64 `json:"previous,omitempty"` // hash of the one before; of no meaning without Any
	Any      bool   `json:"any,omitempty"`      // some segment has been read
	Next     uint64 `json:"next"`               // of the change that comes next
	End      uint64 `json:"end,omitempty"`      // of the newest segment
	AtMS     int64  `json:"atMs"`               // of the newest segment, or the backup
	MadeMS   int64  `json:"madeMs"`             // when the backup was made with which it began

	Database    string `json:"database,omitempty"` // of the newest segment, and so are the following
	Incarnation uint64 `json:"incarnation,omitempty"`
	Part        uint64 `json:"part,omitempty"`
	Host        string `json:"host,omitempty"`
	Lineage     string `json:"lineage,omitempty"`
	Standby     string `json:"standby,omitempty"` // its name to the server that it follows itself
	// As is the lineage as which the standby has asked that server for its end, while it is not known that it has not ended for it.
	As string `json:"as,omitempty"`
	// Others are the hosts of that server's other standbys. Of two that are promoted neither would know of the other.
	Others []string `json:"others,omitempty"`
	// Place is where that server replicates to besides, for standbys of that place are others, too.
	Place string `json:"place,omitempty"`
}

// begin keeps the position in a folder that has the backup or copy with which a standby begins.
func (p *position) begin(dir string) error {
	r, err := store.OpenReplay(dir)
	if err != nil {
		return err
	}
	p.Next = r.Next()
	row, err := json.Marshal(p)
	if err == nil {
		err = r.KeepPosition(row, false)
	}
	return errors.Join(err, r.Close())
}

// Followed is how far a standby has come.
type Followed struct {
	Place   string
	Segment uint64    // number of the next
	To      time.Time // all that was copied to the place by then is there
	Lag     float64   // seconds since the standby has had all that the place has; below 0: it has nothing yet
	Of      string    // the host that ships
	State   string    // what it does
	Failing string    // why it cannot go on now
}

// Promoted is what a promotion has made.
type Promoted struct {
	To      time.Time // all that was copied to the place by then is there, and nothing later
	Segment uint64    // by which the place was taken over
}

// Follower keeps a folder at what a chain has. Its methods may be called by many goroutines at once.
type Follower struct {
	o       FollowOptions
	from    source
	host    string
	lineage string // of the folder once it is promoted
	name    string // to the server that it follows itself, where its folder has none yet
	asked   chan asked

	// Of Run alone:
	folder *store.Standby
	replay *store.Replay // nil: there is no data
	pos    position
	sure   time.Time // when the place was last seen to have nothing more, or the next segment
	looked time.Time // when the next segment came, or was last seen to be neither there nor lost

	promoting bool      // nothing is waited for
	unsure    bool      // the server may be over for this standby: the answer is missing
	askedEnd  time.Time // when it was asked for that last, or the position read that says so
	rest      *[][]byte // what it handed over when it ended; nil: it has not
	quiet     bool      // there was nothing more when it was asked last
	others    time.Time // when the server was asked last for its other standbys
	elsewhere string    // by what the server said that another goes on in its place; empty: it has not

	mu       sync.Mutex // guards the following
	status   Followed
	caughtUp time.Time // when it had all that the place had
}

// source is where a follower gets what it adds. Its methods are called by Run.
type source interface {
	String() string
	// seed makes the folder of a copy that goes on with the segment from, or a later one.
	seed(ctx context.Context, f *Follower, from uint64) error
	// beginAnew is seed where what the folder has goes on in nothing any more.
	beginAnew(ctx context.Context, f *Follower, why error) error
	// next returns the next segment; more: there is one. It may wait for it.
	next(ctx context.Context, f *Follower) (s segment, more bool, err error)
	// file puts a file that a segment names into the folder.
	file(ctx context.Context, f *Follower, number uint64, file backup.File) error
	// takeOver has f go on in the place of who it follows. fatal: it cannot go on as a standby. It returns the number of the segment by which it does.
	takeOver(ctx context.Context, f *Follower, how How) (number uint64, err error, fatal bool)
	// pauses returns how long to wait where there is nothing more, and the longest wait after a failure.
	pauses(f *Follower) (idle, failed time.Duration)
}

// segment is one, decoded.
type segment struct {
	Head
	hash    uint64
	changes []store.Change
}

// How a standby is promoted that follows a server itself.
type How struct {
	Lost bool // the server is lost: it is not asked for its end
	Only bool // so is whoever else may go on in its place
}

type asked struct {
	ctx    context.Context
	how    How
	answer chan error
	into   *Promoted
}

// errNoWay says that what a standby has does not go on in the chain: it begins anew.
var errNoWay = errors.New("the chain does not go on from what the standby has")

// Follow locks a folder, which is new or a standby's, for Run.
func Follow(o FollowOptions) (*Follower, error) {
	if o.Every == 0 {
		o.Every = time.Second
	}
	from := source(ofPlace{o.Place})
	if o.Primary != nil {
		from = ofPrimary{o.Primary}
	}
	folder, err := store.BecomeStandby(o.Dir, from.String())
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	return &Follower{o: o, from: from, host: host, lineage: strings.ToLower(rand.Text()), name: strings.ToLower(rand.Text()), asked: make(chan asked), folder: folder, status: Followed{Place: from.String(), Lag: -1, State: "begins"}}, nil
}

// Status tells how far it has come.
func (f *Follower) Status() Followed {
	f.mu.Lock()
	defer f.mu.Unlock()
	st := f.status
	if !f.caughtUp.IsZero() {
		st.Lag = max(0, time.Since(f.caughtUp).Seconds())
	}
	return st
}

func (f *Follower) update(g func(*Followed)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g(&f.status)
}

// Promote reads the chain to its end, takes it over, and makes of the folder one that store.Open takes: Run then ends. After an error it follows as
// before, or else Run ends with it.
func (f *Follower) Promote(ctx context.Context, how How) (p Promoted, err error) {
	a := asked{ctx: ctx, how: how, answer: make(chan error, 1), into: &p}
	select {
	case f.asked <- a:
	case <-ctx.Done():
		return p, fmt.Errorf("the standby is busy (%s): %w", f.Status().State, ctx.Err())
	}
	return p, <-a.answer
}

// Run follows until ctx is done or the standby is promoted, which promoted tells. The folder is released then.
func (f *Follower) Run(ctx context.Context) (promoted bool, err error) {
	defer func() { err = errors.Join(err, f.closeReplay(), f.folder.Close()) }()
	wait := firstRetry
	for {
		err := f.advance(ctx)
		if errors.Is(err, errNoWay) {
			err = f.from.beginAnew(ctx, f, err)
		}
		if ctx.Err() != nil {
			return false, nil
		}
		pause, longest := f.from.pauses(f)
		if err != nil {
			f.failed(err)
			pause, wait = wait, min(2*wait, longest)
		} else {
			f.failed(nil)
			wait = firstRetry
		}
		select {
		case <-ctx.Done():
			return false, nil
		case a := <-f.asked:
			err, fatal := f.promote(a.ctx, a.how, a.into)
			a.answer <- err
			if err == nil {
				return true, nil
			}
			if fatal {
				return false, err
			}
		case <-time.After(pause):
		}
	}
}

func (f *Follower) failed(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	f.mu.Lock()
	was := f.status.Failing
	f.status.Failing = text
	f.mu.Unlock()
	switch {
	case err != nil && was == "":
		f.o.Logger.Error("the standby cannot go on, and tries again", "place", f.from.String(), "error", err)
	case err == nil && was != "":
		f.o.Logger.Info("the standby goes on", "place", f.from.String())
	}
}

func (f *Follower) closeReplay() error {
	if f.replay == nil {
		return nil
	}
	r := f.replay
	f.replay = nil
	return r.Close()
}

// advance adds what the place has.
func (f *Follower) advance(ctx context.Context) error {
	if err := f.open(ctx); err != nil {
		return err
	}
	for {
		more, err := f.step(ctx)
		if err != nil || !more {
			return err
		}
	}
}

// open has the replay open, of what the folder has or of the newest backup.
func (f *Follower) open(ctx context.Context) error {
	if f.replay != nil {
		return nil
	}
	has, err := f.folder.HasData()
	if err != nil {
		return err
	}
	if !has {
		return f.from.seed(ctx, f, 0)
	}
	return f.resume()
}

func (f *Follower) resume() error {
	r, row, err := store.OpenStandby(f.o.Dir)
	if err != nil {
		return err
	}
	f.pos = position{}
	if err := json.Unmarshal(row, &f.pos); err != nil {
		return errors.Join(fmt.Errorf("the position of the standby in %s: %w", f.o.Dir, err), r.Close())
	}
	if f.elsewhere, err = f.folder.ReadElsewhere(); err != nil {
		return errors.Join(err, r.Close())
	}
	if f.pos.As != "" {
		f.lineage, f.unsure, f.askedEnd = f.pos.As, true, time.Now()
	}
	r.Continue(f.pos.Next)
	f.replay = r
	f.moved()
	return nil
}

// moved shows the position.
func (f *Follower) moved() {
	f.update(func(st *Followed) {
		st.Segment, st.To, st.State = f.pos.Segment, time.UnixMilli(f.pos.AtMS), "follows"
		if f.pos.Host != "" {
			st.Of = f.pos.Host
		}
	})
}

// step adds the next segment, if there is one.
func (f *Follower) step(ctx context.Context) (more bool, err error) {
	asked := time.Now()
	s, more, err := f.from.next(ctx, f)
	if err != nil {
		return false, err
	}
	f.sure, f.quiet = asked, !more
	if !more {
		f.mu.Lock()
		f.caughtUp = asked
		f.mu.Unlock()
		return false, nil
	}
	return true, f.add(ctx, &s)
}

// add adds the next segment.
func (f *Follower) add(ctx context.Context, h *segment) error {
	pos := f.pos
	if pos.Any && (h.Previous != pos.Previous || h.Database != pos.Database) {
		return fmt.Errorf("%w: the segment %s does not follow the one before it", errNoWay, nameOf(h.Number))
	}
	if pos.Any && h.Gap {
		return fmt.Errorf("%w: there is a gap before the segment %s", errNoWay, nameOf(h.Number))
	}
	if pos.Any && h.Renumber {
		if err := f.replay.Renumber(pos.End, h.First); err != nil {
			return fmt.Errorf("%w: %w", errNoWay, err)
		}
	}
	for _, file := range h.Files {
		if err := f.from.file(ctx, f, h.Number, file); err != nil {
			return err
		}
	}
	pos.Segment, pos.Previous, pos.Any, pos.End, pos.AtMS = h.Number+1, h.hash, true, h.End, h.AtMS
	pos.Database, pos.Incarnation, pos.Part, pos.Host, pos.Lineage = h.Database, h.Incarnation, h.Part, h.Host, h.Lineage
	err := f.replay.AddAll(h.changes, func(next uint64) ([]byte, error) {
		pos.Next = next
		return json.Marshal(pos)
	})
	if errors.Is(err, store.ErrGap) {
		err = fmt.Errorf("%w: %w", errNoWay, err)
	}
	if err != nil {
		return err
	}
	f.pos = pos
	f.moved()
	return nil
}

// promote does what Promote says. fatal: the standby cannot go on as one.
func (f *Follower) promote(ctx context.Context, how How, into *Promoted) (err error, fatal bool) {
	f.update(func(st *Followed) { st.State = "is being promoted" })
	defer func() {
		if err != nil && !fatal && f.replay != nil {
			f.moved()
		}
	}()
	number, err, fatal := f.from.takeOver(ctx, f, how)
	if err != nil {
		return err, fatal
	}
	*into = Promoted{To: time.UnixMilli(f.pos.AtMS), Segment: number}
	if err := f.closeReplay(); err != nil {
		return err, true
	}
	if err := f.folder.Promote(f.lineage, uint64(f.raise())); err != nil {
		return err, true
	}
	f.o.Logger.Info("the standby is promoted", "place", f.from.String(), "segment", number, "to", into.To)
	return nil, false
}

func (f *Follower) raise() int { return backup.Raise(time.Since(time.UnixMilli(f.pos.MadeMS))) }
