package app

import (
	"context"
	"errors"
	"io/fs"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"
)

// TestTwoStandbysBeginAtOnce: each has its copy until it has read it, and waits for nobody else's; one that begins again has only the newest.
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
	all := s.standbys().(*feeding)
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
	all.seeds["a"].copy = func(ctx context.Context, dir string) error { // a's next copy takes until b has read
		read := make(chan error, 1)
		go func() { read <- there(b) }()
		select {
		case err := <-read:
			return errors.Join(err, s.store.Stage(ctx, dir))
		case <-time.After(10 * time.Second):
			return errors.New("b waits for a's copy")
		}
	}
	again = seed("a")
	for _, id := range []string{again, b, b} {
		if err := all.Remove(id); err != nil {
			t.Error(err)
		}
		if err := there(id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it is still there: %v", err)
		}
	}
}
