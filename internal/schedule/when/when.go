package when

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Expression is a schedule expression that was read. The zero value is never due.
type Expression struct {
	rate time.Duration // of rate(); 0: it is another one
	at   time.Time     // of at(): date and time of day, as if in UTC
	cron *cron
}

// Parse reads rate(VALUE UNIT), cron(FIELDS) or at(DATE AND TIME). The error says what is wrong, for a person; AWS's own errors do not.
func Parse(text string) (Expression, error) {
	kind, rest, found := strings.Cut(text, "(")
	inner, closed := strings.CutSuffix(rest, ")")
	if !found || !closed {
		return Expression{}, errors.New("want rate(...), cron(...) or at(...)")
	}
	switch kind {
	case "rate":
		return parseRate(inner)
	case "cron":
		c, err := parseCron(inner)
		return Expression{cron: c}, err
	case "at":
		t, err := time.Parse("2006-01-02T15:04:05", inner)
		if err != nil {
			return Expression{}, errors.New("want at(yyyy-mm-ddThh:mm:ss)")
		}
		return Expression{at: t}, nil
	}
	return Expression{}, fmt.Errorf("want rate(...), cron(...) or at(...), not %s(...)", kind)
}

// maxRate keeps a rate's duration far from what overflows.
const maxRate = 100 * 366 * 24 * time.Hour

func parseRate(inner string) (Expression, error) {
	value, unit, _ := strings.Cut(inner, " ")
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 1 || strings.HasPrefix(value, "+") {
		return Expression{}, fmt.Errorf("rate: want a whole number of 1 or more, not %q", value)
	}
	units := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}
	one := units[strings.TrimSuffix(unit, "s")]
	switch {
	case one == 0:
		return Expression{}, fmt.Errorf("rate: want minutes, hours or days, not %q", unit)
	case n > int64(maxRate/one):
		return Expression{}, fmt.Errorf("rate: %d %s is too long", n, unit)
	}
	return Expression{rate: time.Duration(n) * one}, nil
}

// Rate is the time from one start to the next; 0 when the expression is no rate().
func (e Expression) Rate() time.Duration { return e.rate }

// Once says that the expression is at(): there is one start.
func (e Expression) Once() bool { return !e.at.IsZero() }

// Next is the first moment after another one. anchor is where a rate() begins: it is due then, and a whole number of rates later. zone is that
// of cron() and at(). ok is false when there is none.
func (e Expression) Next(after, anchor time.Time, zone *time.Location) (next time.Time, ok bool) {
	switch {
	case e.rate > 0:
		if after.Before(anchor) {
			return anchor, true
		}
		return anchor.Add((after.Sub(anchor)/e.rate + 1) * e.rate), true
	case e.cron != nil:
		return e.cron.next(after, zone)
	case e.at.IsZero():
		return time.Time{}, false
	}
	next, exists := instant(e.at, zone)
	if !exists { // it falls into an hour that is left out, and is due as late as if none were
		next = e.at.Add(-time.Duration(offsetAt(e.at.Add(-24*time.Hour), zone)) * time.Second)
	}
	return next, next.After(after)
}

// instant is the first moment at which clocks of a zone show a date and time, which are given as if in UTC; false when they never do.
func instant(civil time.Time, zone *time.Location) (first time.Time, ok bool) {
	for _, near := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		t := civil.Add(-time.Duration(offsetAt(civil.Add(near), zone)) * time.Second)
		if shown(t, zone).Equal(civil) && (!ok || t.Before(first)) {
			first, ok = t, true
		}
	}
	return first, ok
}

// shown is what clocks of a zone show at a moment, as if in UTC.
func shown(t time.Time, zone *time.Location) time.Time {
	return t.UTC().Add(time.Duration(offsetAt(t, zone)) * time.Second)
}

func offsetAt(t time.Time, zone *time.Location) int {
	_, offset := t.In(zone).Zone()
	return offset
}
