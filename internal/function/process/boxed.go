package process

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/millstreamdb/millstream/internal/function/sandbox"
)

// Of memory of its own a process may have what the function has, and what its runtime takes beside that: machines for bytecode have much that
// they hardly use. Where the heap of one is limited by a flag, that comes first.
const (
	dataSpare        = 192
	dataSpareMachine = 1024
)

// viewOf is what the box of an environment shows.
func (e *environment) viewOf(cmd command) *sandbox.View {
	h, s := e.pool.host, &e.pool.spec
	v := &sandbox.View{
		Code: s.CodeDir, Layers: s.Layers, Runtime: h.opts.ShimDir, Needs: cmd.needs, Hidden: h.opts.Hidden,
		TmpMB: max(s.EphemeralMB, 512), DataMB: s.MemoryMB + dataSpare,
	}
	if ownClient(s.Runtime) {
		v.DataMB = s.MemoryMB + dataSpareMachine
	}
	for _, name := range ofFiles {
		if path := os.Getenv(name); path != "" {
			v.Needs = append(v.Needs, path)
		}
	}
	return v
}

// enter makes the environment's box, where functions have one: the one that its interpreter waits in, or another.
func (e *environment) enter(w *os.File) error {
	spares := e.pool.host.spares
	if spares == nil {
		return nil
	}
	if e.waits != nil {
		err := e.into(e.waits.in, true, func() error { return e.waits.enter(e.token, e.view) })
		if err == nil {
			e.waits.in = nil
			return nil
		}
		e.dismiss()
		if err == errEnding || err == errNoBox {
			return err
		} // else it may have been broken meanwhile: a new one tells
	}
	frames, err := again(w)
	if err != nil {
		return err
	}
	defer frames.Close()
	for {
		b, waited, err := spares.take(e.token)
		if err != nil {
			return err
		}
		if err = e.into(b, waited, func() error { return b.box.Begin(e.view, w, frames) }); err == nil {
			return nil
		}
		b.end()
		if !waited || err == errEnding || err == errNoBox { // what has waited may have been broken meanwhile: a new one tells
			return err
		}
	}
}

// beginLimit is how long a box that has waited may take to be an environment's: something may have stopped it.
const beginLimit = 3 * time.Second

var (
	errNoBox = errors.New("no sandbox: it was not there in time")
	errStuck = errors.New("no sandbox: the one that has waited did not answer")
)

// into has a box be the environment's, by begin. When the environment ends before that, or a box that has waited takes too long, its first process is
// killed, with which begin ends.
func (e *environment) into(b *spare, waited bool, begin func() error) error {
	e.mu.Lock()
	if e.ending {
		defer e.mu.Unlock()
		return e.boxless()
	}
	e.entering = b.first
	e.mu.Unlock()
	inTime := func() bool { return true }
	if waited {
		inTime = time.AfterFunc(beginLimit, b.first.kill).Stop
	}
	err := begin()
	if !inTime() {
		err = errStuck
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.entering = nil
	if e.ending {
		return e.boxless()
	}
	if err == nil {
		e.box, e.first = b.box, b.first
	}
	return err
}

// boxless is why an environment that ends gets no box. mu is held.
func (e *environment) boxless() error {
	if e.reason == timeout {
		return errNoBox
	}
	return errEnding
}

// leave ends the box, with all that is in it.
func (e *environment) leave() {
	if e.box == nil {
		return
	}
	e.first.kill()
	e.first.wait()
	e.box.Close()
}

// spawn starts a program of the environment, whose paths are the machine's. mu is held, but for the pauses.
//
// A program that has just been unpacked may be busy: another start may have been on its way while the file was open, and then has it too until its own
// program is there (https://go.dev/issue/22315). That takes milliseconds.
func (e *environment) spawn(c command, env []string, dir string, out, frames *os.File) (*child, error) {
	for pause := time.Millisecond; ; pause *= 2 {
		started, err := e.spawnOnce(c, env, dir, out, frames)
		if pause > longestBusy || !errors.Is(err, syscall.ETXTBSY) {
			return started, err
		}
		e.mu.Unlock()
		select {
		case <-e.ended:
		case <-time.After(pause):
		}
		e.mu.Lock()
		if e.ending {
			return nil, errEnding
		}
	}
}

// longestBusy is the longest pause before a busy program is tried again: two seconds with those before it.
const longestBusy = 1024 * time.Millisecond

func (e *environment) spawnOnce(c command, env []string, dir string, out, frames *os.File) (*child, error) {
	if e.box == nil {
		return e.pool.host.spawner.start(c, env, e.token, dir, out, frames)
	}
	extra := 0
	if frames != nil {
		extra = 1
	}
	p, err := e.box.Start(e.view.Inside(c.path), seen(e.view, c.args), lasting(env), e.view.Inside(dir), extra)
	if err != nil {
		return nil, err
	}
	return &child{inside: p}, nil
}

// seen are texts with paths of the machine, as programs with a view find those; nil: as they are.
func seen(v *sandbox.View, texts []string) []string {
	if v == nil {
		return texts
	}
	inside := make([]string, len(texts))
	for i, text := range texts {
		inside[i] = v.Inside(text)
	}
	return inside
}

// lasting are variables without those that a later one of the same name replaces.
func lasting(env []string) []string {
	last := map[string]int{}
	name := func(v string) string { n, _, _ := strings.Cut(v, "="); return n }
	for i, v := range env {
		last[name(v)] = i
	}
	var kept []string
	for i, v := range env {
		if last[name(v)] == i {
			kept = append(kept, v)
		}
	}
	return kept
}
