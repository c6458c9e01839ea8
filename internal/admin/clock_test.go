package admin_test

import (
	"context"
	"testing"
	"time"

	"github.com/millstreamdb/millstream"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// TestClock: the clock is read and advanced, and a timeout is an answer, not a failure.
func TestClock(t *testing.T) {
	w := start(t, millstream.Options{ManualClock: true, Now: func() time.Time { return noon }})
	if got, err := w.Clock(t.Context()); err != nil || !got.Now.Equal(noon) || !got.Manual {
		t.Errorf("%+v, %v", got, err)
	}
	got, err := w.Advance(t.Context(), 90*time.Second, time.Minute)
	if err != nil || !got.Now.Equal(noon.Add(90*time.Second)) || got.AdvancedMS != 90_000 || !got.Quiet || !got.Manual {
		t.Errorf("%+v, %v", got, err)
	}
	for want, d := range map[string][2]time.Duration{
		"at most, ten years": {11 * 366 * 24 * time.Hour, time.Second},
		"want a duration":    {-1, time.Second},
		"at most an hour":    {1, 2 * time.Hour},
	} {
		_, err := w.Advance(t.Context(), d[0], d[1])
		wantError(t, err, "BadRequest", want)
	}

	release := make(chan struct{})
	defer close(release)
	w.attach(millstream.Trigger{}, func(ctx context.Context, _ []millstream.Change) error {
		<-release // a function that does not answer
		return nil
	})
	w.put("a")
	got, err = w.Advance(t.Context(), 2*time.Hour, 10*time.Millisecond)
	if err != nil || got.Quiet || got.AdvancedMS >= 7_200_000 || got.WaitedMS < 10 {
		t.Errorf("%+v, %v", got, err)
	}

	real := start(t, millstream.Options{})
	_, err = real.Advance(t.Context(), 1, time.Second)
	wantError(t, err, "NotManual", "--clock manual")
}
