package process

import "time"

// alarm is a timer for a moment that each call moves on. It is left to ring when the moment has been moved, and then set
// again: to set and stop a timer for each call wakes the thread that waits for the network each time, which costs more
// than all else that is done here for a call. Its methods are called under a lock of its owner.
type alarm struct {
	ring  func() // called when it rings; it calls rang
	timer *time.Timer
	at    time.Time // when it rings; zero: it is not set
}

// set has it ring at a moment, or before.
func (a *alarm) set(moment time.Time) {
	switch {
	case !a.at.IsZero() && !moment.Before(a.at):
		return
	case a.timer == nil:
		a.timer = time.AfterFunc(time.Until(moment), a.ring)
	default:
		a.timer.Reset(time.Until(moment))
	}
	a.at = moment
}

// rang takes note that it has rung. It reports whether the moment has come, and is set for it when it has not; a zero
// moment is none.
func (a *alarm) rang(moment time.Time) bool {
	a.at = time.Time{}
	switch {
	case moment.IsZero():
		return false
	case time.Now().Before(moment):
		a.set(moment)
		return false
	}
	return true
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}
