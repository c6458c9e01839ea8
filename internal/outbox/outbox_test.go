package outbox

import "testing"

// TestShares: sources whose receivers never answer leave room for every other one, by count and by bytes, and what is over gives its room back.
func TestShares(t *testing.T) {
	for _, size := range []int{1, 256 << 10} {
		b := &Outbox{owed: map[uint64]*owed{}, shares: map[string]*share{}}
		id := uint64(0)
		fill := func(source string) (n int) {
			for b.fits(source, size) {
				id++
				b.hold(&Delivery{ID: id, Source: source, Size: size})
				n++
			}
			return n
		}
		all := min(maxCount, maxBytes/size)
		for i, source := range []string{"a", "b", "c", "d"} {
			if n, want := fill(source), all>>(i+1); n < want-4 || n > want+4 {
				t.Errorf("source %d with payloads of %d bytes owes %d, want some %d", i+1, size, n, want)
			}
		}
		if n := fill("a"); n != 0 {
			t.Error("the first source has taken ", n, " of the room that is left for others")
		}
		for id := range b.owed {
			b.drop(id)
		}
		if b.bytes != 0 || len(b.shares) != 0 {
			t.Error("nothing is owed, and counted are ", b.bytes, " bytes of ", len(b.shares), " sources")
		}
	}
}
