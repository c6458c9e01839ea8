package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// Peer is another node over the same tables.
type Peer struct {
	ID      string // of its process
	Name    string
	URL     string   // empty: nobody knows how it is reached
	Streams []string // that it works
}

// local says that a request is from another node, and about this one alone.
const localOnly = "local"

func isLocal(r *http.Request) bool { return r.URL.Query().Get(localOnly) != "" }

// peerWait is how long another node may take to answer.
const peerWait = 2 * time.Second

func (h *handler) ask(ctx context.Context, p Peer, method, path string, q url.Values) (*http.Response, error) {
	return Ask(ctx, h.PeerClient, p, method, path, q)
}

// Ask calls another node about itself alone. The answer's body has to be closed.
func Ask(ctx context.Context, client *http.Client, p Peer, method, path string, q url.Values) (*http.Response, error) {
	if p.URL == "" {
		return nil, fmt.Errorf("it does not say how it is reached (--advertise)")
	}
	q.Set(localOnly, "1")
	r, err := http.NewRequestWithContext(ctx, method, p.URL+Prefix+path+"?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Millstream", "1")
	resp, err := client.Do(r)
	if err == nil && resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
		resp.Body.Close()
		return nil, fmt.Errorf("it answers %s: %s", resp.Status, text)
	}
	return resp, err
}

// complete fills in what other nodes know of triggers.
func (h *handler) complete(ctx context.Context, all []wire.Trigger) error {
	if h.Peers == nil || !slices.ContainsFunc(all, func(t wire.Trigger) bool { return t.Unknown != "" }) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, peerWait)
	defer cancel()
	peers, err := h.Peers(ctx)
	if err != nil {
		return err
	}
	answers := make([]map[string]wire.Trigger, len(peers))
	errs := make([]error, len(peers))
	var asked sync.WaitGroup
	for i, p := range peers {
		asked.Go(func() { answers[i], errs[i] = h.triggersOf(ctx, p) })
	}
	asked.Wait()
	for i := range all {
		t := &all[i]
		if t.Unknown == "" {
			continue
		}
		t.Unknown = "no node works its stream at this moment"
		for j, p := range peers {
			if !slices.Contains(p.Streams, t.StreamARN) {
				continue
			}
			t.Node, t.Unknown = p.Name, p.Name+" works it"
			switch found, ok := answers[j][t.UUID]; {
			case errs[j] != nil:
				t.Unknown += ", and is not asked: " + errs[j].Error()
			case ok && found.Unknown == "":
				*t = found
			}
		}
	}
	return nil
}

// triggersOf are the triggers as a peer knows them.
func (h *handler) triggersOf(ctx context.Context, p Peer) (map[string]wire.Trigger, error) {
	resp, err := h.ask(ctx, p, http.MethodGet, "triggers", url.Values{})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct{ Triggers []wire.Trigger }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	found := map[string]wire.Trigger{}
	for _, t := range answer.Triggers {
		found[t.UUID] = t
	}
	return found, nil
}

// logsOfPeers asks other nodes for what functions printed there. Their lines are returned, or with follow emitted as they come, until end is called. Of
// a node that does not answer a line says so.
func (h *handler) logsOfPeers(ctx context.Context, peers []Peer, q url.Values, follow bool, emit func(any) error) (all []wire.LogLine, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var mu sync.Mutex
	show := func(l wire.LogLine) error {
		if follow {
			return emit(l)
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, l)
		return nil
	}
	var begun, ended sync.WaitGroup
	for _, p := range peers {
		begun.Add(1)
		ended.Go(func() {
			once := sync.OnceFunc(begun.Done)
			defer once()
			asked, stop := context.WithCancel(ctx) // its own: a node that is silent must not end the others
			defer stop()
			late := time.AfterFunc(peerWait, stop)
			q := maps.Clone(q)
			resp, err := h.ask(asked, p, http.MethodGet, "logs", q)
			if follow {
				late.Stop()
				once()
			}
			if err == nil {
				err = eachLine(resp.Body, show)
				resp.Body.Close()
			}
			late.Stop()
			if asked.Err() != nil {
				err = fmt.Errorf("it has not answered within %s", peerWait)
			}
			if err != nil && ctx.Err() == nil {
				_ = show(wire.LogLine{Time: time.Now().UTC(), Function: q.Get("function"), Note: true, Text: "lines of the node " + p.Name + " may be missing: " + err.Error()})
			}
		})
	}
	begun.Wait()
	end = func() { cancel(); ended.Wait() }
	if !follow {
		ended.Wait()
	}
	return all, end
}

// eachLine reads lines of a log.
func eachLine(body io.Reader, show func(wire.LogLine) error) error {
	d := json.NewDecoder(body)
	for {
		var l wire.LogLine
		if err := d.Decode(&l); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := show(l); err != nil {
			return err
		}
	}
}
