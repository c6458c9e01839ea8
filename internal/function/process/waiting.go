package process

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/function/sandbox"
)

// waiters has an interpreter of each language ready for the next environment: it has started and has loaded the shim, which waits to be told
// what to run. That is most of what the start of a function in Python or Node.js takes, and it is the same for each. There is at most one of a
// language that waits, and none before the first environment of it. Where functions have a sandbox it waits in one, which is then the
// environment's: that gets what is the function's before the interpreter is told anything.
type waiters struct {
	spawner *spawner
	dir     string  // where they wait
	boxes   *spares // that start those; nil: functions have none

	mu     sync.Mutex // guards the following
	kinds  map[string]*kind
	closed bool
}

// kind is a language: how its last environment was started, and what waits to be the next.
type kind struct {
	cmd   command
	view  *sandbox.View // what the boxes of its functions have in common; nil: they have none
	ready *waiter       // nil: none
	next  *time.Timer
}

// waiter is an interpreter that waits, with the pipe that it prints to.
type waiter struct {
	child   *child
	in      *spare // the box that it waits in; nil: it has none, or an environment has that now
	of      command
	program os.FileInfo // of that command's, as it was; nil: it could not be looked at
	early   []string    // those of its variables that are used before it is told any
	token   string      // by which it is known to be one of ours
	tell    *os.File    // takes the folder and the variables, each with a NUL behind it
	printed pipe
}

const (
	// waitVariable tells the shim the descriptor from which it is to read what to run.
	waitVariable = "MILLSTREAM_WAIT"
	waitFD       = framesFD + 1
	// mostTold fits into a pipe that nobody reads yet.
	mostTold = 60 << 10
	// tellLimit is how long it may take to tell an interpreter, whose pipe another program of its function may have filled.
	tellLimit = time.Second
)

// languageOf is the language of a function whose interpreter may wait, or "".
func (h *Host) languageOf(s *runner.Spec) string {
	if s.Env["AWS_LAMBDA_EXEC_WRAPPER"] != "" || h.debugs(s) {
		return ""
	}
	for _, language := range []string{"python", "nodejs"} {
		if strings.HasPrefix(s.Runtime, language) {
			return language
		}
	}
	return ""
}

// early reports whether an interpreter, or a library of the system, may use a variable as it starts. What has started without is of no use to a
// function that sets one.
func early(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	switch {
	case slices.Contains(inherited, name):
		return true
	case name == "NODE_ENV": // which packages read, and Node.js does not
		return false
	}
	for _, begin := range []string{
		"PYTHON", "__PY", "NODE", "UV_", "ICU", "OPENSSL", "SSL", // of interpreters
		"LD_", "DYLD_", "LC_", "LANG", "TZ", "MALLOC", "GLIBC", "GCONV", "LOC", "NLS", "RES_", "HOST", // of the system
	} {
		if strings.HasPrefix(name, begin) {
			return true
		}
	}
	return false
}

// earlyOf are those of the variables of a process, in order.
func earlyOf(env []string) []string {
	of := slices.DeleteFunc(lasting(env), func(v string) bool { return !early(v) })
	slices.Sort(of)
	return of
}

// begunAs reports whether what waits has started as c would.
func (w *waiter) begunAs(c command) bool {
	return w.of.path == c.path && slices.Equal(w.of.args, c.args)
}

// fresh reports whether it has started from the program that is there now, in a box that is there and shows what there is now. It looks at files, so
// no lock is held.
func (w *waiter) fresh(kind *sandbox.View) bool {
	now, err := os.Stat(w.of.path)
	if err != nil || w.program == nil || !os.SameFile(now, w.program) || now.Size() != w.program.Size() || !now.ModTime().Equal(w.program.ModTime()) {
		return false
	}
	return w.in == nil || w.in.box.Fresh(kind)
}

// take gives the interpreter that waits to an environment that is started by c with these variables, and is to have this view, if it has started as that
// would, and has another made in a moment; nil: none waits.
func (s *waiters) take(language string, c command, env []string, view *sandbox.View) *waiter {
	if s == nil || language == "" {
		return nil
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	k := s.kinds[language]
	if k == nil {
		k = &kind{}
		k.next = time.AfterFunc(sparePause, func() { s.prepare(k) })
		s.kinds[language] = k
	} else {
		k.next.Reset(sparePause)
	}
	kind := view.OfKind()
	k.cmd, k.view = c, kind
	w := k.ready
	if w == nil || !w.begunAs(c) || !slices.Equal(w.early, earlyOf(env)) {
		s.mu.Unlock()
		return nil // it is for others, or prepare replaces it
	}
	k.ready = nil
	s.mu.Unlock()
	if !w.fresh(kind) {
		w.end()
		return nil
	}
	return w
}

// prepare has an interpreter wait. One that cannot be started is told of when an environment needs it.
func (s *waiters) prepare(k *kind) {
	s.mu.Lock()
	c, view, old, closed := k.cmd, k.view, k.ready, s.closed
	s.mu.Unlock()
	if closed || old != nil && old.begunAs(c) && old.fresh(view) {
		return
	}
	s.mu.Lock()
	if k.ready != old { // it was taken, after which prepare comes again, or ended, or another is ready
		s.mu.Unlock()
		return
	}
	k.ready = nil
	s.mu.Unlock()
	if old != nil {
		old.end()
	}
	w, err := s.start(c, view)
	if err != nil {
		return
	}
	s.mu.Lock()
	keep := !s.closed && k.ready == nil
	if keep {
		k.ready = w
	}
	s.mu.Unlock()
	if !keep {
		w.end()
	}
}

func (s *waiters) start(c command, view *sandbox.View) (*waiter, error) {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	env := seen(view, startingWith(&runner.Spec{}, view != nil))
	w := &waiter{of: c, early: earlyOf(env), token: tokenPrefix + hex.EncodeToString(id[:])}
	env = append(env, waitVariable+"="+strconv.Itoa(waitFD))
	var err error
	w.program, _ = os.Stat(c.path) // before it starts: one that is replaced meanwhile is noticed
	if w.printed, err = newPipe(); err != nil {
		return nil, err
	}
	told, tell, err := os.Pipe()
	if err != nil {
		w.printed.close()
		return nil, err
	}
	defer told.Close()
	w.tell = tell
	frames, err := again(w.printed.w)
	if err == nil {
		defer frames.Close()
		if s.boxes != nil {
			err = w.startIn(s.boxes, view, env, frames, told)
		} else {
			cmd := &exec.Cmd{
				Path: c.path, Args: c.args, Dir: s.dir, Stdout: w.printed.w, Stderr: w.printed.w, ExtraFiles: []*os.File{frames, told},
				Env: append(env, ownToken+"="+w.token), SysProcAttr: &syscall.SysProcAttr{Setsid: true},
			}
			bindToParent(cmd.SysProcAttr)
			w.child, err = s.spawner.run(cmd, "")
		}
	}
	if err != nil {
		w.tell.Close()
		w.printed.close()
		return nil, err
	}
	return w, nil
}

// startIn starts the interpreter in a box of its own.
func (w *waiter) startIn(boxes *spares, view *sandbox.View, env []string, frames, told *os.File) error {
	in, err := boxes.start()
	if err != nil {
		return err
	}
	var p *sandbox.Program
	if err = in.box.Keep(view, w.printed.w, frames, told); err == nil {
		p, err = in.box.Start(view.Inside(w.of.path), seen(view, w.of.args), lasting(env), sandbox.RuntimeDir, waitFD-framesFD+1)
	}
	if err != nil {
		in.end()
		return err
	}
	w.child, w.in = &child{inside: p}, in
	return nil
}

// enter has the box that the interpreter waits in be an environment's, with all of its view.
func (w *waiter) enter(token string, view *sandbox.View) error {
	orphans.named(w.in.first.cmd.Process.Pid, token)
	return w.in.box.Begin(view, nil, nil)
}

var errTooMuch = errors.New("more variables than a pipe holds")

// run has the interpreter run the function in dir with these variables, as the environment of a token. It is gone when that fails. No lock is held: a
// program of the function that runs already, an extension, may have stopped it and filled its pipe.
func (w *waiter) run(token, dir string, env []string) error {
	var told bytes.Buffer
	for _, text := range append([]string{dir}, lasting(env)...) {
		fmt.Fprintf(&told, "%s\x00", text)
	}
	if w.child.inside == nil {
		orphans.named(w.child.cmd.Process.Pid, token, w.token)
	}
	err := errTooMuch
	if told.Len() <= mostTold {
		if err = w.tell.SetWriteDeadline(time.Now().Add(tellLimit)); err == nil {
			_, err = w.tell.Write(told.Bytes()) // fails when it has ended meanwhile
		}
	}
	if err != nil {
		if w.child.inside == nil {
			orphans.named(w.child.cmd.Process.Pid, w.token) // the environment does not end with it
		}
		w.dismiss()
		return err
	}
	w.tell.Close()
	return nil
}

// dismiss ends an interpreter that is not to run anything, with its box unless that is an environment's; the pipe is left to who has it.
func (w *waiter) dismiss() {
	defer w.tell.Close() // afterwards: it would run what it was told a part of
	if w.in != nil {
		w.in.end()
	}
	w.child.kill()
	w.child.wait()
}

func (w *waiter) end() {
	w.dismiss()
	w.printed.close()
}

// close ends those that wait.
func (s *waiters) close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.closed = true
	kinds := slices.Collect(maps.Values(s.kinds))
	var left []*waiter
	for _, k := range kinds {
		k.next.Stop()
		if k.ready != nil {
			left = append(left, k.ready)
		}
		k.ready = nil
	}
	s.mu.Unlock()
	for _, w := range left {
		w.end()
	}
}
