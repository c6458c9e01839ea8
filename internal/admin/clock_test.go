package admin_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/admin/wire"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func (s *source) Clock() wire.Clock {
	return wire.Clock{Now: noon.Add(time.Duration(s.advanced.Load())), Manual: true}
}

// Advance comes as far as an hour.
func (s *source) Advance(ctx context.Context, d time.Duration) error {
	switch {
	case d > 24*time.Hour:
		return wire.BadRequest(fmt.Sprintf("%s is too far", d))
	case d > time.Hour:
		s.advanced.Add(int64(time.Hour))
		<-ctx.Done()
		return fmt.Errorf("stopped: %w", ctx.Err())
	}
	s.advanced.Add(int64(d))
	return nil
}

// TestClock: the clock is read and advanced by the client's calls, and a timeout is an
// answer, not a failure.
func TestClock(t *testing.T) {
	c := connect(t, &source{}, admin.Options{})
	if got, err := c.Clock(t.Context()); err != nil || !got.Now.Equal(noon) || !got.Manual {
		t.Errorf("%+v, %v", got, err)
	}
	got, err := c.Advance(t.Context(), 90*time.Second, time.Minute)
	if err != nil || !got.Now.Equal(noon.Add(90*time.Second)) || got.AdvancedMS != 90_000 || !got.Quiet || !got.Manual {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = c.Advance(t.Context(), 2*time.Hour, 10*time.Millisecond)
	if err != nil || got.AdvancedMS != 3_600_000 || got.Quiet || got.WaitedMS < 10 {
		t.Errorf("%+v, %v", got, err)
	}
	for want, d := range map[string][2]time.Duration{
		"48h0m0s is too far": {48 * time.Hour, time.Second},
		"want a duration":    {-1, time.Second},
		"at most an hour":    {1, 2 * time.Hour},
	} {
		if _, err := c.Advance(t.Context(), d[0], d[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
	}
}
