package chain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/store"
)

// ofPlace is what a server replicates to a place, as a standby follows it.
type ofPlace struct{ p backup.Place }

func (o ofPlace) String() string { return o.p.String() }

func (o ofPlace) pauses(f *Follower) (idle, failed time.Duration) { return f.o.Every, lastRetry }

func (o ofPlace) file(ctx context.Context, f *Follower, _ uint64, file backup.File) error {
	return backup.GetFile(ctx, o.p, file, filepath.Join(f.o.Dir, filepath.FromSlash(file.Name)))
}

// seed makes the folder of the newest backup whose chain begins at a number or later.
func (o ofPlace) seed(ctx context.Context, f *Follower, from uint64) error {
	base, err := newest(ctx, patient{Place: o.p}, func(m *backup.Manifest) bool { return m.Chain >= from })
	if err != nil {
		return err
	}
	if base == nil {
		return fmt.Errorf("%s has no backup to begin with yet: a server that replicates there makes one", o.p)
	}
	if err := errors.Join(f.closeReplay(), f.folder.Clear()); err != nil {
		return err
	}
	f.update(func(st *Followed) { st.State = "copies the backup " + base.ID })
	f.o.Logger.Info("the standby begins with a backup", "backup", base.ID, "place", o.p.String())
	if d := base.Doubts(); d != "" {
		f.o.Logger.Warn("the backup with which the standby begins is not whole", "backup", base.ID, "it has", d)
	}
	pos := position{Segment: base.Chain, AtMS: base.Made.UnixMilli(), MadeMS: base.Made.UnixMilli()}
	err = backup.Restore(ctx, o.p, *base, f.o.Dir, backup.Options{Beside: store.IsApart, Finish: func() error {
		return pos.begin(f.o.Dir)
	}})
	if err != nil {
		return err
	}
	return f.resume()
}

// beginAnew makes the folder of a newer backup than what does not go on, once there is one.
func (o ofPlace) beginAnew(ctx context.Context, f *Follower, why error) error {
	base, err := newest(ctx, o.p, func(*backup.Manifest) bool { return true })
	if err != nil {
		return err
	}
	if base == nil || base.Chain < f.pos.Segment {
		return fmt.Errorf("%w; it begins anew when there is a new backup", why)
	}
	f.o.Logger.Warn("the standby begins anew", "place", o.p.String(), "why", why)
	return o.seed(ctx, f, f.pos.Segment)
}

func (o ofPlace) next(ctx context.Context, f *Follower) (s segment, more bool, err error) {
	s.Head, s.hash, s.changes, err = read(ctx, o.p, f.pos.Segment)
	if err == nil {
		f.looked = time.Now()
		err = o.note(f, &s.Head)
	}
	if !errors.Is(err, backup.ErrAbsent) {
		return s, err == nil, err
	}
	if now := time.Now(); !f.pos.Any || max(now.Sub(f.sure), now.Round(0).Sub(f.sure.Round(0))) > unsure {
		switch low, err := floor(ctx, o.p); {
		case err != nil:
			return s, false, err
		case low > f.pos.Segment:
			return s, false, fmt.Errorf("%w: its next segment %s is too old, and was removed", errNoWay, nameOf(f.pos.Segment))
		}
	}
	if !f.pos.Any {
		return s, false, fmt.Errorf("%s lacks the segment %s, with which its backup goes on", o.p, nameOf(f.pos.Segment))
	}
	if there, err := exists(ctx, o.p, f.pos.Segment-1); err != nil {
		return s, false, err
	} else if !there {
		return s, false, o.emptied(ctx, f)
	}
	if now := time.Now(); now.Sub(f.looked) > lostEvery {
		if err := o.whole(ctx, f); err != nil {
			return s, false, err
		}
		f.looked = now
	}
	return s, false, nil
}

// lostEvery is how often a standby to which nothing comes looks whether that is because the place has lost a segment.
const lostEvery = 2 * time.Minute

// whole says that the place has lost the next segment, where it has later ones: what came with these never comes.
func (o ofPlace) whole(ctx context.Context, f *Follower) error {
	is, err := lost(ctx, o.p, f.pos.Segment)
	if err == nil && is {
		err = fmt.Errorf("%w: %s lacks the segment %s, and has later ones", errNoWay, o.p, nameOf(f.pos.Segment))
	}
	return err
}

// note keeps what the newest segment says of another that goes on elsewhere.
func (o ofPlace) note(f *Follower, h *Head) error {
	if h.Over == f.elsewhere {
		return nil
	}
	if err := f.folder.Elsewhere(h.Over); err != nil {
		return err
	}
	if f.elsewhere = h.Over; h.Over != "" {
		f.o.Logger.Warn("another server goes on in the place of the one that is followed, and puts nothing here", "place", o.String(), "said", h.Over)
	}
	return nil
}

// emptied says why the place lacks the segment before the next, which was there. Of a disk that is not mounted there is an empty folder: it says
// nothing of what the chain has, and a claim in it fences nobody.
func (o ofPlace) emptied(ctx context.Context, f *Follower) error {
	switch low, err := floor(ctx, o.p); {
	case err != nil:
		return err
	case low > f.pos.Segment:
		return fmt.Errorf("%w: its next segment %s is too old, and was removed", errNoWay, nameOf(f.pos.Segment))
	}
	return fmt.Errorf("%s lacks the segment %s, which was there: is it another place, or a disk that is not mounted?", o.p, nameOf(f.pos.Segment-1))
}

func (o ofPlace) takeOver(ctx context.Context, f *Follower, how How) (number uint64, err error, fatal bool) {
	var claim []byte
	var h Head
	for {
		if err := f.advance(ctx); err != nil {
			return 0, fmt.Errorf("read the chain to its end: %w", err), false
		}
		if err := o.whole(ctx, f); err != nil { // a claim in the gap would fence nobody
			return 0, fmt.Errorf("%w: millstream restore --from %s --data FOLDER says up to when there is all, and restores that", err, o.p), false
		}
		if f.elsewhere != "" && !how.Only {
			return 0, fmt.Errorf("the server that replicated to %s has said there: %s. Two that go on would not know of each other: follow that one in an empty folder, or have it replicate to %s, or, when it is lost and all is to go on from here, say so: millstream promote --only", o.p, f.elsewhere, o.p), false
		}
		if claim == nil || h.Number != f.pos.Segment {
			opens, err := f.replay.Opens()
			if err != nil {
				return 0, err, true
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
				return 0, err, false
			}
		}
		err := o.claim(ctx, f, h.Number, claim)
		if errors.Is(err, backup.ErrExists) { // one more of the other's
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("take the place over: %w (it may have been, so that the other server has ended: promote again)", err), false
		}
		return h.Number, nil, false
	}
}

// claim puts the segment by which the chain is taken over, right behind what the folder has. ErrExists: there is another. It does not end with ctx:
// once it is put the other server is fenced, whoever waits for the answer.
func (o ofPlace) claim(ctx context.Context, f *Follower, number uint64, claim []byte) (err error) {
	for range 3 {
		once, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		err = o.claimOnce(once, f, number, claim)
		cancel()
		if err == nil || errors.Is(err, backup.ErrExists) || errors.Is(err, errNoWay) {
			break
		}
	}
	return err
}

func (o ofPlace) claimOnce(ctx context.Context, f *Follower, number uint64, claim []byte) error {
	switch _, hash, _, err := read(ctx, o.p, number-1); {
	case errors.Is(err, backup.ErrAbsent):
		return o.emptied(ctx, f)
	case err != nil:
		return err
	case hash != f.pos.Previous:
		return fmt.Errorf("%w: the segment %s of %s is not what was read there", errNoWay, nameOf(number-1), o.p)
	}
	err := o.p.PutNew(ctx, nameOf(number), claim)
	if errors.Is(err, backup.ErrExists) {
		there, ferr := fetch(ctx, o.p, number)
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
	switch low, err := floor(ctx, o.p); {
	case err != nil:
		return err
	case low > number:
		return fmt.Errorf("%w: what followed has been removed", errNoWay)
	}
	return nil
}
