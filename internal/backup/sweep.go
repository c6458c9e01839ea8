package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Contents that no backup names any more are removed in two steps, since a Take may be under way that has found one of them and will
// name it. A sweep first condemns them, in condemnedName. It removes what was condemned a day ago and is still named by nobody. A Take
// reads that list at its start and relies on nothing in it: what it needs of it, it puts under another name. It fails when it
// takes longer than takeMost; so what it relies on, or has put, is condemned after it began and removed after it ended.
const (
	condemnedName = "condemned.json"
	grace         = 24 * time.Hour
	takeMost      = 20 * time.Hour
	// sweepMost is how long what a sweep has read may be acted upon: one that was suspended acts on nothing old.
	sweepMost = 10 * time.Minute
	// callMost is how long one removal may take.
	callMost = time.Minute
	// removeAtOnce is how many objects one call removes.
	removeAtOnce = 1000
)

// condemned is the list: names of objects, and since when.
type condemned map[string]time.Time

func readCondemned(ctx context.Context, p Place) (condemned, error) {
	c := condemned{}
	r, err := p.Get(ctx, condemnedName)
	if errors.Is(err, ErrAbsent) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", condemnedName, p, err)
	}
	return c, nil
}

// Tidy removes from a folder the temporary files of puts that were killed, once they are a day old: no put takes so long. A bucket has none.
func Tidy(ctx context.Context, p Place) error {
	f, ok := p.(folder)
	if !ok {
		return nil
	}
	err := filepath.WalkDir(string(f), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil || !entry.Type().IsRegular() || !isTemporary(entry.Name()) {
			return err
		}
		info, err := entry.Info()
		if err == nil && since(info.ModTime()) >= grace {
			err = os.Remove(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("tidy %s: %w", p, err)
	}
	return nil
}

// Remove removes objects in their order, some at a time; those that are not there are passed over. Of a call whose answer was lost
// it may still come to pass.
func Remove(ctx context.Context, p Place, names []string) error {
	for some := range slices.Chunk(names, removeAtOnce) {
		once, cancel := context.WithTimeout(ctx, callMost)
		err := p.Remove(once, some)
		cancel()
		if err != nil {
			return fmt.Errorf("remove from %s: %w", p, err)
		}
	}
	return nil
}

// Swept is what a sweep has done.
type Swept struct {
	Condemned, Removed int // objects
}

// Sweep removes contents that neither a backup of the place names, nor what more returns, which is asked after the place's contents
// have been listed. It removes nothing when a backup cannot be read: nobody knows what that names.
func Sweep(ctx context.Context, p Place, now time.Time, more func(ctx context.Context) ([]File, error)) (done Swept, err error) {
	var there []string
	for i := range 256 {
		names, err := p.List(ctx, fmt.Sprintf("objects/%02x", i))
		if err != nil {
			return done, fmt.Errorf("list the objects of %s: %w", p, err)
		}
		there = append(there, names...)
	}
	before, err := readCondemned(ctx, p)
	if err != nil {
		return done, err
	}
	read := time.Now()
	files, err := more(ctx)
	if err != nil {
		return done, err
	}
	all, faults, err := List(ctx, p)
	if err = errors.Join(err, errors.Join(faults...)); err != nil {
		return done, fmt.Errorf("no content is removed while it is not known what all backups name: %w", err)
	}
	named := map[string]bool{}
	for _, m := range all {
		for _, f := range m.Files {
			named[f.object()] = true
		}
	}
	for _, f := range files {
		named[f.object()] = true
	}
	after := condemned{}
	var gone []string
	for _, name := range there {
		if named[name] {
			continue
		}
		since, was := before[name]
		if !was {
			since = now
			done.Condemned++
		}
		after[name] = since // also of what is removed now: the call may come to pass late
		if was && now.Sub(since) >= grace {
			gone = append(gone, name)
		}
	}
	if len(after) > 0 || len(before) > 0 {
		text, err := json.Marshal(after)
		if err != nil {
			return done, err
		}
		if since(read) > sweepMost {
			return done, fmt.Errorf("it took longer than %s to read what %s has: nothing is removed", sweepMost, p)
		}
		if err := p.Put(ctx, condemnedName, bytes.NewReader(text), int64(len(text))); err != nil {
			return done, err
		}
	}
	for some := range slices.Chunk(gone, removeAtOnce) {
		if since(read) > sweepMost { // the next sweep goes on
			break
		}
		if err := Remove(ctx, p, some); err != nil {
			return done, err
		}
		done.Removed += len(some)
	}
	return done, nil
}

// RemoveManifests removes backups, the oldest first. Their contents go with later sweeps.
func RemoveManifests(ctx context.Context, p Place, ids []string) error {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = nameOf(id)
	}
	return Remove(ctx, p, names)
}

// since is how long ago a moment was by the clock that is further: one of them stands while a machine is suspended, the other may be set back.
func since(at time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(at), now.Round(0).Sub(at.Round(0)))
}
