package table

import (
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/setting"
)

// checkSettings refuses tags that look like Millstream's own settings and are not, or
// have no value of theirs.
func checkSettings(tags []request.Tag) *awserr.Error {
	for _, t := range tags {
		if f := setting.Check(setting.Table, t.Key, t.Value); f != nil {
			return awserr.InvalidParameter(f.Error())
		}
	}
	return nil
}

// settingsOf reads the settings among a table's tags.
func settingsOf(tags []request.Tag) setting.Values { return setting.Read(tagMap(tags)) }

func tagMap(tags []request.Tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

// TagsOf returns the tags of a table, nil when it is not there. It reads memory.
func (db *DB) TagsOf(scope schema.Scope, name string) map[string]string {
	t := db.find(scope, name)
	if t == nil {
		return nil
	}
	return tagMap(t.desc.Load().def.Settings.Tags)
}
