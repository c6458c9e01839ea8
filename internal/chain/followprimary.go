package chain

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/store"
)

// Primary is a server that keeps what it commits for standbys (Relay), over a connection. Its errors are those of Relay's methods.
type Primary interface {
	String() string
	// Seed has the server make a copy of its folder, and says which segment goes on behind it.
	Seed(ctx context.Context, standby, host string) (Copy, error)
	Head(ctx context.Context) (Here, error)
	// Next ends by itself when nothing comes any more; over a slow line a segment takes as long as it takes. nil: there is none yet.
	Next(ctx context.Context, a Asked) ([]byte, error)
	File(ctx context.Context, number uint64, sum string) (io.ReadCloser, error)
	Overtake(ctx context.Context, o Overtaking) (rest [][]byte, err error)
}

// Copy is one of a server's folder, as of some moment.
type Copy interface {
	Here() Here
	backup.Source
	Done(ctx context.Context) error
}

// ofPrimary is a server, as a standby follows it.
type ofPrimary struct{ p Primary }

// wait is how long the server waits for a segment before it answers that there is none; so old is what the standby knows of it.
const wait = time.Second

func (o ofPrimary) String() string { return o.p.String() }

func (o ofPrimary) pauses(*Follower) (idle, failed time.Duration) {
	return time.Millisecond, 5 * time.Second
}

// seed has the folder's data replaced by a copy once that is whole: until then what is there can be promoted.
func (o ofPrimary) seed(ctx context.Context, f *Follower, _ uint64) (err error) {
	name := cmp.Or(f.pos.Standby, f.name)
	f.update(func(st *Followed) { st.State = "copies the folder of " + o.String() })
	f.o.Logger.Info("the standby begins with a copy", "of", o.String())
	c, err := o.p.Seed(ctx, name, f.host)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Done(context.WithoutCancel(ctx))) }()
	dir, err := f.folder.Seed()
	if err != nil {
		return err
	}
	files, err := c.List(ctx)
	if err != nil {
		return err
	}
	for _, file := range files {
		if file.Name == "LINEAGE" || !filepath.IsLocal(filepath.FromSlash(file.Name)) {
			continue
		}
		if err := copySeed(ctx, c, file, filepath.Join(dir, filepath.FromSlash(file.Name)), f); err != nil {
			return fmt.Errorf("copy %s of %s: %w", file.Name, o, err)
		}
	}
	here := c.Here()
	pos := position{
		Segment: here.Number, AtMS: here.AtMS, MadeMS: here.AtMS, Database: here.Database, Incarnation: here.Incarnation, Host: here.Host, Lineage: here.Lineage, Standby: name, Others: here.others(name), Place: here.Place,
	}
	if err := pos.begin(dir); err != nil {
		return err
	}
	if err := errors.Join(f.closeReplay(), f.folder.Adopt()); err != nil {
		return err
	}
	return f.resume()
}

// copySeed copies a file, which is whole and durable then.
func copySeed(ctx context.Context, c Copy, file backup.File, to string, f *Follower) error {
	r, err := c.Open(ctx, file.Name)
	if err != nil {
		return err
	}
	err = backup.WriteFile(to, r)
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	info, err := os.Stat(to)
	if err != nil {
		return err
	}
	if info.Size() != file.Size {
		return fmt.Errorf("%d bytes came of %d", info.Size(), file.Size)
	}
	if strings.HasSuffix(file.Name, ".sst") && !strings.HasPrefix(file.Name, "quarantined/") {
		fault, err := store.CheckTable(to)
		if err != nil {
			return err
		}
		if fault != nil {
			f.o.Logger.Warn("a table of the server is damaged, and so it is in this standby", "table", file.Name, "error", fault)
		}
	}
	return nil
}

func (o ofPrimary) beginAnew(ctx context.Context, f *Follower, why error) error {
	f.o.Logger.Warn("the standby begins anew", "of", o.String(), "why", why)
	return o.seed(ctx, f, 0)
}

// asks is what f has, as a question.
func (o ofPrimary) asks(f *Follower, wait time.Duration) Asked {
	return Asked{
		Standby: f.pos.Standby, Host: f.host, Number: f.pos.Segment, Any: f.pos.Any, Previous: f.pos.Previous, Lineage: f.pos.Lineage, Database: f.pos.Database, Next: f.pos.Next,
		WaitMS: wait.Milliseconds(),
	}
}

func (o ofPrimary) next(ctx context.Context, f *Follower) (s segment, more bool, err error) {
	w := time.Duration(0)
	if f.quiet && !f.promoting {
		w = wait
	}
	o.learn(ctx, f)
	content, err := o.p.Next(ctx, o.asks(f, w))
	if err := o.note(f, err); err != nil {
		return s, false, err
	}
	if errors.Is(err, ErrBeginAnew) {
		err = fmt.Errorf("%w: %w", errNoWay, err)
	}
	if errors.Is(err, ErrBehind) {
		err = fmt.Errorf("%w: promote this standby, or, to follow what the server has now, begin in an empty folder", err)
	}
	if err != nil || len(content) == 0 {
		return s, false, err
	}
	s, err = decoded(content)
	if err == nil && s.Number != f.pos.Segment {
		err = fmt.Errorf("%w: it is number %d", errTorn, s.Number)
	}
	return s, err == nil, err
}

// learn asks the server for its other standbys, now and then.
func (o ofPrimary) learn(ctx context.Context, f *Follower) {
	if time.Since(f.others) < othersEvery {
		return
	}
	once, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	here, err := o.p.Head(once)
	f.others = time.Now()
	if err != nil { // Next tells what is wrong
		return
	}
	others := here.others(f.pos.Standby)
	if slices.Equal(others, f.pos.Others) && here.Place == f.pos.Place {
		return
	}
	f.pos.Others, f.pos.Place = others, here.Place
	row, err := json.Marshal(f.pos)
	if err == nil {
		err = f.replay.KeepPosition(row, true)
	}
	if err != nil {
		f.o.Logger.Error("which other standbys there are cannot be kept", "error", err)
	}
}

// others are the hosts of the standbys that the server knows, but for the one of a name.
func (h Here) others(but string) (hosts []string) {
	for name, host := range h.Standbys {
		if name != but {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	return hosts
}

// othersEvery is how often the server is asked for its other standbys.
const othersEvery = 10 * time.Second

// note keeps what the server has said of another that goes on in its place, or no longer says. err is what it answered.
func (o ofPrimary) note(f *Follower, err error) error {
	text := ""
	if err == nil && f.unsure && time.Since(f.askedEnd) > overtakeTries*timeout { // it goes on, and no more ends for a question that is so old: nobody waits for the answer
		f.unsure = false
		if err := o.as(f, ""); err != nil {
			return err
		}
	}
	switch {
	case errors.Is(err, ErrFenced) && strings.Contains(err.Error(), markOf(f.lineage)): // this standby is the other: it asked for the end, and the answer was lost
		return nil
	case errors.Is(err, ErrFenced):
		text = err.Error()
	case err != nil && !errors.Is(err, ErrBeginAnew) && !errors.Is(err, ErrBehind): // it did not answer
		return nil
	}
	if text == f.elsewhere {
		return nil
	}
	if err := f.folder.Elsewhere(text); err != nil {
		return err
	}
	f.elsewhere = text
	return nil
}

// alone says why another may go on in the server's place.
func (o ofPrimary) alone(f *Follower) error {
	switch {
	case f.elsewhere != "":
		return fmt.Errorf("%s has said: %s. Two that go on would not know of each other: begin in an empty folder as a standby of that one, or, when it is lost as well and all is to go on from here, say so: millstream promote --lost --only", o, f.elsewhere)
	case len(f.pos.Others) > 0:
		return fmt.Errorf("%s had other standbys, on %s: when one of them has been promoted this one must not be, since the two would not know of each other; when none has been and none will be, say so: millstream promote --lost --only", o, strings.Join(f.pos.Others, ", "))
	case f.pos.Place != "":
		return fmt.Errorf("%s replicated to %s as well: when a standby of that place has been promoted, or a folder that was restored from there goes on, this one must not be promoted, since the two would not know of each other; when that is not so and will not be, say so: millstream promote --lost --only", o, f.pos.Place)
	}
	return nil
}

func decoded(content []byte) (s segment, err error) {
	s.Head, s.hash, s.changes, err = decode(content)
	return s, err
}

// file copies a file unless it is there. One that the server has no more is named by no row for long: it was removed there.
func (o ofPrimary) file(ctx context.Context, f *Follower, number uint64, file backup.File) error {
	if !filepath.IsLocal(filepath.FromSlash(file.Name)) {
		return fmt.Errorf("%w: it names the file %q", errTorn, file.Name)
	}
	to := filepath.Join(f.o.Dir, filepath.FromSlash(file.Name))
	if is, err := backup.SumFile(to); err == nil && is.Sum == file.Sum {
		return nil
	}
	r, err := o.p.File(ctx, number, file.Sum)
	if errors.Is(err, backup.ErrAbsent) {
		f.o.Logger.Warn("a file is not copied, since the server has it no more", "file", file.Name)
		return nil
	}
	if err != nil {
		return err
	}
	err = backup.WriteFile(to, r)
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	is, err := backup.SumFile(to)
	if err == nil && is.Sum != file.Sum {
		err = fmt.Errorf("%w: the file %s has another sum", errTorn, file.Name)
	}
	return err
}

// ErrNoAnswer says that a server that is followed itself does not answer, and so cannot be told that it is over.
var ErrNoAnswer = errors.New("the server that this standby follows does not answer, or not well")

func (o ofPrimary) takeOver(ctx context.Context, f *Follower, how How) (number uint64, err error, fatal bool) {
	f.promoting = true
	defer func() { f.promoting = false }()
	over := func(lost bool) Overtaking {
		return Overtaking{Asked: o.asks(f, 0), Name: f.lineage, Incarnation: f.pos.Incarnation + uint64(f.raise()), Lost: lost}
	}
	if how.Lost {
		if f.replay == nil { // it may have nothing
			if has, err := f.folder.HasData(); err != nil || !has {
				return 0, errors.Join(err, errors.New("it has no copy of the server yet: there is nothing to promote")), false
			}
			if err := f.resume(); err != nil {
				return 0, err, false
			}
		}
		if err := o.alone(f); err != nil && !how.Only {
			return 0, err, false
		}
		if f.rest != nil {
			if err := o.addRest(ctx, f); err != nil {
				f.o.Logger.Error("what the other server had committed last is lost", "error", err)
			}
		}
		text, err := json.Marshal(over(true))
		if err == nil {
			err = f.folder.Overtakes(text)
		}
		return f.pos.Segment, err, false
	}
	if err := f.folder.Overtakes(nil); err != nil { // of a try that was cut short
		return 0, err, false
	}
	for f.rest == nil {
		if !f.unsure || f.replay == nil {
			if err := f.advance(ctx); err != nil {
				return 0, fmt.Errorf("%w: %w", ErrNoAnswer, err), false
			}
		}
		if err := o.as(f, f.lineage); err != nil { // a standby that is started anew in between asks as the same one
			return 0, err, false
		}
		rest, err := o.overtake(ctx, f, over(false))
		f.askedEnd = time.Now()
		// It may have ended and not be able to say so: then it is asked for that again, and for nothing else, which it would refuse.
		if f.unsure = err != nil && !answered(err); !f.unsure && err != nil {
			if err := o.as(f, ""); err != nil {
				return 0, err, false
			}
		}
		switch {
		case err == nil:
			f.rest = &rest
		case errors.Is(err, ErrMore) && ctx.Err() == nil:
		case f.unsure:
			return 0, fmt.Errorf("%w: %w (it may have ended all the same: promote again)", ErrNoAnswer, err), false
		default:
			return 0, fmt.Errorf("%w: %w", ErrNoAnswer, err), false
		}
	}
	if err := o.addRest(ctx, f); err != nil {
		return 0, fmt.Errorf("the other server has ended, and what it committed last cannot be added here: promote again, or with --lost leave it away: %w", err), false
	}
	had := over(false)
	had.Had = true
	once, cancel := context.WithTimeout(context.WithoutCancel(ctx), handFor/2)
	defer cancel()
	if _, err := o.p.Overtake(once, had); err != nil { // it waits for that some seconds
		f.o.Logger.Debug("the other server was not told that this one has all", "error", err)
	}
	return f.pos.Segment, nil, false
}

// as keeps as what the server is asked for its end.
func (o ofPrimary) as(f *Follower, lineage string) error {
	if f.pos.As == lineage {
		return nil
	}
	f.pos.As = lineage
	row, err := json.Marshal(f.pos)
	if err == nil {
		err = f.replay.KeepPosition(row, true)
	}
	return err
}

// overtakeTries is how often a server is asked for its end at once, which may have come to it while the answer was lost.
const overtakeTries = 3

// overtake asks the server for its end. It does not end with ctx: once it is told the other server ends, whoever waits for the answer.
func (o ofPrimary) overtake(ctx context.Context, f *Follower, question Overtaking) (rest [][]byte, err error) {
	for n := range overtakeTries {
		once, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		rest, err = o.p.Overtake(once, question)
		cancel()
		if err == nil || answered(err) || n+1 == overtakeTries {
			break
		}
		time.Sleep(firstRetry)
	}
	return rest, err
}

// answered says whether an error is a server's answer by which it has not ended for this standby.
func answered(err error) bool {
	for _, is := range []error{ErrMore, ErrBeginAnew, ErrBehind, ErrYounger, ErrFenced, ErrOther, ErrNotNow} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// addRest adds what the server has handed over. None of it names files.
func (o ofPrimary) addRest(ctx context.Context, f *Follower) error {
	for _, content := range *f.rest {
		s, err := decoded(content)
		if err == nil && s.Number >= f.pos.Segment { // else an earlier try has added it
			err = f.add(context.WithoutCancel(ctx), &s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Tell tells a server that another goes on in its place, as a promoted folder remembers (store.ToOvertake). done: there is nothing more to tell.
// younger: it is the one that goes on.
func Tell(ctx context.Context, p Primary, text []byte) (done, younger bool, err error) {
	var o Overtaking
	if err := json.Unmarshal(text, &o); err != nil {
		return false, false, err
	}
	once, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err = p.Overtake(once, o)
	switch {
	case err == nil:
		return true, false, nil
	case errors.Is(err, ErrFenced): // by another, or this one before
		return true, false, nil
	case errors.Is(err, ErrOther):
		return true, false, nil
	case errors.Is(err, ErrYounger):
		return false, true, err
	}
	return false, false, err
}
