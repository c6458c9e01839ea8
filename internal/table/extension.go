package table

import "github.com/millstreamdb/millstream/internal/schema"

// Tags of a table that are for the event source mappings of its stream.
const (
	tagOnFailure   = tagPrefix + "on-failure"
	tagExactlyOnce = tagPrefix + "exactly-once"
)

var onFailures = []string{"block-shard", "block-key", "park"}

// TagsOf returns the tags of a table, nil when it is not there. It reads memory.
func (db *DB) TagsOf(scope schema.Scope, name string) map[string]string {
	t := db.find(scope, name)
	if t == nil {
		return nil
	}
	tags := map[string]string{}
	for _, tag := range t.desc.Load().def.Settings.Tags {
		tags[tag.Key] = tag.Value
	}
	return tags
}
