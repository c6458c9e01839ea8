package queue

import "sync/atomic"

const (
	recentSlots = 4096
	recentBytes = 2048 // the largest row of a message that is kept
)

// recent has messages that were sent a moment ago and have not been received, so that they need not be read back: most are received at once.
// It has a slot for each number modulo recentSlots, in which the newer takes the place of the older, for all queues together; so it has at most
// some 10 MB, however many messages wait. Who puts or takes holds the lock of the message's queue.
type recent [recentSlots]atomic.Pointer[recentMessage]

type recentMessage struct {
	seq uint64
	m   *Message // not to be changed; its texts are no parts of larger ones
}

func (r *recent) put(seq uint64, m *Message, size int) {
	if size <= recentBytes {
		r[seq%recentSlots].Store(&recentMessage{seq, m})
	}
}

// take gives a message once, nil when it is not here. One that it gives has never been received before.
func (r *recent) take(seq uint64) *Message {
	slot := &r[seq%recentSlots]
	if there := slot.Load(); there != nil && there.seq == seq && slot.CompareAndSwap(there, nil) {
		return there.m
	}
	return nil
}
