package app

import (
	"errors"
	"fmt"
	"testing"

	"github.com/millstreamdb/millstream/internal/chain"
	"github.com/millstreamdb/millstream/internal/store"
)

// Whoever ends because another has its place says so by its exit code, so that nobody starts it again and again.
func TestOvertaken(t *testing.T) {
	for err, want := range map[error]bool{
		chain.ErrFenced: true, chain.ErrOlder: true, chain.ErrElsewhere: true, store.ErrOvertaken: true, chain.ErrOther: false, errors.ErrUnsupported: false, nil: false,
	} {
		if err != nil {
			err = fmt.Errorf("replication: %w", err)
		}
		if Overtaken(err) != want {
			t.Errorf("%v: %v", err, !want)
		}
	}
}
