package queue

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/store"
)

// dedupWindow is how long a deduplication id is remembered, in ms.
const dedupWindow = 5 * 60_000

// Sent is what came of one message.
type Sent struct {
	*Message
	Seq  uint64 // of a FIFO queue
	Err  error
	once string // its deduplication id
}

// Send sends messages in one batch, and returns what came of each when it is durable. sender is the account that sends.
// Of a batch, a message that may not be sent leaves the others be.
func (q *Queue) Send(sender string, inBatch bool, entries []Entry) ([]Sent, error) {
	if err := q.s.admit(); err != nil {
		return nil, err
	}
	sent := q.check(sender, inBatch, entries)
	b := q.s.store.NewBatch()
	defer b.Close()
	c, err := q.update(func() (*store.Commit, error) { return q.sendLocked(b, sent) })
	if err != nil {
		return nil, err
	}
	return sent, q.finish(c)
}

// admit refuses messages while the disk has no room for them. What is received and deleted goes on.
func (s *Service) admit() error {
	err := s.store.Admit()
	if err != nil {
		s.refused.Add(1)
	}
	return awserr.WhenFull(err, store.ErrDiskFull, "InternalFailure")
}

// RefusedSends returns how many sends were refused since the start because there was no room for them.
func (s *Service) RefusedSends() uint64 { return s.refused.Load() }

// check makes messages of entries that may be sent, or says what is wrong with each. DueMS is counted from the moment at which
// they are staged.
func (q *Queue) check(sender string, inBatch bool, entries []Entry) []Sent {
	d := q.definition()
	sent := make([]Sent, len(entries))
	ids := make([]byte, 16*len(entries))
	_, _ = rand.Read(ids) // never fails
	stamp := q.s.clock.Stamp()
	for i := range entries {
		m, err := entries[i].check(&d.settings, inBatch)
		if err != nil {
			sent[i].Err = err
			continue
		}
		copy(m.ID[:], ids[16*i:])
		m.ID[6], m.ID[8] = m.ID[6]&0x0f|0x40, m.ID[8]&0x3f|0x80
		m.SentMS, m.Sender = stamp, sender
		delay := d.settings.delay
		if g := entries[i].Delay; g != nil && !d.settings.fifo {
			delay = *g
		}
		m.DueMS = int64(delay) * 1000 // from now on
		sent[i].Message, sent[i].once = m, m.Dedup
		if id := entries[i].Once; id != "" {
			sent[i].once = id
		}
	}
	return sent
}

// finish waits until a change is durable; nil stands for none, whose answer rests on those before.
func (q *Queue) finish(c *store.Commit) error {
	if c == nil {
		return q.settled()
	}
	return q.s.store.Sync(c)
}

func (q *Queue) sendLocked(b *store.Batch, sent []Sent) (*store.Commit, error) {
	now := q.s.now()
	if some, err := q.stage(b, sent, now); err != nil || !some {
		return nil, err
	}
	c, err := q.apply(b)
	if err == nil {
		q.rouse(now)
	}
	return c, err
}

// stage puts messages into a batch that is applied while the lock is held. It reports whether there are any that were not sent
// before.
func (q *Queue) stage(b *store.Batch, sent []Sent, now int64) (some bool, err error) {
	fresh := map[string]bool{}
	ids := map[string]*Sent{} // of this batch
	for i := range sent {
		m := sent[i].Message
		if m == nil {
			continue
		}
		m.DueMS += now
		key := ""
		if q.def.settings.fifo {
			key, _ = q.dedupKeys(&sent[i])
			if first := ids[key]; first != nil {
				m.ID, sent[i].Seq = first.ID, first.Seq
				continue
			}
			was, err := q.remembered(b, &sent[i], now)
			if err != nil {
				return false, err
			}
			if was != nil {
				copy(m.ID[:], was.id[:])
				sent[i].Seq = was.seq
				continue
			}
		}
		seq, err := q.add(b, m, now, fresh)
		if err != nil {
			return false, err
		}
		some = true
		if q.def.settings.fifo {
			sent[i].Seq = seq
			q.remember(b, key, earlier{now + dedupWindow, seq, m.ID})
			ids[key] = &sent[i]
		}
	}
	if some && q.def.settings.fifo {
		err = q.trim(b, now, ids)
	}
	return some, err
}

// earlier is what is remembered of a deduplication id.
type earlier struct {
	until int64
	seq   uint64
	id    [16]byte
}

// dedupKeys are the names under which a message's deduplication id is remembered: in the scope that the queue has, and in the other one, which it
// may have had when the id was sent.
func (q *Queue) dedupKeys(s *Sent) (own, other string) {
	ofQueue, ofGroup := "\x00"+s.once, s.Group+"\x00"+s.once
	if q.def.settings.dedupByGroup {
		return ofGroup, ofQueue
	}
	return ofQueue, ofGroup
}

// remembered is what was sent with a message's deduplication id in the last five minutes, nil for nothing. An id from before a change of
// DeduplicationScope is compared in the scope in which it was sent.
func (q *Queue) remembered(b *store.Batch, sent *Sent, now int64) (*earlier, error) {
	own, other := q.dedupKeys(sent)
	s, holds, err := q.sentBefore(own, now)
	if err != nil || holds {
		return s, err
	}
	o, holds, err := q.sentBefore(other, now)
	if err != nil || holds {
		return o, err
	}
	if s != nil {
		b.Delete(q.timed(rowExpiry, s.until, s.seq)) // its row is written anew
	}
	return nil, nil
}

// sentBefore reads what is remembered under a name, nil for nothing. It holds unless its time is over, or it was sent by a clock that was ahead, and
// would swallow messages until then. (A clock may have gone back by a little between two runs: that one's ids are remembered.)
func (q *Queue) sentBefore(key string, now int64) (s *earlier, holds bool, err error) {
	row, found, err := q.s.store.Probe(nil, append(q.key(rowDedup), key...))
	if err != nil || !found {
		return nil, false, err
	}
	if len(row) != 33 || row[0] != rowVersion {
		return nil, false, errStateRow
	}
	s = &earlier{until: int64(binary.BigEndian.Uint64(row[1:])), seq: binary.BigEndian.Uint64(row[9:])}
	copy(s.id[:], row[17:])
	return s, s.until > now && s.until <= now+2*dedupWindow, nil
}

func (q *Queue) remember(b *store.Batch, key string, s earlier) {
	row := binary.BigEndian.AppendUint64([]byte{rowVersion}, uint64(s.until))
	row = append(binary.BigEndian.AppendUint64(row, s.seq), s.id[:]...)
	b.Set(append(q.key(rowDedup), key...), row)
	b.Set(q.timed(rowExpiry, s.until, s.seq), []byte(key))
}

// trimPiece is how many expired deduplication ids a batch takes away.
const trimPiece = 32

// trim removes deduplication ids whose time is over, of which each batch takes a few more than it can bring. Those in fresh are written
// by this batch.
func (q *Queue) trim(b *store.Batch, now int64, fresh map[string]*Sent) error {
	lower := q.key(rowExpiry)
	if q.trimmed != nil {
		lower = q.trimmed
	}
	it, err := q.s.store.NewIter(lower, q.timed(rowExpiry, now, 0))
	if err != nil {
		return err
	}
	n := 0
	for ok := it.First(); ok && n < trimPiece; ok = it.Next() {
		key, err := it.Value()
		if err != nil {
			_ = it.Close() // the first error is told
			return err
		}
		// The id may have been sent again since: then its row has another end.
		full := append(q.key(rowDedup), key...)
		row, found, err := q.s.store.Get(nil, full)
		if err != nil {
			_ = it.Close()
			return err
		}
		if found && fresh[string(key)] == nil && len(row) == 33 && int64(binary.BigEndian.Uint64(row[1:])) < now {
			b.Delete(full)
		}
		b.Delete(it.Key())
		q.trimmed = append(append(q.trimmed[:0], it.Key()...), 0)
		n++
	}
	return it.Close()
}
