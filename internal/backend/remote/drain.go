package remote

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// drainPrefix begins the rows of nodes that are to give up what they work, and take nothing: beside the node's row, so that all who look see the same.
const drainPrefix = "drain#"

// Drain has a node give its streams up in order, and take none any more, or with false take its part again. It holds until that process ends.
func (b *Backend) Drain(ctx context.Context, id string, drained bool) error {
	if !drained {
		if err := b.remove(ctx, b.control, clusterKey, drainPrefix+id); err != nil {
			return err
		}
		return b.announce(ctx)
	}
	_, err := b.put(ctx, b.control, Row{P: clusterKey, S: drainPrefix + id, Data: "{}"}, 0)
	if refused := (*Refused)(nil); err != nil && !errors.As(err, &refused) { // refused: it is drained
		return err
	}
	return b.announce(ctx)
}

// drains keeps what is to be drained by the nodes that there are: this node's goes on under another id, and of those that are gone nothing stays.
func (m *member) drains(ctx context.Context, me string, drained map[string]bool, rows []Row) error {
	switch {
	case drained[me]:
		m.drained = me
	case m.drained != "" && m.drained != me: // it was told dead since
		drained[me] = true
		if _, err := m.b.put(ctx, m.b.control, Row{P: clusterKey, S: drainPrefix + me, Data: "{}"}, 0); err != nil {
			return err
		}
		m.drained = me
	default:
		m.drained = ""
	}
	for id := range drained {
		if id != me && !slices.ContainsFunc(rows, func(r Row) bool { return strings.TrimPrefix(r.S, nodePrefix) == id }) {
			if err := m.b.remove(ctx, m.b.control, clusterKey, drainPrefix+id); err != nil {
				return err
			}
		}
	}
	return nil
}
