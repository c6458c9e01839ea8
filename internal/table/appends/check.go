package appends

import (
	"fmt"
	"slices"
	"strings"
)

// Anomaly is something that no order of the transactions explains.
type Anomaly struct {
	// Kind is one of Elle's names. Circles: "G0" of writes alone, "G1c" of writes and reads of them, "G-single" with one read of
	// what was then overwritten (a lost update, a torn read), "G2" with several; with "-realtime" behind it when the circle needs that
	// a transaction which returned before another was called came first. Others: "G1a" a read of what failed, "G1b" a read of
	// the middle of a transaction, "internal" a transaction that does not see its own, "incompatible-order" two reads of a list of which neither
	// begins with the other, "duplicate" a value that is there twice, "unknown-value" one that nobody appended,
	// "lost" an append that was answered and is in no later read.
	Kind string
	// Text tells it, with the transactions.
	Text string
}

func (a Anomaly) String() string { return a.Kind + ": " + a.Text }

// Edges of the graph, by why one transaction comes before another.
const (
	ww   = 1 << iota // its append is the one before the other's
	wr               // the other read its append
	rw               // it read the list as it was before the other's append
	real             // it had returned before the other was called
)

// Check judges a history. It returns at most one anomaly of each kind; none: the history is strictly serializable.
func Check(h History) []Anomaly {
	c := &checker{h: h, found: map[string]Anomaly{}, writer: map[element]int{}, edges: make([]map[int]int, len(h))}
	c.values()
	c.inside()
	c.orders()
	c.realtime()
	c.circles()
	var all []Anomaly
	for _, a := range c.found {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b Anomaly) int { return strings.Compare(a.Kind, b.Kind) })
	return all
}

type element struct {
	key   string
	value int
}

type checker struct {
	h      History
	found  map[string]Anomaly
	writer map[element]int
	lists  map[string][]int // the longest that was read
	edges  []map[int]int    // by transaction, to others: why
}

func (c *checker) report(kind, format string, args ...any) {
	if _, there := c.found[kind]; !there {
		c.found[kind] = Anomaly{kind, fmt.Sprintf(format, args...)}
	}
}

func (c *checker) edge(from, to, why int) {
	if from == to {
		return
	}
	if c.edges[from] == nil {
		c.edges[from] = map[int]int{}
	}
	c.edges[from][to] |= why
}

// values finds who appended what.
func (c *checker) values() {
	for i, t := range c.h {
		for _, op := range t.Ops {
			if op.Append == 0 {
				continue
			}
			e := element{op.Key, op.Append}
			if _, there := c.writer[e]; there {
				c.report("duplicate", "the value %d is appended to %s by two transactions: the history itself is wrong", e.value, e.key)
			}
			c.writer[e] = i
		}
	}
}

// inside judges what single transactions saw.
func (c *checker) inside() {
	for i, t := range c.h {
		if t.Is != OK {
			continue
		}
		own := map[string][]int{} // what this transaction knows of a list's end
		seen := map[string][]int{}
		for _, op := range t.Ops {
			if op.Append != 0 {
				own[op.Key] = append(own[op.Key], op.Append)
				continue
			}
			if before, read := seen[op.Key]; read && !slices.Equal(op.Read, append(slices.Clone(before), own[op.Key]...)) ||
				!read && !endsWith(op.Read, own[op.Key]) {
				c.report("internal", "%s reads %s as %v, and knows better", c.name(i), op.Key, op.Read)
			}
			seen[op.Key], own[op.Key] = op.Read, nil
		}
	}
}

func endsWith(list, end []int) bool {
	return len(list) >= len(end) && slices.Equal(list[len(list)-len(end):], end)
}

// orders takes the order of each list's values from the longest read, holds all other reads against it, and makes the edges.
func (c *checker) orders() {
	c.lists = map[string][]int{}
	c.reads(func(_ int, op Op) {
		if len(op.Read) > len(c.lists[op.Key]) {
			c.lists[op.Key] = op.Read
		}
	})
	for key, list := range c.lists {
		there := map[int]bool{}
		for i, v := range list {
			if there[v] {
				c.report("duplicate", "%s is read as %v", key, list)
			}
			there[v] = true
			if i > 0 {
				from, ok1 := c.writer[element{key, list[i-1]}]
				to, ok2 := c.writer[element{key, v}]
				if ok1 && ok2 {
					c.edge(from, to, ww)
				}
			}
		}
	}
	next := map[element]int{} // the value behind one; behind 0: the first
	for key, list := range c.lists {
		before := 0
		for _, v := range list {
			next[element{key, before}], before = v, v
		}
	}
	newest := map[string]int64{} // the latest call of a read of a list
	c.reads(func(i int, op Op) {
		newest[op.Key] = max(newest[op.Key], c.h[i].Call)
		c.read(i, op, next)
	})
	for e, i := range c.writer {
		if t := c.h[i]; t.Is == OK && t.Return < newest[e.key] && !slices.Contains(c.lists[e.key], e.value) {
			c.report("lost", "%s appended %d to %s and was answered; reads that were called later have %v", c.name(i), e.value, e.key, c.lists[e.key])
		}
	}
}

// reads calls f with the reads that were answered.
func (c *checker) reads(f func(i int, op Op)) {
	for i, t := range c.h {
		if t.Is != OK {
			continue
		}
		for _, op := range t.Ops {
			if op.Append == 0 {
				f(i, op)
			}
		}
	}
}

// read judges one read.
func (c *checker) read(i int, op Op, next map[element]int) {
	list := c.lists[op.Key]
	if !slices.Equal(op.Read, list[:len(op.Read)]) {
		c.report("incompatible-order", "%s is read as %v by %s, and as %v", op.Key, op.Read, c.name(i), list)
		return
	}
	for _, v := range op.Read {
		w, there := c.writer[element{op.Key, v}]
		switch {
		case !there:
			c.report("unknown-value", "%s reads %d in %s, which nobody appended", c.name(i), v, op.Key)
		case c.h[w].Is == Failed:
			c.report("G1a", "%s reads %d in %s, of %s, which failed", c.name(i), v, op.Key, c.name(w))
		}
	}
	last := 0
	if n := len(op.Read); n > 0 {
		last = op.Read[n-1]
		if w, there := c.writer[element{op.Key, last}]; there {
			c.edge(w, i, wr)
			if end := c.lastAppend(w, op.Key); w != i && end != last {
				c.report("G1b", "%s reads %s up to %d, which %s goes on from to %d", c.name(i), op.Key, last, c.name(w), end)
			}
		}
	}
	if v, there := next[element{op.Key, last}]; there {
		if w, there := c.writer[element{op.Key, v}]; there {
			c.edge(i, w, rw)
		}
	}
}

// lastAppend is the last value that a transaction appends to a list.
func (c *checker) lastAppend(i int, key string) (value int) {
	for _, op := range c.h[i].Ops {
		if op.Key == key && op.Append != 0 {
			value = op.Append
		}
	}
	return value
}

// realtime makes the edges from transactions that had returned to those that were called then. Those that others stand
// between are left out.
func (c *checker) realtime() {
	type event struct {
		at  int64
		txn int
		end bool
	}
	var events []event
	for i, t := range c.h {
		if t.Is == Failed {
			continue
		}
		events = append(events, event{t.Call, i, false})
		if t.Return != Never {
			events = append(events, event{t.Return, i, true})
		}
	}
	slices.SortFunc(events, func(a, b event) int {
		switch {
		case a.at != b.at:
			return int(min(max(a.at-b.at, -1), 1))
		case a.end == b.end:
			return a.txn - b.txn
		case a.end:
			return 1 // calls first: what happens at once has no order
		}
		return -1
	})
	front := map[int]bool{} // have returned, and nobody who was called after that has
	for _, e := range events {
		if !e.end {
			for before := range front {
				c.edge(before, e.txn, real)
			}
			continue
		}
		for before := range front {
			if c.edges[before][e.txn]&real != 0 {
				delete(front, before)
			}
		}
		front[e.txn] = true
	}
}

// circles looks for circles, of the worst kind first.
func (c *checker) circles() {
	for _, timed := range []int{0, real} {
		suffix := ""
		if timed != 0 {
			suffix = "-realtime"
		}
		for _, look := range []struct {
			kind  string
			first int // why the circle's first step is taken
			then  int // and the others
		}{
			{"G0", ww | timed, ww | timed},
			{"G1c", wr, ww | wr | timed},
			{"G-single", rw, ww | wr | timed},
			{"G2", rw, ww | wr | rw | timed},
		} {
			if len(c.found) > 0 && c.worse(look.kind) {
				continue
			}
			if circle := c.circle(look.first, look.then); circle != nil {
				c.report(look.kind+suffix, "%s", c.tell(circle, look.first|look.then))
			}
		}
	}
}

// worse reports whether a circle was found that one of this kind would only repeat.
func (c *checker) worse(kind string) bool {
	order := []string{"G0", "G1c", "G-single", "G2"}
	for _, k := range order[:slices.Index(order, kind)+1] {
		for _, suffix := range []string{"", "-realtime"} {
			if _, there := c.found[k+suffix]; there {
				return true
			}
		}
	}
	return false
}

// circle returns the shortest circle that begins with a step of the one kind and goes on with those of the other; nil: there is none.
func (c *checker) circle(first, then int) (circle []int) {
	component := c.components(first | then)
	for from := range c.edges {
		for to, why := range c.edges[from] {
			if why&first == 0 || component[from] != component[to] {
				continue
			}
			if path := c.path(to, from, then, component); path != nil && (circle == nil || len(path) < len(circle)-1) {
				circle = append([]int{from}, path...)
			}
		}
	}
	return circle
}

// path is a shortest one, within a component.
func (c *checker) path(from, to, why int, component []int) []int {
	before := map[int]int{from: from}
	for queue := []int{from}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if at == to {
			path := []int{to}
			for at != from {
				at = before[at]
				path = append(path, at)
			}
			slices.Reverse(path)
			return path
		}
		for next, is := range c.edges[at] {
			if _, seen := before[next]; !seen && is&why != 0 && component[next] == component[from] {
				before[next] = at
				queue = append(queue, next)
			}
		}
	}
	return nil
}

// components numbers the strongly connected components over edges of these kinds (Tarjan, without recursion).
func (c *checker) components(why int) []int {
	n := len(c.h)
	component, index, low := make([]int, n), make([]int, n), make([]int, n)
	onStack := make([]bool, n)
	var stack []int
	count, components := 0, 0
	type frame struct {
		at   int
		next []int
	}
	for root := range n {
		if index[root] != 0 {
			continue
		}
		var frames []frame
		enter := func(v int) {
			count++
			index[v], low[v], onStack[v] = count, count, true
			stack = append(stack, v)
			var next []int
			for to, is := range c.edges[v] {
				if is&why != 0 {
					next = append(next, to)
				}
			}
			frames = append(frames, frame{v, next})
		}
		enter(root)
		for len(frames) > 0 {
			f := &frames[len(frames)-1]
			if len(f.next) > 0 {
				to := f.next[len(f.next)-1]
				f.next = f.next[:len(f.next)-1]
				if index[to] == 0 {
					enter(to)
				} else if onStack[to] {
					low[f.at] = min(low[f.at], index[to])
				}
				continue
			}
			v := f.at
			frames = frames[:len(frames)-1]
			if len(frames) > 0 {
				up := frames[len(frames)-1].at
				low[up] = min(low[up], low[v])
			}
			if low[v] == index[v] {
				components++
				for {
					w := stack[len(stack)-1]
					stack = stack[:len(stack)-1]
					onStack[w] = false
					component[w] = components
					if w == v {
						break
					}
				}
			}
		}
	}
	return component
}

// tell writes a circle for people.
func (c *checker) tell(circle []int, kinds int) string {
	var b strings.Builder
	for n, at := range circle {
		b.WriteString(c.name(at))
		if n == len(circle)-1 {
			break
		}
		why := c.edges[at][circle[n+1]] & kinds
		var words []string
		for _, w := range []struct {
			bit  int
			text string
		}{{ww, "whose append comes before that of"}, {wr, "which was read by"}, {rw, "which did not see the append of"}, {real, "which had returned when this was called:"}} {
			if why&w.bit != 0 {
				words = append(words, w.text)
			}
		}
		b.WriteString("\n  " + strings.Join(words[:1], "") + "\n")
	}
	return b.String()
}

func (c *checker) name(i int) string {
	t := c.h[i]
	var ops []string
	for _, op := range t.Ops {
		if op.Append != 0 {
			ops = append(ops, fmt.Sprintf("append %s %d", op.Key, op.Append))
		} else {
			ops = append(ops, fmt.Sprintf("read %s %v", op.Key, op.Read))
		}
	}
	return fmt.Sprintf("T%d %s (%s, %s)", i, t.Kind, strings.Join(ops, ", "), t.Is)
}
