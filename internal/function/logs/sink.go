package logs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/worker"
)

// Bounds of one function's log.
const (
	// MaxLine is the longest line kept; the rest of a longer one is cut.
	MaxLine = 64 << 10
	// maxFile is the size at which a file is rotated; one older file is kept.
	maxFile = 8 << 20
	// maxRing bounds the lines held in memory.
	maxRing = 256 << 10
	// rate and burst bound the bytes per second that a function may log.
	rate  = 256 << 10
	burst = 1 << 20
	// flushAfter is how long a written line may wait in memory for its file.
	flushAfter = 200 * time.Millisecond
	// followBuffer is how many lines a slow follower may lag behind.
	followBuffer = 1024
)

// Line is one line that a function printed, or that the platform wrote about it.
type Line struct {
	Time     time.Time
	Scope    schema.Scope
	Function string
	Text     string // without the line's end
	// Note: the server says it of the function as it was deployed, and the function did not print it. Files do not keep that.
	Note bool

	seq uint64 // rises from line to line of the sink; 0 for one read back from a file
}

// Sink holds the logs of all functions. Its methods may be called by many
// goroutines at once.
type Sink struct {
	dir   string // "" keeps lines in memory only
	now   func() time.Time
	print func([]Line)
	// fileLimit is maxFile, but in tests.
	fileLimit int64

	seq atomic.Uint64 // of the newest line

	waits *worker.Waits // of requests for lines

	mu   sync.Mutex // guards logs, and followers
	logs map[key]*Log
	fols map[*follower]struct{}
}

type key struct {
	scope    schema.Scope
	function string
}

// Open returns a sink that keeps its files below dir, or none when dir is empty.
// print, unless nil, is called with the lines that are kept, as they come, once at a
// time per function; it may not keep the slice.
func Open(dir string, now func() time.Time, print func([]Line)) (*Sink, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("logs: %w", err)
		}
	}
	s := &Sink{dir: dir, now: now, print: print, fileLimit: maxFile, logs: map[key]*Log{}, fols: map[*follower]struct{}{}, waits: worker.NewWaits()}
	return s, nil
}

// Log returns the log of a function, which need not exist.
func (s *Sink) Log(scope schema.Scope, function string) *Log {
	k := key{scope, function}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.logs[k]
	if l == nil {
		l = s.newLog(k)
		s.logs[k] = l
	}
	return l
}

// look is Log for a reader. The log of a name that has not logged since the start is not kept: readers may ask for any name.
func (s *Sink) look(scope schema.Scope, function string) *Log {
	k := key{scope, function}
	s.mu.Lock()
	l := s.logs[k]
	s.mu.Unlock()
	if l == nil {
		l = s.newLog(k)
	}
	return l
}

// newLog returns a log that holds the newest lines of its file.
func (s *Sink) newLog(k key) *Log {
	l := &Log{sink: s, key: k, tokens: burst, last: s.now()}
	if s.dir != "" {
		l.path = filepath.Join(s.dir, k.scope.Account, k.scope.Region, k.function+".log")
		l.recall()
	}
	return l
}

// Remove forgets what a function has printed, also in its files. Its log begins anew with the next line.
func (s *Sink) Remove(scope schema.Scope, function string) error {
	if !isName(function) {
		return nil
	}
	return s.look(scope, function).remove()
}

// Recent returns the newest lines of a function, or of all functions of the scope
// when function is empty, oldest first: at most n, and no more than are held in
// memory.
func (s *Sink) Recent(scope schema.Scope, function string, n int) []Line {
	if function != "" {
		if !isName(function) {
			return nil
		}
		return s.look(scope, function).Recent(n)
	}
	var all []Line
	for _, name := range s.Functions(scope) {
		all = append(all, s.look(scope, name).Recent(n)...)
	}
	slices.SortStableFunc(all, func(a, b Line) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.seq, b.seq)) })
	return all[max(0, len(all)-n):]
}

// Functions returns the names of the functions of a scope that have logged.
func (s *Sink) Functions(scope schema.Scope) []string {
	names := map[string]bool{}
	var held []*Log
	s.mu.Lock()
	for k, l := range s.logs {
		if k.scope == scope {
			held = append(held, l)
		}
	}
	s.mu.Unlock()
	for _, l := range held {
		if len(l.Recent(1)) > 0 { // it may have been removed
			names[l.key.function] = true
		}
	}
	if s.dir != "" {
		files, _ := filepath.Glob(filepath.Join(s.dir, scope.Account, scope.Region, "*.log")) // the pattern is well-formed
		for _, f := range files {
			if name := strings.TrimSuffix(filepath.Base(f), ".log"); isName(name) {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// isName reports whether a text can be a function's name: names that callers give
// become names of files.
func isName(name string) bool {
	return name != "" && len(name) <= 140 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// Follow calls yield for the newest n lines and then for every line written after
// them, in order, until ctx ends or yield returns false. An empty function means
// all functions of the scope. ready, unless nil, is called when no later line will
// be missed. Lines that a slow yield misses are replaced by one that tells their
// number.
func (s *Sink) Follow(ctx context.Context, scope schema.Scope, function string, n int, ready func(), yield func(Line) bool) {
	f := s.follow(scope, function, followBuffer)
	defer s.unfollow(f)
	if ready != nil {
		ready()
	}
	shown := map[string]uint64{} // the newest line shown of each function
	for _, l := range s.Recent(scope, function, n) {
		if !yield(l) {
			return
		}
		shown[l.Function] = l.seq
	}
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-f.lines:
			if n := f.takeMissed(); n > 0 {
				note := l
				note.Text = fmt.Sprintf("[%d lines not shown: they came faster than they were read]", n)
				if !yield(note) {
					return
				}
			}
			if l.seq > shown[l.Function] && !yield(l) {
				return
			}
		}
	}
}

// Await returns once look returns true, or ctx ends, or EndWaits was called. look is called at once, and after lines of the scope's
// functions, with a pause between its calls: a function that prints without end does not have it called without end.
func (s *Sink) Await(ctx context.Context, scope schema.Scope, pause time.Duration, look func() bool) {
	f := s.follow(scope, "", 1) // one line says that there are some
	defer s.unfollow(f)
	rest := time.NewTimer(pause)
	defer rest.Stop()
	over := s.waits.Over()
	for !look() {
		rest.Reset(pause)
		for lines, rested := f.lines, rest.C; lines != nil || rested != nil; {
			select {
			case <-lines:
				lines = nil
			case <-rested:
				rested = nil
			case <-ctx.Done():
				return
			case <-over:
				return
			}
		}
	}
}

// EndWaits has those who wait for lines wait no more, until resume is called: a server is about to end.
func (s *Sink) EndWaits() (resume func()) { return s.waits.End() }

func (s *Sink) follow(scope schema.Scope, function string, lag int) *follower {
	f := &follower{scope: scope, function: function, lines: make(chan Line, lag)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fols[f] = struct{}{}
	return f
}

func (s *Sink) unfollow(f *follower) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.fols, f)
}

// Close writes out what is held back for files.
func (s *Sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, l := range s.logs {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

// deliver hands lines of one function to the followers that want them.
func (s *Sink) deliver(lines []Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.fols {
		if f.scope == lines[0].Scope && (f.function == "" || f.function == lines[0].Function) {
			for _, l := range lines {
				f.offer(l)
			}
		}
	}
}

type follower struct {
	scope    schema.Scope
	function string
	lines    chan Line

	mu     sync.Mutex
	missed int
}

func (f *follower) offer(l Line) {
	select {
	case f.lines <- l:
	default:
		f.mu.Lock()
		f.missed++
		f.mu.Unlock()
	}
}

func (f *follower) takeMissed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.missed
	f.missed = 0
	return n
}
