package setting

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		level      Level
		key, value string
		want       string // the end of the fault; empty: none
	}{
		{Function, "team", "a", ""},
		{Function, "millstreams:x", "a", ""},
		{Function, OnFailure, "block-key", ""},
		{Function, OnFailure, "blockkey", "takes block-shard, block-key or park, not: blockkey; did you mean block-key?"},
		{Mapping, "millstream:onfailure", "park", "is none of Millstream's settings; did you mean millstream:on-failure?"},
		{Mapping, "Millstream:On-Failure", "park", "is none of Millstream's settings; did you mean millstream:on-failure?"},
		{Table, "millstream:shard", "2", "did you mean millstream:shards?"},
		{Mapping, "millstream:", "", "a mapping takes " + strings.Join(at(Mapping), ", ")},
		{Mapping, Shards, "2", "belongs to a table, not to a mapping"},
		{Function, Retention, "48", "belongs to a table, not to a function"},
		{Mapping, ExactlyOnce, "ture", "did you mean true?"},
	} {
		f := Check(c.level, c.key, c.value)
		switch {
		case f == nil && c.want != "":
			t.Errorf("%s %s=%s is accepted", c.level, c.key, c.value)
		case f != nil && (c.want == "" || !strings.HasSuffix(f.Error(), c.want) || !strings.HasPrefix(f.Error(), "The tag "+c.key+" ")):
			t.Errorf("%s %s=%s: %v", c.level, c.key, c.value, f)
		}
	}
	if f := CheckAll(Table, map[string]string{"a": "b", Rate: "fast", Shards: "0"}); f == nil || f.Key != Rate {
		t.Errorf("%v", f)
	}
}

func TestRead(t *testing.T) {
	got := Read(
		map[string]string{OnFailure: Park, Rate: "2.5", Start: "2026-01-31T13:00:00+01:00", Shards: "4"},
		map[string]string{OnFailure: "never", MaxInFlight: "3", ExactlyOnce: "true", TumblingWindow: "0"},
		map[string]string{ExactlyOnce: "false", Rate: "1e400"},
	)
	want := Values{
		OnFailure: Park, Rate: 2.5, MaxInFlight: 3, BatchingWindow: -1, Shards: 4, Retention: 24,
		Start: Begin{true, time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)},
	}
	if got != want {
		t.Errorf("%+v", got)
	}
	if s := Read(map[string]string{Start: Snapshot}).Start; !s.Set || !s.At.IsZero() {
		t.Errorf("%+v", s)
	}
}

// The table of docs/settings.md is the list of settings.
func TestSettingsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| `"+Prefix) {
			rows = append(rows, strings.TrimSuffix(line, "\n"))
		}
	}
	if !slices.Equal(rows, Rows()) {
		t.Errorf("docs/settings.md does not have these rows:\n%s", strings.Join(Rows(), "\n"))
	}
}
