package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/backend/remote"
	"github.com/millstreamdb/millstream/internal/function"
)

// Event invocations that a node has accepted lie in a log of its own, in the nodes' own tables. A row names who works each log. The log of a node that
// is no more is taken over by one that lives: it changes the row, and reads the log after that. The node that had it acknowledges an event only if
// the row was its own after the event was stored, so none that was acknowledged is missed; and what it still writes is refused, since who takes an
// event over gives it a new version.
const (
	logsSet   = "events"  // a row for each log
	logPrefix = "events#" // begins the sets that have the events of one
)

type logRow struct {
	Owner string `json:"owner"` // a node's id; empty: it has left
}

// eventLogs implements function.SharedEvents.
type eventLogs struct {
	b     *remote.Backend
	every time.Duration
	log   *slog.Logger
	// Set before run begins.
	functions *function.Service

	mu  sync.Mutex
	own string // the log to which this node adds; empty: none yet
	by  string // the id under which it is this node's

	once sync.Once
	made chan struct{} // closed once there is a log

	read map[string]bool // logs that were taken, and have been read to their end; of run only
}

// Log implements function.SharedEvents.
func (l *eventLogs) Log() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.own
}

// Put implements function.SharedEvents.
func (l *eventLogs) Put(ctx context.Context, r function.SharedEvent) (uint64, error) {
	version, err := l.b.Keep(ctx, remote.Kept{Set: logPrefix + r.Log, Key: r.Key, Version: r.Version, Data: r.Data})
	if errors.Is(err, backend.ErrStale) {
		err = function.ErrStale
	}
	return version, err
}

// Get implements function.SharedEvents.
func (l *eventLogs) Get(ctx context.Context, log, key string) (function.SharedEvent, bool, error) {
	k, err := l.b.OneKept(ctx, logPrefix+log, key)
	if err != nil || k == nil {
		return function.SharedEvent{}, false, err
	}
	return function.SharedEvent{Log: log, Key: key, Version: k.Version, Data: k.Data}, true, nil
}

// Remove implements function.SharedEvents.
func (l *eventLogs) Remove(ctx context.Context, r function.SharedEvent) error {
	err := l.b.Drop(ctx, logPrefix+r.Log, r.Key, r.Version)
	if errors.Is(err, backend.ErrStale) {
		err = function.ErrStale
	}
	return err
}

var errLogLost = errors.New("another node has taken over the events that this one has accepted")

// Sure implements function.SharedEvents. Nobody takes over what is of a node that has certainly not been told dead.
func (l *eventLogs) Sure(ctx context.Context, log string) error {
	id, sure := l.b.Self()
	l.mu.Lock()
	sure = sure && log == l.own && id == l.by
	l.mu.Unlock()
	if sure {
		return nil
	}
	k, err := l.b.OneKept(ctx, logsSet, log)
	if err != nil {
		return err
	}
	var row logRow
	if k == nil || json.Unmarshal([]byte(k.Data), &row) != nil || row.Owner != id {
		return errLogLost
	}
	if l.Log() != log { // it came back, and may have been read already
		return errLogLost
	}
	return nil
}

// run takes logs over that nobody works, until ctx ends.
func (l *eventLogs) run(ctx context.Context) error {
	select {
	case <-l.b.Joined():
	case <-ctx.Done():
		return nil
	}
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	var seen []string
	// A round costs the tables' server a read, so nothing is looked for while the same nodes live, but now and then.
	for round := 0; ; round++ {
		if live := l.b.Lately(); round%8 == 0 || len(l.read) > 0 || !slices.Equal(live, seen) {
			err := l.look(ctx)
			if seen = live; err != nil {
				seen = nil
			}
			if err != nil && ctx.Err() == nil {
				l.log.Warn("the Event invocations of nodes that are no more are not looked after at this moment", "error", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// look is one round.
func (l *eventLogs) look(ctx context.Context) error {
	logs, err := l.b.AllKept(ctx, logsSet)
	if err != nil {
		return err
	}
	me, _ := l.b.Self()
	lives, owners := map[string]bool{}, make([]logRow, len(logs))
	for _, id := range l.b.Lately() {
		lives[id] = true
	}
	doubt := !lives[me]
	for i, k := range logs {
		if err := json.Unmarshal([]byte(k.Data), &owners[i]); err != nil {
			return err
		}
		doubt = doubt || !lives[owners[i].Owner]
	}
	if doubt { // that was before, and who owns a log may be newer
		nodes, err := l.b.Nodes(ctx)
		if err != nil {
			return err
		}
		for _, n := range nodes {
			lives[n.ID] = n.Lives
		}
	}
	if !lives[me] {
		return nil // its first beat under this id is still to come
	}
	l.mu.Lock()
	own, by := l.own, l.by
	l.mu.Unlock()
	kept := false
	var others []string
	for i, k := range logs {
		row := owners[i]
		if row.Owner != me {
			if row.Owner != "" && lives[row.Owner] {
				delete(l.read, k.Key)
				continue
			}
			k.Data = encodeLog(logRow{Owner: me})
			version, err := l.b.Keep(ctx, k)
			if errors.Is(err, backend.ErrStale) {
				continue // another was quicker
			}
			if err != nil {
				return err
			}
			k.Version = version
			delete(l.read, k.Key)
		}
		if k.Key == own && row.Owner == by { // nobody else has had it since this node last looked
			kept = true
			l.use(own, me)
			continue
		}
		others = append(others, k.Key)
	}
	if !kept {
		// This node is new, or another had taken its log over: it works what it has of that until a write is refused, and adds no more to it. If it is this
		// node's again by now, it has events that the other took over: it is read like any other's.
		made := rand.Text()[:16]
		if _, err := l.b.Keep(ctx, remote.Kept{Set: logsSet, Key: made, Data: encodeLog(logRow{Owner: me})}); err != nil {
			return err
		}
		l.use(made, me)
	}
	var failed error
	for _, log := range others {
		failed = errors.Join(failed, l.work(ctx, log))
	}
	return failed
}

func (l *eventLogs) use(log, by string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.own, l.by = log, by
	l.once.Do(func() { close(l.made) })
}

// work takes over what is in another node's log, and removes the log once all of that has ended.
func (l *eventLogs) work(ctx context.Context, log string) error {
	if l.read[log] && l.functions.HoldsEvents(log) {
		return nil
	}
	left, taken, whole := 0, 0, true
	if err := l.b.EachKept(ctx, logPrefix+log, func(page []remote.Kept) error {
		rows := make([]function.SharedEvent, len(page))
		for i, k := range page {
			rows[i] = function.SharedEvent{Log: log, Key: k.Key, Version: k.Version, Data: k.Data}
		}
		left += len(rows)
		n, again, err := l.functions.TakeEvents(ctx, rows)
		taken, whole = taken+n, whole && !again
		return err
	}); err != nil {
		return err
	}
	l.read[log] = whole
	if taken > 0 {
		l.log.Info("Event invocations that a node which is no more has accepted go on here", "events", taken)
	}
	if left > 0 {
		return nil
	}
	delete(l.read, log)
	return l.drop(ctx, log)
}

// drop removes a log that has no more events, with pieces that a crash has left.
func (l *eventLogs) drop(ctx context.Context, log string) error {
	if err := l.b.EachKept(ctx, logPrefix+log+function.PiecesOf, func(page []remote.Kept) error {
		for _, k := range page {
			if err := l.b.Drop(ctx, k.Set, k.Key, 0); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return l.b.Drop(ctx, logsSet, log, 0)
}

// leave has other nodes go on with what this one works. Nothing is accepted here any more.
func (l *eventLogs) leave(ctx context.Context) error {
	me, _ := l.b.Self()
	logs, err := l.b.AllKept(ctx, logsSet)
	if err != nil {
		return err
	}
	for _, k := range logs {
		var row logRow
		if err := json.Unmarshal([]byte(k.Data), &row); err != nil || row.Owner != me {
			continue
		}
		left := false
		if err := l.b.EachKept(ctx, logPrefix+k.Key, func([]remote.Kept) error { left = true; return nil }); err != nil {
			return err
		}
		if !left {
			if err := l.drop(ctx, k.Key); err != nil {
				return err
			}
			continue
		}
		k.Data = encodeLog(logRow{})
		if _, err := l.b.Keep(ctx, k); err != nil && !errors.Is(err, backend.ErrStale) {
			return err
		}
	}
	return nil
}

func encodeLog(r logRow) string {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // plain values
	}
	return string(text)
}
