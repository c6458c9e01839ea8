package when

import (
	"strings"
	"testing"
	"time"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Skip("this machine has no time zones: ", err)
	}
	return z
}

// TestNext: the first moments after another one, as AWS documents each form.
func TestNext(t *testing.T) {
	for _, c := range []struct{ expression, zone, after, want string }{
		{"cron(15 10 * * ? *)", "UTC", "2030-01-01T10:15:00", "2030-01-02T10:15 2030-01-03T10:15"},
		{"cron(15 10 * * ? *)", "UTC", "2030-01-01T10:14:59", "2030-01-01T10:15"},
		{"cron(0 18 ? * MON-FRI *)", "UTC", "2030-01-03T18:00:00", "2030-01-04T18:00 2030-01-07T18:00"},
		{"cron(0/10 * ? * MON-FRI *)", "UTC", "2030-01-04T23:45:00", "2030-01-04T23:50 2030-01-07T00:00 2030-01-07T00:10"},
		{"cron(0/5 8-17 ? * 2-6 *)", "UTC", "2030-01-04T17:50:00", "2030-01-04T17:55 2030-01-07T08:00"},
		{"cron(0 8 1 * ? *)", "UTC", "2030-01-01T08:00:00", "2030-02-01T08:00"},
		{"cron(0 9 ? * 2#1 *)", "UTC", "2030-01-01T00:00:00", "2030-01-07T09:00 2030-02-04T09:00"},
		{"cron(0 9 ? * MON#5 *)", "UTC", "2030-01-01T00:00:00", "2030-04-29T09:00 2030-07-29T09:00"},
		{"cron(0 9 ? * 6L 2030)", "UTC", "2030-01-01T00:00:00", "2030-01-25T09:00 2030-02-22T09:00"},
		{"cron(0 9 ? * L *)", "UTC", "2030-01-01T00:00:00", "2030-01-05T09:00"},
		{"cron(0 9 L * ? *)", "UTC", "2030-01-31T09:00:00", "2030-02-28T09:00 2030-03-31T09:00"},
		{"cron(0 9 LW * ? *)", "UTC", "2030-01-01T00:00:00", "2030-01-31T09:00 2030-02-28T09:00 2030-03-29T09:00"},
		{"cron(0 9 3W * ? *)", "UTC", "2030-02-01T00:00:00", "2030-02-04T09:00 2030-03-04T09:00 2030-04-03T09:00"}, // a Sunday, a Sunday, a Wednesday
		{"cron(0 9 1W * ? *)", "UTC", "2030-05-31T10:00:00", "2030-06-03T09:00"},                                   // the 1st is a Saturday
		{"cron(0 9 31W * ? *)", "UTC", "2030-02-01T00:00:00", "2030-03-29T09:00 2030-05-31T09:00"},                 // the 31st of March is a Sunday
		{"cron(0 0 29 2 ? *)", "UTC", "2030-01-01T00:00:00", "2032-02-29T00:00 2036-02-29T00:00"},
		{"cron(0 0 1 JAN,jul ? 2031,2033)", "UTC", "2030-01-01T00:00:00", "2031-01-01T00:00 2031-07-01T00:00 2033-01-01T00:00 2033-07-01T00:00 -"},
		{"cron(0 0 ? * FRI-MON *)", "UTC", "2030-01-03T00:00:00", "2030-01-04T00:00 2030-01-05T00:00 2030-01-06T00:00 2030-01-07T00:00 2030-01-11T00:00"},
		{"cron(10-50/20 22-1 * * ? *)", "UTC", "2030-01-01T22:55:00", "2030-01-01T23:10 2030-01-01T23:30 2030-01-01T23:50 2030-01-02T00:10"},
		{"cron(0 0 30 2 ? *)", "UTC", "2030-01-01T00:00:00", "-"},
		{"cron(0 0 1 1 ? 1999)", "UTC", "2030-01-01T00:00:00", "-"},

		// Summer time: what is not shown is left out, what is shown twice counts once.
		{"cron(30 2 * * ? *)", "America/New_York", "2030-03-09T02:30:00", "2030-03-11T02:30"},
		{"cron(0/30 * * * ? *)", "America/New_York", "2030-03-10T01:00:00", "2030-03-10T01:30 2030-03-10T03:00"},
		{"cron(30 1 * * ? *)", "America/New_York", "2030-11-02T01:30:00", "2030-11-03T01:30-04:00 2030-11-04T01:30"},
		{"cron(0/30 * * * ? *)", "America/New_York", "2030-11-03T00:45:00", "2030-11-03T01:00-04:00 2030-11-03T01:30-04:00 2030-11-03T02:00-05:00"},
		{"cron(0 8 * * ? *)", "Europe/Berlin", "2030-03-30T08:00:00", "2030-03-31T08:00+02:00 2030-04-01T08:00+02:00"},
		{"cron(45 1 * * ? *)", "Australia/Lord_Howe", "2030-04-06T12:00:00", "2030-04-07T01:45+11:00 2030-04-08T01:45+10:30"}, // set back by half an hour
		{"cron(0 12 30 12 ? 2011)", "Pacific/Apia", "2011-12-01T00:00:00", "-"},                                               // a day that there was not

		{"at(2030-06-01T10:00:00)", "Europe/Berlin", "2030-01-01T00:00:00", "2030-06-01T10:00+02:00"},
		{"at(2030-06-01T10:00:00)", "Europe/Berlin", "2030-06-01T10:00:00", "-"},
		{"at(2030-11-03T01:30:00)", "America/New_York", "2030-01-01T00:00:00", "2030-11-03T01:30-04:00"},
		{"at(2030-03-10T02:30:00)", "America/New_York", "2030-01-01T00:00:00", "2030-03-10T03:30-04:00"},
	} {
		z := zone(t, c.zone)
		e, err := Parse(c.expression)
		if err != nil {
			t.Errorf("%s: %v", c.expression, err)
			continue
		}
		at, err := time.ParseInLocation("2006-01-02T15:04:05", c.after, z)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range strings.Fields(c.want) {
			next, ok := e.Next(at, time.Time{}, z)
			form := "2006-01-02T15:04"
			if len(want) > len(form) {
				form += "-07:00"
			}
			got := "-"
			if ok {
				got = next.In(z).Format(form)
			}
			if got != want {
				t.Errorf("%s in %s after %v: %s, want %s", c.expression, c.zone, at, got, want)
				break
			}
			at = next
		}
	}
}

// TestNextInTheRepeatedHour: a schedule that begins while clocks show an hour for the second time waits until they show another one.
func TestNextInTheRepeatedHour(t *testing.T) {
	z := zone(t, "America/New_York")
	e, _ := Parse("cron(45 * * * ? *)")
	second := time.Date(2030, 11, 3, 6, 30, 0, 0, time.UTC) // 1:30 for the second time
	if next, ok := e.Next(second, time.Time{}, z); !ok || !next.Equal(time.Date(2030, 11, 3, 7, 45, 0, 0, time.UTC)) {
		t.Error("the next moment is ", next, ok)
	}
}

// TestRate: a rate counts from its anchor, through any time zone's days.
func TestRate(t *testing.T) {
	anchor := time.Date(2030, 3, 9, 12, 0, 30, 0, time.UTC)
	e, err := Parse("rate(2 days)")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ after, want time.Time }{
		{anchor.Add(-time.Hour), anchor},
		{anchor, anchor.Add(48 * time.Hour)},
		{anchor.Add(48*time.Hour - 1), anchor.Add(48 * time.Hour)},
		{anchor.Add(1000 * time.Hour), anchor.Add(21 * 48 * time.Hour)},
	} {
		if next, ok := e.Next(c.after, anchor, zone(t, "America/New_York")); !ok || !next.Equal(c.want) {
			t.Errorf("after %v: %v, want %v", c.after, next, c.want)
		}
	}
}

// TestRefused: what is no expression, and what is said of it.
func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "want rate",
		"every day":                 "want rate",
		"rate(5 minutes":            "want rate",
		"in(5 minutes)":             "not in(",
		"rate(0 minutes)":           "1 or more",
		"rate(-1 minutes)":          "1 or more",
		"rate(+1 minutes)":          "1 or more",
		"rate(5 seconds)":           "minutes, hours or days",
		"rate(5)":                   "minutes, hours or days",
		"rate(5  minutes)":          "minutes, hours or days",
		"rate(99999999999 days)":    "too long",
		"at(2030-01-01)":            "want at(",
		"at(2030-02-30T00:00:00)":   "want at(",
		"at(2030-01-01T00:00:00Z)":  "want at(",
		"cron(0 12 * * *)":          "six fields",
		"cron(0 12 * * * *)":        "must be ?",
		"cron(0 12 ? * ? *)":        "must be ?",
		"cron(? 12 * * ? *)":        "minutes cannot be ?",
		"cron(60 12 * * ? *)":       "0 to 59",
		"cron(0 24 * * ? *)":        "0 to 23",
		"cron(0 0 0 * ? *)":         "1 to 31",
		"cron(0 0 ? * 0 *)":         "1 to 7",
		"cron(0 0 ? * MON#6 *)":     "1 to 5",
		"cron(0 0 ? * MONDAY *)":    "1 to 7",
		"cron(0 0 1,5W * ? *)":      "cannot be in a list",
		"cron(0 0 W * ? *)":         "1 to 31",
		"cron(0/0 0 1 * ? *)":       "step",
		"cron(0/ 0 1 * ? *)":        "step",
		"cron(/5 0 1 * ? *)":        "0 to 59",
		"cron(1- 0 1 * ? *)":        "0 to 59",
		"cron(1,,2 0 1 * ? *)":      "0 to 59",
		"cron(0 0 1 * ? 2200)":      "1970 to 2199",
		"cron(0 0 1 * ? 2031-2030)": "ends before",
		"cron(+1 0 1 * ? *)":        "0 to 59",
		"cron(0 0 1 * ? *) ":        "want rate",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want a text with %q", text, err, want)
		}
	}
}

// FuzzParse: no text makes the parser or what follows panic, and moments rise.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"rate(1 minute)", "cron(0/5 8-17 ? * MON-FRI *)", "cron(0 9 L * ? 2030-2040)", "cron(0 9 3W * ? *)", "at(2030-01-01T00:00:00)", "cron(1 2 ? 3 4#5 6)"} {
		f.Add(s)
	}
	z := time.UTC
	if ny, err := time.LoadLocation("America/New_York"); err == nil {
		z = ny
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text)
		if err != nil {
			return
		}
		at := time.Date(2030, 3, 9, 12, 0, 0, 0, time.UTC)
		for range 4 {
			next, ok := e.Next(at, at, z)
			if !ok {
				return
			}
			if !next.After(at) {
				t.Fatalf("%s: after %v comes %v", text, at, next)
			}
			at = next
		}
	})
}

func BenchmarkNext(b *testing.B) {
	e, _ := Parse("cron(30 1 ? * 6#3 *)")
	z := zone(b, "America/New_York")
	at := time.Date(2030, 3, 9, 12, 0, 0, 0, time.UTC)
	for b.Loop() {
		at, _ = e.Next(at, at, z)
		if at.Year() > 2100 {
			at = time.Date(2030, 3, 9, 12, 0, 0, 0, time.UTC)
		}
	}
}
