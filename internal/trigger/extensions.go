package trigger

import (
	"strconv"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
)

// Millstream's own settings are tags: of the mapping, else of its function, else of its
// stream's table.
const (
	tagPrefix    = "millstream:"
	tagOnFailure = tagPrefix + "on-failure"
	tagExact     = tagPrefix + "exactly-once"
	tagBatching  = tagPrefix + "batching-window" // seconds, in the place of MaximumBatchingWindowInSeconds
	tagTumbling  = tagPrefix + "tumbling-window" // seconds, in the place of TumblingWindowInSeconds
	tagInFlight  = tagPrefix + "max-in-flight"   // calls at once, of all shards together
	tagRate      = tagPrefix + "rate"            // calls a second, of all shards together
	tagStart     = tagPrefix + "start"           // looked at when the mapping is made
)

// Bounds of tags.
const (
	maxWindow   = 86_400 // seconds
	maxInFlight = 10_000
	maxRate     = 100_000
)

// startSnapshot is the value of tagStart that asks for the items that there are.
const startSnapshot = "snapshot"

// extensions are the settings that tags make. Zero values stand for what AWS does.
type extensions struct {
	onFailure          OnFailure
	exactlyOnce        bool
	batching, tumbling int // seconds
	inFlight           int
	rate               float64
}

var onFailureNames = map[string]OnFailure{"block-shard": BlockShard, "block-key": BlockKey, "park": Park}

func (o OnFailure) String() string {
	for name, v := range onFailureNames {
		if v == o {
			return name
		}
	}
	return ""
}

// A setting reads a tag's value in; it reports whether the value is one.
type setting struct {
	want string // for people
	read func(x *extensions, value string) bool
}

var settings = map[string]setting{
	tagOnFailure: {"block-shard, block-key or park", func(x *extensions, v string) (ok bool) {
		o, ok := onFailureNames[v]
		if ok {
			x.onFailure = o
		}
		return ok
	}},
	tagExact: {"true or false", func(x *extensions, v string) bool {
		if v == "true" || v == "false" {
			x.exactlyOnce = v == "true"
			return true
		}
		return false
	}},
	tagBatching: {"seconds, from 0 to 86400", readNumber(maxWindow, func(x *extensions) *int { return &x.batching })},
	tagTumbling: {"seconds, from 0 to 86400", readNumber(maxWindow, func(x *extensions) *int { return &x.tumbling })},
	tagInFlight: {"a number of calls at once, from 0 (no limit) to 10000", readNumber(maxInFlight, func(x *extensions) *int { return &x.inFlight })},
	tagRate: {"calls a second, from 0 (no limit) to 100000, such as 2.5", func(x *extensions, v string) bool {
		r, err := strconv.ParseFloat(v, 64)
		if err != nil || !(r >= 0 && r <= maxRate) {
			return false
		}
		x.rate = r
		return true
	}},
	tagStart: {"snapshot, or a time such as 2026-01-31T12:00:00Z", func(_ *extensions, v string) bool {
		_, ok := parseStart(v)
		return ok
	}},
}

// number reads a whole number from 0 to highest.
func number(text string, highest int) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0 && n <= highest
}

func readNumber(highest int, of func(*extensions) *int) func(*extensions, string) bool {
	return func(x *extensions, v string) bool {
		n, ok := number(v, highest)
		if ok {
			*of(x) = n
		}
		return ok
	}
}

// parseStart reads a tagStart: the zero time stands for a snapshot.
func parseStart(v string) (at time.Time, ok bool) {
	if v == startSnapshot {
		return at, true
	}
	if s, err := strconv.ParseInt(v, 10, 64); err == nil && s > 0 && s < 1e11 {
		return time.Unix(s, 0).UTC(), true
	}
	at, err := time.Parse(time.RFC3339, v)
	return at.UTC(), err == nil && !at.IsZero()
}

// checkTags refuses tags of a mapping that look like Millstream's own and are not, or have no
// value of theirs.
func checkTags(tags map[string]string) error {
	for _, k := range sortedKeys(tags) {
		if !strings.HasPrefix(k, tagPrefix) {
			continue
		}
		s, ok := settings[k]
		if !ok {
			return awserr.MappingTagUnsupported(k)
		}
		if !s.read(new(extensions), tags[k]) {
			return awserr.TagValue(k, tags[k], s.want)
		}
	}
	return nil
}

// extensions looks a mapping's settings up. A value that is none counts as absent: functions and tables take
// any tag.
func (e *Engine) extensions(def Mapping) (x extensions) {
	for _, tags := range e.tagsOf(def) {
		for k, s := range settings {
			if v, ok := tags[k]; ok {
				s.read(&x, v)
			}
		}
	}
	return x
}

// tagsOf are the tags that count for a mapping; the later ones win.
func (e *Engine) tagsOf(def Mapping) []map[string]string {
	var function, table map[string]string
	if e.opts.Tags != nil {
		function, table = e.opts.Tags(def.FunctionARN, def.StreamARN)
	}
	return []map[string]string{table, function, def.Tags}
}

// retag looks a mapping's settings up again: the tags of its function may have changed.
func (m *mapping) retag() {
	tags := m.e.extensions(m.definition())
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tags != tags {
		m.tags = tags
		m.gate.limit(tags.inFlight, tags.rate)
		if m.def.Enabled && !m.deleted {
			m.post(Change{Params: m.params()})
		}
	}
}
