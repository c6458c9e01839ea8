package schedule

import (
	"container/heap"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/outbox"
)

const (
	// maxLate is how long after its moment a start is still made.
	maxLate = 24 * time.Hour
	// look is how often a clock that goes by itself is looked at: it may have been set, or the machine have slept.
	look = 30 * time.Second
	// farthest is the longest wait in ms before another look: the start of a far year is further off than a Duration can be.
	farthest = 366 * 24 * 60 * 60_000
	// piece is how many definitions one batch starts.
	piece = 64
	// pieceBytes is of how many bytes of payloads on no other definition is started in it.
	pieceBytes = 4 << 20
	// fullPause is the time before another look when a definition owes too much, or the disk is nearly full.
	fullPause = time.Second
)

// dueHeap has the definitions that have a next start, the one that is due first in front.
type dueHeap []*entry

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].starts() < h[j].starts() }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// starts is when a definition's next start is made.
func (e *entry) starts() int64 { return max(e.state.due, e.held) }

func (h *dueHeap) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *dueHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	e.index = -1
	return e
}

func (h *dueHeap) remove(e *entry) {
	if e.index >= 0 {
		heap.Remove(h, e.index)
	}
}

// within chooses when the start of a moment is made.
func (e *entry) within(moment int64) int64 {
	if moment == 0 || e.def.WindowMinutes == 0 {
		return moment
	}
	return moment + rand.Int64N(int64(e.def.WindowMinutes)*60_000)
}

// Start begins to start what is due.
func (s *Service) Start() {
	s.control.Lock()
	s.started = true
	for _, e := range s.entries {
		s.queue(e)
	}
	s.arm()
	s.control.Unlock()
}

// Close ends it.
func (s *Service) Close() {
	s.control.Lock()
	defer s.control.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
}

// queue puts a definition where it is found when it is due. The caller holds control.
func (s *Service) queue(e *entry) {
	if e.index < 0 && e.state.next != 0 && e.zone != nil {
		heap.Push(&s.due, e)
	}
	if s.started {
		s.arm()
	}
}

// arm sets the timer. The caller holds control.
func (s *Service) arm() {
	if s.closed {
		return
	}
	if len(s.due) == 0 {
		if !s.o.Clock.Manual() { // a clock that is set right may make something due again
			s.wait(look)
		}
		return
	}
	s.wait(time.Duration(min(max(s.due[0].starts()-s.now(), 0), farthest)) * time.Millisecond)
}

func (s *Service) wait(d time.Duration) {
	if !s.o.Clock.Manual() {
		d = min(d, look)
	}
	d = max(d, 0)
	if s.timer == nil {
		s.timer = s.o.Clock.AfterFunc(d, s.fire)
	} else {
		s.timer.Reset(d)
	}
}

// fire starts all that is due.
func (s *Service) fire() {
	s.control.Lock()
	defer s.control.Unlock()
	if s.closed {
		return
	}
	s.bury()
	if err := s.distrust(); err != nil {
		s.o.Logger.Error("schedules could not be set right after the clock", "error", err)
		return
	}
	for !s.closed && len(s.due) > 0 && s.due[0].starts() <= s.now() {
		if err := s.o.Store.Admit(); err != nil {
			s.o.Logger.Debug("schedules wait for the store", "error", err)
			s.wait(fullPause)
			return
		}
		if err := s.startSome(); err != nil { // the server ends, and the next one starts them
			s.o.Logger.Error("starts of schedules could not be stored", "error", err)
			return
		}
		s.control.Unlock() // requests are not held up until all is started
		s.control.Lock()
	}
	if !s.closed {
		s.arm()
	}
}

func (s *Service) queueOnly(e *entry) {
	if e.state.next != 0 {
		heap.Push(&s.due, e)
	}
}

// startSome starts what is due, as far as one batch goes. While the clock is not believed the last start of a definition is left out for no age,
// and no definition is removed. The caller holds control.
func (s *Service) startSome() error {
	wall, ageing := s.o.Clock.Now()
	now := wall.UnixMilli()
	b := s.o.Store.NewBatch()
	defer b.Close()
	var owed []*outbox.Delivery
	var begun, held []*entry
	defer func() {
		for _, e := range held {
			heap.Push(&s.due, e)
		}
	}()
	was := map[*entry]state{}
	undo := func() {
		s.o.Outbox.Forget(owed...)
		for _, e := range begun {
			e.state = was[e]
			heap.Push(&s.due, e)
		}
	}
	size := 0
	for len(begun)+len(held) < piece && size < pieceBytes && len(s.due) > 0 && s.due[0].starts() <= now {
		e := heap.Pop(&s.due).(*entry)
		was[e] = e.state
		begun = append(begun, e)
		moment, due := e.state.next, e.state.due
		next := s.follow(e, now)
		var its []*outbox.Delivery
		var payloads [][]byte
		for i := range e.def.Targets {
			d, payload, err := s.delivery(e, &e.def.Targets[i], moment, due)
			if err != nil {
				undo()
				return err
			}
			if now-due > d.Retry.AgeMS && (ageing || next != 0) {
				s.o.Logger.Warn("a start was left out: it is overdue by more than MaximumEventAgeInSeconds", "schedule", e.def.ARN(), "moment", time.UnixMilli(moment).UTC())
				continue
			}
			d.Weigh(len(payload))
			its, payloads = append(its, d), append(payloads, payload)
		}
		if err := s.o.Outbox.Reserve(its...); err != nil { // others go on
			s.o.Logger.Warn("a schedule waits: it owes too many deliveries", "schedule", e.def.ARN())
			begun = begun[:len(begun)-1]
			e.held = now + fullPause.Milliseconds()
			held = append(held, e)
			continue
		}
		owed = append(owed, its...)
		for i, d := range its {
			if err := s.o.Outbox.Put(b, d, payloads[i]); err != nil {
				undo()
				return err
			}
			size += d.Size
		}
		e.state.last, e.state.next = moment, next
		e.state.due = e.within(e.state.next)
		if e.state.next == 0 && e.def.DeleteAfter && ageing {
			b.Delete(numbered(rowDefinition, e.def.ID))
			b.Delete(numbered(rowState, e.def.ID))
		} else {
			b.Set(numbered(rowState, e.def.ID), e.state.encode())
		}
	}
	if b.Empty() {
		return nil
	}
	if err := s.o.Store.Write(b); err != nil {
		undo()
		return err
	}
	for _, e := range begun {
		if e.state.next == 0 && e.def.DeleteAfter && ageing {
			delete(s.entries, e.def.key())
		} else {
			s.queueOnly(e)
		}
	}
	s.o.Outbox.Release(owed...)
	return nil
}

// follow is the moment after the one that is due. Those of more than a day ago are left out.
func (s *Service) follow(e *entry, now int64) int64 {
	next, oldest := e.after(e.state.next), now-maxLate.Milliseconds()
	if next != 0 && next < oldest {
		s.o.Logger.Warn("starts were left out: they were due more than a day ago", "schedule", e.def.ARN(), "since", time.UnixMilli(next).UTC())
		next = e.after(oldest)
	}
	return next
}

// The attributes of messages to dead-letter queues, as AWS names them.
var letter = outbox.Letter{Code: "ERROR_CODE", Message: "ERROR_MESSAGE", Condition: "EXHAUSTED_RETRY_CONDITION", Attempts: "RETRY_ATTEMPTS"}

// delivery makes what is owed to a target for a moment. Its age counts from when the start is due: a flexible window takes nothing of it.
func (s *Service) delivery(e *entry, t *Target, moment, due int64) (*outbox.Delivery, []byte, error) {
	d := &outbox.Delivery{
		Source: e.def.ARN(), Target: t.ARN, Group: t.GroupID, DeadLetter: t.DeadLetter, Letter: letter, SinceMS: due,
		Retry: outbox.Retry{Attempts: maxRetries, AgeMS: maxAgeSeconds * 1000},
	}
	if t.RetryAttempts != nil {
		d.Retry.Attempts = *t.RetryAttempts
	}
	if t.MaxAge != nil {
		d.Retry.AgeMS = int64(*t.MaxAge) * 1000
	}
	if e.def.Kind == Rule {
		d.Source += "#" + t.ID
		d.About = map[string]string{"RULE_ARN": e.def.ARN(), "TARGET_ARN": t.ARN}
	} else {
		d.About = map[string]string{"SCHEDULE_ARN": e.def.ARN(), "TARGET_ARN": t.ARN}
	}
	payload, err := e.payload(t, moment, uuid.NewString())
	return d, payload, err
}

// inContext puts a start's context in the place of AWS's words in a schedule's input.
func inContext(input, scheduleARN, at, id string) string {
	return strings.NewReplacer(
		"<aws.scheduler.schedule-arn>", scheduleARN, "<aws.scheduler.scheduled-time>", at,
		"<aws.scheduler.execution-id>", id, "<aws.scheduler.attempt-number>", "1",
	).Replace(input)
}

// payload is what a target gets for a moment; id is the event's or the execution's.
func (e *entry) payload(t *Target, moment int64, id string) ([]byte, error) {
	at := time.UnixMilli(moment).UTC().Format("2006-01-02T15:04:05Z")
	if t.Input != nil {
		if e.def.Kind == Rule {
			return []byte(*t.Input), nil
		}
		return []byte(inContext(*t.Input, e.def.ARN(), at, id)), nil
	}
	event := struct {
		Version    string   `json:"version"`
		ID         string   `json:"id"`
		DetailType string   `json:"detail-type"`
		Source     string   `json:"source"`
		Account    string   `json:"account"`
		Time       string   `json:"time"`
		Region     string   `json:"region"`
		Resources  []string `json:"resources"`
		Detail     any      `json:"detail"`
	}{"0", id, "Scheduled Event", "aws.events", e.def.Scope.Account, at, e.def.Scope.Region, []string{e.def.ARN()}, struct{}{}}
	if e.def.Kind == Schedule {
		event.Source, event.Detail = "aws.scheduler", "{}"
	}
	return json.Marshal(event)
}
