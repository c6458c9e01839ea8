package storm

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// What exactly-once writes have counted is read until it is all, or grows no more: a call's writes come after the call.
func TestSum(t *testing.T) {
	for name, test := range map[string]struct {
		most, want int
		broken     bool
		takes      time.Duration
	}{
		"late":   {most: 300, want: 300, takes: 5 * time.Minute},
		"lacks":  {most: 300, want: 400, takes: 8 * time.Minute},
		"broken": {broken: true, want: 400, takes: 3 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				s := New(Options{Counted: func(_ context.Context, counter string) (int, error) {
					if test.broken {
						return 0, errors.New("it is broken")
					}
					if counter != "0" {
						return 0, nil
					}
					return min(int(time.Since(began)/time.Second), test.most), nil
				}})
				got, err := s.sum(t.Context(), test.want, false)
				if took := time.Since(began).Round(time.Second); got != test.most || (err != nil) != test.broken || took != test.takes {
					t.Errorf("after %v it is %d, %v", took, got, err)
				}
			})
		})
	}
}
