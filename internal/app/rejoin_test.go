package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/chain"
	"github.com/millstreamdb/millstream/internal/store"
)

// replicated opens a folder, and replicates it to a place until there is a backup.
func replicated(t *testing.T, dir string, place backup.Place) {
	t.Helper()
	s, err := store.Open(store.Options{Dir: dir, Changes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	shipper := chain.New(chain.Options{Store: s, Place: place, Dir: dir, Stage: s.Stage, Logger: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- shipper.Run(ctx) }()
	for range 600 {
		if time.Sleep(100 * time.Millisecond); shipper.Status().Backup != "" {
			break
		}
	}
	stop()
	if err := errors.Join(<-ended, s.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestRefusedFolderTellsItsPlace: a server that was killed before it had told its place that a standby of its own goes on tells it with its next start, which is refused.
func TestRefusedFolderTellsItsPlace(t *testing.T) {
	dir, at := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "place")
	place, err := backup.Open(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	replicated(t, dir, place)
	const by = "since then its standby goes on in its place"
	if err := os.WriteFile(filepath.Join(dir, "OVERTAKEN"), []byte(by+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{at, ""} { // and what it has told stays
		if _, err := Open(Options{Dir: dir, Replicate: to, AllowStandby: true, Logger: slog.New(slog.DiscardHandler)}, nil); !errors.Is(err, store.ErrOvertaken) {
			t.Fatal(err)
		}
		h, err := chain.Newest(t.Context(), place)
		if err != nil || h.Over != by {
			t.Errorf("%+v, %v", h, err)
		}
	}
}

// TestRejoin: who has the place is never taken for one that another has followed, and a rejoin that was cut short anywhere can be done again.
func TestRejoin(t *testing.T) { synctest.Test(t, rejoin) }

func rejoin(t *testing.T) {
	dir, at := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "place")
	place, err := backup.Open(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	replicated(t, dir, place)
	s, err := store.Open(store.Options{Dir: dir}) // without its place, for once
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Rejoin(t.Context(), dir, at); err == nil || !strings.Contains(err.Error(), "no other has taken it over") {
		t.Fatalf("the owner: %v", err)
	}
	other := filepath.Join(t.TempDir(), "other")
	if _, err := chain.Restore(t.Context(), place, time.Time{}, other, backup.Options{}); err != nil {
		t.Fatal(err)
	}
	replicated(t, other, place)
	cut := filepath.Join(dir, "before-rejoin-0")
	if err := errors.Join(os.MkdirAll(filepath.Join(cut, "x", "y"), 0o700), os.MkdirAll(filepath.Join(dir, "x", "z"), 0o700)); err != nil { // x cannot be moved
		t.Fatal(err)
	}
	if _, err := Rejoin(t.Context(), dir, at); err == nil {
		t.Fatal("x is moved")
	}
	if err := os.RemoveAll(filepath.Join(cut, "x")); err != nil {
		t.Fatal(err)
	}
	for _, back := range [][]string{nil, {"VERSION"}, {"VERSION", "DATABASE"}} {
		for _, name := range back {
			if err := os.Rename(filepath.Join(cut, name), filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "VERSION")); err != nil {
			t.Errorf("the command takes it for no data folder: %v", err)
		}
		aside, err := Rejoin(t.Context(), dir, at)
		if err != nil || aside != cut {
			t.Errorf("again after %v: %s, %v", back, aside, err)
		}
	}
	for _, name := range []string{"VERSION", "DATABASE", "LINEAGE", "db", "x/z"} {
		if _, err := os.Stat(filepath.Join(cut, name)); err != nil {
			t.Error(err)
		}
	}
	if standby, err := store.BecomeStandby(dir, at); err != nil {
		t.Error(err)
	} else if err := standby.Close(); err != nil {
		t.Error(err)
	}
}
