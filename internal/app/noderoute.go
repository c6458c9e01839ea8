package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/api/admin"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/backend/remote"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/schema"
)

// Calls go to a node with room. The places of a function's reserved concurrency are dealt over the nodes that live, so all nodes together keep to it; a node
// that has no place free, or none at all, asks others to run the call. Whoever is asked runs it at once or says that it has no room, and asks nobody else.
const (
	callPart   = "call" // of Millstream's own protocol
	callHeader = "X-Millstream-Call"
	// answerHeader is in all answers to such a call that are the node's own: what stands in front of it (--advertise) may answer 502 when the node has died with the call.
	answerHeader = "X-Millstream-Call-Answer"
	// routeTries is how many nodes are asked for one call.
	routeTries = 3
	// noRoomFor is how long a node that had no room for a function is not asked again.
	noRoomFor = 20 * time.Millisecond
	// awayFor is how long a node to which no connection is made is not asked again.
	awayFor = 5 * time.Second
	// peersFor is how long it is remembered how nodes are reached.
	peersFor = 2 * time.Second
	// warnPause is how long it is not said again that a node cannot be called.
	warnPause = time.Minute
	maxEvent  = 6 << 20
)

// share is how many of a function's places are of the node id, when these live. All nodes that see the same ones agree, and one that comes or goes moves few.
func share(live []string, id, functionARN string, places int) int {
	if !slices.Contains(live, id) {
		return 0
	}
	each, more := places/len(live), places%len(live)
	rank := func(node string) uint64 {
		h := fnv.New64a()
		_, _ = io.WriteString(h, node+"\x00"+functionARN)
		x := h.Sum64() // whose last characters hardly change its first bits
		x = (x ^ x>>33) * 0xff51afd7ed558ccd
		return x ^ x>>33
	}
	before, mine := 0, rank(id)
	for _, other := range live {
		if r := rank(other); r > mine || r == mine && other < id {
			before++
		}
	}
	if before < more {
		each++
	}
	return each
}

// router is what a node knows of others' room.
type router struct {
	n    *node
	sent atomic.Uint64 // calls that another node has run
	mu   sync.Mutex
	// asking is closed when the question that is under way has ended; nil: none is.
	asking chan struct{}
	// as of at
	at    time.Time
	live  []string
	peers []remote.NodeInfo // that are reached from here
	full  map[string]time.Time
	// away is when no connection to a node was made.
	away map[string]time.Time
	// warned is when it was last said that a node cannot be called.
	warned map[string]time.Time
}

// Share implements function.Placing.
func (r *router) Share(functionARN string, places int) int {
	id, _ := r.n.Self()
	return share(r.n.Lately(), id, functionARN, places)
}

// Sure implements function.Placing.
func (r *router) Sure() bool {
	_, sure := r.n.Self()
	return sure
}

// reach returns the nodes that may be asked. One call at a time asks the tables' server how they are reached; the others use what is known, and wait only where
// that is of other nodes.
func (r *router) reach(ctx context.Context) []remote.NodeInfo {
	live := r.n.Lately()
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.asking != nil && !slices.Equal(live, r.live) {
		asking := r.asking
		r.mu.Unlock()
		select {
		case <-asking:
		case <-ctx.Done():
		}
		r.mu.Lock()
		if ctx.Err() != nil {
			return nil
		}
	}
	if r.asking != nil || slices.Equal(live, r.live) && !r.at.IsZero() && time.Since(r.at) < peersFor {
		return r.peers
	}
	asking := make(chan struct{})
	r.asking = asking
	r.mu.Unlock()
	// It is for all: it does not end with the call that has it to do.
	try, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	found, err := r.n.Nodes(try)
	cancel()
	r.mu.Lock()
	close(asking)
	r.asking = nil
	r.at, r.live = time.Now(), live // also when there was no answer: then what was known is used for as long
	if err != nil {
		return r.peers
	}
	r.peers = nil
	for _, o := range found {
		if o.Lives && !o.Here && o.URL != "" && (o.Machine == "" || o.Machine == r.n.machine) {
			r.peers = append(r.peers, o)
		}
	}
	return r.peers
}

// hadNone reports whether a node just had no room for a function.
func (r *router) hadNone(id, functionARN string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, there := r.full[id+functionARN]
	return there && time.Since(at) < noRoomFor
}

func (r *router) note(id, functionARN string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full == nil || len(r.full) > 1000 {
		r.full = map[string]time.Time{}
	}
	r.full[id+functionARN] = time.Now()
}

// isAway reports whether no connection to a node was made a while ago.
func (r *router) isAway(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, there := r.away[id]
	return there && time.Since(at) < awayFor
}

func (r *router) noteAway(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away == nil || len(r.away) > 1000 {
		r.away = map[string]time.Time{}
	}
	r.away[id] = time.Now()
}

// routed is a call as one node hands it to another, beside its event.
type routed struct {
	Scope         schema.Scope
	Name          string
	ClientContext string `json:",omitempty"`
	RequestID     string
	TraceID       string `json:",omitempty"`
	Tail          bool   `json:",omitempty"`
}

// Route implements function.Placing.
func (r *router) Route(ctx context.Context, scope schema.Scope, functionARN, name string, inv *function.Invocation, places int, longest time.Duration) (out function.Outcome, taken bool, err error) {
	live := r.n.Lately()
	peers := slices.DeleteFunc(slices.Clone(r.reach(ctx)), func(p remote.NodeInfo) bool {
		return places > 0 && share(live, p.ID, functionARN, places) == 0 || r.hadNone(p.ID, functionARN) || r.isAway(p.ID)
	})
	rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	head, err := json.Marshal(routed{scope, name, inv.ClientContext, inv.RequestID, inv.TraceID, inv.Tail})
	if err != nil {
		return out, false, nil
	}
	for _, p := range peers[:min(len(peers), routeTries)] {
		select {
		case <-inv.Late: // nil: never
			return out, false, nil
		default:
		}
		switch out, err := r.ask(ctx, p, head, inv, longest); {
		case err == nil:
			r.sent.Add(1)
			return out, true, nil
		case errors.Is(err, errNoRoom):
			r.note(p.ID, functionARN)
		case ctx.Err() != nil:
			return function.Outcome{Delivered: true, RequestID: inv.RequestID}, true, ctx.Err()
		case errors.Is(err, errUnknownEnd): // it may run, or have run
			return function.Outcome{Delivered: true, RequestID: inv.RequestID, FunctionError: "Unhandled", Error: "the node " + p.Name + ", which ran the call, was lost: " + err.Error(),
				Payload: []byte(`{"errorType":"Runtime.NodeLost","errorMessage":"The node that ran the call was lost."}`)}, true, nil
		default:
			level := slog.LevelDebug
			if errors.Is(err, errNotCalled) {
				r.noteAway(p.ID)
				if r.mayWarn(p.ID) {
					level = slog.LevelWarn
				}
			}
			r.n.log.Log(ctx, level, "a node does not take a call", "node", p.Name, "url", p.URL, "function", functionARN, "error", err)
			r.note(p.ID, functionARN)
		}
	}
	return out, false, nil
}

// mayWarn bounds how often the log says that a node cannot be called.
func (r *router) mayWarn(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, there := r.warned[id]; there && time.Since(at) < warnPause {
		return false
	}
	if r.warned == nil || len(r.warned) > 1000 {
		r.warned = map[string]time.Time{}
	}
	r.warned[id] = time.Now()
	return true
}

var (
	errNoRoom     = errors.New("it has no room")
	errNotCalled  = errors.New("it cannot be called")
	errUnknownEnd = errors.New("it does not answer any more")
)

// ask has one node run a call. An error but errUnknownEnd says that it does not.
func (r *router) ask(ctx context.Context, p remote.NodeInfo, head []byte, inv *function.Invocation, longest time.Duration) (out function.Outcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	// A request goes out once there is a connection, with its TLS. It is sent again, by another one, only if nothing of it went out.
	var begun atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GetConn: func(string) { begun.Store(false) }, GotConn: func(httptrace.GotConnInfo) { begun.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+admin.Prefix+callPart, bytes.NewReader(inv.Payload))
	if err != nil {
		return out, err
	}
	req.Header.Set("X-Millstream", "1")
	req.Header.Set(callHeader, string(head))
	resp, err := r.n.toPeers.Do(req)
	if err != nil && !begun.Load() {
		return out, fmt.Errorf("%w: %w", errNotCalled, err)
	}
	if err != nil {
		return out, fmt.Errorf("%w: %w", errUnknownEnd, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			return out, fmt.Errorf("%w: %w", errUnknownEnd, err)
		}
		return out, nil
	case http.StatusTooManyRequests:
		return out, errNoRoom
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
	if resp.StatusCode >= 500 && resp.Header.Get(answerHeader) == "" { // something in front of it answers: whether it had the call by then nobody knows
		return out, fmt.Errorf("%w: what is in front of it answers %s: %s", errUnknownEnd, resp.Status, text)
	}
	if resp.StatusCode == http.StatusForbidden {
		return out, fmt.Errorf("%w: it answers %s: %s", errNotCalled, resp.Status, text)
	}
	return out, fmt.Errorf("it answers %s: %s", resp.Status, text)
}

// serveCall runs a call for another node.
func (s *App) serveCall(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(answerHeader, "1")
	var c routed
	if err := json.Unmarshal([]byte(r.Header.Get(callHeader)), &c); r.Method != http.MethodPost || err != nil {
		http.Error(w, "this is for other nodes", http.StatusBadRequest)
		return
	}
	s.node.Fresh(r.Context())
	event, err := io.ReadAll(io.LimitReader(r.Body, maxEvent+1))
	if err != nil || len(event) > maxEvent {
		http.Error(w, "the event cannot be read", http.StatusBadRequest)
		return
	}
	out, err := s.functions.Invoke(r.Context(), c.Scope, function.Invocation{
		Name: c.Name, Payload: event, ClientContext: c.ClientContext, RequestID: c.RequestID, TraceID: c.TraceID, Tail: c.Tail, Trusted: true, Routed: true,
	})
	var refused *awserr.Error
	switch {
	case err == nil:
	case errors.As(err, &refused) && !out.Delivered:
		http.Error(w, refused.Message, cmp.Or(refused.Status, http.StatusServiceUnavailable))
		return
	case !out.Delivered:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	default: // nobody knows how it ended
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // who has asked has gone: it does not know then
}
