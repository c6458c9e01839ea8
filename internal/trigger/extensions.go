package trigger

import (
	"strconv"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/setting"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// Names and bounds of Millstream's own settings, which are tags of the mapping, else of its
// function, else of its stream's table (package setting).
const (
	tagTumbling = setting.TumblingWindow
	tagStart    = setting.Start
	maxWindow   = 86_400 // seconds
)

// extensions are the settings that tags make. Zero values stand for what AWS does.
type extensions struct {
	onFailure          lane.OnFailure
	exactlyOnce        bool
	batching, tumbling int // seconds
	inFlight           int
	rate               float64
}

var onFailureNames = map[string]lane.OnFailure{setting.BlockShard: lane.BlockShard, setting.BlockKey: lane.BlockKey, setting.Park: lane.Park}

// number reads a whole number from 0 to highest.
func number(text string, highest int) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0 && n <= highest
}

// parseStart reads a tagStart: the zero time stands for a snapshot.
func parseStart(v string) (at time.Time, ok bool) {
	start := setting.Read(map[string]string{tagStart: v}).Start
	return start.At, start.Set
}

// checkTags refuses tags of a mapping that look like Millstream's own and are not, or have no
// value of theirs.
func checkTags(tags map[string]string) error {
	if f := setting.CheckAll(setting.Mapping, tags); f != nil {
		return awserr.LambdaInvalidParameter(f.Error())
	}
	return nil
}

// extensions looks a mapping's settings up.
func (e *Engine) extensions(def Mapping) extensions {
	v := setting.Read(e.tagsOf(def)...)
	return extensions{
		onFailure: onFailureNames[v.OnFailure], exactlyOnce: v.ExactlyOnce,
		batching: max(0, v.BatchingWindow), tumbling: max(0, v.TumblingWindow),
		inFlight: v.MaxInFlight, rate: v.Rate,
	}
}

// tagsOf are the tags that count for a mapping; the later ones win.
func (e *Engine) tagsOf(def Mapping) []map[string]string {
	var function, table map[string]string
	if e.opts.Tags != nil {
		function, table = e.opts.Tags(def.FunctionARN, def.StreamARN)
	}
	return []map[string]string{table, function, def.Tags}
}

// TagsChanged tells that the tags of a stream's table were changed: they take effect at once.
func (e *Engine) TagsChanged(streamARN string) {
	for _, m := range e.all() {
		if m.definition().StreamARN == streamARN {
			m.retag()
		}
	}
}

// retag looks a mapping's settings up again: the tags of its function or table may have changed.
func (m *running) retag() {
	tags := m.e.extensions(m.definition())
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tags != tags {
		m.tags = tags
		m.gate.limit(tags.inFlight, tags.rate)
		if m.def.Enabled && !m.deleted {
			m.post(lane.Change{Params: m.params()})
		}
	}
}
