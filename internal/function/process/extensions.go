package process

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/function/runner"
)

// maxExtensions is how many an environment may have, external and internal ones together.
const maxExtensions = 10

// extensionState is how far an extension has come, by the names of AWS's runtime interface emulator.
type extensionState string

const (
	started     extensionState = "Started"
	registered  extensionState = "Registered"
	waits       extensionState = "Ready"   // its event/next waits
	running     extensionState = "Running" // it has an event
	initFailed  extensionState = "InitError"
	exitFailed  extensionState = "ExitError"
	exited      extensionState = "Exited"
	launchError extensionState = "LaunchError"
)

// The events that an extension may ask for.
const (
	invokeEvent   = "INVOKE"
	shutdownEvent = "SHUTDOWN"
)

// crash is an extension's failure, which its environment does not outlive.
type crash struct{ kind, text string }

// extension is a program from a layer's folder extensions, or, an internal one, a part of the function's process.
// Its fields are guarded by extensions.mu.
type extension struct {
	name, id  string
	external  bool
	child     *child
	gone      chan struct{} // of an external one: closed when its process has ended
	state     extensionState
	events    []string
	errorType string
	queue     chan []byte // what its event/next is answered with: an INVOKE and a SHUTDOWN
}

func (x *extension) wants(event string) bool { return slices.Contains(x.events, event) }

// tell gives x an event, in the place of one that it asked for and did not take, since it hung up. mu is held.
func (x *extension) tell(event []byte) {
	for {
		select {
		case x.queue <- event:
			return
		default:
		}
		select {
		case <-x.queue:
		default:
		}
	}
}

// extensions are those of one environment.
//
// An environment begins with its external extensions: all have registered before the process is started. Its
// init ends when the process and every extension have asked for their next event, and so does a call, for the
// extensions that are told of calls. At the end the process goes first, then the extensions are told.
type extensions struct {
	of *environment

	mu      sync.Mutex // guards what follows; nothing else is locked under it
	all     []*extension
	closed  bool          // none can register any more
	changed chan struct{} // closed, and made anew, when the state of one changes
}

// move changes x's state and tells who waits. mu is held.
func (s *extensions) move(x *extension, to extensionState) {
	x.state = to
	close(s.changed)
	s.changed = make(chan struct{})
}

// await returns true when done does, which is called with mu held after each change, or false when the environment
// ends before that or give closes.
func (s *extensions) await(give <-chan struct{}, done func() bool) bool {
	for {
		s.mu.Lock()
		ok, changed := done(), s.changed
		s.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-give:
			return false
		case <-s.of.ended:
			return false
		}
	}
}

// programs are the files in the layers' folders extensions, by name: a later layer's hides an earlier one's.
func programs(spec *runner.Spec) (paths []string) {
	for _, folder := range inLayers(spec, "extensions") {
		entries, _ := os.ReadDir(folder) // one that cannot be read is empty, as on AWS
		for _, f := range entries {
			named := func(p string) bool { return filepath.Base(p) == f.Name() }
			if !f.IsDir() && !slices.ContainsFunc(paths, named) {
				paths = append(paths, filepath.Join(folder, f.Name()))
			}
		}
	}
	slices.SortFunc(paths, func(a, b string) int { return cmp.Compare(filepath.Base(a), filepath.Base(b)) })
	return paths
}

// start starts the external extensions, their output going to w, and returns when all have registered; false when
// the environment ends before that.
func (s *extensions) start(w *os.File) bool {
	e := s.of
	for _, path := range programs(&e.pool.spec) {
		x := &extension{name: filepath.Base(path), id: uuid.NewString(), external: true, state: started, gone: make(chan struct{}), queue: make(chan []byte, 2)}
		s.mu.Lock()
		s.all = append(s.all, x)
		tooMany := len(s.all) > maxExtensions
		s.mu.Unlock()
		err := errors.New("ErrTooManyExtensions")
		if !tooMany {
			err = e.startExtension(x, path, w)
		}
		if err == errEnding {
			return false
		}
		if err != nil {
			s.mu.Lock()
			switch x.errorType = "UnknownError"; {
			case tooMany:
				x.errorType = "TooManyExtensions"
			case errors.Is(err, fs.ErrPermission):
				x.errorType = "PermissionDenied"
			}
			s.move(x, launchError)
			s.mu.Unlock()
			close(x.gone)
			e.crashed(crash{"Extension.LaunchError", err.Error()})
			return false
		}
		go func() { s.ended(x, x.child.wait()) }()
	}
	return s.await(nil, func() bool {
		return !slices.ContainsFunc(s.all, func(x *extension) bool { return x.external && x.state == started })
	})
}

// startExtension starts one program, unless the environment ends.
func (e *environment) startExtension(x *extension, path string, w *os.File) (err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ending {
		return errEnding
	}
	c := command{path: path, args: []string{path}}
	child, err := e.spawn(c, e.extensionEnviron(), filepath.Dir(filepath.Dir(path)), w, nil)
	e.extensions.mu.Lock()
	x.child = child
	e.extensions.mu.Unlock()
	return err
}

// ended takes note of the end of an external extension, which is a failure unless the environment ends.
func (s *extensions) ended(x *extension, status string) {
	s.mu.Lock()
	why := crash{"Extension.Crash", cmp.Or(status, "exit code 0")}
	switch x.state {
	case initFailed:
		why.kind = "Extension.InitError"
	case exitFailed:
		why.kind = "Extension.ExitError"
	default:
		s.move(x, exited)
	}
	close(x.gone)
	s.mu.Unlock()
	s.of.crashed(why)
}

// crashed ends an environment for an extension's failure, unless it ends already.
func (e *environment) crashed(why crash) {
	e.mu.Lock()
	first := !e.ending
	if first {
		e.crash = &why
		e.markEnding(failure)
	}
	e.mu.Unlock()
	if first {
		e.end(failure)
	}
}

// settled waits until the extensions have asked for their next event: at the end of the init all that have registered,
// later those that were told of the call. It returns false when the environment ends before that, or give closes.
func (s *extensions) settled(give <-chan struct{}) bool {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	none := len(s.all) == 0
	s.mu.Unlock()
	if none {
		return true
	}
	return s.await(give, func() bool {
		return !slices.ContainsFunc(s.all, func(x *extension) bool { return x.state != waits && (first || x.wants(invokeEvent)) })
	})
}

// invoke tells the extensions of a call.
func (s *extensions) invoke(inv *invocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		return
	}
	b := append([]byte(nil), `{"eventType":"INVOKE","deadlineMs":`...)
	b = strconv.AppendInt(b, inv.deadline.UnixMilli(), 10)
	b = runner.AppendJSONString(append(b, `,"requestId":`...), inv.RequestID)
	b = runner.AppendJSONString(append(b, `,"invokedFunctionArn":`...), inv.ARN)
	if inv.TraceID != "" {
		b = runner.AppendJSONString(append(b, `,"tracing":{"type":"X-Amzn-Trace-Id","value":`...), inv.TraceID)
		b = append(b, '}')
	}
	b = append(b, '}')
	for _, x := range s.all {
		if x.wants(invokeEvent) && x.state == waits {
			x.state = running
			x.tell(b)
		}
	}
}

func (s *extensions) any() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all) > 0
}

// grace is how long the process has between SIGTERM and SIGKILL: nothing when no extension has registered.
func (s *extensions) grace() (d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.all {
		switch {
		case !x.external:
			return internalGrace
		case x.state != started && x.state != launchError:
			d = termGrace
		}
	}
	return d
}

// end tells the external extensions that the environment ends, and returns when their processes have ended: those
// that do not ask for that event are killed at once, the others when their time is over.
func (s *extensions) end() {
	e := s.of
	e.mu.Lock()
	deadline := e.endBegan.Add(endLimit)
	reason := e.reason
	e.mu.Unlock()
	s.mu.Lock()
	s.closed = true
	b := []byte(`{"eventType":"SHUTDOWN","deadlineMs":` + strconv.FormatInt(deadline.UnixMilli(), 10) + `,"shutdownReason":"` + reason + `"}`)
	var external []*extension
	for _, x := range s.all {
		if !x.external || x.child == nil {
			continue
		}
		external = append(external, x)
		if x.wants(shutdownEvent) && x.state != initFailed && x.state != exitFailed {
			if x.state == waits {
				x.state = running
			}
			x.tell(b)
			continue
		}
		x.child.kill()
	}
	s.mu.Unlock()
	late := time.NewTimer(time.Until(deadline))
	defer late.Stop()
	for _, x := range external {
		select {
		case <-x.gone:
			continue
		case <-late.C:
		}
		for _, x := range external {
			x.child.kill()
		}
		<-x.gone
		late.Reset(0)
	}
}

// shown is what the log tells of an extension.
type shown struct {
	name      string
	state     extensionState
	events    []string
	errorType string
}

// states tells of all extensions.
func (s *extensions) states() (all []shown) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.all {
		all = append(all, shown{x.name, x.state, x.events, x.errorType})
	}
	return all
}
