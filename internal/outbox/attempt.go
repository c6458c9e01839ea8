package outbox

import (
	"errors"
	"maps"
	neturl "net/url"
	"slices"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/store"
)

// outcome is what becomes of a delivery after an attempt.
type outcome int

const (
	over   outcome = iota // it was made or given up, or waits for the next start
	again                 // it is to be tried again
	unsent                // the disk is nearly full: nothing was tried
)

// make makes a delivery once; wait is the time before it is to be tried again.
func (b *Outbox) make(e *owed) (then outcome, wait time.Duration) {
	if err := b.o.Store.AdmitDelete(); err != nil { // a delivery ends with its removal, and goes on as deletes do
		b.o.Logger.Debug("deliveries wait for the store", "of", e.source, "error", err)
		return unsent, 0
	}
	d, payload, err := b.read(e.id)
	if err != nil {
		// It stays where it is, and is read again: a damaged disk is no reason to forget it, nor to let later ones of its line overtake it.
		wait = min(time.Second<<min(e.unread, 16), maxBackoff)
		e.unread++
		if now, ageing := b.o.Clock.Now(); ageing && e.unread > unreadTries && now.UnixMilli() > e.endMS {
			return b.giveUpUnread(e, err)
		}
		b.o.Logger.Error("a delivery cannot be read, and is read again; those that are to come after it wait", "of", e.source, "after", wait, "error", err)
		return again, wait
	}
	e.unread = 0
	now, ageing := b.o.Clock.Now() // a clock that is not believed gives nothing up
	if age := now.UnixMilli() - d.SinceMS; ageing && d.Retry.AgeMS > 0 && age > d.Retry.AgeMS {
		return b.giveUp(e, d, "", "MaximumEventAgeInSeconds", errors.New(d.Error))
	}
	ended := false
	err = b.o.Send(b.ctx, d, payload, func(batch *store.Batch) {
		ended = true
		d.remove(batch)
	})
	if err == nil && !ended {
		if err = b.write(d, true); err != nil {
			b.stuck(d, err)
			return over, 0
		}
	}
	if err == nil {
		b.Forget(d)
		return over, 0
	}
	if b.ctx.Err() != nil { // the server is ending: the next one goes on
		return over, 0
	}
	if errors.Is(err, store.ErrDiskFull) { // no attempt: nothing was tried, nor may much be written now
		b.o.Logger.Debug("deliveries wait for room on the disk", "of", d.Source, "to", d.shownTarget(), "error", err)
		return unsent, 0
	}
	d.Attempts++
	d.Error = err.Error()[:min(len(err.Error()), maxLetterError)]
	var permanent *Permanent
	if errors.As(err, &permanent) {
		return b.giveUp(e, d, permanent.Code, "", err)
	}
	if d.Attempts > d.Retry.Attempts {
		return b.giveUp(e, d, "", "MaximumRetryAttempts", err)
	}
	wait = d.delay()
	d.DueMS = now.Add(wait).UnixMilli()
	b.o.Logger.Debug("a delivery failed and is tried again", "of", d.Source, "to", d.shownTarget(), "after", wait, "error", err)
	if err := b.write(d, false); err != nil {
		b.stuck(d, err)
		return over, 0
	}
	return again, wait
}

// shownTarget is Target as it may be written down: without the password of an address.
func (d *Delivery) shownTarget() string {
	if !strings.Contains(d.Target, "@") {
		return d.Target
	}
	u, err := neturl.Parse(d.Target)
	if err != nil {
		return "[an address that cannot be read]"
	}
	return u.Redacted()
}

// giveUp ends a delivery, or turns it into the message to its dead-letter queue.
func (b *Outbox) giveUp(e *owed, d *Delivery, code, condition string, cause error) (then outcome, wait time.Duration) {
	log := b.o.Logger.With("of", d.Source, "to", d.shownTarget(), "attempts", d.Attempts, "error", cause)
	b.mu.Lock()
	b.givenUp++
	b.mu.Unlock()
	dead := d.DeadLetter != ""
	if dead {
		log.Info("a delivery was given up and goes to its dead-letter queue", "queue", d.DeadLetter)
		d.toDeadLetter(code, condition, cause.Error(), b.o.Clock.StampTime())
	} else {
		log.Warn("a delivery was given up, and nobody is to be told")
	}
	if err := b.write(d, !dead); err != nil {
		b.stuck(d, err)
		return over, 0
	}
	if dead {
		b.mu.Lock()
		e.far, e.endMS, e.every = d.far(), d.endMS(), 0
		b.mu.Unlock()
		return again, 0
	}
	b.Forget(d)
	return over, 0
}

// unreadTries is how often a delivery is read before it is given up as one that cannot be read, however old it is: for some hour.
const unreadTries = 20

// giveUpUnread ends a delivery that could not be read for as long as it may be owed, and longer than a dead-letter queue is tried to be told. There is
// nothing left to tell one.
func (b *Outbox) giveUpUnread(e *owed, cause error) (then outcome, wait time.Duration) {
	log := b.o.Logger.With("of", e.source, "id", e.id, "bytes", e.size, "reads", e.unread, "error", cause)
	if d, err := b.head(e.id); err == nil {
		log = log.With("to", d.shownTarget(), "deadLetter", d.DeadLetter, "since", time.UnixMilli(d.SinceMS).UTC(), "attempts", d.Attempts, "lastError", d.Error)
	}
	log.Error("a delivery could not be read for so long that it is given up and removed; nobody can be told what it was, and those after it go on")
	b.mu.Lock()
	b.givenUp++
	b.mu.Unlock()
	d := &Delivery{ID: e.id, Source: e.source}
	if err := b.write(d, true); err != nil {
		b.stuck(d, err)
		return over, 0
	}
	b.Forget(d)
	return over, 0
}

// stuck is for a store that has failed: the server ends, and the next one finds the delivery as it was last stored.
func (b *Outbox) stuck(d *Delivery, err error) {
	b.o.Logger.Error("the state of a delivery could not be stored", "of", d.Source, "error", err)
}

func (b *Outbox) head(id uint64) (*Delivery, error) {
	row, found, err := b.o.Store.Get(nil, key(headRow, id))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errRow
	}
	return decodeHead(id, row)
}

func (b *Outbox) read(id uint64) (d *Delivery, payload []byte, err error) {
	if d, err = b.head(id); err != nil {
		return nil, nil, err
	}
	payload, found, err := b.o.Store.Get(nil, key(payloadRow, id))
	if err == nil && (!found || len(payload) == 0 || payload[0] != rowVersion) {
		err = errRow
	}
	if err != nil {
		return nil, nil, err
	}
	return d, payload[1:], nil
}

// write stores a delivery's head, or removes it, synced.
func (b *Outbox) write(d *Delivery, remove bool) error {
	batch := b.o.Store.NewBatch()
	defer batch.Close()
	if remove {
		d.remove(batch)
	} else if err := d.setHead(batch); err != nil {
		return err
	}
	return b.o.Store.Write(batch)
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
