package process

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/function/runner"
)

const (
	// initErrorGrace is how long a process may live after it has reported that
	// its init failed.
	initErrorGrace = 500 * time.Millisecond
	// closeGrace is how long END and REPORT wait for the process to ask for its next event: what it
	// prints until then belongs to the call.
	closeGrace = 250 * time.Millisecond
	// extensionGrace is the time between SIGTERM and SIGKILL for a process that
	// has registered an extension; others are killed at once.
	extensionGrace = 500 * time.Millisecond
)

// state of an environment, see Pool.
type state byte

const (
	starting state = iota
	idle
	busy
	settling
)

// environment is one process with its listener and its pipe.
type environment struct {
	pool       *Pool
	suppressed bool
	logStream  string
	token      string           // what its process's AWS clients send, see Host.Running
	assigned   chan *invocation // one slot: filled under Pool.mu, for the /next that waits
	ended      chan struct{}    // closed when the process is gone or was told to go

	// Guarded by Pool.mu.
	pooled    state
	idleSince time.Time

	mu        sync.Mutex // guards what follows; never held when Pool.mu is taken
	child     *child
	addr      string
	output    *output
	current   *invocation // handed over and not answered
	answered  *invocation // answered, and the process has not asked for the next
	unclosed  bool        // answered has no END and REPORT yet
	timer     *time.Timer // of the init, then of the invocation until the next is asked for
	closing   *time.Timer // closes what was answered
	inited    bool
	nexting   bool // a /next is being served
	extension bool // an extension was registered
	ending    bool
	overran   bool   // init took longer than it may
	initError []byte // what the process posted to init/error
	spawned   time.Time
	initTime  time.Duration // told by the first REPORT, then 0

	closeMu sync.Mutex // held while a call is closed, so that what comes next comes after; taken before mu
}

func newEnvironment(p *Pool, suppressed bool) *environment {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return &environment{
		pool: p, suppressed: suppressed,
		token:     tokenPrefix + hex.EncodeToString(id[:]),
		logStream: p.host.opts.Now().UTC().Format("2006/01/02") + "/[" + p.spec.Version + "]" + hex.EncodeToString(id[:]),
		assigned:  make(chan *invocation, 1),
		ended:     make(chan struct{}),
	}
}

// run starts the process, waits for its end and clears up.
func (e *environment) run() {
	defer e.pool.remove(e)
	e.pool.host.running.Store(e.token, e)
	defer e.pool.host.running.Delete(e.token)
	server, err := e.start()
	if err != nil {
		e.startFailed(err)
		return
	}
	defer server.Close()
	status := e.child.wait()
	// The pipe may be held open by a process that left the group; what is in it
	// now is all that belongs to this environment.
	e.output.drain()
	e.output.close()
	e.exited(status)
}

// start brings up listener, pipe and process. The returned server is closed by
// the caller.
func (e *environment) start() (*http.Server, error) {
	h := e.pool.host
	cmd, err := h.command(e.pool.spec)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the runtime API: %w", err)
	}
	// Runtimes tell what caused an error in a header of up to 1 MiB.
	server := &http.Server{Handler: e, ErrorLog: silent, ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 2 << 20}
	out, w, err := newOutput(e.pool.log)
	if err != nil {
		ln.Close()
		return nil, err
	}
	if s := &e.pool.spec; s.LogJSON {
		out.keep = levelFilter(levelOf(s.AppLevel))
	}
	frames, err := again(w)
	if err != nil {
		ln.Close()
		w.Close()
		out.close()
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ending {
		err = errEnding
	} else {
		e.addr = ln.Addr().String()
		e.output = out
		e.spawned = h.opts.Now()
		out.platform(e.initStart())
		e.child, err = h.spawner.start(cmd, append(e.environ(), cmd.env...), e.pool.spec.CodeDir, w, frames)
	}
	w.Close()
	frames.Close()
	if err != nil {
		ln.Close()
		out.close()
		return nil, err
	}
	go out.run()
	go func() { _ = server.Serve(ln) }() // ends with server.Close
	limit := h.opts.InitLimit
	if e.suppressed || h.debugs(&e.pool.spec) {
		limit = e.pool.spec.Timeout
	}
	e.timer = time.AfterFunc(limit, e.initOverran)
	return server, nil
}

// startFailed ends the call that waits when the process could not be started.
func (e *environment) startFailed(err error) {
	if err == errEnding {
		return
	}
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
		e.kill()
	}
}

// asked takes note of the process's first or next request for work. It reports
// whether that is in order.
func (e *environment) asked() bool {
	e.close("")
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ending || e.nexting || e.current != nil {
		return false
	}
	e.nexting = true
	e.answered = nil
	e.timer.Stop()
	if !e.inited {
		e.inited = true
		e.initTime = e.pool.host.opts.Now().Sub(e.spawned)
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
	e.timer = time.AfterFunc(limit, func() { e.timedOut(inv) })
	return true
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

// take ends inv's time as the current invocation; false if it had ended already.
func (e *environment) take(inv *invocation) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current != inv || inv == nil {
		return false
	}
	e.current = nil
	return true
}

// finish ends inv with what the process posted. status is empty for success.
func (e *environment) finish(inv *invocation, r runner.Result, status string) bool {
	e.mu.Lock()
	if e.current != inv {
		e.mu.Unlock()
		return false
	}
	inv.status, inv.outcome = status, r
	e.current, e.answered, e.unclosed = nil, inv, true
	if e.closing == nil {
		e.closing = time.AfterFunc(closeGrace, func() { e.close("") })
	} else {
		e.closing.Reset(closeGrace)
	}
	e.mu.Unlock()
	e.pool.settling(e)
	if !inv.Tail {
		inv.end(r)
	}
	return true
}

// close writes the last lines of the call that was answered, if that is still to be done. status,
// unless empty, replaces how it ended.
func (e *environment) close(status string) {
	e.closeMu.Lock()
	defer e.closeMu.Unlock()
	e.mu.Lock()
	inv, unclosed := e.answered, e.unclosed
	e.unclosed = false
	if unclosed {
		e.closing.Stop()
	}
	e.mu.Unlock()
	if !unclosed {
		return
	}
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
	switch s := &e.pool.spec; {
	case s.Note == "":
	case s.LogJSON:
		e.output.platform(e.event("millstream.note", levelWarn, `{"message":`+string(runner.AppendJSONString(nil, s.Note))+`}`))
	default:
		e.output.platform([]byte(s.Note))
	}
}

// timedOut ends inv and its whole process group. A process that has answered, and works on without
// asking for more, has no more time than one that has not.
func (e *environment) timedOut(inv *invocation) {
	e.mu.Lock()
	answered := e.answered == inv
	e.mu.Unlock()
	if !answered && !e.take(inv) {
		return
	}
	e.kill()
	text := runner.TimeoutText(e.pool.spec.Timeout)
	now := e.pool.host.opts.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	line := []byte(now + " " + inv.RequestID + " " + text)
	if answered {
		e.close("timeout")
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
	e.close("")
	e.mu.Lock()
	inv := e.current
	e.current = nil
	e.timer.Stop()
	wanted := e.ending
	if !e.ending {
		e.ending = true
		close(e.ended)
	}
	inited, overran, posted := e.inited, e.overran, e.initError
	e.mu.Unlock()

	const kind = "Runtime.ExitError"
	text := "Runtime exited without providing a reason"
	if status != "" {
		text = "Runtime exited with error: " + status
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
	e.timer = time.AfterFunc(initErrorGrace, e.kill)
	return true
}

// kill ends the process group at once.
func (e *environment) kill() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.markEnding()
	if e.child != nil {
		e.child.kill()
	}
}

// stop ends an environment that has no invocation.
func (e *environment) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.markEnding()
	switch {
	case e.child == nil:
	case e.extension:
		e.child.terminate()
		time.AfterFunc(extensionGrace, e.child.kill)
	default:
		e.child.kill()
	}
}

func (e *environment) markEnding() {
	if !e.ending {
		e.ending = true
		close(e.ended)
	}
}
