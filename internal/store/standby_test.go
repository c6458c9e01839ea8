package store_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/millstreamdb/millstream/internal/store"
)

// TestStandbyOfASocket: a standby that follows a server by its socket notes that, whole, and is still that one's when it is started elsewhere or has been promoted.
func TestStandbyOfASocket(t *testing.T) {
	dir, at := filepath.Join(t.TempDir(), "standby"), t.TempDir()
	t.Chdir(at)
	s, err := store.BecomeStandby(dir, "unix:primary/admin.sock")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(at))
	if s, err = store.BecomeStandby(dir, "unix:"+filepath.Join(at, "primary/admin.sock")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Promote("lineage", 1), s.Close()); err != nil {
		t.Fatal(err)
	}
	if of, err := store.Promoted(dir); err != nil || of != "unix:"+filepath.Join(at, "primary/admin.sock") {
		t.Errorf("it was a standby of %q, %v", of, err)
	}
	t.Chdir(at)
	if is, err := store.PromotedFrom(dir, "unix:primary/admin.sock"); err != nil || !is {
		t.Errorf("%v, %v", is, err)
	}
}
