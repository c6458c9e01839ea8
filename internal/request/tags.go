package request

import (
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/schema"
)

// Resource is a table that a request names by its ARN.
type Resource struct {
	ARN   string
	Scope schema.Scope
	Table string
}

// TagResource adds tags to a table, or changes their values.
type TagResource struct {
	Resource
	Tags []Tag // at least one
}

// UntagResource removes tags; those that are not there are no error.
type UntagResource struct {
	Resource
	Keys []string // at least one
}

// ListTagsOfResource is one page of a table's tags.
type ListTagsOfResource struct {
	Resource
	Token string // NextToken; empty: the first page
}

// parse takes a resource's ARN apart.
func (r *Resource) parse(text string) *awserr.Error {
	r.ARN = text
	if !arn.Is(text) {
		return awserr.NotAnARN(text)
	}
	var ok bool
	if r.Scope, r.Table, ok = arn.Table(text); ok {
		return nil
	}
	if arn.Service(text) == "dynamodb" && strings.Contains(text, "/index/") {
		return awserr.ResourceNotTaggable(text)
	}
	return awserr.InvalidResourceARN(text)
}

// DecodeTagResource decodes and checks a TagResource request.
func DecodeTagResource(body []byte) (*TagResource, error) {
	var arn text
	var tags []wireTag
	given := false
	err := decode(body, func(r *item.Reader, member []byte) error {
		switch string(member) {
		case "ResourceArn":
			return arn.read(r)
		case "Tags":
			given = !r.Null()
			if !given {
				return nil
			}
			return readTags(r, &tags)
		}
		return r.Skip()
	})
	if err != nil {
		return nil, err
	}
	var v violations
	checkResource(&v, &arn)
	if !given {
		v.null("tags")
	}
	checkTags(&v, tags)
	op := new(TagResource)
	failure := firstOf(v.err(), op.parse(arn.s))
	if failure == nil && len(tags) == 0 {
		failure = awserr.TagRequired()
	}
	if failure == nil {
		op.Tags, failure = tagValues(tags)
	}
	if failure != nil {
		return nil, failure
	}
	return op, nil
}

// DecodeUntagResource decodes and checks an UntagResource request.
func DecodeUntagResource(body []byte) (*UntagResource, error) {
	var arn text
	given := false
	op := new(UntagResource)
	err := decode(body, func(r *item.Reader, member []byte) error {
		switch string(member) {
		case "ResourceArn":
			return arn.read(r)
		case "TagKeys":
			op.Keys = nil
			return readMaybe(r, &given, func() error { return readStrings(r, &op.Keys) })
		}
		return r.Skip()
	})
	if err != nil {
		return nil, err
	}
	var v violations
	checkResource(&v, &arn)
	if !given {
		v.null("tagKeys")
	}
	failure := firstOf(v.err(), op.parse(arn.s))
	if failure == nil && len(op.Keys) == 0 {
		failure = awserr.TagKeyRequired()
	}
	if failure != nil {
		return nil, failure
	}
	return op, nil
}

// DecodeListTagsOfResource decodes and checks a ListTagsOfResource request.
func DecodeListTagsOfResource(body []byte) (*ListTagsOfResource, error) {
	var arn, token text
	err := decode(body, func(r *item.Reader, member []byte) error {
		switch string(member) {
		case "ResourceArn":
			return arn.read(r)
		case "NextToken":
			return token.read(r)
		}
		return r.Skip()
	})
	if err != nil {
		return nil, err
	}
	var v violations
	checkResource(&v, &arn)
	op := &ListTagsOfResource{Token: token.s}
	if failure := firstOf(v.err(), op.parse(arn.s)); failure != nil {
		return nil, failure
	}
	return op, nil
}

func checkResource(v *violations, arn *text) {
	arn.required(v, "resourceArn", func() { v.text(arn.s, 1, 1283, "resourceArn") })
}
