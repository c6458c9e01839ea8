package queue

import (
	"strconv"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/store"
)

// Delete removes the messages of receipt handles in one batch, and returns what is wrong with each when that is durable.
func (q *Queue) Delete(handles []string) ([]error, error) {
	errs := make([]error, len(handles))
	b := q.s.store.NewBatch()
	defer b.Close()
	c, err := q.update(func() (*store.Commit, error) { return q.deleteLocked(b, handles, errs) })
	if err != nil {
		return nil, err
	}
	return errs, q.finish(c)
}

func (q *Queue) deleteLocked(b *store.Batch, handles []string, errs []error) (*store.Commit, error) {
	now := q.s.now()
	q.flights.expire(now)
	removed := map[uint64]bool{}
	groups := map[string]bool{}
	for i, text := range handles {
		h, ok := parseHandle(text)
		if !ok || h.queue != q.id {
			errs[i] = awserr.ReceiptHandleInvalid(text)
			continue
		}
		fl, flying := q.flights.all[h.seq]
		fifo := q.def.settings.fifo
		if flying && !fifo { // any handle of it will do, and the memory knows its entry
			q.removeFlying(b, h.seq, fl)
			removed[h.seq] = true
			continue
		}
		st, found, err := q.state(h.seq)
		if err != nil {
			return nil, err
		}
		if !found || removed[h.seq] {
			continue // it was deleted before
		}
		if fifo && (st.nonce != h.nonce || !flying && st.due <= now) {
			errs[i] = awserr.ReceiptHandleExpired(text)
			continue
		}
		if err := q.remove(b, h.seq, 0, fl.group, removed, groups); err != nil {
			return nil, err
		}
	}
	for group := range groups {
		if err := q.regroup(b, group, now, removed); err != nil {
			return nil, err
		}
	}
	if b.Empty() {
		return nil, nil
	}
	c, err := q.apply(b)
	if err == nil {
		q.rouse(now) // a group is free, or there is room for more in flight
	}
	return c, err
}

// Release makes messages visible again that nothing was done with, and does not count that they were received. What is not in flight by its
// handle is left as it is. It returns when that is durable.
func (q *Queue) Release(handles []string) error {
	changes := make([]Visibility, len(handles))
	for i, h := range handles {
		changes[i].Handle = h
	}
	b := q.s.store.NewBatch()
	defer b.Close()
	c, err := q.update(func() (*store.Commit, error) { return q.changeLocked(b, changes, make([]error, len(changes)), 1) })
	if err != nil {
		return err
	}
	return q.finish(c)
}

// Visibility is a change of one message's visibility timeout, in seconds from now on.
type Visibility struct {
	Handle  string
	Seconds int
}

// ChangeVisibility changes visibility timeouts in one batch, and returns what is wrong with each when that is durable.
func (q *Queue) ChangeVisibility(changes []Visibility) ([]error, error) {
	errs := make([]error, len(changes))
	b := q.s.store.NewBatch()
	defer b.Close()
	c, err := q.update(func() (*store.Commit, error) { return q.changeLocked(b, changes, errs, 0) })
	if err != nil {
		return nil, err
	}
	return errs, q.finish(c)
}

// changeLocked changes visibility timeouts, and takes uncount off how often the messages were received.
func (q *Queue) changeLocked(b *store.Batch, changes []Visibility, errs []error, uncount uint32) (*store.Commit, error) {
	now := q.s.now()
	q.flights.expire(now)
	fifo := q.def.settings.fifo
	groups := map[string]bool{}
	seen := map[uint64]bool{}
	for i, change := range changes {
		h, ok := parseHandle(change.Handle)
		seconds := strconv.Itoa(change.Seconds)
		switch {
		case !ok || h.queue != q.id:
			errs[i] = awserr.ReceiptHandleInvalid(change.Handle)
			continue
		case change.Seconds < 0 || change.Seconds > MaxVisibility:
			errs[i] = awserr.QueueParameterValue(seconds, "VisibilityTimeout", "Must be between 0 and 43200, if provided.")
			continue
		case seen[h.seq]:
			continue
		}
		seen[h.seq] = true
		st, found, err := q.state(h.seq)
		if err != nil {
			return nil, err
		}
		fl, flying := q.flights.all[h.seq]
		own := st.nonce == h.nonce
		// A message of a standard queue that is visible again and that nobody else has received since is its receiver's still, as at AWS.
		if late := !flying && own && !fifo && uncount == 0; !found || !flying && !late || !own && (fifo || uncount > 0) {
			errs[i] = awserr.VisibilityUnavailable(change.Handle)
			continue
		}
		due := now + int64(change.Seconds)*1000
		if due > st.received+MaxVisibility*1000 {
			errs[i] = awserr.QueueParameterValue(seconds, "VisibilityTimeout", "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]")
			continue
		}
		old := entry{row: rowReady, due: st.due, seq: h.seq}
		if !flying {
			row, found, err := q.s.store.Probe(nil, q.entryKey(old))
			if err == nil && found {
				old, err = q.decodeEntry(rowReady, q.entryKey(old), row)
			}
			if err != nil {
				return nil, err
			}
			fl.size = old.size
		}
		st.due, st.count = due, st.count-min(uncount, st.count)
		b.Set(q.numbered(rowState, h.seq), st.encode())
		q.flights.add(h.seq, flight{due: due, group: fl.group, size: fl.size}) // also when that is now: its group is looked at next
		if fifo {
			groups[fl.group] = true
		} else {
			q.drop(b, old)
			q.put(b, entry{row: rowReady, due: due, seq: h.seq, count: st.count, size: fl.size})
		}
	}
	for group := range groups {
		if err := q.regroup(b, group, now, nil); err != nil {
			return nil, err
		}
	}
	if b.Empty() {
		return nil, nil
	}
	c, err := q.apply(b)
	if err == nil {
		q.rouse(now)
	}
	return c, err
}
