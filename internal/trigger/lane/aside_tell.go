package lane

import "slices"

// group are the rows of kind Telling that a destination is told of together. They are stored together.
type group struct {
	key   AsideKey // its shard, and the number of its first record
	rows  []AsideKey
	since int64
}

// toTell adds a row of kind Telling. Rows of a group come one after the other, but not when they
// are loaded.
func (a *Aside) toTell(r *SetAside) {
	key := AsideKey{Shard: r.Shard, Seq: r.Group}
	g := a.loading[key]
	if n := len(a.tell); g == nil && a.loading == nil && n > 0 && a.tell[n-1].key == key {
		g = a.tell[n-1]
	}
	if g == nil {
		g = &group{key: key, since: r.Since}
		a.tell = append(a.tell, g)
		if a.loading != nil {
			a.loading[key] = g
		}
	}
	g.rows = append(g.rows, r.AsideKey)
}

// telling reports whether a destination is being told.
func (a *Aside) telling() bool {
	for _, c := range a.calls {
		if c.group != nil {
			return true
		}
	}
	return false
}

// tellDue tells the destination of the next group that waits for it.
func (s *asideStep) tellDue() {
	if len(s.tell) == 0 || s.telling() || len(s.changes) >= maxUnstored {
		return
	}
	i := 0
	if s.tellAt > s.now.Mono && s.p.Destination != "" {
		// Not its turn; but an hour may be over.
		if i = slices.IndexFunc(s.tell, s.overdue); i < 0 {
			return
		}
	}
	g := s.tell[i]
	s.tell = slices.Delete(s.tell, i, i+1)
	n := s.begin(&asideCall{task: fetchGroup, group: g})
	s.do(Fetch{Batch: n, Keys: g.rows})
}

func (s *asideStep) overdue(g *group) bool {
	return !s.now.NoAgeing && s.now.Wall-g.since >= deliverFor.Milliseconds()
}

func (s *asideStep) groupFetched(c *asideCall, ev Fetched) {
	rows := slices.DeleteFunc(ev.Rows, func(r SetAside) bool { return r.Kind != Telling })
	switch {
	case ev.Err != nil:
		s.tellLater(c.group)
	case c.abandoned || s.drain:
		s.tell = slices.Insert(s.tell, 0, c.group)
	case len(rows) == 0:
		if s.shared {
			s.do(Vanished{})
		}
	case s.p.Destination == "" || s.overdue(c.group):
		s.park(rows)
	default:
		slices.SortFunc(rows, func(a, b SetAside) int { return a.Seq.Compare(b.Seq) })
		c.task, c.rows = tellGroup, rows
		n := s.begin(c)
		s.do(Deliver{Batch: n, Shard: rows[0].Shard, Destination: s.p.Destination, Loss: lossOf(rows)})
	}
}

func (s *asideStep) tellLater(g *group) {
	s.tell = append(s.tell, g)
	s.tellFails++
	s.tellAt = s.now.Mono + backoff(s.tellFails, maxDeliveryBackoff, s.jitter)
}

func (s *asideStep) delivered(ev Delivered) {
	c := s.end(ev.Batch, tellGroup)
	switch {
	case c == nil:
	case ev.Error == "" || c.applied: // also when it was stopped meanwhile: the destination knows
		s.counters.Delivered += uint64(len(c.rows))
		s.tellFails, s.tellAt = 0, 0
		for i := range c.rows {
			if !c.applied { // otherwise they were removed with what it was told
				s.discard(&c.rows[i])
			}
		}
	case c.abandoned:
		s.tell = slices.Insert(s.tell, 0, c.group)
	default:
		s.counters.DestinationFailures++
		for i := range c.rows {
			c.rows[i].Error = clipError("the on-failure destination: " + ev.Error)
		}
		if s.overdue(c.group) {
			s.park(c.rows)
			return
		}
		s.tellLater(c.group)
	}
}

// park parks the rows of a group: the destination is not told any more.
func (s *asideStep) park(rows []SetAside) {
	for i := range rows {
		s.become(&rows[i], Parked)
		s.counters.Parked++
	}
	s.do(PutAside{Kind: Parked, Shard: rows[0].Shard, Loss: lossOf(rows)})
}
