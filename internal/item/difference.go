package item

import (
	"bytes"
	"encoding/binary"
)

// A difference says what makes one item of another:
//
//	skip, copied, length, then that many bytes, again and again up to its end
//
// Each step passes over skip bytes of the first item, takes the next copied ones of it, and then those that the difference has itself. The three are
// varints. Who writes one may choose its steps; who reads one need not know how.

// AppendDifference appends what makes of the item from the item to: what attributes have in common at their beginnings and ends is taken from the first.
func AppendDifference(dst []byte, from, to Item) []byte {
	d := differ{dst: dst, from: from, to: to}
	a, b := entries(from), entries(to)
	d.add(b)
	for b < len(to) {
		name, v, rest := cutEntry(to[b:])
		end := len(to) - len(rest)
		for a < len(from) {
			was, w, rest := cutEntry(from[a:])
			order := bytes.Compare(was, name)
			if order > 0 {
				break
			}
			passed := len(from) - len(rest)
			if order == 0 {
				d.entry(a, passed-len(w), passed, b, end-len(v), end)
			}
			a = passed
		}
		d.add(end)
		b = end
	}
	return d.end()
}

// entries returns where the first entry of an item begins, or its end when it is of a form that is not known here.
func entries(it Item) int {
	if len(it) == 0 || it[0] != ItemVersion {
		return len(it)
	}
	_, rest := it.Map().elements()
	return len(it) - len(rest)
}

// differ writes a difference, step by step. Of both items it goes on from the front.
type differ struct {
	dst      []byte
	from, to []byte
	at       int // in from, behind what has been written of it
	done     int // in to, up to which there are steps
	// The step at hand: from[start:stop], then to[own:done].
	start, stop, own int
}

// leastCopy is how many bytes must be alike for a step of their own.
const leastCopy = 8

// entry adds an entry of to, whose name is that of one of from. start, value and end are where the two, and their values, are.
func (d *differ) entry(start, value, end, toStart, toValue, toEnd int) {
	v, w := Value(d.from[value:end]), Value(d.to[toValue:toEnd])
	if bytes.Equal(v, w) {
		d.same(start, toStart, toEnd-toStart)
		return
	}
	d.same(start, toStart, toValue-toStart) // the name
	value, toValue = value+body(v), toValue+body(w)
	d.add(toValue)
	n := common(d.from[value:end], d.to[toValue:toEnd])
	d.same(value, toValue, n)
	n = commonEnd(d.from[value+n:end], d.to[toValue+n:toEnd])
	d.add(toEnd - n)
	d.same(end-n, toEnd-n, n)
}

// body is where that of a value begins which may be long: behind its tag, its length, and the number of its elements.
func body(v Value) int {
	switch v.Type() {
	case S, B:
		return len(v) - v.Len()
	case SS, NS, BS, L, M:
		_, rest := v.elements()
		return len(v) - len(rest)
	default:
		return 0
	}
}

// same takes n bytes of from at start for those of to at toStart, which is up to where there are steps.
func (d *differ) same(start, toStart, n int) {
	switch {
	case n < leastCopy && start != d.stop:
		d.add(toStart + n)
	case start == d.stop && d.own == d.done: // goes on
		d.stop, d.done, d.own = d.stop+n, d.done+n, d.done+n
	case n >= leastCopy:
		d.step()
		d.start, d.stop, d.done = start, start+n, toStart+n
		d.own = d.done
	default:
		d.add(toStart + n)
	}
}

// add takes to up to end as it is.
func (d *differ) add(end int) { d.done = max(d.done, end) }

// step writes the step at hand.
func (d *differ) step() {
	if d.start == d.stop && d.own == d.done {
		return
	}
	if d.start == d.stop {
		d.start, d.stop = d.at, d.at
	}
	d.dst = appendUvarint(d.dst, d.start-d.at)
	d.dst = appendUvarint(d.dst, d.stop-d.start)
	d.dst = appendUvarint(d.dst, d.done-d.own)
	d.dst = append(d.dst, d.to[d.own:d.done]...)
	d.at = d.stop
}

func (d *differ) end() []byte {
	d.step()
	return d.dst
}

// common returns how many bytes two texts have in common at their beginnings.
func common(a, b []byte) (n int) {
	most := min(len(a), len(b))
	for n+8 <= most && binary.LittleEndian.Uint64(a[n:]) == binary.LittleEndian.Uint64(b[n:]) {
		n += 8
	}
	for n < most && a[n] == b[n] {
		n++
	}
	return n
}

// commonEnd is common at their ends.
func commonEnd(a, b []byte) (n int) {
	most := min(len(a), len(b))
	for n+8 <= most && binary.LittleEndian.Uint64(a[len(a)-n-8:]) == binary.LittleEndian.Uint64(b[len(b)-n-8:]) {
		n += 8
	}
	for n < most && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}

// AppendPatched appends what a difference makes of an item. It reports whether the difference can be of this item; what it makes of another, its bytes alone do not tell.
func AppendPatched(dst []byte, from Item, difference []byte) (_ []byte, fits bool) {
	for left := []byte(from); len(difference) > 0; {
		var n [3]uint64
		for i := range n {
			v, size := binary.Uvarint(difference)
			if size <= 0 {
				return dst, false
			}
			n[i], difference = v, difference[size:]
		}
		if n[0] > uint64(len(left)) || n[1] > uint64(len(left))-n[0] || n[2] > uint64(len(difference)) {
			return dst, false
		}
		dst = append(dst, left[n[0]:n[0]+n[1]]...)
		left = left[n[0]+n[1]:]
		dst = append(dst, difference[:n[2]]...)
		difference = difference[n[2]:]
	}
	return dst, true
}
