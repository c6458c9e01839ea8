package chain

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"time"
)

// How a server ends for a standby that goes on in its place.

// Overtake ends this server for one that goes on in its place: nothing is acknowledged after it has returned, and the folder is refused from now on.
// rest is what was committed and the other has not. Unless it is lost already, nothing that was acknowledged is missing in the two: where it cannot be
// kept, this server goes on, and says why.
// It does not end once ctx is done: who asked has gone, and may believe soon that it was not heard.
func (r *Relay) Overtake(ctx context.Context, o Overtaking) (rest [][]byte, err error) {
	if o.Had {
		return nil, r.had(o.Name)
	}
	if o.Lost {
		r.mu.Lock()
		defer r.mu.Unlock()
		if err := r.mayEnd(o); err != nil || r.over != nil {
			return r.rest, err
		}
		return nil, r.endFor(ctx, o, nil)
	}
	r.cutting.Lock()
	defer r.cutting.Unlock()
	r.mu.Lock()
	err = r.mayEnd(o)
	over, handed := r.over != nil, r.rest
	if err == nil && !over {
		err = r.near(o.Number)
	}
	r.mu.Unlock()
	if err != nil || over {
		return handed, err
	}
	if err := r.keepAll(true); err != nil { // so that writers wait only for what comes meanwhile
		return nil, err
	}
	r.mu.Lock()
	err = r.mayEnd(o)
	if err == nil {
		_, err = r.from(o.Number)
	}
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	release, err := r.o.Store.Still()
	if err != nil {
		return nil, err
	}
	defer release()
	if err := r.keepAll(false); err != nil {
		return nil, err
	}
	if r.o.Changes.OldestMS() != 0 {
		return nil, errors.New("not all that is committed can be handed over")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.mayEnd(o); err != nil || r.over != nil {
		return r.rest, err
	}
	if rest, err = r.from(o.Number); err != nil {
		return nil, err
	}
	return rest, r.endFor(ctx, o, rest)
}

// handMost is how much a standby may lack, in bytes, that asks for the end: it is handed over at once.
const handMost = 1 << 20

// near says whether a standby that wants a number next has nearly all that is kept. mu is held.
func (r *Relay) near(number uint64) error {
	lacks := int64(0)
	for _, size := range r.sizes[number-r.first:] {
		lacks += size
	}
	if lacks > handMost {
		return ErrMore
	}
	return nil
}

// from returns the segments from a number on. mu is held.
func (r *Relay) from(number uint64) (rest [][]byte, err error) {
	for ; number < r.next; number++ {
		segment, err := os.ReadFile(r.path(number))
		if err != nil {
			return nil, err
		}
		h, _, _, err := decode(segment)
		if err != nil {
			return nil, err
		}
		if len(h.Files) > 0 { // they are fetched from this server, so while it lives
			return nil, ErrMore
		}
		rest = append(rest, segment)
	}
	return rest, nil
}

// mayEnd says why this server does not end for another. It may be over for that one already. mu is held.
func (r *Relay) mayEnd(o Overtaking) error {
	switch {
	case r.over != nil && r.overBy == o.Name: // it asks again, since the answer was lost
		return nil
	case o.Database != r.database:
		return fmt.Errorf("%w: the standby has database %s, and the server %s", ErrOther, o.Database, r.database)
	case o.Incarnation <= r.o.Store.Incarnation():
		return ErrYounger
	case o.Lost:
		return r.over
	}
	return r.follows(o.Asked)
}

// endFor ends this server. mu is held.
func (r *Relay) endFor(ctx context.Context, o Overtaking, rest [][]byte) error {
	if ctx.Err() != nil {
		return fmt.Errorf("this server goes on, since the standby that asked for its end waits no more: %w", ctx.Err())
	}
	by := fmt.Sprintf("since %s its standby on %q (%s) goes on in its place", time.Now().UTC().Format(time.RFC3339), o.Host, markOf(o.Name))
	if err := r.o.Store.MarkOvertaken(by); err != nil {
		return err
	}
	r.overBy, r.rest = o.Name, rest
	r.endWith(fmt.Errorf("%w: %s", ErrFenced, by), o.Standby, o.Lost)
	return nil
}

// markOf is by what a standby finds itself in what a server says of the one that goes on. name is Overtaking.Name.
func markOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return fmt.Sprintf("%x", sum[:6])
}

// Beside runs the shipper of this server. When this server ends for a standby of its own, the place has a last segment that says so, if it can be reached. When another has taken the place over, nothing more is answered, and standbys are told: of them and that one a
// single one goes on.
func (r *Relay) Beside(ctx context.Context, s *Shipper) error {
	run, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-r.overCh: // a standby of this server itself goes on
			stop()
		case <-run.Done():
		}
	}()
	err := s.Run(run)
	select {
	case <-r.overCh:
		s.close(r.why())
		<-ctx.Done()
	default:
	}
	if errors.Is(err, ErrFenced) || errors.Is(err, ErrOlder) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.over == nil {
			over := err
			if !errors.Is(over, ErrFenced) {
				over = fmt.Errorf("%w: %w", ErrFenced, err)
			}
			r.endWith(over, "", true)
		}
	}
	return err
}

// why says for whom this server ended.
func (r *Relay) why() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// endWith ends this server, as the standby named knows already. has: that one, if any, is handed nothing. mu is held.
func (r *Relay) endWith(over error, standby string, has bool) {
	r.over = over
	r.o.Store.End(r.over)
	close(r.overCh)
	r.untold = map[string]bool{}
	for name, s := range r.standbys {
		if name != standby && time.Since(s.seen) < awayAfter {
			r.untold[name] = true
		}
	}
	time.AfterFunc(handFor, r.hand)
	r.has = has
	r.tell(standby)
	close(r.more) // who waits for more is told at once
	r.more = make(chan struct{})
}

// tell notes that a standby knows that this server is over. mu is held.
func (r *Relay) tell(standby string) {
	if delete(r.untold, standby); r.has && len(r.untold) == 0 {
		r.hand()
	}
}

// hand says that nobody asks for rest any more.
func (r *Relay) hand() { r.handOnce.Do(func() { close(r.handed) }) }

func (r *Relay) had(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over == nil || r.overBy != name {
		return errors.New("this server is not over for that one")
	}
	r.has = true
	r.tell("")
	return nil
}

// Handed is closed, once this server is over, when the other one has what it is handed and other standbys have been told, or some seconds later: they may ask again, so
// this server is to be there until then.
func (r *Relay) Handed() <-chan struct{} { return r.handed }
