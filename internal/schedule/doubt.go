package schedule

import "slices"

// unset is the year 2020 in ms since 1970. A clock that shows less has not been set since the machine started, and says of none that it was ahead.
const unset = 1_577_836_800_000

// bury removes what has ended while the clock was not believed, and is to be removed after its end. The caller holds control.
func (s *Service) bury() {
	now, ageing := s.o.Clock.Now()
	if !ageing {
		return
	}
	var ended []*entry
	for _, e := range s.entries {
		if e.def.DeleteAfter && !e.def.Disabled && e.zone != nil && e.state.next == 0 && e.state.last != 0 && e.state.last <= now.UnixMilli() {
			ended = append(ended, e)
		}
	}
	if len(ended) == 0 {
		return
	}
	if err := s.remove(ended...); err != nil {
		s.o.Logger.Error("schedules that have ended could not be removed", "error", err)
	}
}

// distrust sets right what a clock that was ahead has left: what it has started, made or changed more than a day ahead begins anew, and what it
// has ended goes on. The caller holds control.
func (s *Service) distrust() error {
	now := s.now()
	if now < unset {
		return nil
	}
	var all []mended
	for _, e := range s.entries {
		if m, ok := e.mend(now); ok {
			all = append(all, m)
		}
	}
	for some := range slices.Chunk(all, piece) {
		if err := s.setRight(some); err != nil {
			return err
		}
	}
	return nil
}

// mended is a definition as it is set right, and its state.
type mended struct {
	e     *entry
	def   *Definition
	state state
}

func (e *entry) mend(now int64) (m mended, changed bool) {
	if e.zone == nil || e.def.Disabled || e.expr.Once() {
		return m, false
	}
	ahead := now + maxLate.Milliseconds()
	began := max(e.state.last, e.def.AnchorMS, e.def.ModifiedMS) > ahead
	if !began && (e.index >= 0 || e.def.EndMS <= now) {
		return m, false
	}
	d, st := *e.def, e.state
	if st.last > ahead {
		st.last = 0
	}
	if max(d.AnchorMS, d.ModifiedMS) > ahead {
		d.CreatedMS, d.ModifiedMS, d.AnchorMS = min(d.CreatedMS, now), min(d.ModifiedMS, now), min(d.AnchorMS, now/1000*1000)
	}
	at := entry{def: &d, expr: e.expr, zone: e.zone}
	st.next = at.after(max(now, st.last))
	st.due = at.within(st.next)
	return mended{e, &d, st}, began || st.next != 0
}

func (s *Service) setRight(all []mended) error {
	b := s.o.Store.NewBatch()
	defer b.Close()
	for _, m := range all {
		if m.def.ModifiedMS != m.e.def.ModifiedMS || m.def.AnchorMS != m.e.def.AnchorMS {
			row, err := encodeJSON(m.def)
			if err != nil {
				return err
			}
			b.Set(numbered(rowDefinition, m.def.ID), row)
		}
		b.Set(numbered(rowState, m.def.ID), m.state.encode())
	}
	if err := s.o.Store.Write(b); err != nil {
		return err
	}
	for _, m := range all {
		s.due.remove(m.e)
		m.e.def, m.e.state = m.def, m.state
		s.queueOnly(m.e)
	}
	return nil
}
