package remote

import (
	"testing"

	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// The position of a shard past its retention goes before the marks that its last records left. A node takes the mapping over all the same.
func TestMarksStayBehindTheirShard(t *testing.T) {
	reading(t, func(t *testing.T, d *base, b *Backend, c *claim) {
		const uuid = "00000001-1111-4222-8333-444444444444"
		sort := func(n uint64) string {
			return asideSort(lane.AsideKey{Hash: 1, Shard: "past its retention", Seq: seqnum.Num{Lo: n}})
		}
		for n, row := range map[uint64]asideRow{1: {Epoch: 1, N: 1, By: 1, Gone: true}, 2: {Epoch: 1, N: 2, By: 1, Kind: lane.Held}} { // the second counts by no position
			if err := d.put(b.progress, Row{P: asidePartition(uuid), S: sort(n), V: 1, W: nonce(), Data: encode(row)}, 0, ""); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if _, err := b.Load(t.Context(), c, uuid); err != nil {
				t.Fatal(err)
			}
		}
		if left := d.query(b.progress, asidePartition(uuid), ""); len(left) != 1 || left[0].S != sort(1) {
			t.Errorf("%+v are left, want the mark alone", left)
		}
	})
}
