package trigger

import (
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
)

// Millstream's own settings are tags: of the mapping, else of its function, else of its
// stream's table.
const (
	tagPrefix    = "millstream:"
	tagOnFailure = tagPrefix + "on-failure"
	tagExact     = tagPrefix + "exactly-once"
)

// extensions are the settings that tags make.
type extensions struct {
	onFailure   OnFailure
	exactlyOnce bool
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

// checkTags refuses tags of a mapping that look like Millstream's own and are not, or have no
// value of theirs.
func checkTags(tags map[string]string) error {
	for _, k := range sortedKeys(tags) {
		switch v := tags[k]; {
		case !strings.HasPrefix(k, tagPrefix):
		case k == tagOnFailure:
			if _, ok := onFailureNames[v]; !ok {
				return awserr.TagValue(k, v, "block-shard, block-key or park")
			}
		case k == tagExact:
			if v != "true" && v != "false" {
				return awserr.TagValue(k, v, "true or false")
			}
		default:
			return awserr.MappingTagUnsupported(k)
		}
	}
	return nil
}

// extensions looks a mapping's settings up. A value that is none counts as absent: functions and tables take
// any tag.
func (e *Engine) extensions(def Mapping) (x extensions) {
	var function, table map[string]string
	if e.opts.Tags != nil {
		function, table = e.opts.Tags(def.FunctionARN, def.StreamARN)
	}
	for _, tags := range []map[string]string{table, function, def.Tags} {
		if v, ok := onFailureNames[tags[tagOnFailure]]; ok {
			x.onFailure = v
		}
		switch tags[tagExact] {
		case "true":
			x.exactlyOnce = true
		case "false":
			x.exactlyOnce = false
		}
	}
	return x
}

// retag looks a mapping's settings up again: the tags of its function may have changed.
func (m *mapping) retag() {
	tags := m.e.extensions(m.definition())
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tags != tags {
		m.tags = tags
		if m.def.Enabled && !m.deleted {
			m.post(Change{Params: m.params()})
		}
	}
}
