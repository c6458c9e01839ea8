package gateway

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// oneRow is a Shared with one row. versions of one that is made anew are above those before.
type oneRow struct{ last, version uint64 }

func (o *oneRow) All(context.Context) ([]SharedRow, error) { return nil, nil }

func (o *oneRow) Put(_ context.Context, r SharedRow) (uint64, error) {
	if r.Version != o.version {
		return 0, ErrStale
	}
	o.last++
	o.version = o.last
	return o.last, nil
}

// An API that was deleted is made anew also where it was not told yet that its row has gone, and what is told late of that takes nothing away. One that is there
// is not made anew when its row has changed.
func TestAnAPIWhoseRowHasGone(t *testing.T) {
	s, st := open(t, vfs.NewMem(), &fake{})
	defer st.Close()
	rows := &oneRow{}
	s.opts.Shared = rows
	api := API{Name: "one", Routes: []Route{{Path: "/", Function: "f"}}}
	put := func() error {
		_, err := s.Put(scope, api)
		return err
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}
	rows.version = 0
	if put() == nil {
		t.Error("one that is there is made anew")
	}
	rows.version = rows.last
	if err := s.Delete(scope, "one"); err != nil {
		t.Fatal(err)
	}
	gone := rows.last
	rows.version = 0
	if err := put(); err != nil {
		t.Fatal(err)
	}
	if err := s.Told(SharedRow{Key: sharedKey(scope, "one"), Version: gone, Gone: true}); err != nil || s.get(apiID(scope, "one")) == nil {
		t.Errorf("what is told late takes the new one away: %v", err)
	}
	if err := put(); err != nil {
		t.Errorf("it is not changed any more: %v", err)
	}
}
