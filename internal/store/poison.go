package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

var (
	// ErrPoisoned is under every error that a poisoned store returns.
	ErrPoisoned = errors.New("store: stopped by a failure of its disk or engine")
	// ErrClosed is returned by every method after Close.
	ErrClosed = errors.New("store: closed")
)

// A store that has failed once to apply or sync can no longer tell what is on
// disk: memory holds what the log may not, and Pebble's commit lock may have
// been left locked by a panic. So the first such failure is kept for good, every
// later call returns it, and nothing more is answered with data. The cure is a
// new process, which replays the log; the owner of the process watches Poisoned
// and exits non-zero. It must do so without waiting for running requests: a
// goroutine that was already inside the engine may never come back.
//
// s.refusal is what callers are told (the poison, or ErrClosed), in one load.

// poison makes err the store's end, unless it already has one, and returns the
// end that it has.
func (s *Store) poison(op string, cause error) error {
	err := fmt.Errorf("%w: %s: %w (what was acknowledged is safe; check the disk's health and free space, then start again)",
		ErrPoisoned, op, cause)
	if s.poisoned.CompareAndSwap(nil, &err) {
		s.refusal.Store(&err)
		s.log.Error("store poisoned: no more reads or writes are answered", "operation", op, "error", cause)
		close(s.poisonedCh) // after the log: who hears of it may end the process at once
		return err
	}
	return *s.poisoned.Load()
}

// End stops the store for good, as a failure would: nothing is answered any more, and no write that waits for its sync is acknowledged. err says
// why.
func (s *Store) End(err error) {
	if s.poisoned.CompareAndSwap(nil, &err) {
		s.ended.Store(true)
		s.refusal.Store(&err)
		close(s.poisonedCh)
	}
}

// Err returns the error that poisoned the store, nil while it is well.
func (s *Store) Err() error {
	if p := s.poisoned.Load(); p != nil {
		return *p
	}
	return nil
}

// Poisoned is closed at the moment the store is poisoned.
func (s *Store) Poisoned() <-chan struct{} { return s.poisonedCh }

// check returns why calls are refused, nil when they are not.
func (s *Store) check() error {
	if p := s.refusal.Load(); p != nil {
		return *p
	}
	return nil
}

// guard runs one call into the engine's write path. An error or panic of it
// poisons the store.
func (s *Store) guard(op string, call func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			cause, ok := r.(error)
			if !ok {
				cause = fmt.Errorf("panic: %v", r)
			}
			err = s.poison(op, cause)
		}
	}()
	if err := call(); err != nil {
		return s.poison(op, err)
	}
	return nil
}

// engineLog is Pebble's logger.
type engineLog struct{ s *Store }

func (l engineLog) Infof(format string, args ...any) {
	if l.s.log.Enabled(context.Background(), slog.LevelDebug) {
		l.s.log.Debug("engine: " + fmt.Sprintf(format, args...))
	}
}

func (l engineLog) Errorf(format string, args ...any) {
	l.s.log.Error("engine: " + fmt.Sprintf(format, args...))
}

// Fatalf poisons the store and never returns: Pebble goes on as if nothing had
// happened if it does, and a commit that failed would be reported as done. Under
// guard it unwinds to there, so that the caller gets an error and can release
// its locks; a goroutine of the engine's own is stopped where it is.
func (l engineLog) Fatalf(format string, args ...any) {
	err := l.s.poison("engine", fmt.Errorf(format, args...))
	if underGuard() {
		panic(err)
	}
	select {}
}

// underGuard says whether the calling goroutine is inside Store.guard.
func underGuard() bool { return called("store.(*Store).guard") }
