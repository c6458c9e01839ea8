package process

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A request for work that overtakes the answer of the call before waits for it, and is refused when none comes.
func TestNextWaitsForTheAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		then  func(e *environment, give chan struct{})
		after time.Duration
		want  bool
		took  time.Duration
	}{
		"the answer comes": {func(e *environment, _ chan struct{}) { answer(e, false) }, 300 * time.Millisecond, true, 300 * time.Millisecond},
		"no answer comes":  {func(*environment, chan struct{}) {}, 0, false, answerGrace},
		"a long answer": {func(e *environment, _ chan struct{}) {
			e.answers(e.current, true)
			time.AfterFunc(time.Hour, func() { answer(e, false) })
		}, 300 * time.Millisecond, true, time.Hour + 300*time.Millisecond},
		"an answer breaks off": {func(e *environment, _ chan struct{}) {
			inv := e.current
			e.answers(inv, true)
			time.AfterFunc(answerGrace, func() { e.answers(inv, false) })
		}, 300 * time.Millisecond, false, 2 * answerGrace},
		"the client is off": {func(_ *environment, give chan struct{}) { close(give) }, 100 * time.Millisecond, false, 100 * time.Millisecond},
		"the process ends":  {func(e *environment, _ chan struct{}) { close(e.ended) }, 200 * time.Millisecond, false, 200 * time.Millisecond},
		"it asks twice":     {func(e *environment, _ chan struct{}) { answer(e, true) }, 50 * time.Millisecond, false, 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &environment{ended: make(chan struct{}), current: &invocation{}}
				give := make(chan struct{})
				timer := time.AfterFunc(c.after, func() { c.then(e, give) })
				defer timer.Stop()
				began := time.Now()
				if got := e.asked(give); got != c.want || time.Since(began) != c.took {
					t.Errorf("%t after %s, want %t after %s", got, time.Since(began), c.want, c.took)
				}
			})
		})
	}
}

func answer(e *environment, nexting bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.nexting = nexting
	e.free()
}

// A process whose call has just run out of time gets no other, also before it is killed.
func TestNoCallForAProcessThatIsKilled(t *testing.T) {
	for name, answered := range map[string]bool{"it has not answered": false, "it has answered": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inv := &invocation{}
				e := &environment{ended: make(chan struct{})}
				if answered {
					e.answered = inv
				} else {
					e.current = inv
				}
				got := make(chan bool)
				if !answered { // it asks already, and waits for the end of the call
					go func() { got <- e.asked(nil) }()
					synctest.Wait()
				}
				if was, over := e.runOut(inv); was != answered || !over {
					t.Fatalf("answered %t, over %t", was, over)
				}
				if answered {
					go func() { got <- e.asked(nil) }()
				}
				if <-got || e.begin(&invocation{}) {
					t.Error("it may have the next call")
				}
				if _, over := e.runOut(&invocation{}); over {
					t.Error("the time of another call is over")
				}
			})
		})
	}
}

// An extension that asks for its event and hangs up, again and again, holds up nobody, and is told of the end.
func TestExtensionThatHangsUpIsToldOfTheEnd(t *testing.T) {
	x := &extension{queue: make(chan []byte, 2)}
	for range 5 {
		x.tell([]byte(invokeEvent))
	}
	x.tell([]byte(shutdownEvent))
	var got []string
	for len(x.queue) > 0 {
		got = append(got, string(<-x.queue))
	}
	if strings.Join(got, " ") != "INVOKE SHUTDOWN" {
		t.Errorf("it is told %q", got)
	}
}
