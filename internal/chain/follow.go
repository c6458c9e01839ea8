package chain

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/store"
)

// FollowOptions are those of Follow.
type FollowOptions struct {
	Place  backup.Place
	Dir    string        // of the standby's data
	Every  time.Duration // how often the place is asked for the next segment; 0: a second
	Logger *slog.Logger
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
	host    string
	lineage string // of the folder once it is promoted
	asked   chan asked

	// Of Run alone:
	folder *store.Standby
	replay *store.Replay // nil: there is no data
	pos    position
	sure   time.Time // when the place was last seen to have nothing more, or the next segment

	mu       sync.Mutex // guards the following
	status   Followed
	caughtUp time.Time // when it had all that the place had
}

type asked struct {
	ctx    context.Context
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
	folder, err := store.BecomeStandby(o.Dir, o.Place.String())
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	return &Follower{o: o, host: host, lineage: strings.ToLower(rand.Text()), asked: make(chan asked), folder: folder, status: Followed{Place: o.Place.String(), Lag: -1, State: "begins"}}, nil
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
func (f *Follower) Promote(ctx context.Context) (p Promoted, err error) {
	a := asked{ctx: ctx, answer: make(chan error, 1), into: &p}
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
			err = f.beginAnew(ctx, err)
		}
		if ctx.Err() != nil {
			return false, nil
		}
		pause := f.o.Every
		if err != nil {
			f.failed(err)
			pause, wait = wait, min(2*wait, lastRetry)
		} else {
			f.failed(nil)
			wait = firstRetry
		}
		select {
		case <-ctx.Done():
			return false, nil
		case a := <-f.asked:
			err, fatal := f.promote(a.ctx, a.into)
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
		f.o.Logger.Error("the standby cannot go on, and tries again", "place", f.o.Place.String(), "error", err)
	case err == nil && was != "":
		f.o.Logger.Info("the standby goes on", "place", f.o.Place.String())
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
		return f.seed(ctx, 0)
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

// seed makes the folder of the newest backup whose chain begins at a number or later.
func (f *Follower) seed(ctx context.Context, from uint64) error {
	base, err := newest(ctx, patient{Place: f.o.Place}, func(m *backup.Manifest) bool { return m.Chain >= from })
	if err != nil {
		return err
	}
	if base == nil {
		return fmt.Errorf("%s has no backup to begin with yet: a server that replicates there makes one", f.o.Place)
	}
	if err := errors.Join(f.closeReplay(), f.folder.Clear()); err != nil {
		return err
	}
	f.update(func(st *Followed) { st.State = "copies the backup " + base.ID })
	f.o.Logger.Info("the standby begins with a backup", "backup", base.ID, "place", f.o.Place.String())
	if d := base.Doubts(); d != "" {
		f.o.Logger.Warn("the backup with which the standby begins is not whole", "backup", base.ID, "it has", d)
	}
	pos := position{Segment: base.Chain, AtMS: base.Made.UnixMilli(), MadeMS: base.Made.UnixMilli()}
	err = backup.Restore(ctx, f.o.Place, *base, f.o.Dir, backup.Options{Beside: store.IsApart, Finish: func() error {
		r, err := store.OpenReplay(f.o.Dir)
		if err != nil {
			return err
		}
		pos.Next = r.Next()
		row, err := json.Marshal(pos)
		if err == nil {
			err = r.KeepPosition(row)
		}
		return errors.Join(err, r.Close())
	}})
	if err != nil {
		return err
	}
	return f.resume()
}

// beginAnew makes the folder of a newer backup than what does not go on, once there is one.
func (f *Follower) beginAnew(ctx context.Context, why error) error {
	base, err := newest(ctx, f.o.Place, func(*backup.Manifest) bool { return true })
	if err != nil {
		return err
	}
	if base == nil || base.Chain < f.pos.Segment {
		return fmt.Errorf("%w; it begins anew when there is a new backup", why)
	}
	f.o.Logger.Warn("the standby begins anew", "place", f.o.Place.String(), "why", why)
	return f.seed(ctx, f.pos.Segment)
}

// step adds the next segment, if there is one.
func (f *Follower) step(ctx context.Context) (more bool, err error) {
	asked := time.Now()
	h, hash, changes, err := read(ctx, f.o.Place, f.pos.Segment)
	if errors.Is(err, backup.ErrAbsent) {
		if now := time.Now(); !f.pos.Any || max(now.Sub(f.sure), now.Round(0).Sub(f.sure.Round(0))) > unsure {
			switch low, err := floor(ctx, f.o.Place); {
			case err != nil:
				return false, err
			case low > f.pos.Segment:
				return false, fmt.Errorf("%w: its next segment %s is too old, and was removed", errNoWay, nameOf(f.pos.Segment))
			}
		}
		if !f.pos.Any {
			return false, fmt.Errorf("%s lacks the segment %s, with which its backup goes on", f.o.Place, nameOf(f.pos.Segment))
		}
		if there, err := exists(ctx, f.o.Place, f.pos.Segment-1); err != nil {
			return false, err
		} else if !there {
			return false, f.emptied(ctx)
		}
		f.sure = asked
		f.mu.Lock()
		f.caughtUp = asked
		f.mu.Unlock()
		return false, nil
	}
	if err != nil {
		return false, err
	}
	f.sure = asked
	pos := f.pos
	if pos.Any && (h.Previous != pos.Previous || h.Database != pos.Database) {
		return false, fmt.Errorf("%w: the segment %s does not follow the one before it", errNoWay, nameOf(h.Number))
	}
	if pos.Any && h.Gap {
		return false, fmt.Errorf("%w: there is a gap before the segment %s", errNoWay, nameOf(h.Number))
	}
	if pos.Any && h.Renumber {
		if err := f.replay.Renumber(pos.End, h.First); err != nil {
			return false, fmt.Errorf("%w: %w", errNoWay, err)
		}
	}
	for _, file := range h.Files {
		if err := backup.GetFile(ctx, f.o.Place, file, filepath.Join(f.o.Dir, filepath.FromSlash(file.Name))); err != nil {
			return false, err
		}
	}
	pos.Segment, pos.Previous, pos.Any, pos.End, pos.AtMS = h.Number+1, hash, true, h.End, h.AtMS
	pos.Database, pos.Incarnation, pos.Part, pos.Host = h.Database, h.Incarnation, h.Part, h.Host
	err = f.replay.AddAll(changes, func(next uint64) ([]byte, error) {
		pos.Next = next
		return json.Marshal(pos)
	})
	if errors.Is(err, store.ErrGap) {
		err = fmt.Errorf("%w: %w", errNoWay, err)
	}
	if err != nil {
		return false, err
	}
	f.pos = pos
	f.moved()
	return true, nil
}

// emptied says why the place lacks the segment before the next, which was there. Of a disk that is not mounted there is an empty folder: it says
// nothing of what the chain has, and a claim in it fences nobody.
func (f *Follower) emptied(ctx context.Context) error {
	switch low, err := floor(ctx, f.o.Place); {
	case err != nil:
		return err
	case low > f.pos.Segment:
		return fmt.Errorf("%w: its next segment %s is too old, and was removed", errNoWay, nameOf(f.pos.Segment))
	}
	return fmt.Errorf("%s lacks the segment %s, which was there: is it another place, or a disk that is not mounted?", f.o.Place, nameOf(f.pos.Segment-1))
}

// promote does what Promote says. fatal: the standby cannot go on as one.
func (f *Follower) promote(ctx context.Context, into *Promoted) (err error, fatal bool) {
	f.update(func(st *Followed) { st.State = "is being promoted" })
	defer func() {
		if err != nil && !fatal && f.replay != nil {
			f.moved()
		}
	}()
	var claim []byte
	var h Head
	for {
		if err := f.advance(ctx); err != nil {
			return fmt.Errorf("read the chain to its end: %w", err), false
		}
		if claim == nil || h.Number != f.pos.Segment {
			opens, err := f.replay.Opens()
			if err != nil {
				return err, true
			}
			h = Head{ // what follows has numbers of its own
				Number: f.pos.Segment, Previous: f.pos.Previous, Database: f.pos.Database, Lineage: f.lineage, Incarnation: f.pos.Incarnation + uint64(f.raise()),
				Host: f.host, Claim: true, Renumber: true, Part: f.pos.Part, First: opens, End: opens, AtMS: time.Now().UnixMilli(),
			}
			// Its backup may have more than the segments, when an earlier release made it: no other goes on from there.
			if f.pos.Next != f.pos.End {
				h.Renumber, h.Gap, h.Part = false, true, h.Number
			}
			if claim, _, err = new(encoder).encode(h, nil); err != nil {
				return err, false
			}
		}
		err := f.claim(ctx, h.Number, claim)
		if errors.Is(err, backup.ErrExists) { // one more of the other's
			continue
		}
		if err != nil {
			return fmt.Errorf("take the place over: %w (it may have been, so that the other server has ended: promote again)", err), false
		}
		break
	}
	*into = Promoted{To: time.UnixMilli(f.pos.AtMS), Segment: h.Number}
	if err := f.closeReplay(); err != nil {
		return err, true
	}
	if err := f.folder.Promote(f.lineage, uint64(f.raise())); err != nil {
		return err, true
	}
	f.o.Logger.Info("the standby is promoted", "place", f.o.Place.String(), "segment", h.Number, "to", into.To)
	return nil, false
}

func (f *Follower) raise() int { return backup.Raise(time.Since(time.UnixMilli(f.pos.MadeMS))) }

// claim puts the segment by which the chain is taken over, right behind what the folder has. ErrExists: there is another. It does not end with ctx:
// once it is put the other server is fenced, whoever waits for the answer.
func (f *Follower) claim(ctx context.Context, number uint64, claim []byte) (err error) {
	for range 3 {
		once, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		err = f.claimOnce(once, number, claim)
		cancel()
		if err == nil || errors.Is(err, backup.ErrExists) || errors.Is(err, errNoWay) {
			break
		}
	}
	return err
}

func (f *Follower) claimOnce(ctx context.Context, number uint64, claim []byte) error {
	switch _, hash, _, err := read(ctx, f.o.Place, number-1); {
	case errors.Is(err, backup.ErrAbsent):
		return f.emptied(ctx)
	case err != nil:
		return err
	case hash != f.pos.Previous:
		return fmt.Errorf("%w: the segment %s of %s is not what was read there", errNoWay, nameOf(number-1), f.o.Place)
	}
	err := f.o.Place.PutNew(ctx, nameOf(number), claim)
	if errors.Is(err, backup.ErrExists) {
		there, ferr := fetch(ctx, f.o.Place, number)
		if ferr != nil {
			return ferr
		}
		if bytes.Equal(there, claim) { // an earlier try, whose answer was lost
			err = nil
		}
	}
	if err != nil {
		return err
	}
	switch low, err := floor(ctx, f.o.Place); {
	case err != nil:
		return err
	case low > number:
		return fmt.Errorf("%w: what followed has been removed", errNoWay)
	}
	return nil
}
