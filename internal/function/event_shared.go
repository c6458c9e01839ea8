package function

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
)

// SharedEvents keeps accepted events where another node finds them when the one that has accepted them is gone. Each node adds to a log of its own.
type SharedEvents interface {
	// Log is this node's; empty: it has none yet. It becomes another when others have taken it over.
	Log() string
	// Put stores a row in the place of the one with its version (0: where there is none), and returns the new one. ErrStale: it has another. It tries
	// until ctx ends, which leaves open what became of it.
	Put(ctx context.Context, r SharedEvent) (version uint64, err error)
	// Get returns a row; there is false when there is none.
	Get(ctx context.Context, log, key string) (r SharedEvent, there bool, err error)
	// Remove removes a row of this version, if it is there; 0: of any. ErrStale: it has another.
	Remove(ctx context.Context, r SharedEvent) error
	// Sure returns an error unless who takes a log over from now on finds what was put into it by now.
	Sure(ctx context.Context, log string) error
}

// SharedEvent is a row of a log.
type SharedEvent struct {
	Log, Key string
	Version  uint64
	Data     string
}

// sharedEvent is the row of an event. What is large lies in pieces beside it.
type sharedEvent struct {
	Head           json.RawMessage `json:"head"`
	Payload        []byte          `json:"payload,omitempty"`
	Document       []byte          `json:"document,omitempty"`
	PayloadPieces  int             `json:"payloadPieces,omitempty"`
	DocumentPieces int             `json:"documentPieces,omitempty"`
}

type sharedPiece struct {
	Data []byte `json:"data"`
}

const (
	// maxInline is what lies in the row itself, so that to accept an event is one write.
	maxInline = 64 << 10
	// sharedPieceSize has a piece fit into an item, as text.
	sharedPieceSize = 270_000
	// PiecesOf ends the name of the log that has the pieces of another.
	PiecesOf = "#pieces"
	// acceptWait bounds the acceptance of an event.
	acceptWait = 10 * time.Second
)

// errTaken: another node has taken the event over.
var errTaken = errors.New("function: another node has taken the event over")

// place is where an event is in a SharedEvents.
type place struct {
	log, key                      string
	payloadPieces, documentPieces int
}

func (p place) name() string { return p.log + "/" + p.key }

func (r eventRows) pieceKey(e *event, kind byte, i int) string {
	return fmt.Sprintf("%s#%c#%05d", e.at.key, kind, i)
}

// putPieces stores what is too large for the row, and returns what is not.
func (r eventRows) putPieces(ctx context.Context, e *event, kind byte, data []byte) (inline []byte, pieces int, err error) {
	if len(data) <= maxInline {
		return data, 0, nil
	}
	for part := range slices.Chunk(data, sharedPieceSize) {
		text, err := json.Marshal(sharedPiece{part})
		if err == nil {
			_, err = r.shared.Put(ctx, SharedEvent{Log: e.at.log + PiecesOf, Key: r.pieceKey(e, kind, pieces), Data: string(text)})
		}
		pieces++
		if err != nil && !errors.Is(err, ErrStale) { // an earlier try has stored it
			return nil, pieces, err
		}
	}
	return nil, pieces, nil
}

// putShared stores an event's row. What is not in memory is kept as it is there.
func (r eventRows) putShared(ctx context.Context, e *event) error {
	head, err := json.Marshal(&e.head)
	if err != nil {
		return err
	}
	row := sharedEvent{Head: head, Payload: e.payload, Document: e.document, PayloadPieces: e.at.payloadPieces, DocumentPieces: e.at.documentPieces}
	if row.PayloadPieces > 0 {
		row.Payload = nil
	}
	if row.DocumentPieces > 0 {
		row.Document = nil
	}
	if e.version.Load() > 0 && (e.payload == nil && row.PayloadPieces == 0 || e.document == nil && row.DocumentPieces == 0 && e.head.ToldSize > 0) {
		there, err := r.sharedRow(ctx, e)
		if err != nil {
			return err
		}
		if row.PayloadPieces == 0 && row.Payload == nil {
			row.Payload = there.Payload
		}
		if row.DocumentPieces == 0 && row.Document == nil {
			row.Document = there.Document
		}
	}
	text, err := json.Marshal(row)
	if err != nil {
		return err
	}
	version, err := r.shared.Put(ctx, SharedEvent{Log: e.at.log, Key: e.at.key, Version: e.version.Load(), Data: string(text)})
	if errors.Is(err, ErrStale) {
		return errTaken
	}
	if err == nil {
		e.version.Store(version)
	}
	return err
}

func (r eventRows) addShared(e *event) (err error) {
	ctx, cancel := context.WithTimeout(r.ctx, acceptWait)
	defer cancel()
	if e.at.log == "" {
		return awserr.LambdaService()
	}
	payload := e.payload
	if e.payload, e.at.payloadPieces, err = r.putPieces(ctx, e, eventPayloadRow, payload); err != nil {
		return err
	}
	if err := r.putShared(ctx, e); err != nil {
		return err
	}
	e.payload = payload
	return r.shared.Sure(ctx, e.at.log)
}

// undo removes what may be stored of an event that was not accepted, while this node lives. It may run all the same, as what is not answered may. Until then it
// takes the room of an event.
func (q *eventQueue) undo(e *event) {
	e.payload = nil
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.undone = append(q.undone, e)
	if len(q.undone) == 1 {
		q.workers.Go(q.undoAll)
	}
}

func (q *eventQueue) undoAll() {
	for {
		q.mu.Lock()
		all := slices.Clone(q.undone)
		q.mu.Unlock()
		if len(all) == 0 {
			return
		}
		// What was asked for last may be done a little after nobody waits for it any more.
		for range 2 {
			if q.rows.removeShared(all...) != nil { // this node ends
				return
			}
			select {
			case <-q.s.ctx.Done():
				return
			case <-time.After(acceptWait):
			}
		}
		q.mu.Lock()
		for _, e := range all {
			q.forgetLocked(e)
		}
		q.undone = slices.Delete(q.undone, 0, len(all))
		more := len(q.undone) > 0
		q.mu.Unlock()
		if !more {
			return
		}
	}
}

// endedShared stores that an event has ended, and removes these others.
func (r eventRows) endedShared(e *event, out []*event) (err error) {
	document := e.document
	if e.document, e.at.documentPieces, err = r.putPieces(r.ctx, e, eventDocumentRow, document); err != nil {
		return err
	}
	err = r.putShared(r.ctx, e)
	e.document = document
	if err != nil {
		return err
	}
	return r.removeShared(out...)
}

// removeShared removes events, but those that another node has by now.
func (r eventRows) removeShared(events ...*event) error {
	for _, e := range events {
		err := r.shared.Remove(r.ctx, SharedEvent{Log: e.at.log, Key: e.at.key, Version: e.version.Load()})
		if errors.Is(err, ErrStale) {
			continue // it is that node's, and so are its pieces
		}
		if err != nil {
			return err
		}
		for kind, n := range map[byte]int{eventPayloadRow: e.at.payloadPieces, eventDocumentRow: e.at.documentPieces} {
			for i := range n {
				if err := r.shared.Remove(r.ctx, SharedEvent{Log: e.at.log + PiecesOf, Key: r.pieceKey(e, kind, i)}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (r eventRows) sharedRow(ctx context.Context, e *event) (row sharedEvent, err error) {
	found, there, err := r.shared.Get(ctx, e.at.log, e.at.key)
	switch {
	case err != nil:
		return row, err
	case !there || found.Version != e.version.Load():
		return row, errTaken
	}
	return row, json.Unmarshal([]byte(found.Data), &row)
}

func (r eventRows) getShared(kind byte, e *event) ([]byte, error) {
	row, err := r.sharedRow(r.ctx, e)
	if err != nil {
		return nil, err
	}
	inline, n := row.Payload, e.at.payloadPieces
	if kind == eventDocumentRow {
		inline, n = row.Document, e.at.documentPieces
	}
	if n == 0 && inline == nil {
		inline = []byte{}
	}
	if n == 0 {
		return inline, nil
	}
	var all []byte
	for i := range n {
		found, there, err := r.shared.Get(r.ctx, e.at.log+PiecesOf, r.pieceKey(e, kind, i))
		if err == nil && !there {
			err = errTaken // who has ended it has removed it
		}
		var piece sharedPiece
		if err == nil {
			err = json.Unmarshal([]byte(found.Data), &piece)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, piece.Data...)
	}
	return all, nil
}

// TakeEvents takes over the events of a log that has become this node's: those that it does not have already. From then on nobody else can change them.
// again: of some it is not known yet whose they are, so the log has to be read once more.
func (s *Service) TakeEvents(ctx context.Context, found []SharedEvent) (taken int, again bool, err error) {
	q := s.events
	var all []*event
	for _, f := range found {
		known, doubt := q.has(f)
		if again = again || doubt; known || doubt {
			continue
		}
		version, err := q.rows.shared.Put(ctx, f) // the same, with a new version
		if errors.Is(err, ErrStale) {
			again = true // it has just ended, or changed
			continue
		}
		if err != nil {
			return taken, again, err
		}
		var row sharedEvent
		e := &event{at: place{log: f.Log, key: f.Key}}
		e.version.Store(version)
		if err = json.Unmarshal([]byte(f.Data), &row); err == nil {
			err = json.Unmarshal(row.Head, &e.head)
		}
		if err != nil { // it stays where it is
			if held, ok := q.maySay("damaged " + f.Log); ok {
				s.opts.Logger.Error("an Event invocation is damaged, or was written by a newer release", "log", f.Log, "key", f.Key, "error", err, "notLogged", held)
			}
			continue
		}
		e.at.payloadPieces, e.at.documentPieces = row.PayloadPieces, row.DocumentPieces
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(a, b *event) int { return int(a.head.AcceptedMS - b.head.AcceptedMS) })
	for _, e := range all {
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return taken, again, context.Canceled
		}
		e.id = q.nextID
		q.nextID++
		q.hold(e)
		q.mu.Unlock()
		q.begin(e)
		taken++
	}
	return taken, again, nil
}

// has reports whether the event of a row is held here. One that another node has had meanwhile is forgotten, unless it is worked on: then who does so finds
// out, or has just stored that row itself (doubt).
func (q *eventQueue) has(f SharedEvent) (known, doubt bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.placed[f.Log+"/"+f.Key]
	switch {
	case e == nil:
		return false, false
	case e.version.Load() >= f.Version:
		return true, false
	case !q.takeOut(e):
		return false, true
	}
	q.forgetLocked(e)
	return false, false
}

// HoldsEvents reports whether this node has events of a log.
func (s *Service) HoldsEvents(log string) bool {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	for name := range s.events.placed {
		if strings.HasPrefix(name, log+"/") {
			return true
		}
	}
	return false
}
