package lane

import "slices"

// search is how a batch is cut to find the records that fail (BlockKey), by what calls have shown.
// When the first half of a failing part succeeds, the second half must fail: no call is needed to know.
// When a record is found, nothing is known of what is behind it. All of that is one part again. First
// as many records go as came before the found one, then twice as many, and so on.
// This is binary splitting with groups that fail about every other time. It takes some
// log2(records/failing)+2 calls for each record that fails; cutting every part in two
// takes nearly twice as many.
//
// The assumption is wrong when the function fails now and then, or because of a size (a timeout). Then the search ends
// in vain, and half as many as have failed last go next. A record goes aside only after a call with it
// alone, or first and named.
type search struct {
	on    bool
	bad   bool // some record of the sent part or of the next one fails
	good  int  // records that have ended since one was found, or since the beginning
	piece int  // how many go next that nothing is known of; 0: all
	last  int  // records in the last call that failed, of more than one
	taken bool // the sent part is one record that is thought to fail
}

// found begins the search anew: a record that fails was found, and is about to end. It counts as one that has
// succeeded, so at least two records go next. A function that fails whatever it gets then has fewer records
// moved aside.
func (c *search) found() {
	c.piece, c.good = c.good+1, 0
	c.unsure()
}

// unsure forgets which part is thought to fail: records have ended unsent, and it may have been one of them.
func (c *search) unsure() { c.bad, c.taken = false, false }

// searchOn takes the next part of a batch whose sent part has ended.
func (s *step) searchOn(b *batch) {
	c, k := &b.search, len(b.rest)
	if c.bad {
		b.entries, b.rest = b.rest[k-1], b.rest[:k-1]
		if c.bad = len(b.entries) > 1; c.bad {
			s.bisect(b)
		}
		c.taken = !c.bad
		return
	}
	if c.taken { // in vain
		c.taken, c.piece = false, max(1, c.last/2)
	}
	b.entries = b.rest[0]
	if k > 1 {
		slices.Reverse(b.rest)
		b.entries = slices.Concat(b.rest...)
	}
	clear(b.rest)
	b.rest = b.rest[:0]
	if n := c.piece; n > 0 && n < len(b.entries) {
		b.rest = append(b.rest, b.entries[n:])
		b.entries = b.entries[:n:n]
		c.piece = 2 * n
	}
}
