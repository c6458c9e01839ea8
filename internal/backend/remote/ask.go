package remote

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
)

// What only the owner of a stream can do is asked of it by a row of the cluster, which it sees at its next look, or at once when the bell rings. So any
// node can be asked, also one that cannot reach the owner. What has begun is done once at most: if its owner is gone, the next one says so.

const askPrefix = "ask#" // then the stream's ARN, # and a nonce

type askRow struct {
	State   string          `json:"state"`
	Epoch   uint64          `json:"epoch,omitempty"` // of the claim under which it was begun
	Request json.RawMessage `json:"request,omitempty"`
	Answer  json.RawMessage `json:"answer,omitempty"`
	Gone    bool            `json:"gone,omitempty"` // whoever had begun with it
}

const (
	asked = "asked"
	begun = "begun"
	done  = "done"
)

func askedOf(s string) (stream string) {
	stream = strings.TrimPrefix(s, askPrefix)
	return stream[:max(strings.LastIndexByte(stream, '#'), 0)]
}

// Ask implements backend.Shared.
func (b *Backend) Ask(ctx context.Context, stream string, request []byte) (answer []byte, err error) {
	row := Row{P: clusterKey, S: askPrefix + stream + "#" + nonce(), Data: encode(askRow{State: asked, Request: request})}
	// One that is there is this one: an earlier try was applied, and the owner has begun with it.
	if _, err := b.put(ctx, b.control, row, 0); err != nil && !errors.As(err, new(*Refused)) {
		return nil, err
	}
	since := b.now()
	if err := b.announce(ctx); err != nil {
		return nil, err
	}
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		b.sleep(ctx, wait, nil)
		now, err := b.get(ctx, b.control, row.P, row.S)
		if ctx.Err() != nil { // who asks has gone: what is not begun is taken back
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), tryFor)
			defer cancel()
			if now, err = b.get(last, b.control, row.P, row.S); err != nil {
				return nil, ctx.Err()
			}
		}
		if err != nil {
			return nil, err
		}
		if now == nil {
			return nil, backend.ErrNobody
		}
		var a askRow
		if err := decode(now, &a); err != nil {
			return nil, err
		}
		late := ctx.Err() != nil || a.State == asked && b.now()-since > 3*b.o.Lease
		switch {
		case a.State == done && a.Gone:
			err = backend.ErrUnknown
		case a.State == done:
			answer = a.Answer
		case late && a.State == asked: // if it is not begun meanwhile
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), tryFor)
			err := b.o.Endpoint.Delete(last, b.control, row.P, row.S, now.V)
			cancel()
			if err != nil && ctx.Err() == nil {
				continue
			}
			if err = ctx.Err(); err == nil {
				err = backend.ErrNobody
			}
			return nil, err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		default:
			continue
		}
		_ = b.remove(context.WithoutCancel(ctx), b.control, row.P, row.S) // it asks once; or somebody does that later
		return answer, err
	}
}

// serve does what the owner of a stream is asked for.
func (m *member) serve(ctx context.Context, r Row, claims map[string]*claim, now time.Duration) error {
	b := m.b
	var a askRow
	if err := decode(&r, &a); err != nil { // of a newer release, whose node does not wait for ever
		b.complain("a request of another node", err)
		a.State = done
	}
	s := m.asks[r.S]
	if s.v != r.V {
		s = sighting{v: r.V, since: now}
		m.asks[r.S] = s
	}
	if now-s.since > 20*b.o.Lease && a.State != begun { // nobody waits for it any more
		delete(m.asks, r.S)
		return b.remove(ctx, b.control, r.P, r.S)
	}
	c := claims[askedOf(r.S)]
	switch {
	case c == nil || a.State == done || a.State == begun && a.Epoch == c.epoch:
	case a.State == begun:
		_, err := b.put(ctx, b.control, Row{P: r.P, S: r.S, Data: encode(askRow{State: done, Gone: true})}, r.V)
		if refused := (*Refused)(nil); !errors.As(err, &refused) {
			return err
		}
	default:
		m.once(r.S, func() {
			row, err := b.put(c.ctx, b.control, Row{P: r.P, S: r.S, Data: encode(askRow{State: begun, Epoch: c.epoch})}, r.V)
			if err != nil {
				return
			}
			answer := m.node.Do(c.ctx, c, a.Request)
			_, _ = b.put(ctx, b.control, Row{P: r.P, S: r.S, Data: encode(askRow{State: done, Answer: answer})}, row.V)
		})
	}
	return nil
}
