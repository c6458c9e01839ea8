// Package millstreamtest has helpers for tests of programs that embed Millstream. Each
// takes the test first and ends it when what it asks for is not so, with the words of what is.
//
//	srv := millstreamtest.Open(t, millstream.Options{ManualClock: true})
//	seen := millstreamtest.Record(t, srv, "orders")
//	... // the program under test writes
//	seen.RequireOne("INSERT", func(c *millstream.Change) bool { ... })
//	millstreamtest.RequireNoFailures(t, srv)
//
// It imports the root package only.
package millstreamtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream"
)

// Patience is how long Settle and Advance wait for functions, in real time.
const Patience = 10 * time.Second

// Open opens a server in memory (unless o.Dir names a folder), which is closed when the test ends.
func Open(tb testing.TB, o millstream.Options) *millstream.Server {
	tb.Helper()
	srv, err := millstream.Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := srv.Close(); err != nil {
			tb.Error(err)
		}
	})
	return srv
}

// Settle waits until every trigger has handled what was written so far. Otherwise the test ends, and is told who is behind, and
// why.
func Settle(tb testing.TB, srv *millstream.Server) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	defer cancel()
	if err := srv.Settle(ctx); err != nil {
		tb.Fatal(err)
	}
}

// Advance moves the time of a server with a manual clock on, and does what is due on the way.
func Advance(tb testing.TB, srv *millstream.Server, d time.Duration) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	defer cancel()
	if err := srv.Advance(ctx, d); err != nil {
		tb.Fatal(err)
	}
}

// RequireNoFailures waits as Settle does, and ends the test when a trigger fails now, or has given a record up: dropped,
// parked, or lost before it was read.
func RequireNoFailures(tb testing.TB, srv *millstream.Server) {
	tb.Helper()
	Settle(tb, srv)
	all, err := srv.Triggers(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	var wrong []string
	for _, t := range all {
		if t.Error != "" || t.Held+t.Parked > 0 || t.Dropped+t.Expired > 0 {
			wrong = append(wrong, fmt.Sprintf("%s on %s: %d records dropped, %d parked, %d held, %d expired; %s", t.Name, t.Table, t.Dropped, t.Parked, t.Held, t.Expired, or(t.Error, "nothing fails now")))
		}
	}
	if len(wrong) > 0 {
		tb.Fatalf("triggers have failed:\n  %s", strings.Join(wrong, "\n  "))
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Recorder keeps the changes of a table.
type Recorder struct {
	tb    testing.TB
	srv   *millstream.Server
	table string

	mu   sync.Mutex
	seen []millstream.Change
}

// Record keeps the changes of a table from now on. The table must have a stream. A table may have several recorders.
func Record(tb testing.TB, srv *millstream.Server, table string) *Recorder {
	tb.Helper()
	r := &Recorder{tb: tb, srv: srv, table: table}
	handle := func(_ context.Context, changes []millstream.Change) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.seen = append(r.seen, changes...)
		return nil
	}
	recorders.Lock()
	recorders.n++
	name := fmt.Sprintf("millstreamtest-%d", recorders.n)
	recorders.Unlock()
	if err := srv.OnChange(table, millstream.Trigger{Name: name, Latest: true}, handle); err != nil {
		tb.Fatal(err)
	}
	return r
}

// recorders counts recorders, for their names.
var recorders struct {
	sync.Mutex
	n int
}

// Changes settles, and returns what was recorded: the changes of one item in their order.
func (r *Recorder) Changes() []millstream.Change {
	r.tb.Helper()
	Settle(r.tb, r.srv)
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

// RequireOne settles, and returns the one change of a kind (INSERT, MODIFY or REMOVE; empty: any) for which matches, unless nil,
// holds. The test ends when there is none, or more than one.
func (r *Recorder) RequireOne(kind string, matches func(*millstream.Change) bool) millstream.Change {
	r.tb.Helper()
	found, all := r.find(kind, matches)
	if len(found) != 1 {
		r.tb.Fatalf("%s has %d changes that were asked for (%s), not 1; all are:%s", r.table, len(found), or(kind, "of any kind"), all)
	}
	return found[0]
}

// RequireNone settles, and ends the test when a change of a kind is there for which matches, unless nil, holds.
func (r *Recorder) RequireNone(kind string, matches func(*millstream.Change) bool) {
	r.tb.Helper()
	if found, all := r.find(kind, matches); len(found) > 0 {
		r.tb.Fatalf("%s has %d changes that must not be (%s); all are:%s", r.table, len(found), or(kind, "of any kind"), all)
	}
}

// RequireKinds settles, and ends the test when the changes are not of these kinds, in this order.
func (r *Recorder) RequireKinds(kinds ...string) {
	r.tb.Helper()
	var got []string
	changes := r.Changes()
	for _, c := range changes {
		got = append(got, c.Kind)
	}
	if !slices.Equal(got, kinds) {
		r.tb.Fatalf("the changes of %s are not %s but:%s", r.table, strings.Join(kinds, ", "), describe(changes))
	}
}

func (r *Recorder) find(kind string, matches func(*millstream.Change) bool) (found []millstream.Change, all string) {
	r.tb.Helper()
	changes := r.Changes()
	for i := range changes {
		if c := &changes[i]; (kind == "" || c.Kind == kind) && (matches == nil || matches(c)) {
			found = append(found, *c)
		}
	}
	return found, describe(changes)
}

// describe lists changes, one a line.
func describe(changes []millstream.Change) string {
	if len(changes) == 0 {
		return " none"
	}
	var b strings.Builder
	for i := range changes {
		keys, err := changes[i].Keys()
		fmt.Fprintf(&b, "\n  %s %s", changes[i].Kind, keysText(keys, err))
	}
	return b.String()
}

func keysText(keys map[string]types.AttributeValue, err error) string {
	if err != nil {
		return err.Error()
	}
	var parts []string
	for name, v := range keys {
		value, err := text(v)
		if err != nil {
			value = err.Error()
		}
		parts = append(parts, name+"="+value)
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

func text(v types.AttributeValue) (string, error) {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value, nil
	case *types.AttributeValueMemberN:
		return v.Value, nil
	case *types.AttributeValueMemberB:
		return fmt.Sprintf("%x", v.Value), nil
	}
	return "", errors.New("a key of no known type")
}
