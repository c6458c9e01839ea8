package queue

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/store"
)

// States of a task.
const (
	taskRunning    = "RUNNING"
	taskCompleted  = "COMPLETED"
	taskCancelling = "CANCELLING"
	taskCancelled  = "CANCELLED"
	taskFailed     = "FAILED"
)

const (
	keepTasks = 10  // of a queue, as ListMessageMoveTasks tells at most
	movePiece = 100 // messages in one batch of a task
	maxRate   = 500 // messages a second
)

// Task moves the messages of a dead-letter queue to another queue, or back to where they came from. JSON tags are the stored form.
type Task struct {
	ID          uint64 `json:"id"`
	Source      string `json:"source"`
	Destination string `json:"destination,omitempty"`
	Rate        int    `json:"rate,omitempty"` // messages a second; 0: as fast as it goes
	StartedMS   int64  `json:"startedMs"`
	Status      string `json:"status"`
	Moved       int    `json:"moved"`
	ToMove      int    `json:"toMove"`
	Failure     string `json:"failure,omitempty"`

	queue uint64 // id
}

// Handle names a task.
func (t *Task) Handle() string {
	doc, _ := json.Marshal(map[string]string{"taskId": t.uuid(), "sourceArn": t.Source}) // strings always marshal
	return base64.StdEncoding.EncodeToString(doc)
}

// uuid is the task's id as clients see it.
func (t *Task) uuid() string {
	return uuid.NewSHA1(uuid.Nil, binary.BigEndian.AppendUint64(nil, t.ID)).String()
}

// tasks are those of all queues.
type tasks struct {
	s       *Service
	running sync.WaitGroup

	mu  sync.Mutex
	all map[uint64][]*Task // by the queue's id, the oldest first
}

// open goes on with the tasks that were running.
func (t *tasks) open(s *Service) error {
	t.s, t.all = s, map[uint64][]*Task{}
	err := s.each([]byte{store.SpaceQueue, kindTask}, func(rest, v []byte) error {
		task := &Task{}
		if len(rest) != 16 {
			return errStateRow
		}
		if err := decodeJSON("a task", v, task); err != nil {
			return err
		}
		task.queue = binary.BigEndian.Uint64(rest)
		t.all[task.queue] = append(t.all[task.queue], task)
		return nil
	})
	if err != nil {
		return err
	}
	for _, all := range t.all {
		for _, task := range all {
			if task.Status == taskRunning || task.Status == taskCancelling {
				t.start(task)
			}
		}
	}
	return nil
}

func (t *tasks) wait() { t.running.Wait() }

func (t *tasks) start(task *Task) {
	t.s.clock.Begin()
	t.running.Go(func() {
		defer t.s.clock.End()
		t.run(task)
	})
}

func taskKey(queue, id uint64) []byte {
	k := binary.BigEndian.AppendUint64([]byte{store.SpaceQueue, kindTask}, queue)
	return binary.BigEndian.AppendUint64(k, id)
}

// set writes a task. The caller holds mu, or the task is nobody else's.
func (t *tasks) set(b *store.Batch, task *Task) error {
	row, err := encodeJSON("a task", task)
	if err == nil {
		b.Set(taskKey(task.queue, task.ID), row)
	}
	return err
}

func missingQueue(parameter string) error {
	return awserr.QueueResourceMissing("The resource that you specified for the " + parameter + " parameter doesn't exist.")
}

// StartMove begins a task. destination is empty for the queues that the messages came from.
func (s *Service) StartMove(source, destination string, rate *int) (*Task, error) {
	q := s.FindARN(source)
	if q == nil {
		return nil, missingQueue("SourceArn")
	}
	if len(s.Sources(q)) == 0 {
		return nil, awserr.QueueParameter("Source queue must be configured as a Dead Letter Queue.")
	}
	if destination != "" && s.FindARN(destination) == nil {
		return nil, missingQueue("DestinationArn")
	}
	task := &Task{ID: s.number(), Source: source, Destination: destination, StartedMS: s.wall(), Status: taskRunning, queue: q.id}
	if rate != nil {
		if *rate < 1 || *rate > maxRate {
			return nil, awserr.QueueParameterValue(strconv.Itoa(*rate), "MaxNumberOfMessagesPerSecond", "Must be between 1 and 500, if provided.")
		}
		task.Rate = *rate
	}
	c, err := q.Counts()
	if err != nil {
		return nil, err
	}
	task.ToMove = c.Visible
	t := &s.tasks
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.all[q.id]
	if slices.ContainsFunc(old, func(o *Task) bool { return o.Status == taskRunning || o.Status == taskCancelling }) {
		return nil, awserr.QueueParameter("There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
	}
	b := s.store.NewBatch()
	defer b.Close()
	if err := t.set(b, task); err != nil {
		return nil, err
	}
	keep := old
	for len(keep) >= keepTasks {
		b.Delete(taskKey(q.id, keep[0].ID))
		keep = keep[1:]
	}
	if err := s.store.Write(b); err != nil {
		return nil, err
	}
	t.all[q.id] = append(slices.Clone(keep), task)
	t.start(task)
	view := *task
	return &view, nil
}

// Moves returns the tasks of a queue, the newest first, at most so many.
func (s *Service) Moves(source string, most int) ([]Task, error) {
	q := s.FindARN(source)
	if q == nil {
		return nil, missingQueue("SourceArn")
	}
	t := &s.tasks
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []Task
	for _, task := range slices.Backward(t.all[q.id]) {
		if len(all) < most {
			all = append(all, *task)
		}
	}
	return all, nil
}

// CancelMove ends a task, and tells how many messages it has moved.
func (s *Service) CancelMove(handle string) (moved int, err error) {
	var doc struct{ TaskID, SourceARN string }
	text, err := base64.StdEncoding.DecodeString(handle)
	if err != nil || json.Unmarshal(text, &doc) != nil || doc.TaskID == "" || doc.SourceARN == "" {
		return 0, awserr.QueueParameter("Value for parameter TaskHandle is invalid.")
	}
	q := s.FindARN(doc.SourceARN)
	if q == nil {
		return 0, missingQueue("SourceArn")
	}
	t := &s.tasks
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, task := range t.all[q.id] {
		if task.uuid() != doc.TaskID && strconv.FormatUint(task.ID, 10) != doc.TaskID { // the handles of earlier releases have the number
			continue
		}
		if task.Status != taskRunning {
			return 0, awserr.QueueParameter("Only active tasks can be cancelled.")
		}
		task.Status = taskCancelling
		b := s.store.NewBatch()
		defer b.Close()
		if err := t.set(b, task); err != nil {
			return 0, err
		}
		return task.Moved, s.store.Write(b)
	}
	return 0, awserr.QueueResourceMissing("Task does not exist.")
}

// run moves until nothing is left. While the disk is nearly full it waits, as senders have to.
func (t *tasks) run(task *Task) {
	s := t.s
	told := false
	for s.ending.Err() == nil {
		more, err := t.step(task)
		if errors.Is(err, store.ErrDiskFull) || errors.Is(err, store.ErrStalled) {
			if !told {
				s.log.Warn("a task that moves messages waits until it can be written again", "source", task.Source, "error", err)
			}
			if told = true; s.clock.Wait(s.ending, time.Second, nil) != nil {
				return
			}
			continue
		}
		if told = false; err != nil {
			t.fail(task, err)
			return
		}
		if !more {
			return
		}
		if task.Rate > 0 && s.clock.Wait(s.ending, time.Second, nil) != nil {
			return
		}
	}
}

// fail ends a task that met an error. When that cannot be stored either, the next start goes on with the task.
func (t *tasks) fail(task *Task, err error) {
	s := t.s
	if s.ending.Err() != nil {
		return // the next start goes on with it
	}
	s.log.Error("a task that moves messages stopped; start another once the cause is gone", "source", task.Source, "error", err)
	t.mu.Lock()
	defer t.mu.Unlock()
	task.Status, task.Failure = taskFailed, err.Error()
	s.mu.RLock()
	q := s.byID[task.queue]
	s.mu.RUnlock()
	if q == nil {
		return // it was deleted, and the task with it
	}
	b := s.store.NewBatch()
	defer b.Close()
	if err = t.set(b, task); err == nil {
		err = s.store.Write(b)
	}
	if err != nil {
		s.log.Error("the end of a task that moves messages could not be stored", "source", task.Source, "error", err)
	}
}

// step moves some messages. What it moves, and how far the task is, are one batch.
func (t *tasks) step(task *Task) (more bool, err error) {
	s := t.s
	b := s.store.NewBatch()
	defer b.Close()
	c, more, err := t.stepLocked(b, task)
	if err != nil || c == nil {
		return more, err
	}
	return more, s.store.Sync(c)
}

func (t *tasks) stepLocked(b *store.Batch, task *Task) (c *store.Commit, more bool, err error) {
	s := t.s
	t.mu.Lock()
	defer t.mu.Unlock()
	s.mu.RLock()
	q := s.byID[task.queue]
	s.mu.RUnlock()
	if q == nil {
		return nil, false, nil // it was deleted, and the task with it
	}
	end := func(status, failure string) (*store.Commit, bool, error) {
		task.Status, task.Failure = status, failure
		if err := t.set(b, task); err != nil {
			return nil, false, err
		}
		c := s.store.Begin()
		return c, false, s.store.Apply(c, b)
	}
	if task.Status == taskCancelling {
		return end(taskCancelled, "")
	}
	if err := s.store.Admit(); err != nil {
		return nil, true, err
	}
	to := s.FindARN(task.Destination)
	if task.Destination == "" {
		source, some, err := q.firstSource()
		switch {
		case err != nil:
			return nil, false, err
		case !some:
			return end(taskCompleted, "")
		case source == "":
			return end(taskFailed, "CouldNotDetermineMessageSource")
		}
		to = s.FindARN(source)
	}
	if to == nil || to == q {
		return end(taskFailed, awserr.QueueMissing().Code)
	}
	lockBoth(q, to)
	defer q.mu.Unlock()
	defer to.mu.Unlock()
	if q.deleted || to.deleted || q.def.settings.fifo != to.def.settings.fifo {
		return end(taskFailed, awserr.QueueMissing().Code)
	}
	most := movePiece
	if task.Rate > 0 {
		most = task.Rate
	}
	if err := q.current(); err != nil {
		return nil, false, err
	}
	// What fails from here on has changed the memory of both.
	moved := task.Moved
	defer func() {
		if err != nil {
			task.Moved = moved
			q.giveUp()
			to.giveUp()
		}
	}()
	n, other, err := q.move(b, to, most, task.Destination == "")
	switch {
	case err != nil:
		return nil, false, err
	case n == 0 && other:
		return nil, true, nil
	case n == 0:
		return end(taskCompleted, "")
	}
	task.Moved += n
	if err := t.set(b, task); err != nil {
		return nil, false, err
	}
	if c, err = s.applyTo(b, q, to); err != nil {
		return nil, false, err
	}
	now := s.now()
	q.rouse(now)
	to.rouse(now)
	return c, true, nil
}

// firstSource is where the first visible message came from.
func (q *Queue) firstSource() (source string, some bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.current(); err != nil {
		return "", false, err
	}
	e, ok, err := q.first(q.s.now())
	if err != nil || !ok {
		return "", false, err
	}
	q.lineOf(e.row).put(e)
	m, err := q.message(e.seq)
	if err != nil || m == nil {
		return "", true, err
	}
	return m.Source, true, nil
}

// move moves visible messages in order; with home set, up to one that came from another queue (other). Both locks are held. The
// batch is the caller's to apply.
func (q *Queue) move(b *store.Batch, to *Queue, most int, home bool) (n int, other bool, err error) {
	now := q.s.now()
	q.flights.expire(now)
	fresh := map[string]bool{}
	for n < most {
		e, ok, err := q.first(now)
		if err != nil || !ok {
			return n, false, err
		}
		m, err := q.message(e.seq)
		if err != nil {
			return n, false, err
		}
		if m == nil {
			return n, false, errMessageRow
		}
		if home && m.Source != to.def.arn() {
			q.lineOf(e.row).put(e)
			return n, true, nil
		}
		if err := q.moveTo(b, to, e.seq, m, now, "", 0, fresh); err != nil {
			return n, false, err
		}
		n++
		if !q.def.settings.fifo {
			b.Delete(q.entryKey(e))
			continue
		}
		// The next of its group follows in a later step: the index must say so first.
		if err := q.regroup(b, e.group, now, map[uint64]bool{e.seq: true}); err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}
