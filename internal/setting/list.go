package setting

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// The names of the settings.
const (
	OnFailure      = Prefix + "on-failure"
	ExactlyOnce    = Prefix + "exactly-once"
	Start          = Prefix + "start"
	BatchingWindow = Prefix + "batching-window"
	TumblingWindow = Prefix + "tumbling-window"
	MaxInFlight    = Prefix + "max-in-flight"
	Rate           = Prefix + "rate"
	Shards         = Prefix + "shards"
	Retention      = Prefix + "retention"
)

// The values of OnFailure.
const (
	BlockShard = "block-shard"
	BlockKey   = "block-key"
	Park       = "park"
)

// Snapshot is the value of Start that asks for the items that there are.
const Snapshot = "snapshot"

// Ranges of numbers.
const (
	maxWindow    = 86_400 // seconds: a day
	maxInFlight  = 10_000
	maxRate      = 100_000
	maxShards    = 256
	minRetention = 24     // hours: AWS's
	maxRetention = 87_600 // hours: ten years
)

// Values are what the settings of a resource say. Those that no tag sets are as Read
// makes them.
type Values struct {
	OnFailure   string // BlockShard, BlockKey or Park; "" unless set
	ExactlyOnce bool
	// BatchingWindow and TumblingWindow are in seconds, in the place of the mapping's
	// parameters; -1 unless set.
	BatchingWindow, TumblingWindow int
	MaxInFlight                    int     // calls at once; 0: no limit
	Rate                           float64 // calls a second; 0: no limit
	Start                          Begin
	Shards                         int // of a new stream; 1 unless set
	Retention                      int // hours; 24 unless set
}

// Begin is where a new mapping begins: at the items that there are, or at a moment.
type Begin struct {
	Set bool      // a tag says so
	At  time.Time // zero: Snapshot
}

var settings = []Setting{
	{Name: OnFailure, Levels: anywhere, Takes: "block-shard, block-key or park",
		Does:  "what waits while a record is tried again: all behind it in its shard, as on AWS; only its item (also when its calls are merely slow); or `park`: as `block-shard`, and what is given up is kept for a person",
		Right: []string{"block-shard", "block-key", "park"}, Wrong: []string{"blockkey", "Park", ""},
		words: []string{BlockShard, BlockKey, Park}, read: func(v *Values, text string) bool {
			if !slices.Contains([]string{BlockShard, BlockKey, Park}, text) {
				return false
			}
			v.OnFailure = text
			return true
		}},
	{Name: ExactlyOnce, Levels: anywhere, Takes: "true or false",
		Does:  "the writes in the function's answer (`transactItems`), the messages that it sends (`sendMessages`) and the trigger's position are one commit",
		Right: []string{"true", "false"}, Wrong: []string{"yes", "True", "1", ""},
		words: []string{"true", "false"}, read: func(v *Values, text string) bool {
			v.ExactlyOnce = text == "true"
			return text == "true" || text == "false"
		}},
	{Name: Start, Levels: anywhere, Takes: "snapshot, or a time such as 2026-01-31T12:00:00Z",
		Does:  "a new trigger begins with the items that there are, or at a moment",
		Right: []string{"snapshot", "2026-01-31T12:00:00Z", "1700000000"}, Wrong: []string{"snapshots", "yesterday", "0", ""},
		words: []string{Snapshot}, read: func(v *Values, text string) (ok bool) {
			v.Start.At, ok = readStart(text)
			v.Start.Set = ok
			return ok
		}},
	{Name: BatchingWindow, Levels: anywhere, Takes: "seconds, from 0 to 86400",
		Does:  "in the place of MaximumBatchingWindowInSeconds, where AWS ends at 300",
		Right: []string{"0", "7200", "86400"}, Wrong: []string{"-1", "86401", "1h", "1.5", ""},
		read: whole(0, maxWindow, func(v *Values) *int { return &v.BatchingWindow })},
	{Name: TumblingWindow, Levels: anywhere, Takes: "seconds, from 0 to 86400",
		Does:  "in the place of TumblingWindowInSeconds, where AWS ends at 900",
		Right: []string{"0", "7200", "86400"}, Wrong: []string{"-1", "86401", "1h", "1.5", ""},
		read: whole(0, maxWindow, func(v *Values) *int { return &v.TumblingWindow })},
	{Name: MaxInFlight, Levels: anywhere, Takes: "a number of calls at once, from 0 (no limit) to 10000",
		Does:  "at most so many calls run at once, of all shards together",
		Right: []string{"0", "3", "10000"}, Wrong: []string{"-1", "10001", "many", ""},
		read: whole(0, maxInFlight, func(v *Values) *int { return &v.MaxInFlight })},
	{Name: Rate, Levels: anywhere, Takes: "calls a second, from 0 (no limit) to 100000, such as 2.5",
		Does:  "at most so many calls are made a second, of all shards together",
		Right: []string{"0", "2.5", "100000"}, Wrong: []string{"-1", "100001", "fast", "NaN", ""},
		read: func(v *Values, text string) bool {
			r, err := strconv.ParseFloat(text, 64)
			if err != nil || !(r >= 0 && r <= maxRate) || strings.ContainsAny(text, "xXpP_") {
				return false
			}
			v.Rate = r
			return true
		}},
	{Name: Shards, Levels: Table, Takes: "a number from 1 to 256",
		Does:  "how many shards the stream of a new table has",
		Right: []string{"1", "256"}, Wrong: []string{"0", "257", "two", ""},
		read: whole(1, maxShards, func(v *Values) *int { return &v.Shards })},
	{Name: Retention, Levels: Table, Takes: "a number of hours from 24 to 87600",
		Does:  "how long the records of the table's next stream are kept",
		Right: []string{"24", "87600"}, Wrong: []string{"23", "87601", "1d", ""},
		read: whole(minRetention, maxRetention, func(v *Values) *int { return &v.Retention })},
}

// whole reads a whole number in decimal digits.
func whole(lowest, highest int, of func(*Values) *int) func(*Values, string) bool {
	return func(v *Values, text string) bool {
		n, err := strconv.Atoi(text)
		if err != nil || n < lowest || n > highest {
			return false
		}
		*of(v) = n
		return true
	}
}

// readStart reads a Start: the zero time stands for a snapshot. A time may also be
// given in seconds since 1970.
func readStart(text string) (at time.Time, ok bool) {
	if text == Snapshot {
		return at, true
	}
	if s, err := strconv.ParseInt(text, 10, 64); err == nil && s > 0 && s < 1e11 {
		return time.Unix(s, 0).UTC(), true
	}
	at, err := time.Parse(time.RFC3339, text)
	return at.UTC(), err == nil && !at.IsZero()
}

// Read returns what the tags of some resources say, the strongest last. A value
// that is none counts as absent: an earlier version may have stored it.
func Read(resources ...map[string]string) Values {
	v := Values{BatchingWindow: -1, TumblingWindow: -1, Shards: 1, Retention: minRetention}
	for _, tags := range resources {
		for _, s := range settings {
			if text, ok := tags[s.Name]; ok {
				if trial := v; s.read(&trial, text) {
					v = trial
				}
			}
		}
	}
	return v
}
