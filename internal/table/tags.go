package table

import (
	"context"
	"slices"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

const maxTags = 50

// Tagged answers the changes of tags, with nothing.
type Tagged struct{}

// TagsResult answers ListTagsOfResource.
type TagsResult struct{ Tags []request.Tag }

// TagResource adds tags to a table, or changes their values. Millstream's own settings
// are checked. They take effect at once, but for two: retention counts for the next
// stream that the table is given, shards only when a table is made.
func (db *DB) TagResource(ctx context.Context, scope schema.Scope, r *request.TagResource) (*Tagged, error) {
	if e := checkSettings(r.Tags); e != nil {
		return nil, e
	}
	return db.changeTags(ctx, scope, &r.Resource, func(tags []request.Tag) ([]request.Tag, *awserr.Error) {
		for _, t := range r.Tags {
			if i := slices.IndexFunc(tags, func(have request.Tag) bool { return have.Key == t.Key }); i >= 0 {
				tags[i] = t
			} else {
				tags = append(tags, t)
			}
		}
		if len(tags) > maxTags {
			return nil, awserr.TooManyTags()
		}
		return tags, nil
	})
}

// UntagResource removes tags from a table.
func (db *DB) UntagResource(ctx context.Context, scope schema.Scope, r *request.UntagResource) (*Tagged, error) {
	return db.changeTags(ctx, scope, &r.Resource, func(tags []request.Tag) ([]request.Tag, *awserr.Error) {
		return slices.DeleteFunc(tags, func(t request.Tag) bool { return slices.Contains(r.Keys, t.Key) }), nil
	})
}

func (db *DB) changeTags(ctx context.Context, scope schema.Scope, r *request.Resource, edit func([]request.Tag) ([]request.Tag, *awserr.Error)) (*Tagged, error) {
	if r.Scope != scope {
		return nil, awserr.ResourceOfOther(r.ARN)
	}
	var streamARN string
	err := db.change(ctx, func(b *store.Batch, _ *store.Commit) (func(bool), error) {
		t, e := db.forChange(scope, r.Table, db.now().UnixMilli())
		if e != nil {
			if e.Code == "ResourceNotFoundException" {
				e = awserr.ResourceARNNotFound(r.ARN)
			}
			return nil, e
		}
		next := *t.desc.Load()
		tags, e := edit(slices.Clone(next.def.Settings.Tags))
		if e != nil {
			return nil, e
		}
		next.def.Settings.Tags = tags
		if next.stream != nil {
			streamARN = next.stream.ARN
		}
		if err := putDefinition(b, &next.def); err != nil {
			return nil, err
		}
		return func(applied bool) {
			if applied {
				t.desc.Store(&next)
			}
		}, nil
	})
	if err != nil {
		return nil, err
	}
	if streamARN != "" {
		db.tagsChanged(streamARN)
	}
	return &Tagged{}, nil
}

// ListTagsOfResource returns a table's tags, in the order in which they were added. AWS
// gives all of them at once, so that no token is ever given out; of a table that is not
// there it says what it says of another account's.
func (db *DB) ListTagsOfResource(ctx context.Context, scope schema.Scope, r *request.ListTagsOfResource) (*TagsResult, error) {
	if r.Scope != scope {
		return nil, awserr.ResourceOfOther(r.ARN)
	}
	t := db.find(scope, r.Table)
	if t == nil {
		return nil, db.whenDurable(ctx, awserr.ResourceOfOther(r.ARN))
	}
	if r.Token != "" {
		return nil, awserr.InvalidTagToken()
	}
	return &TagsResult{Tags: t.desc.Load().def.Settings.Tags}, db.store.Barrier(ctx)
}
