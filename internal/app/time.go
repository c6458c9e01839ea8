package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/worker"
)

// What the clock said is kept in one row, so that a run sees what happened to the clock since
// the run before: version, worker.Kept as JSON.
var clockKey = []byte{store.SpaceControl, 'c'}

const (
	clockVersion  = 1
	keepClockFor  = time.Minute // between two writes of the row
	lookAtClockAt = time.Second
)

// resumeClock has the clock go on from what the run before kept. A restored folder is of another
// time: a person says that it is to go on, so nothing is compared.
func (s *App) resumeClock() error {
	if s.clock.Manual() || s.restored {
		return nil
	}
	row, found, err := s.store.Get(nil, clockKey)
	if err != nil || !found {
		return err
	}
	var k worker.Kept
	if len(row) == 0 || row[0] != clockVersion || json.Unmarshal(row[1:], &k) != nil {
		return errors.New("the row of the clock was written by a newer release, or is damaged; open the folder with that release")
	}
	s.clock.Resume(k)
	return nil
}

// keepClock stores what the clock says now. A disk without room is left alone: what an earlier row says is older, and only makes
// the next run more careful. A store that has failed ends the server by itself.
func (s *App) keepClock() error {
	if s.store.AdmitDelete() != nil {
		return nil
	}
	row, err := json.Marshal(s.clock.Keep())
	if err != nil {
		return err
	}
	b := s.store.NewBatch()
	defer b.Close()
	b.Set(clockKey, append([]byte{clockVersion}, row...))
	if err := s.store.Write(b); s.store.Err() == nil {
		return err
	}
	return nil
}

// watchClock tells when the clock begins and ceases to be doubted, and keeps what it says, until ctx ends.
func (s *App) watchClock(ctx context.Context) error {
	var was worker.Doubt
	var kept time.Time
	look := func() error {
		is := s.clock.Doubt()
		changed := false
		switch before, now := sign(was.Ahead), sign(is.Ahead); {
		case now > 0 && before <= 0:
			changed = true
			s.opts.Logger.Warn("the clock is ahead of what it should be: nothing expires, is aged out or trimmed until it has agreed with itself for as long, or a person says that it is right (millstream clock accept)",
				"now", s.Now(), "ahead", is.Ahead, "until", s.Now().Add(is.Left))
		case now < 0 && before >= 0:
			changed = true
			s.opts.Logger.Warn("the clock has gone back: until it has caught up, new stream records carry the time of the newest", "now", s.Now(), "behind", -is.Ahead)
		case now == 0 && before > 0:
			changed = true
			s.engine.ClockChanged()
			s.opts.Logger.Info("the clock is believed again: what is due by age goes on", "now", s.Now())
		case now == 0 && before < 0:
			changed = true
			s.opts.Logger.Info("the clock is believed again", "now", s.Now())
		}
		was = is
		if !changed && !kept.IsZero() && time.Since(kept) < keepClockFor {
			return nil
		}
		kept = time.Now()
		return s.keepClock()
	}
	return s.clock.Every(ctx, lookAtClockAt, nil, look)
}

func sign(d time.Duration) int {
	switch {
	case d > 0:
		return 1
	case d < 0:
		return -1
	}
	return 0
}

// AcceptClock says that the clock is right: what goes by age goes on.
func (s *App) AcceptClock() error {
	if s.clock.Manual() {
		return nil
	}
	s.clock.Accept()
	s.engine.ClockChanged()
	s.opts.Logger.Info("the clock was accepted", "now", s.Now())
	return s.keepClock()
}

// doubt tells why nothing is removed by age; empty: it is.
func (s *App) doubt() string {
	d := s.clock.Doubt()
	if d.Ahead <= 0 {
		return ""
	}
	return fmt.Sprintf("the clock is %s ahead of what it should be: nothing expires, is aged out or trimmed until `millstream clock accept` says that it is right, or until %s",
		span(d.Ahead), s.Now().Add(d.Left).UTC().Format(time.RFC3339))
}

// span shows a duration as people say it.
func span(d time.Duration) string {
	if days := d.Hours() / 24; days >= 2 {
		return fmt.Sprintf("%.0f days", days)
	}
	return d.Round(time.Second).String()
}
