package dev

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/admin"
)

// trials follows the calls of triggers that fail: how often a batch has been tried, when it is
// tried next, and what becomes of it. The trigger's own words for a call count (judge). Where it
// has none, as when watching began amid the attempts, how often is counted here, and what was given up
// is seen from the state of the triggers (know). The caller holds Tree.mu.
type trials struct {
	triggers []admin.Trigger // as they were last, nil before
	failing  map[batchName]*failing
	recent   []*trial            // failed, and not printed: what is given up is one of theirs
	told     map[lossName]uint64 // records of which a call has told, and the state of the triggers is to tell again
	losses   []string            // lines about what was given up by no call
}

// batchName is how a batch is known again: by its function and its first record.
type batchName struct{ function, first string }

// failing is a batch that has failed and not ended.
type failing struct {
	attempts, records int
	last              string // its last error
	seen              time.Time
}

// trial is one call of a trigger.
type trial struct {
	of              *trials
	name            batchName
	table           string
	records, failed int
	attempt         int
	again           bool   // it failed just as the attempt before
	error           string // of the whole call
	note            string
	ended           string // what became of the records, once they are given up
	next            time.Time
	most            int // attempts there are; 0: not known, or without end
	judged          bool
}

// judge takes what the trigger itself makes of the call.
func (c *trial) judge(v *admin.Verdict) {
	c.judged = true
	c.failed, c.attempt, c.most, c.next = v.Failed, v.Attempt, v.Of, v.RetryAt
	if f := c.of.failing[c.name]; f != nil {
		f.attempts = v.Attempt
	}
	if v.GivenUp && v.Then != "destination" && c.ended == "" { // whether a destination was told is known later
		c.ended = v.Then
		c.of.told[c.loss(v.Then)] += uint64(v.Failed)
		delete(c.of.failing, c.name)
	}
}

// lossName is what was given up of a trigger in one way.
type lossName struct{ function, table, what string }

func (c *trial) loss(what string) lossName { return lossName{c.name.function, c.table, what} }

// add counts a call of a trigger; nil for another activity.
func (t *trials) add(a *admin.Activity) *trial {
	if a.Kind != "call" || len(a.Changes) == 0 || a.Changes[0].Queue != "" { // a queue counts the attempts of its messages itself
		return nil
	}
	c := &trial{of: t, name: batchName{a.Name, a.Changes[0].SequenceNumber}, table: a.Changes[0].Table, records: max(a.Records, len(a.Changes)), error: a.Error}
	trigger := t.find(c.name.function, c.table)
	named := a.Failed
	if trigger != nil && !trigger.ReportItemFailures && len(named) > 0 {
		c.note = fmt.Sprintf("the answer names %d failed items, which counts for nothing: the trigger has no FunctionResponseTypes: [ReportBatchItemFailures]", len(named))
		named = nil
	}
	switch {
	case a.Error != "":
		c.failed = c.records
	case len(named) > 0:
		c.failed = len(named)
		for _, number := range named {
			if len(a.Changes) == c.records && !slices.ContainsFunc(a.Changes, func(r admin.CalledFor) bool { return r.SequenceNumber == number }) {
				c.failed = c.records
				c.note = "the answer names " + number + ", which is no record of the batch: so all of it has failed"
				break
			}
		}
	default:
		delete(t.failing, c.name)
		return c
	}
	f := t.failing[c.name]
	if f == nil || f.records != c.records { // cut in two, it is another batch
		f = &failing{records: c.records}
		t.failing[c.name] = f
	}
	f.attempts++
	what := cmp.Or(a.Error, strings.Join(named, " "))
	c.attempt, c.again = f.attempts, f.attempts > 1 && f.last == what
	f.last, f.seen = what, time.Now()
	if rest := c.rest(a, named); rest != c.name.first {
		delete(t.failing, c.name)
		c.name.first = rest
		t.failing[c.name] = &failing{last: what, seen: f.seen}
	}
	t.recent = append(t.recent, c)
	return c
}

// rest is the first record that is tried again: those before the first that the answer names have ended, and what is left
// is a batch of its own, with attempts of its own.
func (c *trial) rest(a *admin.Activity, named []string) string {
	if c.failed < c.records || c.error == "" {
		for _, r := range a.Changes {
			if slices.Contains(named, r.SequenceNumber) {
				return r.SequenceNumber
			}
		}
	}
	return c.name.first
}

func (t *trials) find(function, table string) *admin.Trigger {
	i := slices.IndexFunc(t.triggers, func(x admin.Trigger) bool { return x.Function == function && x.Table == table })
	if i < 0 {
		return nil
	}
	return &t.triggers[i]
}

// open reports whether a batch has failed and not ended.
func (t *trials) open() bool { return len(t.failing) > 0 }

// know takes the state of the triggers, and finds what was given up since it was asked for last.
// filtered has the records told of that filters have refused meanwhile.
func (t *trials) know(all []admin.Trigger, filtered bool) {
	before := *t
	t.triggers = all
	for i := range all {
		now := &all[i]
		for _, c := range t.recent {
			if c.name.function == now.Function && c.table == now.Table && !c.judged {
				// A batch that is cut to find the record is several.
				if c.records == 1 || !now.BisectOnError && now.OnFailure != "block-key" {
					c.most = now.MaximumRetryAttempts + 1 // -1: without end
				}
				c.next = retryOf(now, c.name.first)
			}
		}
		was := before.find(now.Function, now.Table)
		if was == nil || was.UUID != now.UUID {
			continue
		}
		if n := now.Counts.FilteredOut - min(now.Counts.FilteredOut, was.Counts.FilteredOut); filtered && n > 0 {
			records := "1 record was"
			if n > 1 {
				records = fmt.Sprintf("%d records were", n)
			}
			t.losses = append(t.losses, fmt.Sprintf("%s <- %s  %s refused by its filters", now.Function, now.Table, records))
		}
		t.gaveUp(now, "dropped", now.Counts.Dropped-min(now.Counts.Dropped, was.Counts.Dropped))
		t.gaveUp(now, "the destination was told", now.Counts.Delivered-min(now.Counts.Delivered, was.Counts.Delivered))
		t.gaveUp(now, "parked", now.Counts.Parked-min(now.Counts.Parked, was.Counts.Parked))
	}
	const forget = 10 * time.Minute // longer than the longest pause between attempts
	for name, f := range t.failing {
		if time.Since(f.seen) > forget {
			delete(t.failing, name)
		}
	}
	t.recent = nil
}

// retryOf is when a trigger tries a record's batch again; zero when it does not say.
func retryOf(t *admin.Trigger, first string) time.Time {
	for _, s := range t.Shards {
		if s.Blocked != nil && s.Blocked.SequenceNumber == first {
			return s.Blocked.RetryAt
		}
	}
	if b := t.SetAside.Blocked; b != nil && b.SequenceNumber == first {
		return b.RetryAt
	}
	return time.Time{}
}

// gaveUp tells of records that a trigger has given up: by its newest failed call, and by a line of its own when there is
// none, as when records have grown too old.
func (t *trials) gaveUp(now *admin.Trigger, what string, n uint64) {
	name := lossName{now.Function, now.Table, what}
	known := min(n, t.told[name])
	t.told[name] -= known
	if n -= known; n == 0 {
		return
	}
	for _, c := range slices.Backward(t.recent) {
		if c.name.function != now.Function || c.table != now.Table || c.ended != "" {
			continue
		}
		if c.ended = what; n != uint64(c.failed) {
			c.ended = fmt.Sprintf("%d records: %s", n, what)
		}
		delete(t.failing, c.name)
		return
	}
	t.losses = append(t.losses, fmt.Sprintf("%s <- %s  GIVEN UP (%d records: %s)", now.Function, now.Table, n, what))
}

// takeLosses returns the lines that are due.
func (t *trials) takeLosses() []string {
	lines := t.losses
	t.losses = nil
	return lines
}

// text says how a call failed: "1 of 3 failed, attempt 2 of 3, next at 01:58:06  1.5 ms".
func (c *trial) text(took string) string {
	var b strings.Builder
	attempt := ""
	if c.attempt > 1 || c.most > 0 {
		attempt = fmt.Sprintf("attempt %d", c.attempt)
		if c.most > 0 && c.attempt <= c.most {
			attempt += fmt.Sprintf(" of %d", c.most)
		}
		attempt = ", " + attempt
	}
	switch {
	case c.error == "":
		fmt.Fprintf(&b, "%d of %d failed%s", c.failed, c.records, attempt)
	case c.again:
		fmt.Fprintf(&b, "FAILED%s, same error", attempt)
	default:
		fmt.Fprintf(&b, "FAILED after %s%s", took, attempt)
	}
	switch {
	case c.ended != "":
		fmt.Fprintf(&b, ", GIVEN UP (%s)", c.ended)
	case !c.next.IsZero():
		fmt.Fprintf(&b, ", next at %s", c.next.Local().Format(time.TimeOnly))
	}
	if c.error == "" || c.again {
		fmt.Fprintf(&b, "  %s", took)
	}
	return b.String()
}
