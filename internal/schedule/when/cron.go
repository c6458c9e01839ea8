package when

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The years of a cron expression.
const (
	firstYear = 1970
	lastYear  = 2199
)

// cron is a parsed cron expression. A set has a bit for each value.
type cron struct {
	minutes, hours, days, months uint64
	weekdays                     uint64 // 1 is Sunday, as AWS counts
	years                        [lastYear - firstYear + 1]bool
	byWeekday                    bool // days counts otherwise

	lastDay, lastWorkday bool  // L and LW
	workdays             []int // 15W: the working day next to the 15th
	lastWeekdays         uint64
	nth                  []nthWeekday
}

// nthWeekday is 3#2: the second Tuesday.
type nthWeekday struct{ weekday, n int }

var (
	monthNames   = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	weekdayNames = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
)

// field is one of the six of an expression.
type field struct {
	name        string
	first, last int
	names       []string // of its values, from first on
}

var fields = [6]field{
	{"minutes", 0, 59, nil}, {"hours", 0, 23, nil}, {"day of month", 1, 31, nil}, {"month", 1, 12, monthNames}, {"day of week", 1, 7, weekdayNames},
	{"year", firstYear, lastYear, nil},
}

func parseCron(text string) (*cron, error) {
	parts := strings.Fields(text)
	if len(parts) != len(fields) {
		return nil, fmt.Errorf("cron: want six fields (minutes, hours, day of month, month, day of week, year), not %d", len(parts))
	}
	c := &cron{}
	if (parts[2] == "?") == (parts[4] == "?") {
		return nil, errors.New("cron: one of day of month and day of week must be ?, and only one")
	}
	c.byWeekday = parts[2] == "?"
	for i, f := range fields {
		if parts[i] == "?" {
			if i != 2 && i != 4 {
				return nil, fmt.Errorf("cron: %s cannot be ?", f.name)
			}
			continue
		}
		for item := range strings.SplitSeq(parts[i], ",") {
			if err := c.item(i, strings.ToUpper(item), strings.Contains(parts[i], ",")); err != nil {
				return nil, fmt.Errorf("cron: %s %q: %w", f.name, parts[i], err)
			}
		}
	}
	return c, nil
}

// item reads one item of a field's list.
func (c *cron) item(i int, item string, listed bool) error {
	f := fields[i]
	switch {
	case i == 2 && item == "L":
		c.lastDay = true
		return nil
	case i == 2 && item == "LW":
		c.lastWorkday = true
		return nil
	case i == 2 && strings.HasSuffix(item, "W"):
		day, err := f.value(strings.TrimSuffix(item, "W"))
		if err == nil && listed {
			err = errors.New("W cannot be in a list")
		}
		c.workdays = append(c.workdays, day)
		return err
	case i == 4 && item == "L":
		c.weekdays |= 1 << 7
		return nil
	case i == 4 && strings.HasSuffix(item, "L"):
		day, err := f.value(strings.TrimSuffix(item, "L"))
		c.lastWeekdays |= 1 << day
		return err
	case i == 4 && strings.Contains(item, "#"):
		name, count, _ := strings.Cut(item, "#")
		day, err := f.value(name)
		n, bad := strconv.Atoi(count)
		if err == nil && (bad != nil || n < 1 || n > 5) {
			err = errors.New("behind # must be 1 to 5")
		}
		if one := (nthWeekday{day, n}); !slices.Contains(c.nth, one) {
			c.nth = append(c.nth, one)
		}
		return err
	}
	return f.each(item, func(v int) {
		switch i {
		case 0:
			c.minutes |= 1 << v
		case 1:
			c.hours |= 1 << v
		case 2:
			c.days |= 1 << v
		case 3:
			c.months |= 1 << v
		case 4:
			c.weekdays |= 1 << v
		case 5:
			c.years[v-firstYear] = true
		}
	})
}

func (f field) value(text string) (int, error) {
	if i := slices.Index(f.names, text); i >= 0 {
		return f.first + i, nil
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < f.first || v > f.last || text[0] == '+' || text[0] == '-' {
		return 0, fmt.Errorf("want %d to %d, not %q", f.first, f.last, text)
	}
	return v, nil
}

// each calls add with the values of a plain item: *, a value, a range, each with a step or without. A range whose end is before its beginning
// goes on from the field's first value.
func (f field) each(item string, add func(int)) (err error) {
	span, step, stepped := strings.Cut(item, "/")
	every := 1
	if stepped {
		if every, err = strconv.Atoi(step); err != nil || every < 1 || every > f.last {
			return fmt.Errorf("the step must be 1 to %d, not %q", f.last, step)
		}
	}
	low, high, ranged := strings.Cut(span, "-")
	from, to := f.first, f.last
	if span != "*" {
		if from, err = f.value(low); err != nil {
			return err
		}
		switch {
		case ranged:
			if to, err = f.value(high); err != nil {
				return err
			}
		case !stepped:
			to = from
		}
	}
	if to < from {
		if f.first == firstYear {
			return errors.New("the range ends before it begins")
		}
		to += f.last - f.first + 1
	}
	for v := from; v <= to; v += every {
		add(f.first + (v-f.first)%(f.last-f.first+1))
	}
	return nil
}

// setBack is more than clocks are ever set back at once.
const setBack = 3 * time.Hour

// next finds the first moment after another one at which the expression is due.
func (c *cron) next(after time.Time, zone *time.Location) (time.Time, bool) {
	from := shown(after, zone)
	if offsetAt(after, zone) != offsetAt(after.Add(-setBack), zone) {
		from = from.Add(-setBack) // a later moment may have a time of day that was shown before
	}
	day := time.Date(from.Year(), from.Month(), from.Day(), 0, 0, 0, 0, time.UTC)
	for day.Year() <= lastYear {
		switch {
		case day.Year() < firstYear || !c.years[day.Year()-firstYear]:
			day = time.Date(day.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC)
			continue
		case c.months&(1<<day.Month()) == 0:
			day = time.Date(day.Year(), day.Month()+1, 1, 0, 0, 0, 0, time.UTC)
			continue
		case c.on(day):
			if t, ok := c.within(day, from, after, zone); ok {
				return t, true
			}
		}
		day = day.AddDate(0, 0, 1)
	}
	return time.Time{}, false
}

// within finds the first due moment of a day that is after another one; from is a date and time before which none can be.
func (c *cron) within(day, from, after time.Time, zone *time.Location) (first time.Time, ok bool) {
	for hours := c.hours; hours != 0; hours &= hours - 1 {
		for minutes := c.minutes; minutes != 0; minutes &= minutes - 1 {
			civil := day.Add(time.Duration(bits.TrailingZeros64(hours))*time.Hour + time.Duration(bits.TrailingZeros64(minutes))*time.Minute)
			if civil.Before(from) {
				continue
			}
			// Of two times of day the later one is not shown earlier for the first time, also where clocks are set back.
			if t, exists := instant(civil, zone); exists && t.After(after) {
				return t, true
			}
		}
	}
	return first, false
}

// on says whether the expression is due on a day, whose year and month are right.
func (c *cron) on(day time.Time) bool {
	d := day.Day()
	last := time.Date(day.Year(), day.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
	if c.byWeekday {
		weekday := int(day.Weekday()) + 1
		if c.weekdays&(1<<weekday) != 0 || c.lastWeekdays&(1<<weekday) != 0 && d > last-7 {
			return true
		}
		return slices.Contains(c.nth, nthWeekday{weekday, (d-1)/7 + 1})
	}
	if c.days&(1<<d) != 0 || c.lastDay && d == last {
		return true
	}
	if c.lastWorkday && d == workday(day, last, last) {
		return true
	}
	return slices.ContainsFunc(c.workdays, func(w int) bool { return w <= last && d == workday(day, w, last) })
}

// workday is the working day next to a day of the month of another one, in the same month.
func workday(month time.Time, d, last int) int {
	switch time.Date(month.Year(), month.Month(), d, 0, 0, 0, 0, time.UTC).Weekday() {
	case time.Saturday:
		if d == 1 {
			return 3
		}
		return d - 1
	case time.Sunday:
		if d == last {
			return d - 2
		}
		return d + 1
	}
	return d
}
