package lane

import (
	"fmt"
	"strings"
	"time"
)

// scenarioAside is what a scenario's mapping has set aside. Everything is stored at once.
type scenarioAside struct {
	*Aside
	rows  asideRows
	timer time.Duration
	queue []Event // to be handled, the first one now
}

func newScenarioAside() *scenarioAside {
	return &scenarioAside{Aside: newAside(defaultAsideLimits, func() float64 { return 1 }), rows: asideRows{}, timer: never}
}

// childPosition is where a child of the shard begins.
func (s *scenario) childPosition() Checkpoint {
	return Checkpoint{Low: num(s.start), Ordinal: s.start}
}

func (s *scenario) store(changes []AsideChange) {
	if len(changes) > 0 {
		s.m.ChangesStored(changes)
		s.keep(changes)
	}
}

func (s *scenario) keep(changes []AsideChange) {
	s.aside.rows.apply(changes)
	s.asideStep(Stored{changes})
}

// asideStep handles an event; one that comes meanwhile waits until it is done.
func (s *scenario) asideStep(ev Event) {
	s.aside.queue = append(s.aside.queue, ev)
	if len(s.aside.queue) > 1 {
		return
	}
	for len(s.aside.queue) > 0 {
		s.asideEvent(s.aside.queue[0])
		s.aside.queue = s.aside.queue[1:]
	}
}

func (s *scenario) asideEvent(ev Event) {
	for _, a := range s.aside.Step(s.now, ev, nil) {
		switch a := a.(type) {
		case Fetch:
			s.asideStep(Fetched{Batch: a.Batch, Rows: s.aside.rows.fetch(a)})
		case Invoke:
			s.invoke(a, true)
		case Deliver:
			s.deliver(a, s.asideStep)
		case SetTimer:
			s.aside.timer = a.At
		case PutAside:
			s.printPut(a)
		case Discarded:
			s.printf("too old: %d parked", len(a.Rows))
		case Commit:
			if changes := s.aside.TakeChanges(); len(changes) > 0 {
				s.keep(changes)
			}
		case Room:
			s.step(Timer{})
		case Ask:
			s.aside.Asked(a.Hash, 1)
			s.step(GoAside(a))
		case Recalled:
			s.printf("%d records", a.Count)
			if a.Busy > 0 {
				s.printf("%d under way", a.Busy)
			}
		}
	}
}

func (s *scenario) printPut(p PutAside) {
	what := map[AsideKind]string{Telling: "set aside to be told of", Parked: "park"}[p.Kind]
	s.printf("%s %s: %s after %d attempts", what, list(p.Records), p.Reason, p.Attempts)
}

func (s *scenario) printAside() {
	for _, r := range s.aside.rows.page(AsideKey{}, 1000, true) {
		kind := [...]string{"", "held", "telling", "parked"}[r.Kind]
		fmt.Fprintf(&s.out, "%s %d of key %d in %s", kind, r.Ordinal, r.Hash, r.Shard)
		if r.Attempts > 0 {
			fmt.Fprintf(&s.out, ", %d attempts: %s", r.Attempts, r.Error)
		}
		if r.Reason != "" {
			fmt.Fprintf(&s.out, ", %s", r.Reason)
		}
		s.out.WriteString("\n")
	}
	if s.out.Len() == 0 {
		s.out.WriteString("nothing\n")
	}
	if i := strings.Index(s.out.String(), "\n\n"); i >= 0 {
		panic("a blank line ends a scenario's answer")
	}
}
