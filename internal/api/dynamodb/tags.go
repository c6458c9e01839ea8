package dynamodb

import (
	"context"

	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/table"
)

// Taggable is the part of Tables that keeps tags.
type Taggable interface {
	TagResource(context.Context, schema.Scope, *request.TagResource) (*table.Tagged, error)
	UntagResource(context.Context, schema.Scope, *request.UntagResource) (*table.Tagged, error)
	ListTagsOfResource(context.Context, schema.Scope, *request.ListTagsOfResource) (*table.TagsResult, error)
}

func registerTaggable(p *awsjson.Protocol, t Taggable) {
	operation(p, "TagResource", request.DecodeTagResource, t.TagResource, appendTagged)
	operation(p, "UntagResource", request.DecodeUntagResource, t.UntagResource, appendTagged)
	operation(p, "ListTagsOfResource", request.DecodeListTagsOfResource, t.ListTagsOfResource, appendTags)
}

// appendTagged appends nothing: these operations answer without a body.
func appendTagged(dst []byte, _ *table.Tagged) []byte { return dst }

func appendTags(dst []byte, r *table.TagsResult) []byte {
	dst = append(dst, `{"Tags":[`...)
	for i, t := range r.Tags {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = awsjson.AppendString(append(dst, '{'), "Key", t.Key)
		dst = append(awsjson.AppendString(dst, "Value", t.Value), '}')
	}
	return append(dst, "]}"...)
}
