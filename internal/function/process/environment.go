package process

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/function/sandbox"
)

const (
	// initErrorGrace is how long a process may live after it has reported that
	// its init failed.
	initErrorGrace = 500 * time.Millisecond
	// answerGrace is how long a request for work waits for the answer of the call before to begin to arrive.
	answerGrace = time.Second
	// closeGrace is the usual CloseGrace of Options.
	closeGrace = 250 * time.Millisecond
	// An environment without extensions is killed at once. With one, the process has termGrace between
	// SIGTERM and SIGKILL, or internalGrace when it registered one itself, and external extensions have
	// what then is left of endLimit (AWS's guide, "Shutdown phase").
	termGrace     = 300 * time.Millisecond
	internalGrace = 500 * time.Millisecond
	endLimit      = 2 * time.Second
)

// Why an environment ends, as its extensions are told.
const (
	spindown = "spindown"
	timeout  = "timeout"
	failure  = "failure"
)

// state of an environment, see Pool.
type state byte

const (
	starting state = iota
	idle
	busy
	settling
)

// environment is one process with its listener, its pipe and its extensions.
type environment struct {
	pool        *Pool
	suppressed  bool
	logStream   string
	credentials Credentials      // of its process's AWS clients
	token       string           // the one of the session, see Host.Running
	assigned    chan *invocation // one slot: filled under Pool.mu, for the /next that waits
	ended       chan struct{}    // closed when the process is gone or was told to go
	extensions  extensions
	view        *sandbox.View // nil, as box, without a sandbox
	box         *sandbox.Box  // once it is there
	waits       *waiter       // an interpreter that the process is to be; nil: it is started anew

	// Guarded by Pool.mu.
	pooled    state
	idleSince time.Time

	mu        sync.Mutex // guards what follows; never held when Pool.mu is taken
	child     *child
	entering  *child // the first process of a box that is to be the environment's; nil: there is none
	first     *child // that of box
	addr      string
	output    *output
	current   *invocation   // handed over and not answered
	freed     chan struct{} // closed once current is nil; nil: nobody waits for that
	answering bool          // the answer of current is arriving
	due       time.Time     // when its time is over, or that of answered; zero: there is none
	answered  *invocation   // answered, and the process has not asked for the next
	unclosed  bool          // answered has no END and REPORT yet
	closeAt   time.Time     // when answered is closed at the latest
	timer     *time.Timer   // of the init
	deadline  alarm         // of the invocation, until the next is asked for
	closing   alarm         // for closeAt
	inited    bool
	nexting   bool // a /next is being served
	ending    bool
	reason    string    // why it ends
	endBegan  time.Time // when it was told to end, or ended
	crash     *crash    // of an extension
	overran   bool      // init took longer than it may
	initError []byte    // what the process posted to init/error
	spawned   time.Time
	initTime  time.Duration // told by the first REPORT, then 0

	closeMu sync.Mutex // held while a call is closed, so that what comes next comes after; taken before mu
}

func newEnvironment(p *Pool, suppressed bool) *environment {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	e := &environment{
		pool: p, suppressed: suppressed, credentials: p.host.opts.Credentials(p.spec.Scope),
		logStream: p.host.opts.Now().UTC().Format("2006/01/02") + "/[" + p.spec.Version + "]" + hex.EncodeToString(id[:]),
		assigned:  make(chan *invocation, 1),
		ended:     make(chan struct{}),
	}
	own := tokenPrefix + hex.EncodeToString(id[:])
	if e.credentials.SessionToken == "" && !e.credentials.Foreign {
		e.credentials.SessionToken = own
	}
	if e.token = e.credentials.SessionToken; e.credentials.Foreign {
		e.token = own // several processes may have one session
	}
	e.extensions = extensions{of: e, changed: make(chan struct{})}
	e.deadline.ring, e.closing.ring = e.deadlineRang, e.closingRang
	return e
}

// run starts the extensions and the process, waits for its end, then for theirs, and clears up.
func (e *environment) run() {
	defer e.pool.remove(e)
	e.pool.host.running.Store(e.token, e)
	defer e.pool.host.running.Delete(e.token)
	cmd, err := e.pool.host.command(e.pool.spec)
	if err != nil {
		e.startFailed(err)
		return
	}
	if e.pool.host.spares != nil {
		e.view = e.viewOf(cmd)
	}
	server, w, err := e.open(cmd)
	if err != nil {
		e.startFailed(err)
		return
	}
	defer server.Close()
	defer e.output.close()
	defer e.leave()
	defer e.dismiss()
	status := ""
	if e.extensions.start(w) {
		err = e.start(cmd, w)
	} else {
		err = errEnding
	}
	w.Close()
	if err == nil {
		status = e.child.wait()
	} else {
		e.startFailed(err)
	}
	// The pipe may be held open by a process that left the group; what is in it
	// now is all that belongs to this environment.
	e.output.drain()
	e.exited(status)
	e.extensions.end()
	e.output.drain()
}

// open brings up the listener, the pipe and the sandbox. The caller closes both ends that it returns.
func (e *environment) open(cmd command) (*http.Server, *os.File, error) {
	h := e.pool.host
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("listen for the runtime API: %w", err)
	}
	e.mu.Lock()
	e.addr = ln.Addr().String()
	e.mu.Unlock()
	out, w, err := e.prints(cmd)
	if err != nil {
		ln.Close()
		return nil, nil, err
	}
	if s := &e.pool.spec; s.LogJSON {
		out.keep = levelFilter(levelOf(s.AppLevel))
	}
	limit := h.opts.InitLimit
	if e.suppressed || h.debugs(&e.pool.spec) {
		limit = e.pool.spec.Timeout
	}
	e.mu.Lock()
	e.output = out
	e.spawned = h.opts.Now()
	e.timer = time.AfterFunc(limit, e.initOverran)
	e.mu.Unlock()
	out.platform(e.initStart())
	go out.run()
	if err := e.enter(w); err != nil { // what has waited is gone then
		w.Close()
		ln.Close()
		out.drain()
		out.close()
		return nil, nil, err
	}
	// Runtimes tell what caused an error in a header of up to 1 MiB.
	server := &http.Server{Handler: e, ErrorLog: silent, ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 2 << 20}
	go func() { _ = server.Serve(ownUser{ln, h.opts.Logger, e.box}) }() // ends with server.Close
	return server, w, nil
}

// prints takes the interpreter that waits, if there is one for the environment, and returns its output; else what the process is to have. w is
// the end that it writes to.
func (e *environment) prints(cmd command) (out *output, w *os.File, err error) {
	h := e.pool.host
	var p pipe
	if e.waits = h.waiters.take(h.languageOf(&e.pool.spec), cmd, e.variables(cmd), e.view); e.waits != nil {
		p = e.waits.printed
	} else if p, err = newPipe(); err != nil {
		return nil, nil, err
	}
	if out, err = newOutput(e.pool.log, p); err != nil {
		e.dismiss()
		p.close()
		return nil, nil, err
	}
	return out, p.w, nil
}

// dismiss ends the interpreter that waits for the environment.
func (e *environment) dismiss() {
	if e.waits != nil {
		e.waits.dismiss()
		e.waits = nil
	}
}

// variables are those of the process that is started by cmd.
func (e *environment) variables(cmd command) []string {
	return append(e.environ(), seen(e.view, cmd.env)...)
}

// start starts the process, its output going to w.
func (e *environment) start(cmd command, w *os.File) (err error) {
	frames, err := again(w)
	if err != nil {
		return err
	}
	defer frames.Close()
	env := e.variables(cmd)
	e.mu.Lock()
	if waits := e.waits; waits != nil && !e.ending {
		e.waits, e.child = nil, waits.child // so that end ends it
		e.mu.Unlock()
		if err = waits.run(e.token, seen(e.view, []string{e.pool.spec.CodeDir})[0], env); err == nil {
			return nil
		}
		e.mu.Lock()
	}
	defer e.mu.Unlock()
	if e.ending {
		return errEnding
	}
	e.child, err = e.spawn(cmd, env, e.pool.spec.CodeDir, w, frames)
	return err
}

// startFailed ends the call that waits when the process could not be started.
func (e *environment) startFailed(err error) {
	if err == errEnding {
		return
	}
	e.end(failure)
	kind := "Runtime.InvalidEntrypoint"
	e.pool.failed(func(inv *invocation) runner.Result {
		text := "RequestId: " + inv.RequestID + " Error: " + err.Error()
		e.pool.log.Write([]byte(text))
		return runner.Result{
			Status: runner.Failed, Err: err.Error(), Payload: runner.ErrorPayload(kind, text), LogTail: []byte(text + "\n"),
		}
	})
}

// initOverran ends a process that has not asked for work in time.
func (e *environment) initOverran() {
	e.mu.Lock()
	late := !e.inited && !e.ending
	if late {
		e.overran = true
	}
	e.mu.Unlock()
	if late {
		e.end(timeout)
	}
}

// asked takes note of the process's first or next request for work. It reports
// whether that is in order. A request that overtakes the answer of the call before waits for it: AWS's client for Node.js asks while the
// end of a streamed answer is still on its way, for as long as its reader takes. It gives up when give closes.
func (e *environment) asked(give <-chan struct{}) bool {
	var grace *time.Timer
	for late := false; ; {
		e.mu.Lock()
		if e.ending || e.nexting || late && e.current != nil && !e.answering {
			e.mu.Unlock()
			return false
		}
		if e.current == nil {
			e.nexting = true
			e.mu.Unlock()
			return true
		}
		if e.freed == nil {
			e.freed = make(chan struct{})
		}
		freed := e.freed
		e.mu.Unlock()
		if grace == nil {
			grace = time.NewTimer(answerGrace)
			defer grace.Stop()
		} else if late {
			grace.Reset(answerGrace)
		}
		select {
		case <-freed:
			late = false
		case <-grace.C:
			late = true
		case <-give:
			return false
		case <-e.ended:
			return false
		}
	}
}

// answers takes note that the answer of inv is arriving, or that it broke off.
func (e *environment) answers(inv *invocation, arriving bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current == inv {
		e.answering = arriving
	}
}

// free says that the call was answered, or needs no answer any more. mu is held.
func (e *environment) free() {
	e.current, e.answering = nil, false
	if e.freed != nil {
		close(e.freed)
		e.freed = nil
	}
}

// rested ends the init or the call for good: the process and its extensions have asked for more. It reports false
// when the environment is ending.
func (e *environment) rested() bool {
	e.close(nil, "")
	if e.extensions.any() {
		e.output.drain() // what they have printed since the answer
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ending {
		return false
	}
	e.answered, e.due = nil, time.Time{}
	if !e.inited {
		e.inited = true
		e.timer.Stop()
		e.initTime = e.pool.host.opts.Now().Sub(e.spawned)
		for _, line := range e.extensionLines() {
			e.output.platform(line)
		}
	}
	return true
}

// begin makes inv the current invocation and starts its clock. It reports false
// when the environment is ending.
func (e *environment) begin(inv *invocation) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.nexting = false
	if e.ending {
		return false
	}
	inv.started = e.pool.host.opts.Now()
	limit := e.pool.spec.Timeout
	if e.suppressed && e.initTime > 0 { // the repeated init is part of the call
		limit = max(time.Millisecond, limit-e.initTime)
	}
	inv.deadline = inv.started.Add(limit)
	e.current = inv
	e.output.platform(e.startLine(inv))
	e.due = time.Now().Add(limit)
	e.deadline.set(e.due)
	e.extensions.invoke(inv)
	return true
}

// deadlineRang ends the call whose time is over.
func (e *environment) deadlineRang() {
	e.mu.Lock()
	over, inv := e.deadline.rang(e.due), e.current
	if inv == nil {
		inv = e.answered
	}
	e.mu.Unlock()
	if over && inv != nil {
		e.timedOut(inv)
	}
}

// abandoned is called when a /next ends without a call.
func (e *environment) abandoned() {
	e.mu.Lock()
	e.nexting = false
	e.mu.Unlock()
}

// isCurrent reports whether a post names the invocation that runs.
func (e *environment) isCurrent(id string) *invocation {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current != nil && e.current.RequestID == id {
		return e.current
	}
	return nil
}

// finish ends inv with what the process posted. status is empty for success.
func (e *environment) finish(inv *invocation, r runner.Result, status string) bool {
	e.mu.Lock()
	if e.current != inv {
		e.mu.Unlock()
		return false
	}
	inv.status, inv.outcome = status, r
	e.free()
	e.answered, e.unclosed = inv, true
	e.closeAt = time.Now().Add(e.pool.host.opts.CloseGrace)
	e.closing.set(e.closeAt)
	e.mu.Unlock()
	e.pool.settling(e)
	if !inv.Tail {
		inv.end(r)
	}
	return true
}

// closingRang closes a call whose process has not asked for more in time.
func (e *environment) closingRang() {
	e.mu.Lock()
	at := e.closeAt
	if !e.unclosed {
		at = time.Time{}
	}
	over, inv := e.closing.rang(at), e.answered
	e.mu.Unlock()
	if over {
		e.close(inv, "")
	}
}

// close writes the last lines of the call that was answered, if that is still to be done and the call is inv; nil: whichever it
// is. status, unless empty, replaces how it ended.
func (e *environment) close(inv *invocation, status string) {
	e.closeMu.Lock()
	defer e.closeMu.Unlock()
	e.mu.Lock()
	if !e.unclosed || inv != nil && inv != e.answered {
		e.mu.Unlock()
		return
	}
	inv, e.unclosed = e.answered, false
	e.mu.Unlock()
	e.output.drain()
	if cmp.Or(status, inv.status) != "" {
		e.note()
	}
	inv.outcome.LogTail = e.output.end(e.endLines(inv, cmp.Or(status, inv.status)), inv.Tail)
	if inv.Tail {
		inv.end(inv.outcome)
	}
}

// note says what may have made a call fail.
func (e *environment) note() {
	s, note := &e.pool.spec, ""
	if s.Note != nil {
		note = s.Note()
	}
	switch {
	case note == "":
	case s.LogJSON:
		e.output.platform(e.event("millstream.note", levelWarn, `{"message":`+string(runner.AppendJSONString(nil, note))+`}`))
	default:
		e.output.platform([]byte(note))
	}
}

// runOut takes inv from the process, whose time is over, unless it is past it. Of what waits for inv's end nothing goes on: the process is ending
// from the same moment, so it gets no other call before it is killed.
func (e *environment) runOut(inv *invocation) (answered, over bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	answered = e.answered == inv
	if !answered && e.current != inv {
		return false, false
	}
	e.markEnding(timeout)
	if !answered {
		e.free()
	}
	return answered, true
}

// timedOut ends inv and its whole process group. A process that has answered, and works on without
// asking for more, has no more time than one that has not.
func (e *environment) timedOut(inv *invocation) {
	answered, over := e.runOut(inv)
	if !over {
		return
	}
	e.end(timeout)
	text := runner.TimeoutText(e.pool.spec.Timeout)
	now := e.pool.host.opts.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	line := []byte(now + " " + inv.RequestID + " " + text)
	if answered {
		e.close(inv, "timeout")
		e.output.platform(line)
		return
	}
	e.output.drain()
	e.output.platform(line)
	e.note()
	inv.end(runner.Result{
		Status: runner.Failed, Err: text,
		Payload: runner.TimeoutPayload(inv.RequestID, e.pool.spec.Timeout),
		LogTail: e.output.end(e.endLines(inv, "timeout"), true),
	})
}

// exited is called when the process has ended and its output was read.
func (e *environment) exited(status string) {
	e.close(nil, "")
	e.mu.Lock()
	inv := e.current
	e.free()
	e.due = time.Time{}
	e.timer.Stop()
	e.deadline.stop()
	e.closing.stop()
	wanted := e.ending
	e.markEnding(failure)
	inited, overran, posted, crash := e.inited, e.overran, e.initError, e.crash
	e.mu.Unlock()

	kind, text := "Runtime.ExitError", "Runtime exited without providing a reason"
	switch {
	case crash != nil:
		kind, text, wanted, posted = crash.kind, crash.text, false, nil
	case status != "":
		text = "Runtime exited with error: " + status
	}
	if !inited {
		for _, line := range e.extensionLines() {
			e.output.platform(line)
		}
	}
	switch {
	case inv != nil:
		message := "RequestId: " + inv.RequestID + " Error: " + text
		e.output.platform([]byte(message))
		inv.end(runner.Result{
			Status: runner.Failed, Err: text, Payload: runner.ErrorPayload(kind, message),
			LogTail: e.output.end(e.endLines(inv, "error\tError Type: "+kind), true),
		})
	case inited:
		if !wanted {
			e.output.platform([]byte("Error: " + text))
		}
	case overran:
		e.output.platform(e.initReport("timeout"))
		if !e.suppressed {
			e.pool.restart(e)
			return
		}
		e.initFailed("timeout", func(inv *invocation) (string, []byte) {
			return runner.TimeoutText(e.pool.spec.Timeout), runner.TimeoutPayload(inv.RequestID, e.pool.spec.Timeout)
		})
	case posted != nil:
		e.output.platform(e.initReport("error"))
		e.initFailed("error", func(*invocation) (string, []byte) { return "init failed", posted })
	case !wanted:
		e.output.platform(e.initReport("error\tError Type: " + kind))
		e.initFailed("error\tError Type: "+kind, func(inv *invocation) (string, []byte) {
			return text, runner.ErrorPayload(kind, "RequestId: "+inv.RequestID+" Error: "+text)
		})
	}
}

// initFailed gives the call that has waited longest the failure of an init.
func (e *environment) initFailed(status string, document func(*invocation) (text string, payload []byte)) {
	e.pool.failed(func(inv *invocation) runner.Result {
		inv.started = e.spawned
		text, payload := document(inv)
		e.output.platform(e.startLine(inv))
		return runner.Result{
			Status: runner.Failed, Err: text, Payload: payload, LogTail: e.output.end(e.endLines(inv, status), true),
		}
	})
}

// initErrorPosted keeps what the process says about its failed init.
func (e *environment) initErrorPosted(body []byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.inited || e.ending {
		return false
	}
	e.initError = body
	e.timer.Stop()
	e.timer = time.AfterFunc(initErrorGrace, func() { e.end(failure) })
	return true
}

// end ends the environment, whatever it does: at once, or with time for what its extensions have to do.
func (e *environment) end(reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.markEnding(reason)
	if e.entering != nil {
		e.entering.kill() // then nothing waits for the box any more
	}
	if e.first != nil { // a box that does not do as it is told
		time.AfterFunc(endLimit+time.Second, e.first.kill)
	}
	if e.child == nil {
		return
	}
	if grace := e.extensions.grace(); grace > 0 && e.initError == nil {
		e.child.terminate()
		time.AfterFunc(grace, e.child.kill)
		return
	}
	e.child.kill()
}

// markEnding is called with mu held.
func (e *environment) markEnding(reason string) {
	if !e.ending {
		e.ending, e.reason, e.endBegan = true, reason, time.Now()
		close(e.ended)
	}
}
