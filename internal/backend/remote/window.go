package remote

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// windowRow is the tumbling window of a position. Its state is in the position's row, or if it is large in pieces, which are stored before; the position
// says which pieces count.
type windowRow struct {
	Start  int64  `json:"start"`
	End    int64  `json:"end"`
	Newest int64  `json:"newest"`
	State  []byte `json:"state,omitempty"`
	Pieces int    `json:"pieces,omitempty"`
	Under  string `json:"under,omitempty"` // begins the keys of the pieces
}

const (
	windowInline = 32_000
	windowPiece  = 260_000 // 347,000 as text
)

func windowPartition(uuid string) string { return "w#" + uuid }

// putWindow makes the window ready for a position that is to be stored.
func (c *claim) putWindow(uuid, shard string, w *lane.Window) (*windowRow, error) {
	if w == nil {
		return nil, nil
	}
	row := &windowRow{Start: w.Start, End: w.End, Newest: w.Newest}
	if len(w.State) <= windowInline {
		row.State = w.State
		return row, nil
	}
	row.Under = fmt.Sprintf("%s#%d#%s", shard, c.epoch, nonce())
	row.Pieces = (len(w.State) + windowPiece - 1) / windowPiece
	return row, each(numbersTo(row.Pieces), func(i int) error {
		piece := w.State[i*windowPiece : min((i+1)*windowPiece, len(w.State))]
		_, err := c.b.put(c.ctx, c.b.progress, Row{P: windowPartition(uuid), S: pieceSort(row.Under, i), Body: base64.StdEncoding.EncodeToString(piece)}, 0)
		return err
	})
}

// windowOf reads the window of a position.
func (b *Backend) windowOf(ctx context.Context, uuid string, row *windowRow) (*lane.Window, error) {
	if row == nil {
		return nil, nil
	}
	w := &lane.Window{Start: row.Start, End: row.End, Newest: row.Newest, State: row.State}
	if row.Pieces == 0 {
		return w, nil
	}
	pieces := make([][]byte, row.Pieces)
	err := each(numbersTo(row.Pieces), func(i int) error {
		r, err := b.get(ctx, b.progress, windowPartition(uuid), pieceSort(row.Under, i))
		if err == nil && r == nil {
			err = fmt.Errorf("remote: the state of a window of mapping %s is not whole", uuid)
		}
		if err == nil {
			pieces[i], err = base64.StdEncoding.DecodeString(r.Body)
		}
		return err
	})
	for _, p := range pieces {
		w.State = append(w.State, p...)
	}
	return w, err
}

// windowReplaced removes the pieces that a position had before it was stored anew. What is left over goes with a later claim.
func (c *claim) windowReplaced(uuid string, was, now *windowRow) {
	if was == nil || was.Pieces == 0 || now != nil && now.Under == was.Under {
		return
	}
	for i := range was.Pieces {
		_ = c.b.remove(c.ctx, c.b.progress, windowPartition(uuid), pieceSort(was.Under, i))
	}
}

// tidyWindows removes pieces that no position of a mapping has.
func (c *claim) tidyWindows(uuid string, taken map[string]owned) error {
	used := map[string]bool{}
	for _, o := range taken {
		if o.at.Window != nil {
			used[o.at.Window.Under] = true
		}
	}
	return c.b.eachRow(c.ctx, c.b.progress, windowPartition(uuid), func(rows []Row) error {
		return each(rows, func(r Row) error {
			if under, later := c.pieceOf(r.S); used[under] || later {
				return nil
			}
			return c.b.removeAt(c.ctx, c.b.progress, &r)
		})
	})
}
