package queue

import (
	"encoding/binary"
	"math"
	"slices"
)

// A line reads ahead keepEntries entries of the index, and keeps at most twice as many.
const keepEntries = 1024

// line is the front of one part of a queue's index in memory. Invariants, while nothing is under way:
//
//   - entries are exactly those of the store that are not after through, ascending.
//   - every entry of the store after through is due at beyond or later.
//
// Entries are put in and taken out with the batch that changes the store: in when it has been applied.
type line struct {
	row     byte
	entries []entry
	through entry // a place, not an entry
	beyond  int64
}

// put tells the line of an entry that is in the store now.
func (l *line) put(e entry) {
	if l.through.before(e) {
		l.beyond = min(l.beyond, e.due)
		return
	}
	i, _ := slices.BinarySearchFunc(l.entries, e, compareEntries)
	l.entries = slices.Insert(l.entries, i, e)
	if len(l.entries) > 2*keepEntries {
		l.beyond = l.entries[keepEntries].due
		l.through = l.entries[keepEntries-1]
		l.entries = slices.Clone(l.entries[:keepEntries])
	}
}

// drop tells the line of an entry that is in the store no more.
func (l *line) drop(e entry) {
	if i, found := slices.BinarySearchFunc(l.entries, e, compareEntries); found {
		l.entries = slices.Delete(l.entries, i, i+1)
	}
}

func compareEntries(a, b entry) int {
	switch {
	case a.before(b):
		return -1
	case b.before(a):
		return 1
	}
	return 0
}

// pop takes the first entry, which there is.
func (l *line) pop() entry {
	e := l.entries[0]
	l.entries[0] = entry{}
	if l.entries = l.entries[1:]; len(l.entries) == 0 {
		l.entries = nil
	}
	return e
}

// due is the moment before which nothing of the line is due.
func (l *line) due() int64 {
	if len(l.entries) > 0 {
		return l.entries[0].due
	}
	return l.beyond
}

// reset forgets everything: the store has no entry left.
func (l *line) reset() { l.entries, l.through, l.beyond = nil, entry{}, math.MaxInt64 }

// fill reads entries that are due when there are none in memory. next gives what is due first of those that are
// not due now.
func (q *Queue) fill(l *line, now int64) error {
	if len(l.entries) > 0 || l.beyond > now {
		return nil
	}
	lower := append(q.timed(l.row, l.through.due, l.through.seq), 0)
	it, err := q.s.store.NewIter(lower, q.timed(l.row, now+1, 0))
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }() // looked at below
	ok := it.First()
	for ; ok && len(l.entries) < keepEntries; ok = it.Next() {
		v, err := it.Value()
		if err != nil {
			return err
		}
		e, err := q.decodeEntry(l.row, it.Key(), v)
		if err != nil {
			return err
		}
		l.entries = append(l.entries, e)
	}
	if err := it.Close(); err != nil {
		return err
	}
	if ok {
		l.through = l.entries[len(l.entries)-1]
		l.beyond = l.through.due
		return nil
	}
	l.through = entry{due: now, seq: math.MaxUint64}
	l.beyond, err = q.next(l, now)
	return err
}

// next is when the first entry of a line is due that is not due now. Of rowReady those are what is in flight, which the memory
// knows; so that the many that were deleted before their time are not passed over.
func (q *Queue) next(l *line, now int64) (int64, error) {
	if l.row == rowReady {
		return q.flights.due(), nil
	}
	it, err := q.s.store.NewIter(q.timed(l.row, now+1, 0), q.key(l.row+1))
	if err != nil {
		return 0, err
	}
	due := int64(math.MaxInt64)
	if it.First() {
		k := it.Key()
		due = int64(binary.BigEndian.Uint64(k[len(k)-16:]))
	}
	return due, it.Close()
}

// flights are the messages in flight.
type flights struct {
	all   map[uint64]flight
	order []lapse // a heap by due; may have entries that hold no more
}

type flight struct {
	due   int64
	group string // of FIFO queues
	size  uint32 // as of its entry
	once  bool   // its state was written once; of standard queues
}

type lapse struct {
	due int64
	seq uint64
}

func (f *flights) add(seq uint64, fl flight) {
	f.all[seq] = fl
	f.order = append(f.order, lapse{fl.due, seq})
	for i := len(f.order) - 1; i > 0; {
		parent := (i - 1) / 2
		if f.order[parent].due <= f.order[i].due {
			break
		}
		f.order[parent], f.order[i] = f.order[i], f.order[parent]
		i = parent
	}
	if len(f.order) > 2*len(f.all)+64 { // most of it holds no more
		f.rebuild()
	}
}

func (f *flights) remove(seq uint64) { delete(f.all, seq) }

// expire takes out what is in flight no more.
func (f *flights) expire(now int64) {
	for len(f.order) > 0 {
		top := f.order[0]
		fl, ok := f.all[top.seq]
		holds := ok && fl.due == top.due
		if holds && top.due > now {
			return
		}
		f.pop()
		if holds {
			f.remove(top.seq)
		}
	}
}

// due is when the first of them is visible again.
func (f *flights) due() int64 {
	if len(f.order) == 0 {
		return math.MaxInt64
	}
	return f.order[0].due
}

func (f *flights) pop() {
	n := len(f.order) - 1
	f.order[0] = f.order[n]
	f.order = f.order[:n]
	f.sink(0)
}

func (f *flights) sink(i int) {
	n := len(f.order)
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < n; c++ {
			if f.order[c].due < f.order[least].due {
				least = c
			}
		}
		if least == i {
			return
		}
		f.order[i], f.order[least] = f.order[least], f.order[i]
		i = least
	}
}

func (f *flights) rebuild() {
	f.order = f.order[:0]
	for seq, fl := range f.all {
		f.order = append(f.order, lapse{fl.due, seq})
	}
	for i := len(f.order)/2 - 1; i >= 0; i-- {
		f.sink(i)
	}
}

func (f *flights) reset() {
	f.all, f.order = map[uint64]flight{}, nil
}
