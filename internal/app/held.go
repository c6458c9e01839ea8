package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/table"
)

// restoredFile marks a data folder that was restored from a backup. Whoever only wants to
// look at an old copy must not call production's functions with it, nor lose what has aged.
const restoredFile = "RESTORED"

var errHeld = errors.New("the triggers are paused, since the folder was restored from a backup: millstream triggers resume --all lets it go on, as does a start with --triggers run")

// checkRestored says whether this run is held: its folder was restored and nobody has said that it
// is to go on. Then triggers and accepted events do not run, and nothing is removed for its
// age, until GoOn or a start with Options.ResumeTriggers, which remove the mark.
func (s *App) checkRestored() (held bool, err error) {
	if s.opts.Dir == "" {
		return false, nil
	}
	mark := filepath.Join(s.opts.Dir, restoredFile)
	text, err := os.ReadFile(mark)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", mark, err)
	}
	s.restored = true
	if s.opts.ResumeTriggers {
		return false, nil // act removes the mark
	}
	s.opts.Logger.Warn("this folder was restored from a backup: triggers are paused, events wait, and nothing expires, until millstream triggers resume --all, or a start with --triggers run",
		"folder", s.opts.Dir, "mark", string(text))
	return true, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// act starts the workers that a held run does without.
func (s *App) act() error {
	if s.held.Load() {
		return nil // until GoOn
	}
	if s.opts.ResumeTriggers && s.opts.Dir != "" {
		if err := s.removeRestored(); err != nil {
			return err
		}
	}
	s.startHeld()
	return nil
}

// removeRestored removes the mark of a restored folder, for good.
func (s *App) removeRestored() error {
	err := os.Remove(filepath.Join(s.opts.Dir, restoredFile))
	if err == nil {
		err = syncDir(s.opts.Dir) // or a power cut would have the next start paused
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("let a restored folder go on: %w", err)
	}
	return nil
}

// GoOn is a person's word that a restored folder is to go on: what a held run does without begins. was is false when this run is not held.
func (s *App) GoOn() (was bool, err error) {
	s.goingOn.Lock()
	defer s.goingOn.Unlock()
	if !s.held.Load() {
		return false, nil
	}
	if err := s.removeRestored(); err != nil {
		return true, err
	}
	s.opts.Logger.Info("the restored folder goes on: triggers run, events and deliveries that waited are made, and what is due by age is removed", "folder", s.opts.Dir)
	s.startHeld()
	s.functions.GoOn()
	s.held.Store(false) // last: who finds it so may wait for what has begun
	if s.node != nil {
		s.join()
	}
	return true, nil
}

// startHeld starts what a held run does without.
func (s *App) startHeld() {
	s.workers.Start("triggers", s.engine.Run)
	if s.node != nil {
		s.workers.Start("tags of tables", s.node.keepTags)
		s.workers.Start("packages of code", s.node.sweepCode)
		s.node.events.functions = s.functions
		s.workers.Start("events of nodes", s.node.events.run)
	} else { // these a node has none of
		s.workers.Start("triggers on queues", s.pollers.Run)
		s.outbox.Start()
		s.schedules.Start()
	}
	s.start("stream retention", func(ctx context.Context) error {
		return s.streams.Retain(ctx, stream.Retaining{Readers: s.backend, Limit: max(0, s.opts.LogCap), Log: s.opts.Logger})
	})
	s.start("recovery logs", func(ctx context.Context) error {
		return s.tables.RetainRecovery(ctx, table.Recovering{Limit: s.opts.RecoveryCap, Log: s.opts.Logger, Each: s.keep.Expire})
	})
	s.start("client tokens", func(ctx context.Context) error { return s.tables.TrimTokens(ctx, s.opts.Logger) })
	s.start("time to live", func(ctx context.Context) error { return s.tables.SweepTimeToLive(ctx, s.opts.Logger) })
	s.start("retention of messages", s.queues.Sweep)
}
