package trigger

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// Over a shared backend only the node that works a mapping's stream can change what its machines have. Another node that is asked for that asks it.

// asked is what a node is asked for, of a mapping. One of its members is set.
type asked struct {
	UUID    string
	Redrive *Redrive   `json:",omitempty"`
	Move    *askedMove `json:",omitempty"`
}

type askedMove struct {
	To             backend.Place
	Forward, Would bool
}

// answered is its answer.
type answered struct {
	Records int           `json:",omitempty"`
	Next    lane.AsideKey `json:",omitzero"`
	Moved   Moved         `json:",omitzero"`
	Error   string        `json:",omitempty"`
	Kind    int           `json:",omitempty"` // of the error: its place in errorKinds, from 1 on
}

// errorKinds are errors that those who ask tell from others. New ones come last.
var errorKinds = []error{ErrUnderWay, ErrMoved, ErrStopped, ErrNotAside, backend.ErrNoMapping, backend.ErrLost, ErrNoRecord, ErrAmbig}

// answeredError is an error of another node.
type answeredError struct {
	text string
	kind error
}

func (e *answeredError) Error() string { return e.text }
func (e *answeredError) Unwrap() error { return e.kind }

func (a *answered) fail(err error) {
	if err == nil {
		return
	}
	a.Error = err.Error()
	for i, kind := range errorKinds {
		if errors.Is(err, kind) {
			a.Kind = i + 1
			break
		}
	}
}

func (a *answered) err() error {
	switch {
	case a.Error == "":
		return nil
	case a.Kind < 1 || a.Kind > len(errorKinds):
		return errors.New(a.Error)
	}
	return &answeredError{a.Error, errorKinds[a.Kind-1]}
}

// here reports whether this node runs the mapping.
func (m *running) here() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.e.shared == nil || m.held != nil
}

// ask has the node do it that works the mapping's stream.
func (m *running) ask(ctx context.Context, q asked) (a answered, err error) {
	q.UUID = m.uuid
	request, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	answer, err := m.e.shared.Ask(ctx, m.stream, request)
	if err == nil {
		err = json.Unmarshal(answer, &a)
	}
	if err == nil {
		err = a.err()
	}
	return a, err
}

func (n node) Do(ctx context.Context, c backend.Claim, request []byte) []byte {
	var q asked
	var a answered
	err := json.Unmarshal(request, &q)
	if err == nil {
		err = n.e.do(ctx, c, q, &a)
	}
	a.fail(err)
	answer, err := json.Marshal(a)
	if err != nil {
		panic(err) // plain values
	}
	return answer
}

func (e *Engine) do(ctx context.Context, c backend.Claim, q asked, a *answered) (err error) {
	m, err := e.find(q.UUID)
	if err != nil {
		return err
	}
	if err := m.begun(ctx, c); err != nil {
		return err
	}
	switch to := q.Move; {
	case q.Redrive != nil:
		a.Records, a.Next, err = m.redrive(ctx, *q.Redrive)
		return err
	case to != nil && to.Would:
		a.Moved, err = m.wouldMove(ctx, to.To, to.Forward)
		return err
	case to != nil:
		a.Moved, err = m.move(ctx, to.To, to.Forward)
		return err
	}
	return errors.New("this node does not know how to do what another has asked it for: it is of an earlier release")
}

// begun waits until the mapping's positions are loaded under a claim.
func (m *running) begun(ctx context.Context, c backend.Claim) error {
	for {
		moved := m.e.progress.wait()
		m.mu.Lock()
		h, deleted := m.held, m.deleted
		m.mu.Unlock()
		switch {
		case deleted:
			return backend.ErrNoMapping
		case h != nil && h.claim == c:
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ErrMoved
		}
	}
}
