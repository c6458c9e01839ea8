package app

import (
	"errors"
	"io/fs"
	"net/http/httptest"
	"runtime"
	"testing"
)

// TestTwoStandbysBeginAtOnce: each has its copy until it has read it; one that begins again has only the newest.
func TestTwoStandbysBeginAtOnce(t *testing.T) {
	s, err := Open(Options{Dir: t.TempDir(), AllowStandby: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, err := s.relay.Begin("", ""); err != nil; _, err = s.relay.Begin("", "") { // its worker has been started
		runtime.Gosched()
	}
	all := s.standbys()
	seed := func(name string) string {
		t.Helper()
		seed, err := all.Seed(httptest.NewRequest("POST", "/", nil), name, "host")
		if err != nil {
			t.Fatal(err)
		}
		return seed.ID
	}
	there := func(id string) error {
		file, _, err := all.Open(id, "VERSION")
		if err == nil {
			err = file.Close()
		}
		return err
	}
	a, b := seed("a"), seed("b")
	if err := errors.Join(there(a), there(b)); err != nil {
		t.Error(err)
	}
	again := seed("a")
	if err := errors.Join(there(again), there(b)); err != nil {
		t.Error(err)
	}
	if err := there(a); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the first copy is still there: %v", err)
	}
	for _, id := range []string{again, b, b} {
		if err := all.Remove(id); err != nil {
			t.Error(err)
		}
		if err := there(id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it is still there: %v", err)
		}
	}
}
